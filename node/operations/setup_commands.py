"""Commands that prepare a node: settings, secrets, API keys, keystores."""

from pathlib import Path
from typing import Annotated

import typer

from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import api_key_app, config_app, console, one_line_errors, secret_app
from standing.ledger.service.settings import SettingsError, load, read_text_secret
from standing.node.composition import read_secrets
from standing.node.feed.profile import profile_of
from standing.node.operations.reload_command import KEY_VARIABLE
from standing.node.publishing.keys import load_private_key, new_keystore, parse_private_key, write_keystore
from standing.node.settings import EXAMPLE, ROLES, NodeSettings

api_key = api_key_app(ROLES, names_platforms=True)
secret = secret_app()


def _check(config: Path | None) -> None:
    settings = load(NodeSettings, config)
    secrets = read_secrets(settings)
    secrets.bank_secrets()
    secrets.vault()
    for source in (settings.sql_view, settings.drop_folder):
        if source is not None:
            profile_of(source.profile)


config = config_app(NodeSettings, EXAMPLE, _check, key_variable=KEY_VARIABLE)
keystore = typer.Typer(help="Encrypted keystores of the signing and the sending key.", no_args_is_help=True)


@keystore.callback()  # without a callback, a single command would lose its name
def keystores() -> None:
    """Encrypted keystores of the signing and the sending key."""


@keystore.command("new")
def keystore_new(
    file: Path,
    password_file: Annotated[Path, typer.Option(help="File with the password that encrypts the key")],
) -> None:
    """Generate a key, write its encrypted keystore, and print its address."""
    with one_line_errors():
        console.print(new_keystore(file, password_file))


@keystore.command("import")
def keystore_import(
    file: Annotated[Path, typer.Argument(help="The keystore to write")],
    password_file: Annotated[Path, typer.Option(help="File with the password that encrypts the key")],
    key_file: Annotated[
        Path | None, typer.Option(help="File with the private key in hexadecimal; without it you are asked for the key")
    ] = None,
    from_keystore: Annotated[Path | None, typer.Option(help="Another keystore to take the key from")] = None,
    from_password_file: Annotated[Path | None, typer.Option(help="File with the password of that keystore")] = None,
) -> None:
    """Write an existing key to a keystore, under a password of its own, and print its address."""
    with one_line_errors():
        if (from_keystore is None) != (from_password_file is None):
            raise SettingsError("--from-keystore, --from-password-file: both or neither")
        if from_keystore is not None and from_password_file is not None:
            if key_file is not None:
                raise SettingsError("--key-file, --from-keystore: one of the two")
            key = load_private_key(from_keystore, from_password_file, "from")
        elif key_file is not None:
            key = parse_private_key(read_text_secret(key_file, "key-file"))
        else:
            key = parse_private_key(typer.prompt(in_language("Private key, in hexadecimal"), hide_input=True))
        console.print(write_keystore(file, password_file, key))
