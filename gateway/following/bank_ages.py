"""Each bank's staleness, minute by minute, for the console's charts.

The follower checks every bank continuously and keeps the worst age of each minute for two days. The current minute is
lost when the process ends, so a chart may have a gap. No decision reads these figures.

The score card counts ages too (`gateway.warning.hours`), by the ledger's own time, so that anyone can compute the same
figures. These use this gateway's clock: when the ledger stalls, a chart must show staleness grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from standing.gateway.following.bank_watch import BankSighting
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import MINUTE_MS

_KEPT_MS = 2 * 24 * 60 * MINUTE_MS

_table = schema.bank_ages


@dataclass(frozen=True, slots=True)
class MinuteAge:
    """A bank's worst staleness in the minute that began at `minute_ms`."""

    bank: str
    minute_ms: int
    worst_age_ms: int


class BankAges:
    """Collects the ages seen within a minute."""

    def __init__(self) -> None:
        self._minute_ms = 0
        self._worst: dict[str, int] = {}

    def note(self, sightings: Sequence[BankSighting], now_ms: int) -> list[MinuteAge]:
        """Record the banks' staleness now. Returns: the previous minute, where one has just ended."""
        minute_ms = now_ms - now_ms % MINUTE_MS
        ended = []
        if minute_ms != self._minute_ms:
            ended = [MinuteAge(bank, self._minute_ms, age_ms) for bank, age_ms in self._worst.items()]
            self._minute_ms, self._worst = minute_ms, {}
        for each in sightings:
            if each.watermark_ms:
                self._worst[each.bank] = max(now_ms - each.watermark_ms, self._worst.get(each.bank, 0))
        return ended


def write(connection: Connection, ended: Sequence[MinuteAge]) -> None:
    """Store a minute that has ended, and delete minutes older than two days."""
    minutes_ms = [each.minute_ms for each in ended]
    # Another process may have led for a part of the same minute.
    connection.execute(delete(_table).where(_table.c.minute_ms.in_(minutes_ms)))
    connection.execute(delete(_table).where(_table.c.minute_ms < max(minutes_ms) - _KEPT_MS))
    rows = [{"bank": each.bank, "minute_ms": each.minute_ms, "worst_age_ms": each.worst_age_ms} for each in ended]
    connection.execute(insert(_table), rows)


def since(storage: Storage, since_ms: int) -> dict[str, list[MinuteAge]]:
    """The minutes stored since a time, by bank, oldest first. Raises: StorageUnavailable."""
    query = select(_table).where(_table.c.minute_ms >= since_ms).order_by(_table.c.minute_ms)
    ages: dict[str, list[MinuteAge]] = {}
    with storage.read() as connection:
        for row in connection.execute(query):
            ages.setdefault(row.bank, []).append(MinuteAge(row.bank, row.minute_ms, row.worst_age_ms))
    return ages
