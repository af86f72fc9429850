"""Commands that prepare a node: settings, secrets, API keys, keystores."""

from pathlib import Path
from typing import Annotated

import typer

from standing.ledger.service.commands import api_key_app, config_app, console, one_line_errors, secret_app
from standing.node.publishing.keys import new_keystore
from standing.node.settings import EXAMPLE, ROLES

api_key = api_key_app(ROLES, names_platforms=True)
secret = secret_app()
config = config_app(EXAMPLE)
keystore = typer.Typer(help="Encrypted keystores of the signing and the sending key.", no_args_is_help=True)


@keystore.callback()  # with it, one command alone keeps its name
def keystores() -> None:
    """Encrypted keystores of the signing and the sending key."""


@keystore.command("new")
def keystore_new(
    file: Path,
    password_file: Annotated[Path, typer.Option(help="File with the password that encrypts the key")],
) -> None:
    """Make a fresh key, write its encrypted keystore, and print its address."""
    with one_line_errors():
        console.print(new_keystore(file, password_file))
