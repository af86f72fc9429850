"""Leader election among the nodes on one store: the leader alone takes changes in and signs; the others stand by.

Two guards work together. A lock (`ledger.service.leader`) is free again the moment its holder is gone, so a standby
takes over. An epoch in the store is the fence: each new leader increments it, and the very transaction that signs
compares it. Transactions that write are serial, so a node that lost its lock without noticing cannot sign any more.
"""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, insert, select, update

from standing.ledger.clock import Clock
from standing.ledger.errors import StandingError, Unavailable
from standing.ledger.service.leader import lock_of
from standing.node.fault_points import Faults, no_faults
from standing.node.storage import schema
from standing.node.storage.database import DatabaseUnavailable, NodeDatabase, database_errors, unavailable

_LOOK_EVERY_S = 0.5
_RETRY_AFTER_S = 2

_log = structlog.get_logger()


class LeadershipLost(StandingError):
    """Another node has taken over on this store; this one must not sign."""


class Standby(Unavailable):
    """This node is on standby: another one on the same store is the leader."""


#: What any route may answer. A route with a 503 of its own repeats these: its answers replace its router's by status.
STORE_DOWN = (Standby, DatabaseUnavailable)


class Leadership:
    """Whether this node leads on its store. `run` needs a thread of its own; `active` may be read from any.

    `check` raises a StandingError where this node could not work with what the store holds by now: another leader may
    have written it under settings that this node does not have.
    """

    def __init__(
        self,
        database: NodeDatabase,
        clock: Clock,
        faults: Faults = no_faults,
        check: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._faults = faults
        self._check = check
        self._lock = lock_of(database, "leader")
        self._stop = threading.Event()
        self._epoch = 0
        #: Whether this node leads, as far as it knows; `confirm` is the proof.
        self.active = False
        #: Why it does not lead, where the reason is not another node.
        self.trouble: str | None = None

    def take(self) -> bool:
        """Lead if no other node does. Returns: whether this node leads now. Raises: DatabaseUnavailable; what `check`
        raises."""
        if self.active:
            return True
        try:
            with database_errors():
                if not self._lock.hold():
                    return False
        except OSError as error:  # of the file beside an SQLite database, as at the limit of open files
            raise unavailable(error.strerror or type(error).__name__) from error
        try:
            with self._database.write() as connection:
                self._check(connection)
                self._epoch = self._count_up(connection)
        except BaseException:
            self._lock.release()
            raise
        self.active = True
        _log.info("leadership_taken", epoch=self._epoch)
        self._faults("leadership_taken")
        return True

    def look(self) -> bool:
        """As `take`; an outage of the database, and what `check` finds, is kept as this node's trouble."""
        try:
            taken, self.trouble = self.take(), None
        except StandingError as error:
            taken, self.trouble = False, str(error)
        except BaseException as error:
            self.trouble = (
                f"its leader election ended by an unexpected {type(error).__name__}; see the log, and restart it"
            )
            raise
        return taken

    def leave(self) -> None:
        """Stop leading; a standby takes over."""
        if self.active:
            self.active = False
            self._lock.release()
            _log.info("leadership_left", epoch=self._epoch)

    def confirm(self, connection: Connection) -> None:
        """Check inside the transaction that signs that this node leads. Raises: LeadershipLost."""
        epoch = connection.execute(select(schema.leadership.c.epoch)).scalar_one_or_none()
        if not self.active or epoch != self._epoch:
            raise LeadershipLost("another node on this store has taken over; this one stands by")

    def require(self) -> None:
        """Check that this node leads, as far as it knows. Raises: Standby."""
        if not self.active:
            reason = self.trouble or "another node is the leader on this store"
            raise Standby(
                f"this node is on standby: {reason}; allowed: use the leading node, or try again later", _RETRY_AFTER_S
            )

    def run(self, work: Callable[[], None]) -> None:
        """Wait to lead, do `work` while leading, and stand by again when another node takes over; until `stop`."""
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
            except LeadershipLost as error:
                _log.warning("leadership_lost", reason=str(error))
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
        held = connection.execute(select(schema.leadership.c.epoch)).scalar_one_or_none()
        values = {"epoch": (held or 0) + 1, "since_ms": self._clock.now_ms()}
        if held is None:
            connection.execute(insert(schema.leadership).values(id=1, **values))
        else:
            connection.execute(update(schema.leadership).values(values))
        return values["epoch"]
