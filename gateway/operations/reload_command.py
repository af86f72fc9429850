"""`standing-gateway reload`."""

from pathlib import Path
from typing import Annotated

import typer

from standing.gateway.access.commands import KEY_VARIABLE
from standing.ledger.service import reload_command


def reload(
    url: Annotated[str, typer.Option(help="Where the gateway listens")] = "http://127.0.0.1:8200",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an admin's key; or {KEY_VARIABLE}")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit")] = "settings read again",
) -> None:
    """Let the running gateway read API keys, banks and policy again, as SIGHUP does.

    Exit code 2 where something needs a restart. Ask each gateway process by itself.
    """
    reload_command.reload(url, key_file, KEY_VARIABLE, reason)
