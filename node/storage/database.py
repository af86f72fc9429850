"""The node's database: outages are raised as DatabaseUnavailable, so they are waited for and never crash the node."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from standing.ledger.errors import NotFound, Unavailable
from standing.ledger.service.database import Database, error_kind, is_of_this_version, migrate, revisions, unusable

_RETRY_AFTER_S = 2
_MAX_KEYS = 500
_T = TypeVar("_T")

#: Codes of outages that the drivers report as another kind of error: PostgreSQL's for a write on a server that is no
#: longer the primary, as after a fail-over; SQLite's for a file that is damaged or no database.
_OUTAGES = ("25006", "SQLITE_NOTADB", "SQLITE_CORRUPT")


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or aborted a transaction. What was not committed has no effect."""


class NodeDatabase(Database):
    """As `Database`, but an outage, a lock not obtained or a full disk is raised as DatabaseUnavailable."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent state, without waiting for writers. Raises:
        DatabaseUnavailable."""
        with database_errors(), super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes, alone among all writers. Raises: DatabaseUnavailable."""
        with database_errors(), super().write() as connection:
            yield connection

    @contextmanager
    def upgrade(self) -> Iterator[Connection]:
        """As `Database.upgrade`. Raises: DatabaseUnavailable."""
        with database_errors(), super().upgrade() as connection:
            yield connection

    async def reading(self, work: Callable[[], _T], /) -> _T:
        """Run `work`, which uses `read`, beside the event loop. Raises: DatabaseUnavailable; what `work` raises."""
        return await asyncio.to_thread(work)

    async def writing(self, work: Callable[[], _T], /) -> _T:
        """Run `work`, which uses `write`, beside the event loop. Raises: DatabaseUnavailable; what `work` raises."""
        return await asyncio.to_thread(work)


@contextmanager
def opened(url: str) -> Iterator[NodeDatabase]:
    """The node's database for a command, its schema brought up to date; closed at the end. Raises: as `prepare`."""
    database = NodeDatabase(url)
    try:
        prepare(database)
        yield database
    finally:
        database.close()


def prepare(database: NodeDatabase) -> None:
    """Make the schema, or bring it up to date. Raises: InvalidValue, SettingsError, as `migrate`; DatabaseUnavailable,
    which says which database was tried and why that failed."""
    with _first_use(database):
        migrate(database, "standing.node.storage")


@contextmanager
def _first_use(database: NodeDatabase) -> Iterator[None]:
    """Let an outage at the start name the database, and what its driver says: only the operator sees it."""
    try:
        yield
    except DatabaseUnavailable as error:
        cause = error.__cause__
        assert isinstance(cause, SQLAlchemyError)  # `database_errors` raised it
        raise DatabaseUnavailable(unusable(database.engine.url, cause), _RETRY_AFTER_S) from error


def in_chunks(keys: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The keys in order, each time as many as one `SELECT … IN` should have: databases bound its parameters."""
    return (keys[start : start + _MAX_KEYS] for start in range(0, len(keys), _MAX_KEYS))


@contextmanager
def opened_unchanged(url: str) -> Iterator[NodeDatabase]:
    """The node's database for a command that changes nothing, not even its schema. Raises: NotFound where the database
    has not the schema of this version."""
    database = NodeDatabase(url)
    try:
        with _first_use(database):
            ready = is_of_this_version(database, "standing.node.storage")
        if not ready:
            raise NotFound(
                "the node's store is not there yet, or another version's: check database_url, or start the node first"
            )
        yield database
    finally:
        database.close()


@contextmanager
def opened_to_look(url: str) -> Iterator[NodeDatabase]:
    """As `opened_unchanged`, for a report of what a command would do; in place of a store that is not there yet, an
    empty one that is gone afterwards. Raises: NotFound where the store is another version's."""
    if _is_there(url):
        with opened_unchanged(url) as database:
            yield database
    else:
        with TemporaryDirectory(prefix="standing-") as folder, opened(f"sqlite:///{folder}/empty.sqlite3") as database:
            yield database


def _is_there(url: str) -> bool:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return False  # a query would make the file
    database = NodeDatabase(url)
    try:
        with _first_use(database):
            return revisions(database, "standing.node.storage").present is not None
    finally:
        database.close()


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise an outage that SQLAlchemy reports as DatabaseUnavailable. Faults of this program pass through."""
    try:
        yield
    except NoConnectionFree as error:
        raise DatabaseUnavailable("no connection to the database became free in time", _RETRY_AFTER_S) from error
    except OperationalError as error:
        raise unavailable(error_kind(error)) from error
    except DBAPIError as error:
        if not error.connection_invalidated and not error_kind(error).endswith(_OUTAGES):
            raise
        raise unavailable(error_kind(error)) from error


def unavailable(kind: str) -> DatabaseUnavailable:
    """An outage. `kind`: what it is, without the driver's text, which may hold the database's URL and so a password."""
    return DatabaseUnavailable(
        f"the database cannot be used at the moment ({kind}); check database_url, its user and its disk", _RETRY_AFTER_S
    )
