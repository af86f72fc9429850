"""Scheduled scoring of bindings inside a serving gateway."""

import threading

from standing.gateway.storage.database import Storage
from standing.gateway.storage.schedule import Schedule
from standing.gateway.warning.risk_run import RiskRunner
from standing.gateway.warning.risk_store import asked_at_ms, last_run, ran_at_ms
from standing.ledger.clock import Clock
from standing.ledger.service.leader import Leader

_FIRST_AFTER_MINUTES = 15


class RiskSchedule(Schedule):
    """Scores the bindings in use and learns, on schedule."""

    on_request = True

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
        super().__init__(
            "warning",
            clock,
            leader,
            every_minutes=every_minutes,
            first_after_minutes=_FIRST_AFTER_MINUTES,
            look_every_s=look_every_s,
        )
        self._runner = runner
        self._storage = storage

    def _run(self, stop: threading.Event) -> None:
        self._runner.run(stop)

    def _is_requested(self) -> bool:
        with self._storage.read() as connection:
            last = last_run(connection)
            # What the leader finds unfinished was stopped or has failed: nobody else makes runs.
            return asked_at_ms(connection) is not None or (last is not None and last.ended_at_ms is None)

    def _last_began_ms(self) -> int | None:
        with self._storage.read() as connection:
            return ran_at_ms(connection)
