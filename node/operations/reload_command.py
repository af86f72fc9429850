"""`standing-node reload`."""

from pathlib import Path
from typing import Annotated

import typer

from standing.ledger.service import reload_command

KEY_VARIABLE = "STANDING_NODE_KEY"


def reload(
    url: Annotated[str, typer.Option(help="The node's URL")] = "http://127.0.0.1:8100",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an operator's key; or {KEY_VARIABLE}")] = None,
) -> None:
    """Have the running node reload its API keys, as SIGHUP does. Exit code 2 if a change needs a restart."""
    reload_command.reload(url, key_file, KEY_VARIABLE)
