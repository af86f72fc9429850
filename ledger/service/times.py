"""Times as people read them."""

from datetime import UTC, datetime, timedelta

from standing.ledger.clock import DAY_MS, HOUR_MS, MAX_CALENDAR_MS, MINUTE_MS


def when(time_ms: int) -> str:
    """A time in UTC, to the second."""
    if not 0 <= time_ms <= MAX_CALENDAR_MS:
        return f"{time_ms} ms, which no calendar has"
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def exactly(time_ms: int) -> str:
    """A time for people, and to the millisecond for programs."""
    return f"{when(time_ms)} ({time_ms} ms)"


def iso(time_ms: int) -> str:
    """A time in UTC as ISO 8601 writes it, with milliseconds; the plain number where no calendar has it."""
    if not 0 <= time_ms <= MAX_CALENDAR_MS:
        return f"{time_ms} ms"
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def offset(moment: datetime) -> str:
    """The offset from UTC, such as UTC+8: abbreviations such as CST name several zones."""
    away = moment.utcoffset() or timedelta()
    hours, minutes = divmod(abs(away) // timedelta(minutes=1), 60)
    if not (hours or minutes):
        return "UTC"
    return f"UTC{'−' if away < timedelta() else '+'}{hours}" + (f":{minutes:02d}" if minutes else "")


def seconds(duration_ms: int) -> str:
    """A duration in seconds, exactly: `0.42 s`, `7200 s`."""
    return f"{duration_ms / 1000:g} s"


def span(ms: int) -> str:
    """A duration in the largest unit that fits: `420 ms`, `3.2 s`, `7 min`, `5 h`, `3 days`."""
    size = abs(ms)
    if size < 1_000:
        return f"{ms} ms"
    if size < 120_000:
        return f"{ms / 1_000:.1f} s"
    if size < 120 * MINUTE_MS:
        return f"{ms / MINUTE_MS:.0f} min"
    if size < 48 * HOUR_MS:
        return f"{ms / HOUR_MS:.0f} h"
    return f"{ms / DAY_MS:.0f} days"


def ago(time_ms: int, now_ms: int) -> str:
    """A time with how long ago it was; "never" for 0."""
    if time_ms == 0:
        return "never"
    passed_ms = now_ms - time_ms
    return f"{when(time_ms)} ({span(passed_ms)} ago)" if passed_ms >= 0 else f"{when(time_ms)} (in {span(-passed_ms)})"
