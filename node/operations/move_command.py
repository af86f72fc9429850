"""`standing-node move-database`."""

from rich.progress import Progress

from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import Config, console, one_line_errors, say
from standing.ledger.service.moving import NewDatabase, move
from standing.ledger.service.settings import load
from standing.node.settings import NodeSettings
from standing.node.storage import schema


def move_database(url: NewDatabase, config: Config = None) -> None:
    """Move everything from the SQLite file of the settings to an empty database. Stop the service first.

    Either all of it is moved, or nothing. The file is renamed at the end. Then set `database_url` to the new database.
    """
    with one_line_errors():
        settings = load(NodeSettings, config)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("rows", total=None)
            rows, left = move(
                settings.database_url,
                url,
                package="standing.node.storage",
                metadata=schema.metadata,
                locks=("leader",),
                progress=lambda count: progress.update(task, completed=count),
            )
        done = f"{rows} rows moved; the file is now {left}; now: set database_url to the new database, and start"
        say(in_language(done))
