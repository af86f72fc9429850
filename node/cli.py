"""`standing-node`: run a bank node, and look after its keys and its bank on the ledger."""

from pathlib import Path
from typing import Annotated

import typer

from standing.ledger.service import logs
from standing.ledger.service.commands import Config, add_common_commands, console, one_line_errors
from standing.ledger.service.serve import serve as serve_app
from standing.ledger.service.settings import load
from standing.node.app import create_app
from standing.node.composition import build, read_secrets
from standing.node.operations import account_commands as account_cli
from standing.node.operations import commands as operations
from standing.node.operations import feed_commands as feed_cli
from standing.node.operations import governance_commands as governance
from standing.node.operations import platform_commands as platform_cli
from standing.node.publishing.keys import new_keystore
from standing.node.settings import EXAMPLE, ROLES, NodeSettings

app = typer.Typer(
    name="standing-node",
    help="A bank's node: takes changes from the core, grants bindings, publishes signed attestations to the ledger.\n\n"
    "To begin: `config example > node.toml`, `secret new`, `keystore new`, `api-key new`, then `serve -c node.toml`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
add_common_commands(app, roles=ROLES, example=EXAMPLE, names_platforms=True)
app.add_typer(governance.app, name="ledger")
operations.add_to(app)
app.add_typer(feed_cli.app, name="feed")
app.add_typer(platform_cli.app, name="platform")
app.add_typer(account_cli.app, name="account")

keystore = typer.Typer(help="Encrypted keystores of the signing and the sending key.", no_args_is_help=True)
app.add_typer(keystore, name="keystore")


@keystore.command("new")
def keystore_new(
    file: Path,
    password_file: Annotated[Path, typer.Option(help="File with the password that encrypts the key")],
) -> None:
    """Make a fresh key, write its encrypted keystore, and print its address."""
    with one_line_errors():
        console.print(new_keystore(file, password_file))


@app.command()
def serve(config: Config = None) -> None:
    """Run the node until it is told to stop."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        logs.configure(settings.log_level)
        node = build(settings, read_secrets(settings))
    serve_app(create_app(node), settings.listen_host, settings.listen_port)
