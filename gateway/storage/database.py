"""The gateway's database as its services use it: one writing thread, and Standing's own errors."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from standing.gateway.errors import StorageUnavailable
from standing.ledger.errors import NotFound
from standing.ledger.service.database import Database, error_kind, is_of_this_version, unusable

_ATTEMPTS = 3
_RETRY_AFTER_S = 1
#: With the writer, the look-ups and three leaders' locks (follower, reconcile, warning), 13 of the 15 connections that
#: SQLAlchemy opens at most.
_READERS = 8
#: The most requests that wait for a thread or run in one; decisions have queues and bounds of their own.
_MAX_WAITING = 4_000

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Storage:
    """A database with one thread for all writes, so that a process never waits for its own lock, one for the look-ups
    of decisions, and some for all other reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self.looker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lookups")
        self._inside = 0
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="reads")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises: StorageUnavailable."""
        with storage_errors(), self._database.read() as connection:
            yield connection

    @contextmanager
    def write(self, *, shared: bool = False) -> Iterator[Connection]:
        """A transaction that writes, alone or, if `shared`, as `Database.write_shared`. Raises: StorageUnavailable."""
        with storage_errors(), self._database.write_shared() if shared else self._database.write() as connection:
            yield connection

    def write_all(self, work: Callable[[Connection], _T], *, shared: bool = False) -> _T:
        """Do `work` in one writing transaction. Where another process wrote the same row first, do it again on the new
        state, twice at most.

        Raises: StorageUnavailable, IntegrityError where that does not help.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                with self.write(shared=shared) as connection:
                    return work(connection)
            except IntegrityError:
                continue  # the other one's row is there now
        with self.write(shared=shared) as connection:
            return work(connection)

    async def writing(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `work`, which uses `write`, in the writing thread. Raises: StorageUnavailable; what `work` raises."""
        return await self._run(self.writer, lambda: work(*args, **kwargs))

    async def reading(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `work`, which uses `read`, in a reading thread. Raises: StorageUnavailable; what `work` raises."""
        return await self._run(self._readers, lambda: work(*args, **kwargs))

    async def _run(self, threads: Executor, work: Callable[[], _T]) -> _T:
        if self._inside >= _MAX_WAITING:
            raise StorageUnavailable(
                f"{_MAX_WAITING} requests are already waiting for the gateway's database", _RETRY_AFTER_S
            )
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Wait for running reads and writes to end, even if their callers have gone, then close."""
        for threads in (self.writer, self.looker, self._readers):
            threads.shutdown()
        self._database.close()


@contextmanager
def opened(url: str) -> Iterator[Storage]:
    """A gateway's database for a command; closed at the end. Raises: InvalidValue, and as `check_version`."""
    storage = Storage(database := Database(url))
    try:
        check_version(database)
        yield storage
    finally:
        storage.close()


def check_version(database: Database) -> None:
    """Check that a database has the schema of this version. For commands: only a gateway makes or upgrades it, because
    a command of a newer version must not change it under gateways that run, and an empty one has nothing to show.

    Raises: NotFound where it has not; StorageUnavailable, which says which database was tried and why that failed.
    """
    try:
        ready = is_of_this_version(database, "standing.gateway.storage")
    except SQLAlchemyError as error:
        raise StorageUnavailable(unusable(database.engine.url, error), _RETRY_AFTER_S) from error
    if not ready:
        raise NotFound(
            "the gateway's database is not there yet, or another version's: check database_url, or start the "
            "gateway first"
        )


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise what the database reports as StorageUnavailable, without the values that were to be stored."""
    try:
        yield
    except IntegrityError:
        raise  # two writers collided; the caller handles that
    except (DBAPIError, NoConnectionFree) as error:
        raise StorageUnavailable(
            f"the gateway's database is not available for now ({error_kind(error)})", _RETRY_AFTER_S
        ) from error
