"""`standing-gateway reconcile`, `rekey` and `status`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from standing.gateway.access.commands import KEY_VARIABLE
from standing.gateway.composition import build
from standing.gateway.following.reconcile_report import Report
from standing.gateway.operations.rekey import count_sealed
from standing.gateway.operations.rekey import rekey as renew
from standing.gateway.operations.schemas import StatusDocument
from standing.gateway.settings import GatewaySettings, read_vault_secrets
from standing.gateway.storage.database import opened
from standing.gateway.storage.vault import open_vault
from standing.ledger.errors import InvalidValue
from standing.ledger.service import logs
from standing.ledger.service.client_command import call_service, key_from
from standing.ledger.service.command_language import in_language, label, of_both
from standing.ledger.service.commands import Config, console, one_line_errors, print_json, say, tell
from standing.ledger.service.files import write_over
from standing.ledger.service.progress import progress_bar
from standing.ledger.service.settings import load
from standing.ledger.service.times import iso, seconds

_STATES = {"fit": "green", "stalled": "yellow", "failing": "red", "behind": "red", "wrong": "red"}


def reconcile_command(
    config: Config = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report to this file, as JSON")] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write the report to this file, as an HTML page")
    ] = None,
) -> None:
    """Compare all active bindings with the ledger at one block: which are no longer usable, and which differ.

    Safe while the gateway is running. Exit code 2 if a binding is no longer usable or differs, a bank's watermark went
    back, or the block is gone from the chain; 1 if the run failed; otherwise 0. Silent and suspended banks are listed
    but do not count.
    """
    with one_line_errors():
        settings = load(GatewaySettings, config)
        logs.configure(settings.log_level)
        gateway = build(settings, upgrade=False)
        try:
            with progress_bar("reconciling") as progress:
                report = gateway.reconciler.run(progress)
            assert report is not None  # only a schedule ends a run early
        finally:
            gateway.storage.close()
        for file, text in ((json_file, report.to_json), (html_file, report.to_html)):
            if file is not None:
                _write(file, text())
    _show_report(report)
    went_back = any(bank.watermark_went_back for bank in report.banks)
    amiss = report.dead_count or report.drift_count or went_back or not report.block_is_still_there
    raise typer.Exit(2 if amiss else 0)


def rekey_command(config: Config = None) -> None:
    """Re-encrypt all stored data under the newest vault secret. If interrupted, run it again.

    First put the new secret in front of the old one in the settings, and restart every gateway. When this command has
    succeeded, the old secret can be removed.
    """
    with one_line_errors():
        settings = load(GatewaySettings, config)
        with opened(settings.database_url) as storage:
            vault = open_vault(storage, read_vault_secrets(settings))
            total = count_sealed(storage)
            with progress_bar("values") as progress:
                done = renew(storage, vault, lambda seen: progress(seen, total))
    tell(f"{done.renewed} of {done.seen} values re-encrypted; the others already used the newest secret")
    used = settings.vault_secret_files[0] if settings.vault_secret_files else "the first vault secret"
    tell(f"everything is encrypted under {used} now: keep it; the others are not needed any more")
    if not done.renewed:
        tell("nothing was left to do; if this secret was to be replaced, put the new one in front of it, and repeat")


def status_command(
    url: Annotated[str, typer.Option(help="The gateway's URL")] = "http://127.0.0.1:8200",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an API key; or {KEY_VARIABLE}")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gateway's response as JSON")] = False,
) -> None:
    """Show the state of a running gateway. Exit code 0 if it is ready, 2 if it is not."""
    with one_line_errors():
        key = key_from(key_file, KEY_VARIABLE)
        document: dict[str, Any] = json.loads(call_service("GET", url, "/v1/status", key, StatusDocument).text)
    if as_json:
        print_json(document)
    else:
        console.print(screen(document))
    raise typer.Exit(0 if document["ready"] else 2)


def _show_report(report: Report) -> None:
    headings = [label(each) for each in ("bank", "watermark", "state", "bindings")]
    table = Table(*headings, title=in_language(f"block {report.block_number}"))
    for bank in report.banks:
        states = [label(state) for state in ("suspended", "silent", "watermark_went_back") if getattr(bank, state)]
        counts = ", ".join(f"{label(reason)}: {count}" for reason, count in report.reasons.get(bank.bank, {}).items())
        table.add_row(
            bank.bank,
            iso(bank.watermark_ms) if bank.watermark_ms is not None else label("never"),
            " ".join(states) or label("up to date"),
            counts,
        )
    console.print(table)
    for found in report.dead[:20]:
        way_out = of_both(found.way_out.en, found.way_out.zh)
        say(f"{label('dead')}   {found.binding} {found.bank} {found.reason}: {way_out}")
    for drift in report.drift[:20]:
        before = f"{label('drift')}  {drift.binding} {drift.bank} {drift.kind}: "
        here = "none" if drift.believed is None else drift.believed
        tell(f"{drift.on_ledger} on the ledger, {here} here", before)
    tell(f"{report.checked} checked, {report.dead_count} no longer usable, {report.drift_count} drifted")
    if not report.block_is_still_there:
        gone = in_language("The chain has since dropped this block: run the command again.")
        console.print(f"[red]{gone}[/]")


def _write(file: Path, text: str) -> None:
    try:
        write_over(file, text)
    except OSError as error:
        raise InvalidValue("output", f"{file}: {error.strerror}", "a file that can be written") from error


def screen(status: dict[str, Any]) -> Group:
    """The answer of `GET /v1/status` on one screen, in the language of the environment."""
    head = Table.grid(padding=(0, 2))

    def row(name: str, text: str, style: str = "") -> None:
        head.add_row(label(name), Text(label(in_language(text)), style))

    row("gateway", "ready" if status["ready"] else status["trouble"], "green" if status["ready"] else "red")
    row("at", iso(status["now_ms"]))
    row("policy", status["policy"])
    row("decisions", ", ".join(f"{count} {outcome}" for outcome, count in status["decisions"].items()))
    factor = status["reads_per_call"]
    row("reads", f"{factor:.1f} per call on average" if factor is not None else "none yet")
    waiting = status["waiting"]
    row("waiting", f"{waiting['reads']} reads, {waiting['decisions']} decisions")
    row("followed", _or_unknown(status["followed_block"], "block {}"))
    row("webhooks", _or_unknown(status["pending_webhooks"], "{} pending"))
    settings = status["settings"]
    row("settings", f"read at {iso(settings['read_at_ms'])}")
    if settings["trouble"] is not None:
        row("", f"rejected since then: {settings['trouble']}", "red")
    if settings["needs_restart"]:
        row("", f"needs a restart: {', '.join(settings['needs_restart'])}", "yellow")
    for trouble in status["worker_troubles"]:
        row("events", trouble, "red")
    row("reconciled", _reconciled(status["reconcile"]))
    return Group(head, _nodes(status["ledger"]), _banks(status["banks"]))


def _nodes(ledger: dict[str, Any]) -> Table:
    table = _table("ledger node", "state", "block", "of", "problem")
    table.title = in_language(f"reads {ledger['reads']}; seen {ledger['seen_block']}")
    for node in ledger["nodes"]:
        table.add_row(
            Text(node["node"]),
            Text(label(node["state"]), _STATES[node["state"]]),
            label(_or_unknown(node["block_number"], "{}")),
            iso(node["block_time_ms"]) if node["block_time_ms"] is not None else "",
            Text(in_language(node["problem"] or "")),
        )
    return table


def _banks(banks: list[dict[str, Any]] | None) -> Table:
    table = _table("bank", "staleness", "state")
    table.title = None if banks is not None else in_language("banks: the ledger cannot be read")
    for bank in banks or []:
        state = "suspended" if bank["suspended"] else "up to date" if bank["within_widest_bound"] else "silent"
        age = seconds(bank["staleness_ms"]) if bank["staleness_ms"] is not None else label("not there yet")
        style = "green" if state == "up to date" else "red"
        table.add_row(bank["bic"], age, Text(label(state), style))
    return table


def _table(*headings: str) -> Table:
    return Table(*map(label, headings))


def _reconciled(reconcile: dict[str, Any]) -> str:
    if reconcile["running"] is not None:
        return f"now: {reconcile['running']['done']} of {reconcile['running']['total']}"
    last = reconcile["last"]
    if last is None:
        return "not yet"
    found = f"{last['checked']} checked, {last['dead_count']} dead, {last['drift_count']} drifted"
    return f"{iso(last['started_at_ms'])}: {found}"


def _or_unknown(value: int | None, form: str) -> str:
    return form.format(value) if value is not None else "unknown"
