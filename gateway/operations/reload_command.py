"""`standing-gateway reload`."""

from pathlib import Path
from typing import Annotated

import typer

from standing.gateway.access.commands import KEY_VARIABLE
from standing.ledger.service import reload_command


def reload(
    url: Annotated[str, typer.Option(help="The gateway's URL")] = "http://127.0.0.1:8200",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an admin's key; or {KEY_VARIABLE}")] = None,
    reason: Annotated[str, typer.Option(help="The reason; kept in the audit")] = "settings read again",
) -> None:
    """Have the running gateway reload API keys, banks and policy, as SIGHUP does.

    Exit code 2 if a change needs a restart. Reaches all workers of one `serve --workers N`.
    Gateways that were started separately must be reloaded separately.
    """
    reload_command.reload(url, key_file, KEY_VARIABLE, reason)
