"""`standing-node move-database`."""

from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.moving import NewDatabase, move_and_tell
from standing.ledger.service.settings import load
from standing.node.settings import NodeSettings
from standing.node.storage import schema


def move_database(url: NewDatabase, config: Config = None) -> None:
    """Move everything from the SQLite file of the settings to an empty database. Stop the service first.

    Either all of it is moved, or nothing. The file is renamed at the end. Then set `database_url` to the new database.
    """
    with one_line_errors():
        move_and_tell(
            load(NodeSettings, config).database_url,
            url,
            package="standing.node.storage",
            metadata=schema.metadata,
            locks=("leader",),
        )
