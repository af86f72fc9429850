"""The sources by which the node itself reads the core, as tasks, from the settings."""

from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.fault_points import Faults
from standing.node.feed.drop_folder import DropFolder
from standing.node.feed.file_load import FileLoader
from standing.node.feed.service import Feed
from standing.node.feed.sql_view import SqlViewSource
from standing.node.settings import NodeSettings
from standing.node.workers import Task


def source_tasks(settings: NodeSettings, feed: Feed, database: Database, vault: Vault, faults: Faults) -> list[Task]:
    """A task for each source that is configured. Raises: InvalidValue where its settings are not usable."""
    tasks = []
    if settings.sql_view is not None:
        view = SqlViewSource(settings.sql_view, feed, database, vault)
        tasks.append(Task("sql_view", settings.sql_view.poll_ms, view.step, view.close))
    if settings.drop_folder is not None:
        stated = settings.drop_folder
        loader = FileLoader(feed, database, vault, page_size=stated.page_size, max_bytes=stated.max_bytes)
        folder = DropFolder(stated, loader, feed, faults)
        tasks.append(Task("drop_folder", stated.poll_ms, folder.step))
    return tasks
