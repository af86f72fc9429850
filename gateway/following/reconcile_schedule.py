"""Scheduled reconciliation inside a serving gateway."""

import threading

from standing.gateway.following.reconcile import Reconciler, last_started_at_ms
from standing.gateway.storage.database import Storage
from standing.gateway.storage.schedule import Schedule
from standing.ledger.clock import Clock
from standing.ledger.service.leader import Leader

_FIRST_AFTER_MINUTES = 10


class ReconcileSchedule(Schedule):
    """Runs the reconciler, and reports the progress of the current run."""

    def __init__(
        self,
        reconciler: Reconciler,
        storage: Storage,
        clock: Clock,
        leader: Leader,
        *,
        every_minutes: int | None,
        look_every_s: float = 5.0,
    ) -> None:
        super().__init__(
            "reconcile",
            clock,
            leader,
            every_minutes=every_minutes,
            first_after_minutes=_FIRST_AFTER_MINUTES,
            look_every_s=look_every_s,
        )
        self._reconciler = reconciler
        self._storage = storage
        #: Progress of the current run: done and total.
        self.progress: tuple[int, int] | None = None

    def _run(self, stop: threading.Event) -> None:
        try:
            self._reconciler.run(self._set_progress, stop.is_set)
        finally:
            self.progress = None

    def _last_began_ms(self) -> int | None:
        return last_started_at_ms(self._storage)

    def _set_progress(self, done: int, total: int) -> None:
        self.progress = (done, total)
