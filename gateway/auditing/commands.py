"""`standing-gateway audit-ledger`, for any member and any regulator, and `export`, for a gateway that is audited."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported, exported, parse_line
from standing.gateway.auditing.findings import Audit, Finding, Kind
from standing.gateway.auditing.ledger import audit_ledger
from standing.gateway.evidence.verification.case import VerifierInputs
from standing.gateway.evidence.verification.commands import jwk
from standing.gateway.evidence.verification.lines import CHECKS
from standing.gateway.settings import GatewaySettings, read_vault_secrets
from standing.gateway.storage.database import opened
from standing.gateway.storage.vault import open_vault
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from standing.ledger.clock import SystemClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import Config, console, one_line_errors, print_json, say, tell
from standing.ledger.service.private_files import new_private_file
from standing.ledger.service.progress import progress_bar
from standing.ledger.service.settings import load

_TIMEOUT_S = 30.0
_SHOWN = 50


def audit_ledger_command(
    ledger: Annotated[str, typer.Option(help="URL of a ledger node; any full node will do")],
    contract: Annotated[str, typer.Option(help="The StatusLedger contract")],
    export: Annotated[
        Path | None, typer.Option(help="A gateway's export; its decisions are made again and their usage is added up")
    ] = None,
    gateway_key: Annotated[
        str | None,
        typer.Option(help="With --export: the gateway's public key, a JWK or JWK set, or a file that holds it"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON")] = False,
) -> None:
    """Recompute a ledger's whole history from its URL alone, and a gateway's decisions from its export.

    For each bank: numbers, hash chain, signatures, watermarks, suspensions, rotations, and the contract's final state.
    For each decision: its evidence, the decision made again, and usage against every limit. Exit code 0: no
    findings; 2: findings; 1: the audit could not be carried out.
    """
    audit = Audit()
    with one_line_errors():
        if (export is None) != (gateway_key is None):
            raise InvalidValue("export, gateway-key", "one without the other", "both, or neither")
        address = parse_address(contract, "contract")
        client = LedgerClient(ledger, address, timeout_s=_TIMEOUT_S)
        client.check()
        with progress_bar("blocks") as progress:
            walked = audit_ledger(client, audit, progress)
        if export is not None and gateway_key is not None:
            with progress_bar("decisions") as progress:
                audit_decisions(_lines(export), VerifierInputs(jwk(gateway_key), address), walked, audit, progress)
    _show(audit, walked.to_block, as_json)
    raise typer.Exit(2 if audit.findings else 0)


def export_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file; only you can read it")],
    config: Config = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Include the keys of all bindings, which decrypt the banks' terms")
    ] = False,
) -> None:
    """Write all decisions with their evidence as JSON Lines, for an auditor. Safe while the gateway is running.

    Without keys, an auditor can check what was read and signed, but cannot repeat decisions or add up usage.
    """
    count = 0
    with one_line_errors():
        settings = load(GatewaySettings, config)
        with opened(settings.database_url) as storage:
            vault = open_vault(storage, read_vault_secrets(settings)) if with_keys else None
            with new_private_file(output) as file:
                for line in exported(storage, vault, SystemClock().now_ms()):
                    file.write(line.line() + "\n")
                    count += 1
    tell(f"wrote {count} decisions to {output}")


def _lines(file: Path) -> Iterator[Exported]:
    try:
        with file.open(encoding="utf-8") as text:
            for number, line in enumerate(text, 1):
                yield parse_line(line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue("export", f"{file}: cannot be read", "a file from `standing-gateway export`") from error


def _show(audit: Audit, block: int, as_json: bool) -> None:
    if as_json:
        findings = [
            {"kind": found.kind, "whose": found.whose, "where": found.where, "text": found.text}
            for found in audit.findings
        ]
        document = {"block": block, "counted": audit.counted, "findings": findings}
        print_json(document)
        return
    for counted, count in audit.counted.items():
        say(f"{count:>8} {label(counted)}")
    for found in audit.findings[:_SHOWN]:
        place = f"{escape(found.whose)} {escape(label(in_language(found.where)))}"
        text = f"[red]{label(found.kind)}[/] {place}: {escape(_in_words(found))}"
        console.print(text, highlight=False, soft_wrap=True)
    if len(audit.findings) > _SHOWN:
        tell(f"and {len(audit.findings) - _SHOWN} more")
    if audit.findings:
        verdict = f"[red]{in_language(f'up to block {block}: {len(audit.findings)} findings')}[/]"
    else:
        verdict = f"[green]{in_language(f'up to block {block}: nothing is wrong')}[/]"
    console.print(verdict, highlight=False)


def _in_words(found: Finding) -> str:
    """A finding's text in the language of the environment. That on evidence begins with the name of a check."""
    check, colon, text = found.text.partition(": ")
    if found.kind is Kind.EVIDENCE and colon and check in CHECKS.values():
        return f"{label(check)}: {in_language(text)}"
    return in_language(found.text)
