"""Usage of limits: the amounts reserved and captured in an account's day, month and year.

A day is a day in the bank's time zone. One row sums an account's day in one currency and direction, and changes only in
the transaction of the reservations that it sums. Months and years are added up from their days, and only for accounts
with such a limit. Rows are locked in a fixed order, so that processes cannot deadlock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, insert, select, update

from standing.gateway.decisions.caps import Caps, Used, month_of, year_of
from standing.gateway.decisions.question import Kind
from standing.gateway.storage import schema
from standing.gateway.storage.bulk import Bulk, Lookup
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.clock import HOUR_MS

#: How long an approved payment may wait for its capture, unless the settings state otherwise.
RESERVATION_LIFETIME_MS = HOUR_MS

_TABLE = schema.usage.c
# Built once: every deciding transaction uses them, and building one costs as much as running it.
_LOCKED = Lookup(
    select(schema.usage)
    .where(_TABLE.account.in_(bindparam("accounts", expanding=True)), _TABLE.day.in_(bindparam("days", expanding=True)))
    .order_by(_TABLE.account, _TABLE.day, _TABLE.currency, _TABLE.kind)
    .with_for_update()
)
_ADD = Bulk(
    update(schema.usage)
    .where(
        _TABLE.account == bindparam("of_account"),
        _TABLE.day == bindparam("of_day"),
        _TABLE.currency == bindparam("of_currency"),
        _TABLE.kind == bindparam("of_kind"),
    )
    .values(used_minor=_TABLE.used_minor + bindparam("added_minor")),
    "of_account",
    "of_day",
    "of_currency",
    "of_kind",
    "added_minor",
)
_INSERT = Bulk(insert(schema.usage), "account", "day", "currency", "kind", "used_minor")


_PERIOD = select(_TABLE.used_minor).where(
    _TABLE.account == bindparam("account"),
    _TABLE.currency == bindparam("currency"),
    _TABLE.kind == bindparam("kind"),
    _TABLE.day >= bindparam("first"),
    _TABLE.day < bindparam("next"),
    _TABLE.day != bindparam("but"),
)


class State(StrEnum):
    """The state of a reservation."""

    RESERVED = "reserved"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class AccountDay(NamedTuple):
    """One account's day in one currency, for one kind of transaction.

    `currency` is the code that `money.currency_code` gives its number: the bank's limit is on the number, which a
    withdrawn currency may share with the one in use (ANG and XCG), and both codes use up the same limit.

    A tuple, because it is a dictionary key that every decision looks up a dozen times.
    """

    account: bytes
    day: date
    currency: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount, in minor units, reserved on an account's day, with its state.

    `captured_minor` is None until the capture, which releases the rest. `expires_at_ms` is None for a withdrawal: money
    that may have been paid out counts until the platform voids it. `settled_at_ms`: when it was captured, voided or
    expired; None while it is reserved.
    """

    state: State
    amount_minor: int
    day: date
    expires_at_ms: int | None
    captured_minor: int | None = None
    refunded_minor: int = 0
    settled_at_ms: int | None = None


def day_of(now_ms: int, zone: ZoneInfo) -> date:
    """The current day in `zone`."""
    return datetime.fromtimestamp(now_ms // 1000, zone).date()


class UsageBook:
    """The usage of some accounts' days within one database transaction: read and locked, added to, written."""

    def __init__(self, connection: Connection, days: Iterable[AccountDay]) -> None:
        self._connection = connection
        self._used: dict[AccountDay, int] = {}
        self._added: dict[AccountDay, int] = {}
        self._others: dict[tuple[AccountDay, tuple[date, date]], int] = {}
        wanted = set(days)
        if not wanted:
            return
        rows = _LOCKED.rows(
            connection,
            accounts=sorted({day.account for day in wanted}),
            days=sorted({day.day for day in wanted}),
        )
        for account, day, currency, kind, used_minor in rows:
            self._used[AccountDay(account, day, currency, Kind(kind))] = used_minor

    def used(self, day: AccountDay, caps: Caps) -> Used:
        """The amounts reserved and captured, including those added here, in the day and in the periods that `caps`
        bound."""
        day_minor = self._used.get(day, 0) + self._added.get(day, 0)
        month_minor = year_minor = None
        if caps.monthly_minor != NO_LIMIT:
            month_minor = day_minor + self._other_days_minor(day, month_of(day.day))
        if caps.yearly_minor != NO_LIMIT:
            year_minor = day_minor + self._other_days_minor(day, year_of(day.day))
        return Used(day_minor, month_minor, year_minor)

    def _other_days_minor(self, day: AccountDay, period: tuple[date, date]) -> int:
        """The usage of a period's other days. The lock on the account keeps them from changing meanwhile.

        Added up here and not in the database: the sum of a period may exceed the range of its integers.
        """
        if (day, period) not in self._others:
            first, following = period
            values = {"account": day.account, "currency": day.currency, "kind": day.kind.value, "but": day.day}
            rows = self._connection.scalars(_PERIOD, values | {"first": first, "next": following})
            self._others[day, period] = sum(rows)
        return self._others[day, period]

    def reserve(self, day: AccountDay, amount_minor: int, *, now_ms: int, lifetime_ms: int) -> Reservation:
        """Reserve an amount on the day. Nothing is written before `write`. `lifetime_ms`: of a payment's reservation;
        a withdrawal's does not expire."""
        self._added[day] = self._added.get(day, 0) + amount_minor
        expires_at_ms = now_ms + lifetime_ms if day.kind is Kind.PAYMENT else None
        return Reservation(State.RESERVED, amount_minor, day.day, expires_at_ms)

    def write(self) -> None:
        """Write the added amounts."""
        fresh = [
            (day.account, day.day, day.currency, day.kind.value, amount_minor)
            for day, amount_minor in sorted(self._added.items())
            if day not in self._used
        ]
        _INSERT.run(self._connection, fresh)
        add_to_rows(self._connection, {day: minor for day, minor in self._added.items() if day in self._used})


def add_to_rows(connection: Connection, added: Mapping[AccountDay, int]) -> None:
    """Add to days that already have a row; negative amounts release."""
    changed = sorted((day, minor) for day, minor in added.items() if minor)
    _ADD.run(connection, [(day.account, day.day, day.currency, day.kind.value, minor) for day, minor in changed])
