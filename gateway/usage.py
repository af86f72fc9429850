"""Usage of daily limits: what approved payments reserve of an account's day, and how that is captured or given back.

A day is one of the bank's time zone. One row sums an account's day in one currency; a row is changed only in the same
transaction as the reservations that it sums. Rows are locked in one order, so that several processes never block
each other for good.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway import schema
from gateway.errors import AlreadySettled, NothingReserved
from ledger.errors import NotFound, StandingError


class State(StrEnum):
    """Of a reservation."""

    RESERVED = "reserved"
    CAPTURED = "captured"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True, order=True)
class AccountDay:
    """One account's day in one currency (ISO 4217, alphabetic)."""

    account: bytes
    day: date
    currency: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount, in minor units, held of an account's day."""

    state: State
    amount_minor: int
    day: date


@dataclass(frozen=True, slots=True)
class Settlement:
    """A wish to capture or void what a decision reserved."""

    transaction_id: str
    state: State


def day_of(now_ms: int, zone: ZoneInfo) -> date:
    """The day that it is in `zone`."""
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
        table = schema.usage.c
        rows = connection.execute(
            select(schema.usage)
            .where(
                table.account.in_(sorted({day.account for day in wanted})),
                table.day.in_(sorted({day.day for day in wanted})),
            )
            .order_by(table.account, table.day, table.currency)
            .with_for_update()
        )
        self._used = {AccountDay(row.account, row.day, row.currency): row.used_minor for row in rows}

    def used_minor(self, day: AccountDay) -> int:
        """What is reserved and captured, with what was added here."""
        return self._used.get(day, 0) + self._added.get(day, 0)

    def add(self, day: AccountDay, amount_minor: int) -> None:
        """Reserve more of the day; nothing is written before `write`."""
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
        _add_to_rows(self._connection, {day: minor for day, minor in self._added.items() if day in self._used})


def _add_to_rows(connection: Connection, added: dict[AccountDay, int]) -> None:
    if not added:
        return
    table = schema.usage.c
    connection.execute(
        update(schema.usage)
        .where(
            table.account == bindparam("of_account"),
            table.day == bindparam("of_day"),
            table.currency == bindparam("of_currency"),
        )
        .values(used_minor=table.used_minor + bindparam("added_minor")),
        [
            {"of_account": day.account, "of_day": day.day, "of_currency": day.currency, "added_minor": minor}
            for day, minor in sorted(added.items())
        ],
    )


def settle(connection: Connection, wishes: Sequence[Settlement], now_ms: int) -> list[Reservation | StandingError]:
    """Capture or void reservations; a void gives the amount back to the day that it was reserved on.

    Each wish gets its reservation as it is now (asking again changes nothing), or NotFound, NothingReserved,
    AlreadySettled.
    """
    names = sorted({wish.transaction_id for wish in wishes})
    table = schema.reservations.c
    # Whole rows are read under the lock; what another process settled meanwhile is seen here.
    rows = {
        row.transaction_id: row
        for row in connection.execute(
            select(schema.reservations)
            .where(table.transaction_id.in_(names))
            .order_by(table.transaction_id)
            .with_for_update()
        )
    }
    decided = set(
        connection.scalars(
            select(schema.decisions.c.transaction_id).where(schema.decisions.c.transaction_id.in_(names))
        )
    )
    states = {name: State(row.state) for name, row in rows.items()}
    settled: dict[str, State] = {}
    given_back: dict[AccountDay, int] = {}
    answers: list[Reservation | StandingError] = []
    for wish in wishes:
        name = wish.transaction_id
        if name not in rows:
            answers.append(_nothing_to_settle(name in decided))
            continue
        row, state = rows[name], states[name]
        if state is State.RESERVED:
            states[name] = settled[name] = wish.state
            if wish.state is State.VOIDED:
                day = AccountDay(row.account, row.day, row.currency)
                given_back[day] = given_back.get(day, 0) - row.amount_minor
        elif state is not wish.state:
            answers.append(
                AlreadySettled(f"the reservation is {state.value} already; allowed: {state.value} again, or nothing")
            )
            continue
        answers.append(Reservation(states[name], row.amount_minor, row.day))
    if settled:
        connection.execute(
            update(schema.reservations)
            .where(table.transaction_id == bindparam("of_transaction"))
            .values(state=bindparam("new_state"), settled_at_ms=now_ms),
            [{"of_transaction": name, "new_state": state.value} for name, state in settled.items()],
        )
    _add_to_rows(connection, given_back)
    return answers


def _nothing_to_settle(decided: bool) -> StandingError:
    if not decided:
        return NotFound("transaction_id: no decision with this id; allowed: one that was decided before")
    return NothingReserved(
        "the decision holds no reservation; allowed: approved payments only (a withdrawal uses up no limit)"
    )
