"""Leader election among the processes on one database: publishing, following, reconciling are done by one at a time.

A lock decides: an advisory lock of PostgreSQL, or a lock on a file beside an SQLite database. Either is free again
as soon as its holder is gone, however it ended. A network split can hide the loss of a lock, so two processes may
believe for a while that they lead. Whatever a leader writes must therefore be safe to write twice, or be fenced by
an epoch in the database, as in `node.storage.leadership`.
"""

import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import structlog
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from standing.ledger.service.database import Database, is_memory_sqlite

#: The session that holds a lock is idle by design, so a limit that an administrator has set must not end it. A query,
#: because servers before PostgreSQL 14 do not know the setting.
_STAY = text("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")


class Lock(Protocol):
    """Held by at most one process at a time, and released when that process is gone. Not thread-safe."""

    def hold(self) -> bool:
        """Acquire it if it is free, or check that it is still held. Returns: whether this process holds it now.

        Raises: sqlalchemy's DBAPIError where the database cannot be reached; OSError where the lock's file cannot be
        opened, as at the limit of open files. The lock is not held then.
        """
        ...

    def release(self) -> None:
        """Release it, if it is held."""
        ...


class NoLock:
    """For a database that no other process can reach."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        return


class DatabaseFileLock:
    """The operating system's lock on a file; it ends with the process."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)

    def hold(self) -> bool:
        if not self._lock.is_locked:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        self._lock.release()


class AdvisoryLock:
    """A session lock of PostgreSQL: it ends with the session, and the session with the process."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._key = 0
        self._session: Connection | None = None

    def hold(self) -> bool:
        try:
            if self._session is None:
                self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                self._session.execute(_STAY)
                self._key = _key(self._name, self._session.execute(select(func.current_schema())).scalar_one())
                if not self._session.execute(select(func.pg_try_advisory_lock(self._key))).scalar_one():
                    self._drop()
            else:
                self._session.execute(select(1))
        except DBAPIError:
            self._drop()  # the session is gone, and the lock with it
            raise
        return self._session is not None

    def release(self) -> None:
        if self._session is not None:
            # Release it explicitly, without waiting for the server to notice that the session has ended.
            with suppress(DBAPIError):  # gone before, and the lock with it
                self._session.execute(select(func.pg_advisory_unlock(self._key)))
        self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            # Not returned to the pool, where the session, and with it the lock, would live on.
            self._session.invalidate()
            self._session.close()
            self._session = None


def _key(name: str, schema: str | None) -> int:
    """The number of a lock. Advisory locks are per database; services in schemas of their own lead independently."""
    where = "" if schema in {None, "public"} else f"/{schema}"
    return int.from_bytes(sha256(f"standing/leader/{name}{where}".encode()).digest()[:8], signed=True)


def lock_of(database: Database, name: str) -> Lock:
    """The lock `name` of a database, such as "follower"."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite":
        return AdvisoryLock(database.engine, name)
    if is_memory_sqlite(url.render_as_string(hide_password=False)):
        return NoLock()
    # By its real path: a link to a database is the same database.
    return DatabaseFileLock(Path(f"{Path(str(url.database)).resolve()}.{name}"))


class Leader:
    """Whether this process leads in one task. Thread-safe."""

    def __init__(self, lock: Lock, name: str) -> None:
        self._lock = lock
        self._name = name
        self._guard = threading.Lock()
        self._leads = False

    @property
    def led(self) -> bool:
        """Whether it led at the last check."""
        return self._leads

    def leads(self) -> bool:
        """Lead if nobody does. Returns: whether this process leads now. Call it before each piece of work."""
        with self._guard:
            was = self._leads
            try:
                self._leads = self._lock.hold()
            except (DBAPIError, OSError) as error:
                self._leads = False
                structlog.get_logger().warning("lock_unavailable", what=self._name, error=type(error).__name__)
            if was != self._leads:
                structlog.get_logger().info("leads" if self._leads else "leads_no_more", what=self._name)
            return self._leads

    def resign(self) -> None:
        """Let another process lead."""
        with self._guard:
            self._lock.release()
            self._leads = False
