"""`standing-node account`: erase what the node has of an account."""

import typer

from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import Config, one_line_errors, tell
from standing.ledger.service.settings import load
from standing.node.accounts.erasure import erase as erase_account
from standing.node.composition import open_vault
from standing.node.settings import NodeSettings
from standing.node.storage.database import opened

app = typer.Typer(no_args_is_help=True)


@app.callback()  # without a callback, a single command would lose its name
def accounts() -> None:
    """Accounts in the node's store."""


@app.command()
def erase(config: Config = None) -> None:
    """Delete an account, its holder's data and its ended bindings. The number is prompted for, not an argument."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        number = typer.prompt(in_language("Number of the account or card"), hide_input=True)
        with opened(settings.database_url) as database:
            bindings = erase_account(database, open_vault(settings, database), number)
        tell(f"erased, with {bindings} bindings; backups and exports still contain it")
