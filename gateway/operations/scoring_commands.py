"""`standing-gateway scoring`: how a running gateway scores its bindings, and a run on request."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from standing.gateway.access.commands import KEY_VARIABLE
from standing.gateway.warning.schemas import ScoringDocument
from standing.ledger.service.client_command import call_service, key_from
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import console, one_line_errors, print_json
from standing.ledger.service.times import iso

app = typer.Typer(help="The scoring of bindings: its state, and a run on request.", no_args_is_help=True)

_LOOK_EVERY_S = 1.0

Url = Annotated[str, typer.Option(help="The gateway's URL")]
KeyFile = Annotated[Path | None, typer.Option(help=f"A file with an API key; or {KEY_VARIABLE}")]
AdminKeyFile = Annotated[Path | None, typer.Option("--key-file", help=f"A file with an admin's key; or {KEY_VARIABLE}")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the gateway's response as JSON")]


@app.callback()
def scoring() -> None:
    """The scoring of bindings: its state, and a run on request."""


@app.command("show")
def show(url: Url = "http://127.0.0.1:8200", key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Show the last run, and what the model has learned."""
    with one_line_errors():
        found = _ask("GET", url, key_from(key_file, KEY_VARIABLE))
    _print(found, as_json)


@app.command("run")
def run(
    url: Url = "http://127.0.0.1:8200",
    key_file: AdminKeyFile = None,
    reason: Annotated[str, typer.Option(help="The reason; kept in the audit")] = "scored on request",
    wait_s: Annotated[int, typer.Option(min=0, max=86_400, help="Wait up to this many seconds for the run to end")] = 0,
    as_json: AsJson = False,
) -> None:
    """Have the running gateway score its bindings now. Exit code 2 if the run has not ended within --wait-s."""
    with one_line_errors():
        key = key_from(key_file, KEY_VARIABLE)
        found = _ask("POST", url, key, reason)
        if wait_s:
            asked_ms = found.asked_at_ms or 0
            waiting = Retrying(
                retry=retry_if_result(lambda state: not _has_ended(state, asked_ms)),
                wait=wait_fixed(_LOOK_EVERY_S),
                stop=stop_after_delay(wait_s),
                retry_error_callback=lambda state: state.outcome.result() if state.outcome else found,
            )
            found = waiting(_ask, "GET", url, key)
    _print(found, as_json)
    if wait_s and not _has_ended(found, asked_ms):
        raise typer.Exit(2)


def _has_ended(state: ScoringDocument, asked_ms: int) -> bool:
    last = state.last
    return last is not None and last.began_at_ms >= asked_ms and last.ended_at_ms is not None


def _ask(method: str, url: str, key: str, reason: str | None = None) -> ScoringDocument:
    return call_service(method, url, "/v1/scoring", key, ScoringDocument, reason=reason).document


def _print(state: ScoringDocument, as_json: bool) -> None:
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        console.print(_screen(state))


def _screen(state: ScoringDocument) -> Group:
    head = Table.grid(padding=(0, 2))

    def row(name: str, text: str, style: str = "") -> None:
        head.add_row(label(name), Text(label(in_language(text)), style))

    row("runs", f"every {state.every_minutes} minutes" if state.every_minutes is not None else "on request")
    if state.asked_at_ms is not None:
        row("asked for", iso(state.asked_at_ms))
    row("last run", _last(state))
    row("at risk", f"{state.at_risk} bindings; warned from {state.warn_per_mille} per mille")
    row("scores waiting", f"{state.waiting} scores whose outcome is still unknown")
    row("left out", f"{state.left_out} users")
    model = state.model
    if model is None:
        row("model", "of another version: learning starts again with the next run", "yellow")
        return Group(head)
    row("model", "in use" if model.in_use else "not in use yet: plain rules warn")
    learned = f"{model.learned} of {model.needed} scores, {model.failures} of {model.needed_failures} failures"
    row("learned from", learned)
    if model.learned_at_ms is not None:
        row("last learned", iso(model.learned_at_ms))
    weights = Table(label("feature"), label("weight"), title=label("The model, in log odds"))
    weights.add_row(label("(intercept)"), f"{model.intercept:+.2f}")
    for name, weight in model.weights.items():
        weights.add_row(label(name), f"{weight:+.2f}")
    return Group(head, weights)


def _last(state: ScoringDocument) -> str:
    last = state.last
    if last is None:
        return "none yet"
    if last.ended_at_ms is None:
        return f"{iso(last.began_at_ms)}, still running"
    ended = f"{iso(last.began_at_ms)}, ended {iso(last.ended_at_ms)}"
    counts = ", ".join(f"{label(name)}: {count}" for name, count in (last.counts or {}).items())
    return f"{ended}; {counts}" if counts else ended
