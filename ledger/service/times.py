"""Times as people read them."""

from datetime import UTC, datetime

from standing.ledger.clock import MAX_CALENDAR_MS


def when(time_ms: int) -> str:
    """A time in UTC, to the second."""
    if not 0 <= time_ms <= MAX_CALENDAR_MS:
        return f"{time_ms} ms, which no calendar has"
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(ms: int) -> str:
    """How long, in the largest unit that fits: `420 ms`, `3.2 s`, `7 min`, `5 h`, `3 days`."""
    size = abs(ms)
    if size < 1_000:
        return f"{ms} ms"
    if size < 120_000:
        return f"{ms / 1_000:.1f} s"
    for unit_ms, name, up_to in ((60_000, "min", 120), (3_600_000, "h", 48), (86_400_000, "days", None)):
        if up_to is None or size < unit_ms * up_to:
            break
    return f"{ms / unit_ms:.0f} {name}"


def ago(time_ms: int, now_ms: int) -> str:
    """A time with how long ago it was; "never" for 0."""
    if time_ms == 0:
        return "never"
    passed_ms = now_ms - time_ms
    return f"{when(time_ms)} ({span(passed_ms)} ago)" if passed_ms >= 0 else f"{when(time_ms)} (in {span(-passed_ms)})"
