"""`reload` of both services: makes the running service read its settings again."""

from pathlib import Path

import typer

from standing.ledger.service.client_command import call_service, key_from
from standing.ledger.service.commands import one_line_errors, tell
from standing.ledger.service.reloading import PATH, SettingsState


def reload(url: str, key_file: Path | None, variable: str, reason: str | None = None) -> None:
    """Ask the service at `url` to reload, and print the result. Exit code 2 where something needs a restart."""
    with one_line_errors():
        key = key_from(key_file, variable)
        state = call_service("POST", url, PATH, key, SettingsState, reason=reason).document
    changed = ", ".join(state.changed)
    tell(f"read again; changed: {changed}" if changed else "read again; nothing changed")
    if state.needs_restart:
        tell(f"needs a restart: {', '.join(state.needs_restart)}")
        raise typer.Exit(2)
