"""A soak: random faults from a seed, on a network of validators under a steady load; at the end the auditor.

A step is a pause, a fault, a hold and its mending. What is brought is drawn from the seed, which is printed, so that a
run can be made again; when exactly a process answers is the machine's own. The report is written beside a picture of
the timeline: each bank's staleness as the gateways told it, each decision that was not by the bank's word, each fault.
Exit code 0 only where the auditor finds nothing and no decision went against a bank's word.
"""

import argparse
import random
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from matplotlib.figure import Figure
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo_day import wait_for
from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import SystemClock
from tests.databases import on_postgresql
from tests.network.consortium import BANKS, Consortium, consortium
from tests.network.load import Asked, Load, by_the_banks_word
from tests.network.validators import ValidatorNetwork

_HOLDS_S = (2, 15)
_PAUSES_S = (3, 10)
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Brought:
    """A fault of the run, in ms since it began."""

    what: str
    from_ms: int
    to_ms: int


def draw(network: ValidatorNetwork, chance: random.Random) -> tuple[str, Callable[[], None], Callable[[], None]]:
    """A fault: its name, what brings it, and what mends it."""
    nodes, validators = network.nodes, network.validators
    one = chance.choice(nodes)
    two = chance.sample(validators, 2)
    others = [node for node in nodes if node not in two]

    def back(*killed: int) -> None:
        for index in killed:
            network.launch(nodes[index])

    return chance.choice(
        [
            (f"{one.name} killed", lambda: network.kill(one), lambda: back(one.index)),
            (f"{one.name} stopped", lambda: network.stop(one), lambda: back(one.index)),
            (f"{one.name} stands still", lambda: network.pause(one), lambda: network.resume(one)),
            (f"{one.name} cut off", lambda: network.isolate(one), network.heal),
            (
                f"{two[0].name} and {two[1].index} killed",
                lambda: network.kill(*two),
                lambda: back(*(node.index for node in two)),
            ),
            (f"{two[0].name} and {two[1].index} cut off", lambda: network.cut(two, others), network.heal),
            ("200 ms, 5 % loss", lambda: network.worsen(delay_ms=200, loss_per_mille=50), network.heal),
            (
                "every node killed",
                lambda: network.kill(*nodes),
                lambda: back(*range(len(nodes))),
            ),
        ]
    )


def run(it: Consortium, load: Load, chance: random.Random, minutes: float) -> tuple[int, list[Brought]]:
    """Bring fault after fault. Returns: when the run began, and what was brought."""
    began_ms, rest, brought = _CLOCK.now_ms(), threading.Event(), []
    while _CLOCK.now_ms() - began_ms < minutes * 60_000:
        rest.wait(chance.uniform(*_PAUSES_S))
        what, bring, mend = draw(it.network, chance)
        from_ms = _CLOCK.now_ms() - began_ms
        bring()
        rest.wait(chance.uniform(*_HOLDS_S))
        mend()
        to_ms = _CLOCK.now_ms() - began_ms
        brought.append(Brought(what, from_ms, to_ms))
        load.wait_until_well()
        it.network.wait_until_level()
        print(
            f"{from_ms / 1000:7.1f} s  {what}, {(to_ms - from_ms) / 1000:.1f} s; well again after "
            f"{(_CLOCK.now_ms() - began_ms - to_ms) / 1000:.1f} s",
            flush=True,
        )
    return began_ms, brought


def audited(it: Consortium, lines: list[Exported]) -> Audit:
    """The ledger from its first block on, and every decision of an export."""
    audit, client = Audit(), LedgerClient(it.network.validators[2].url, it.net.contract)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        blocks, decisions = bar.add_task("blocks", total=None), bar.add_task("decisions", total=None)
        walked = audit_ledger(client, audit, lambda done, total: bar.update(blocks, completed=done, total=total))
        audit_decisions(
            lines,
            it.means(),
            walked,
            audit,
            lambda done, total: bar.update(decisions, completed=done, total=total),
        )
    return audit


def spread(values: list[int]) -> str:
    """Median, 95th and 99th of a hundred, and the worst."""
    if len(values) < 2:
        return "none"
    cuts = quantiles(values, n=100, method="inclusive")
    return f"{cuts[49]:.0f} | {cuts[94]:.0f} | {cuts[98]:.0f} | {max(values)}"


def report(seed: int, minutes: float, asked: list[Asked], changes: int, brought: list[Brought], audit: Audit) -> str:
    """The report, as Markdown."""
    heard = [each for each in asked if by_the_banks_word(each)]
    staleness_ms = [each.staleness_ms for each in heard if each.staleness_ms is not None]
    reasons = Load.reasons(asked)
    lines = [
        "# Soak",
        "",
        f"Seed {seed}, {minutes:g} minutes, {len(brought)} faults; two banks, {changes} changes; "
        f"{'two gateway processes on PostgreSQL' if on_postgresql() else 'one gateway on SQLite'}. "
        f"Made with `make soak SEED={seed} MINUTES={minutes:g}`.",
        "",
        "![the timeline](soak.svg)",
        "",
        "| the auditor | |",
        "| --- | --- |",
        *(f"| {what} | {count:,} |" for what, count in audit.counted.items()),
        f"| findings | {len(audit.findings)} |",
        "",
        "| decisions | |",
        "| --- | --- |",
        *(f"| {reason} | {count:,} |" for reason, count in reasons.most_common()),
        f"| by the bank's word | {100 * len(heard) / len(asked):.1f} % |",
        "",
        "| in ms | median | 95 % | 99 % | worst |",
        "| --- | --- | --- | --- | --- |",
        f"| staleness, of those by the bank's word | {spread(staleness_ms)} |",
        f"| time to a decision | {spread([each.took_ms for each in asked])} |",
        "",
        "| from | fault | for |",
        "| --- | --- | --- |",
        *(f"| {one.from_ms / 1000:.1f} s | {one.what} | {(one.to_ms - one.from_ms) / 1000:.1f} s |" for one in brought),
    ]
    return "\n".join(lines) + "\n"


def picture(file: Path, began_ms: int, asked: list[Asked], brought: list[Brought]) -> None:
    """The timeline as SVG."""
    figure = Figure(figsize=(13, 4.5), layout="constrained")
    axes = figure.subplots()
    for one in brought:
        axes.axvspan(one.from_ms / 1000, one.to_ms / 1000, color="0.85")
        axes.text(one.from_ms / 1000, 1.01, one.what, rotation=60, fontsize=6, transform=axes.get_xaxis_transform())
    for bic, _ in BANKS:
        told = [each for each in asked if each.bank == bic and each.staleness_ms is not None]
        told.sort(key=lambda each: each.decided_at_ms)
        at_s = [(each.decided_at_ms - began_ms) / 1000 for each in told]
        axes.plot(at_s, [(each.staleness_ms or 0) / 1000 for each in told], linewidth=0.8, label=f"{bic}: staleness")
    for reason in sorted({each.reason or "none answered" for each in asked if not by_the_banks_word(each)}):
        amiss = [each for each in asked if not by_the_banks_word(each) and (each.reason or "none answered") == reason]
        at_s = [(each.decided_at_ms - began_ms) / 1000 for each in amiss]
        axes.plot(at_s, [-0.6] * len(at_s), "|", markersize=7, label=reason)
    axes.set_xlabel("seconds")
    axes.set_ylabel("seconds old")
    axes.legend(fontsize=7, loc="upper right")
    figure.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--report", type=Path, help="a folder for soak.md and soak.svg")
    stated = parser.parse_args()
    print(f"seed {stated.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="standing-soak-") as folder, consortium(Path(folder)) as it:
        for bic, name in BANKS:
            it.add_bank(bic, name)
        it.start_gateways()
        load = Load(it)
        try:
            load.bind()
            load.start()
            load.wait_until_well()
            began_ms, brought = run(it, load, random.Random(stated.seed), stated.minutes)  # noqa: S311 - a run that can be made again
            wait_for(lambda: by_the_banks_word(load.decide(BANKS[0][0])), "a last decision")
            load.pause()
            lines = it.export()
            it.network.wait_until_level()
            audit = audited(it, lines)
        finally:
            load.stop()
    wrong = load.wrong()
    text = report(stated.seed, stated.minutes, load.asked, load.changes, brought, audit)
    print(text)
    for found in audit.findings[:20]:
        print(f"{found.kind} {found.whose} {found.where}: {found.text}")
    for each in wrong[:20]:
        print(f"against the bank's word: {each}")
    if stated.report is not None:
        stated.report.mkdir(parents=True, exist_ok=True)
        (stated.report / "soak.md").write_text(text)
        picture(stated.report / "soak.svg", began_ms, load.asked, brought)
    return 1 if wrong or audit.findings else 0


if __name__ == "__main__":
    sys.exit(main())
