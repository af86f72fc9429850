"""Scheduled runs inside a serving gateway: by one of all processes on the database, in a thread of its own."""

import asyncio
import threading

import structlog

from standing.gateway.errors import StorageUnavailable
from standing.gateway.storage.database import Storage
from standing.gateway.warning.risk_run import RiskRunner
from standing.gateway.warning.risk_store import ran_at_ms
from standing.ledger.clock import Clock
from standing.ledger.service.leader import Leader
from standing.ledger.service.vault import VaultError

_MINUTE_MS = 60 * 1000
_FIRST_AFTER_MS = 15 * _MINUTE_MS
_STOP_TIMEOUT_S = 30.0


class RiskSchedule:
    """Makes a run `every_minutes` after the last one began, whichever process made that; None: never.

    The very first comes a quarter of an hour after the start. A failed run is tried again a minute later.
    """

    def __init__(
        self,
        runner: RiskRunner,
        storage: Storage,
        clock: Clock,
        leader: Leader,
        *,
        every_minutes: int | None,
        look_every_s: float = 5.0,
    ) -> None:
        self._runner = runner
        self._storage = storage
        self._clock = clock
        self._every_minutes = every_minutes
        self._look_every_s = look_every_s
        self._first_at_ms = clock.now_ms() + min(_FIRST_AFTER_MS, (every_minutes or 0) * _MINUTE_MS)
        self._not_before_ms = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.leader = leader
        #: Why this process will make no more runs; None while all is well.
        self.trouble: str | None = None

    async def open(self) -> None:
        """Start checking whether a run is due."""
        if self._every_minutes is not None:
            self._thread = threading.Thread(target=self._keep_looking, name="warning", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """End a run after its present batch. The database must still be open."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_TIMEOUT_S)
        self.leader.resign()

    def _keep_looking(self) -> None:
        try:
            while not self._stop.wait(self._look_every_s):
                self.look()
        except BaseException as error:
            # Only the type: the text of an unexpected error may hold anything. Decisions go on without warnings.
            kind = type(error).__name__
            self.trouble = f"ended by an unexpected {kind}; see the log, and start the gateway again"
            structlog.get_logger().critical("warning_ended", error=kind)
            raise
        finally:
            self.leader.resign()  # another process may continue

    def look(self) -> None:
        """Make a run if one is due and this process leads."""
        now_ms = self._clock.now_ms()
        try:
            if now_ms < self._not_before_ms or not self.leader.leads() or not self._due(now_ms):
                return
            self._runner.run(self._stop)
        except (StorageUnavailable, VaultError) as error:
            self._not_before_ms = now_ms + _MINUTE_MS
            structlog.get_logger().warning("warning_failed", problem=str(error))

    def _due(self, now_ms: int) -> bool:
        assert self._every_minutes is not None
        with self._storage.read() as connection:
            last_ms = ran_at_ms(connection)
        return now_ms >= self._first_at_ms if last_ms is None else now_ms - last_ms >= self._every_minutes * _MINUTE_MS
