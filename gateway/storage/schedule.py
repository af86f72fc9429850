"""Periodic work that one of all processes on the database does, in a thread of its own."""

import asyncio
import threading
from abc import ABC, abstractmethod

import structlog

from standing.gateway.errors import StorageUnavailable
from standing.ledger.clock import MINUTE_MS, Clock, has_passed
from standing.ledger.errors import LedgerError
from standing.ledger.service.leader import Leader

_STOP_TIMEOUT_S = 30.0


class Schedule(ABC):
    """Makes a run `every_minutes` after the last one began, in any of the processes; None: never.

    The very first comes `first_after_minutes` after the start, or after `every_minutes` if that is sooner. A failed run
    is tried again a minute later. `name`: of the thread, and in the log.
    """

    #: Whether runs can be requested as well, so that it checks even where none is scheduled.
    on_request = False

    def __init__(
        self,
        name: str,
        clock: Clock,
        leader: Leader,
        *,
        every_minutes: int | None,
        first_after_minutes: int,
        look_every_s: float,
    ) -> None:
        self._name = name
        self._clock = clock
        self._every_minutes = every_minutes
        self._look_every_s = look_every_s
        self._made_at_ms = clock.now_ms()
        self._first_after_ms = min(first_after_minutes, every_minutes or 0) * MINUTE_MS
        self._failed_at_ms: int | None = None
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self.leader = leader
        #: Why this process will make no more runs; None while all is well.
        self.trouble: str | None = None

    @abstractmethod
    def _run(self, stop: threading.Event) -> None:
        """Make a run; end it early once `stop` is set."""

    @abstractmethod
    def _last_began_ms(self) -> int | None:
        """When the last run began. Raises: StorageUnavailable."""

    async def open(self) -> None:
        """Start checking whether a run is due."""
        if self._every_minutes is not None or self.on_request:
            self._thread = threading.Thread(target=self._keep_looking, name=self._name, daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """End a run after its present batch. The database must still be open."""
        self._stop.set()
        self._woken.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_TIMEOUT_S)
        self.leader.resign()

    def wake(self) -> None:
        """Check now whether a run is due, without waiting for the next interval. Thread-safe."""
        self._woken.set()

    def _keep_looking(self) -> None:
        try:
            while True:
                self._woken.wait(self._look_every_s)
                self._woken.clear()
                if self._stop.is_set():
                    return
                self.look()
        except BaseException as error:
            # Only the type: the text of an unexpected error may hold anything. Decisions continue without these runs.
            kind = type(error).__name__
            self.trouble = f"ended by an unexpected {kind}; see the log, and start the gateway again"
            structlog.get_logger().critical(f"{self._name}_ended", error=kind)
            raise
        finally:
            self.leader.resign()  # another process may continue

    def look(self) -> None:
        """Make a run if one is due and this process leads."""
        now_ms = self._clock.now_ms()
        try:
            if self._may_run(now_ms) and self.leader.leads() and (self._is_requested() or self._is_due(now_ms)):
                self._run(self._stop)
        except (LedgerError, StorageUnavailable) as error:
            self._failed_at_ms = now_ms
            structlog.get_logger().warning(f"{self._name}_failed", problem=str(error))

    def _may_run(self, now_ms: int) -> bool:
        return self._failed_at_ms is None or has_passed(now_ms, self._failed_at_ms, MINUTE_MS)

    def _is_requested(self) -> bool:
        """Whether a run is to be made at once. Raises: StorageUnavailable."""
        return False

    def _is_due(self, now_ms: int) -> bool:
        if self._every_minutes is None:
            return False
        last_ms = self._last_began_ms()
        if last_ms is None:
            return has_passed(now_ms, self._made_at_ms, self._first_after_ms)
        return has_passed(now_ms, last_ms, self._every_minutes * MINUTE_MS)
