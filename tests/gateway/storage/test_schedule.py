"""Periodic work: when the first run is made, by which process, and that closing ends it at once."""

import asyncio
import threading

import pytest

from standing.gateway.storage.schedule import Schedule
from standing.ledger.clock import MINUTE_MS, ManualClock
from standing.ledger.service.leader import Leader, NoLock


class _Taken(NoLock):
    def hold(self) -> bool:
        return False


class _Work(Schedule):
    """Notes when it ran."""

    def __init__(
        self, clock: ManualClock, every_minutes: int | None, *, led: bool = True, look_every_s: float = 600
    ) -> None:
        super().__init__(
            "work",
            clock,
            Leader(NoLock() if led else _Taken(), "work"),
            every_minutes=every_minutes,
            first_after_minutes=10,
            look_every_s=look_every_s,
        )
        self.ran_ms: list[int] = []
        self.has_run = threading.Event()

    def _run(self, stop: threading.Event) -> None:
        assert not stop.is_set()
        self.ran_ms.append(self._clock.now_ms())
        self.has_run.set()

    def _last_began_ms(self) -> int | None:
        return self.ran_ms[-1] if self.ran_ms else None


@pytest.mark.parametrize(
    ("every_minutes", "led", "minutes"),
    [(60, True, [10, 70]), (3, True, [3, 6]), (None, True, []), (3, False, [])],
    ids=["after ten minutes", "sooner where it is made more often", "never", "another process leads"],
)
def test_the_first_run_comes_soon_and_the_next_ones_at_their_interval(
    every_minutes: int | None, led: bool, minutes: list[int]
) -> None:
    clock = ManualClock(0)
    work = _Work(clock, every_minutes, led=led)
    for _ in range(2 * 71):
        work.look()
        clock.advance(MINUTE_MS // 2)
    assert work.ran_ms[:2] == [minute * MINUTE_MS for minute in minutes]


def test_a_closed_schedule_has_ended_and_leaves_the_work_to_another_process() -> None:
    work = _Work(ManualClock(0), 1)
    work._clock.advance(MINUTE_MS)  # type: ignore[attr-defined]

    async def use() -> None:
        await work.open()
        work.wake()
        assert await asyncio.to_thread(work.has_run.wait, 10)
        await work.close()

    asyncio.run(use())
    assert work._thread is not None
    assert not work._thread.is_alive()
    assert not work.leader.led


def test_without_a_schedule_nothing_looks() -> None:
    work = _Work(ManualClock(0), None)
    asyncio.run(work.open())
    assert work._thread is None
