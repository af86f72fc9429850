"""The sources by which the node itself reads the core, as tasks."""

from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.fault_points import Faults
from standing.node.feed.drop_folder import DropFolder
from standing.node.feed.file_load import FileLoader
from standing.node.feed.profile import profile_of
from standing.node.feed.service import Feed
from standing.node.feed.settings import DropFolderSettings, SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.workers import Task


def source_tasks(
    sql_view: SqlViewSettings | None,
    drop_folder: DropFolderSettings | None,
    *,
    feed: Feed,
    database: Database,
    vault: Vault,
    faults: Faults,
) -> list[Task]:
    """A task for each source that is configured. Raises: InvalidValue where its settings are not usable."""
    tasks = []
    if sql_view is not None:
        written = profile_of(sql_view.profile)
        view = SqlViewSource(sql_view, feed, database, vault, written)
        tasks.append(Task("sql_view", sql_view.poll_ms, view.step, view.close))
    if drop_folder is not None:
        profile = profile_of(drop_folder.profile)
        loader = FileLoader(
            feed,
            database,
            vault,
            page_size=drop_folder.page_size,
            max_bytes=drop_folder.max_bytes,
            profile=profile,
            max_bad_share=drop_folder.max_bad_share,
        )
        folder = DropFolder(drop_folder, loader, feed, faults, profile)
        tasks.append(Task("drop_folder", drop_folder.poll_ms, folder.step))
    return tasks
