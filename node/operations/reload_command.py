"""`standing-node reload`."""

from pathlib import Path
from typing import Annotated

import typer

from standing.ledger.service import reload_command

KEY_VARIABLE = "STANDING_NODE_KEY"


def reload(
    url: Annotated[str, typer.Option(help="Where the node listens")] = "http://127.0.0.1:8100",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an operator's key; or {KEY_VARIABLE}")] = None,
) -> None:
    """Let the running node read its API keys again, as SIGHUP does. Exit code 2 where something needs a restart."""
    reload_command.reload(url, key_file, KEY_VARIABLE)
