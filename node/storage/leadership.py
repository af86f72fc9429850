"""Which of the nodes on one store is on duty: it alone takes changes in and signs. The others stand by.

Two guards, each for what the other cannot do. A lock (an advisory lock of PostgreSQL, a file lock beside an SQLite
database) is free again the moment its holder is gone, so that a standby takes over. An epoch in the store, counted up
by each that takes over and compared inside the very transaction that signs, stops one that lost its lock without
noticing: transactions that write are serial, so two can never both find themselves on duty.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from standing.ledger.clock import Clock
from standing.ledger.errors import StandingError, Unavailable
from standing.ledger.service.database import is_memory_sqlite
from standing.node.fault_points import Faults, no_faults
from standing.node.storage import schema
from standing.node.storage.database import DatabaseUnavailable, NodeDatabase, database_errors

_LOOK_EVERY_S = 0.5
_RETRY_AFTER_S = 2
_DUTY_LOCK = int.from_bytes(b"standdu\0")

_log = structlog.get_logger()


class Deposed(StandingError):
    """Another node has taken over on this store; this one must not sign."""


class Standby(Unavailable):
    """This node stands by: another on the same store is on duty."""


class Lock(Protocol):
    """Held by at most one process at a time, and free when that process is gone."""

    def acquire(self) -> bool:
        """Take it if it is free. Returns: whether this process has it now."""
        ...

    def release(self) -> None: ...


class _NoLock:
    """For a store that no other process can reach."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


class _FileLock:
    """The operating system's lock on a file; it ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)

    def acquire(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.release()


class _AdvisoryLock:
    """PostgreSQL's lock of a session: it ends with the session, and the session with the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None

    def acquire(self) -> bool:
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            taken = bool(session.execute(select(func.pg_try_advisory_lock(_DUTY_LOCK))).scalar_one())
        except DBAPIError:
            session.invalidate()
            session.close()
            raise
        if taken:
            self._session = session
        else:
            session.close()
        return taken

    def release(self) -> None:
        if self._session is not None:
            try:
                self._session.execute(select(func.pg_advisory_unlock(_DUTY_LOCK)))
            except DBAPIError as error:
                # The session is gone, and the lock went with it.
                _log.info("duty_session_lost", error=type(error).__name__)
            # Not given back to the pool: a session that held a lock ends, so that nothing of it can live on.
            self._session.invalidate()
            self._session.close()
            self._session = None


def lock_of(database: NodeDatabase) -> Lock:
    """The lock for duty on a store."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite":
        return _AdvisoryLock(database.engine)
    if is_memory_sqlite(str(url)):
        return _NoLock()
    # By its real name: a link to the store is no store of its own.
    return _FileLock(Path(f"{Path(str(url.database)).resolve()}.duty"))


class Duty:
    """This node's duty on its store. `run` in a thread of its own; `active` may be read from any."""

    def __init__(self, database: NodeDatabase, clock: Clock, faults: Faults = no_faults) -> None:
        self._database = database
        self._clock = clock
        self._faults = faults
        self._lock = lock_of(database)
        self._stop = threading.Event()
        self._epoch = 0
        #: Whether this node is on duty, as far as it knows; `confirm` is the proof.
        self.active = False
        #: Why it is not, where that is no other node's doing.
        self.trouble: str | None = None

    def take(self) -> bool:
        """Take duty if it is free. Returns: whether this node is on duty now. Raises: DatabaseUnavailable."""
        if self.active:
            return True
        with database_errors():
            if not self._lock.acquire():
                return False
        try:
            with self._database.write() as connection:
                self._epoch = self._count_up(connection)
        except BaseException:
            self._lock.release()
            raise
        self.active = True
        _log.info("duty_taken", epoch=self._epoch)
        self._faults("duty_taken")
        return True

    def look(self) -> bool:
        """As `take`; an outage of the database is kept as this node's trouble."""
        try:
            taken, self.trouble = self.take(), None
        except DatabaseUnavailable as error:
            taken, self.trouble = False, str(error)
        except BaseException as error:
            self.trouble = f"its duty ended by an unexpected {type(error).__name__}; see the log, and restart it"
            raise
        return taken

    def leave(self) -> None:
        """Give duty up; a standby takes over."""
        if self.active:
            self.active = False
            self._lock.release()
            _log.info("duty_left", epoch=self._epoch)

    def confirm(self, connection: Connection) -> None:
        """That this node is on duty, inside the transaction that signs. Raises: Deposed."""
        epoch = connection.execute(select(schema.duty.c.epoch)).scalar_one_or_none()
        if not self.active or epoch != self._epoch:
            raise Deposed("another node on this store has taken over; this one stands by")

    def require(self) -> None:
        """That this node is on duty, as far as it knows. Raises: Standby."""
        if not self.active:
            reason = self.trouble or "another node on the same store is on duty"
            raise Standby(f"this node stands by: {reason}; allowed: ask that one, or come back", _RETRY_AFTER_S)

    def run(self, work: Callable[[], None]) -> None:
        """Wait for duty, do `work` while on it, and stand by again where another takes over; until `stop`."""
        waits = False
        while not self._stop.is_set():
            if not self.look():
                if not waits:
                    _log.info("standing_by", reason=self.trouble)
                waits = True
                self._stop.wait(_LOOK_EVERY_S)
                continue
            waits = False
            try:
                work()
            except Deposed as error:
                _log.warning("deposed", reason=str(error))
            except BaseException as error:
                # A fault of this program ends the thread for all to see; another node may take over.
                self.trouble = f"its work ended by an unexpected {type(error).__name__}; see the log, and restart it"
                raise
            finally:
                self.leave()

    def stop(self) -> None:
        """End `run` once its work has ended."""
        self._stop.set()

    def _count_up(self, connection: Connection) -> int:
        held = connection.execute(select(schema.duty.c.epoch)).scalar_one_or_none()
        values = {"epoch": (held or 0) + 1, "since_ms": self._clock.now_ms()}
        if held is None:
            connection.execute(insert(schema.duty).values(id=1, **values))
        else:
            connection.execute(update(schema.duty).values(values))
        return values["epoch"]
