"""Usage of daily limits: how much of an account's day is reserved and captured.

A day is a day of the bank's time zone. One row sums an account's day in one currency, and changes only in the
transaction of the reservations that it sums. Rows are locked in one order, so that processes cannot deadlock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, insert, select, update

from standing.gateway.storage import schema

#: How long an approved payment may wait for its capture, unless the settings say otherwise.
RESERVATION_LIFETIME_MS = 3_600_000

_TABLE = schema.usage.c
# Built once: every deciding transaction uses them, and building one costs as much as running it.
_LOCKED = (
    select(schema.usage)
    .where(_TABLE.account.in_(bindparam("accounts", expanding=True)), _TABLE.day.in_(bindparam("days", expanding=True)))
    .order_by(_TABLE.account, _TABLE.day, _TABLE.currency)
    .with_for_update()
)
_ADD = (
    update(schema.usage)
    .where(
        _TABLE.account == bindparam("of_account"),
        _TABLE.day == bindparam("of_day"),
        _TABLE.currency == bindparam("of_currency"),
    )
    .values(used_minor=_TABLE.used_minor + bindparam("added_minor"))
)


class State(StrEnum):
    """The state of a reservation."""

    RESERVED = "reserved"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, order=True)
class AccountDay:
    """One account's day in one currency (ISO 4217, alphabetic)."""

    account: bytes
    day: date
    currency: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount, in minor units, held of an account's day, with its state.

    `captured_minor` is None until it is captured; what was not captured has been given back.
    """

    state: State
    amount_minor: int
    day: date
    expires_at_ms: int
    captured_minor: int | None = None
    refunded_minor: int = 0


def day_of(now_ms: int, zone: ZoneInfo) -> date:
    """The present day in `zone`."""
    return datetime.fromtimestamp(now_ms // 1000, zone).date()


class UsageBook:
    """The usage of some accounts' days within one database transaction: read and locked, added to, written."""

    def __init__(self, connection: Connection, days: Iterable[AccountDay]) -> None:
        self._connection = connection
        self._used: dict[AccountDay, int] = {}
        self._added: dict[AccountDay, int] = {}
        wanted = set(days)
        if not wanted:
            return
        rows = connection.execute(
            _LOCKED,
            {
                "accounts": sorted({day.account for day in wanted}),
                "days": sorted({day.day for day in wanted}),
            },
        )
        for row in rows:
            self._used[AccountDay(row.account, row.day, row.currency)] = row.used_minor

    def used_minor(self, day: AccountDay) -> int:
        """What is reserved and captured of the day, including what was added here."""
        return self._used.get(day, 0) + self._added.get(day, 0)

    def add(self, day: AccountDay, amount_minor: int) -> None:
        """Reserve more of the day. Nothing is written before `write`."""
        self._added[day] = self._added.get(day, 0) + amount_minor

    def write(self) -> None:
        """Write what was added."""
        fresh = [
            {"account": day.account, "day": day.day, "currency": day.currency, "used_minor": amount_minor}
            for day, amount_minor in sorted(self._added.items())
            if day not in self._used
        ]
        if fresh:
            self._connection.execute(insert(schema.usage), fresh)
        add_to_rows(self._connection, {day: minor for day, minor in self._added.items() if day in self._used})


def add_to_rows(connection: Connection, added: Mapping[AccountDay, int]) -> None:
    """Add to days that have a row already; negative amounts give back."""
    changed = sorted((day, minor) for day, minor in added.items() if minor)
    if not changed:
        return
    connection.execute(
        _ADD,
        [
            {"of_account": day.account, "of_day": day.day, "of_currency": day.currency, "added_minor": minor}
            for day, minor in changed
        ],
    )
