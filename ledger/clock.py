"""Time, always passed in: integer milliseconds since the Unix epoch, UTC."""

import time
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
#: 9999-12-30T23:59:59.999Z, the last millisecond that has a date in every time zone. The ledger's words can hold more.
MAX_CALENDAR_MS = 253_402_214_399_999


class Clock(Protocol):
    """Gives the time in integer milliseconds since the Unix epoch, UTC."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only by `advance`, for tests and simulations."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, by_ms: int) -> int:
        """Move forward by `by_ms` (not negative) and return the new time."""
        if by_ms < 0:
            raise ValueError(f"a clock does not go back: {by_ms} ms")
        self._now_ms += by_ms
        return self._now_ms


def has_passed(now_ms: int, since_ms: int, wait_ms: int) -> bool:
    """Whether `wait_ms` have passed since a time that this clock, or another machine's, once showed.

    A time in the future counts as passed: the clock was wrong then and has been set back, and nothing should wait for
    as long as it was wrong.
    """
    return not 0 <= now_ms - since_ms < wait_ms
