"""`standing-gateway scorecard`: how banks performed, from a gateway's store or from a ledger's URL alone."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.settings import GatewaySettings, read_policy
from standing.gateway.storage.database import opened
from standing.gateway.warning.hours import summary
from standing.gateway.warning.schemas import ScoreCardDocument
from standing.gateway.warning.scorecard import Period, ScoreCards
from standing.gateway.warning.verdict import verdict
from standing.gateway.warning.walk import known_banks, recomputed
from standing.ledger.attestations.bic import parse_bic
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from standing.ledger.clock import HOUR_MS, MAX_CALENDAR_MS, SystemClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.command_language import label, of_both
from standing.ledger.service.commands import Config, console, one_line_errors, print_json
from standing.ledger.service.settings import load

_TIMEOUT_S = 30.0
_USUAL_BOUND_MS = 300_000


def scorecard_command(
    config: Config = None,
    bank: Annotated[str | None, typer.Option(help="One bank's BIC; default: every bank")] = None,
    period: Annotated[Period, typer.Option(help="day, week or month")] = Period.WEEK,
    until_ms: Annotated[
        int | None, typer.Option(min=1, max=MAX_CALENDAR_MS, help="End of the period, ms since 1970; default: now")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(help="Recompute the ledger's part from this node, without a gateway")
    ] = None,
    contract: Annotated[str | None, typer.Option(help="With --ledger: the StatusLedger contract")] = None,
    silent_over_ms: Annotated[
        int, typer.Option(help="With --ledger: staleness above this counts as silence")
    ] = _USUAL_BOUND_MS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON")] = False,
) -> None:
    """Show how banks performed: staleness, silence and suspensions; with a gateway's store, its own records too.

    With --ledger anyone can recompute the ledger's part from the period's blocks. This takes one call per block.
    """
    with one_line_errors():
        if (ledger is None) != (contract is None):
            raise InvalidValue("ledger, contract", "one without the other", "both, or neither")
        if ledger is not None and contract is not None:
            client = LedgerClient(ledger, parse_address(contract, "contract"), timeout_s=_TIMEOUT_S)
            client.check()
            cards = _recomputed(client, bank, period, until_ms, silent_over_ms)
        else:
            cards = asyncio.run(_stored(load(GatewaySettings, config), bank, period, until_ms))
    if as_json:
        print_json(cards)
    else:
        console.print(_table(cards))


def _recomputed(
    client: LedgerClient, bank: str | None, period: Period, until_ms: int | None, silent_over_ms: int
) -> list[dict[str, Any]]:
    block = client.block_number()
    end_ms = until_ms or client.block_time_ms(block) + 1
    banks = [parse_bic(bank)] if bank is not None else known_banks(client, block)
    from_ms, week_ms = period.starts_ms(end_ms), Period.WEEK.starts_ms(end_ms)
    cards = []
    for bic, found in recomputed(client, banks, from_ms, block).items():
        hours = {start: hour for start, hour in found.hours.items() if from_ms <= start < end_ms}
        shown = summary(hours.values(), silent_over_ms)
        # The verdict covers a week; a walk of one day does not reach that far back.
        week = [hour for start, hour in hours.items() if start >= week_ms]
        week_verdict = verdict(summary(week, silent_over_ms)) if from_ms <= week_ms else None
        cards.append(
            {
                "bank": bic,
                "period": period.value,
                "from_ms": from_ms,
                "until_ms": end_ms,
                "verdict": {"word": week_verdict.word.value, "why": asdict(week_verdict.why)}
                if week_verdict is not None
                else None,
                "ledger": asdict(shown),
            }
        )
    return cards


async def _stored(
    settings: GatewaySettings, bank: str | None, period: Period, until_ms: int | None
) -> list[dict[str, Any]]:
    with opened(settings.database_url) as storage:
        banks = BankDirectory(settings.banks)
        score_cards = ScoreCards(storage=storage, banks=banks, policy=read_policy(settings), clock=SystemClock())
        wanted = [bank] if bank is not None else [each.bic for each in banks]
        cards = [await score_cards.of(bic, period, until_ms) for bic in wanted]
    return [ScoreCardDocument.of(card).model_dump(mode="json") for card in cards]


def _table(cards: list[dict[str, Any]]) -> Table:
    headings = (
        "bank",
        "verdict",
        "followed for",
        "publications",
        "age median",
        "p99",
        "worst",
        "silent",
        "suspended",
        "why",
    )
    table = Table(*map(label, headings))
    for card in cards:
        figures, found = card["ledger"], card["verdict"]
        table.add_row(
            card["bank"],
            label(found["word"] if found is not None else "not known yet"),
            f"{figures['covered_ms'] / HOUR_MS:.1f} h",
            str(figures["publications"]),
            *(_seconds(figures[name]) for name in ("age_median_ms", "age_p99_ms", "age_worst_ms")),
            *(_seconds(figures[name]) for name in ("silent_ms", "suspended_ms")),
            of_both(found["why"]["en"], found["why"]["zh"]) if found is not None else "",
        )
    return table


def _seconds(value_ms: int | None) -> str:
    return f"{value_ms / 1000:.1f} s" if value_ms is not None else ""
