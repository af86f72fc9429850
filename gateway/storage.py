"""The gateway's database as its services use it: one writing thread, and errors in our own words."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from gateway.errors import StorageUnavailable
from ledger.service.database import Database

_ATTEMPTS = 3
_RETRY_AFTER_S = 1

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Storage:
    """A database with one thread for everything that writes, so that a process never waits for its own lock, and one
    for what decisions look up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self.looker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lookups")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises: StorageUnavailable."""
        with storage_errors(), self._database.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. Raises: StorageUnavailable."""
        with storage_errors(), self._database.write() as connection:
            yield connection

    def write_all(self, work: Callable[[Connection], _T]) -> _T:
        """Do `work` in one writing transaction; where another process wrote the same row first, do it once more on
        what is there then. Raises: StorageUnavailable, IntegrityError where that does not help."""
        for attempt in Retrying(
            retry=retry_if_exception_type(IntegrityError), stop=stop_after_attempt(_ATTEMPTS), reraise=True
        ):
            with attempt, self.write() as connection:
                return work(connection)
        raise AssertionError("tenacity returns or raises")

    async def writing(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `work`, which uses `write`, in the writing thread."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, lambda: work(*args, **kwargs))

    async def reading(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `work`, which uses `read`, in a thread of the loop's own pool."""
        return await asyncio.to_thread(work, *args, **kwargs)

    def close(self) -> None:
        """Let what is being written end, then close."""
        self.writer.shutdown()
        self.looker.shutdown()
        self._database.close()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the database raises into StorageUnavailable, without a word of what was to be stored."""
    try:
        yield
    except IntegrityError:
        raise  # two writers met; who wrote knows what that means
    except DBAPIError as error:
        raise StorageUnavailable(
            f"the gateway's database does not work for now ({type(error).__name__})", _RETRY_AFTER_S
        ) from error
