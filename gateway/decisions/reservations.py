"""The life of a reservation: captured in full or in part, and possibly refunded later; voided; or expired.

    reserved ──capture──▶ captured ──refund──▶ captured, with less of it used
        ├──────void─────▶ voided
        └─────time──────▶ expired    (payments only)

A withdrawal does not expire: it may have been paid out although the platform never reported it.

Amounts that are voided, expired, refunded or left uncaptured return to the day on which they were reserved, even if
that day is over: the bank counts a payment on the day it was made, and undoing it does not raise another day's limit.
Expiry needs no background job: every read treats an overdue reservation as expired, and a decision writes the expiries
of its own account before it adds up the day.

Everything runs inside the caller's transaction, on locked rows.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from standing.gateway.decisions.caps import Caps, Used, month_of, year_of
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.usage import AccountDay, Reservation, State, add_to_rows
from standing.gateway.errors import AlreadySettled, NothingReserved, ReservationExpired
from standing.gateway.storage import schema
from standing.gateway.storage.bulk import Lookup
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.errors import Conflict, InvalidValue, NotFound, StandingError

#: The most refunds of one captured payment.
MAX_REFUNDS = 100

#: The most expired reservations of one statement.
_EXPIRED_AT_ONCE = 1_000

_TABLE = schema.reservations.c
# Built once: every deciding transaction uses it, and building it costs as much as running it.
_DUE = Lookup(
    select(_TABLE.transaction_id, _TABLE.account, _TABLE.day, _TABLE.currency, _TABLE.kind, _TABLE.amount_minor)
    .where(
        _TABLE.account.in_(bindparam("accounts", expanding=True)),
        _TABLE.state == State.RESERVED.value,
        _TABLE.expires_at_ms <= bindparam("now_ms"),
    )
    .order_by(_TABLE.account, _TABLE.expires_at_ms, _TABLE.transaction_id)
    .limit(_EXPIRED_AT_ONCE)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class Capture:
    """A request to capture a decision's reservation; `amount_minor` None: the whole amount."""

    transaction_id: str
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Void:
    """A request to void a decision's reservation."""

    transaction_id: str


@dataclass(frozen=True, slots=True)
class Refund:
    """A request to record a refund of a captured payment. Repeating a `refund_id` changes nothing."""

    transaction_id: str
    refund_id: str
    amount_minor: int


SettlementRequest = Capture | Void | Refund


def current_reservation(row: Row[*tuple[Any, ...]], now_ms: int) -> Reservation:
    """The current state of a row's reservation. An overdue one is expired, even if that is not written yet."""
    state, settled_at_ms = State(row.state), row.settled_at_ms
    if state is State.RESERVED and row.expires_at_ms is not None and now_ms >= row.expires_at_ms:
        state, settled_at_ms = State.EXPIRED, row.expires_at_ms
    return Reservation(
        state,
        row.amount_minor,
        row.day,
        row.expires_at_ms,
        row.captured_minor,
        row.refunded_minor,
        settled_at_ms,
    )


def expire_due(connection: Connection, accounts: Collection[bytes], now_ms: int) -> None:
    """Mark the overdue reservations of these accounts as expired, and release their amounts.

    All of them: one that is left would count against its day, and refuse what the bank allows.
    """
    due = _DUE.rows(connection, accounts=sorted(accounts), now_ms=now_ms) if accounts else []
    while due:
        _expire(connection, due)
        more = len(due) == _EXPIRED_AT_ONCE
        due = _DUE.rows(connection, accounts=sorted(accounts), now_ms=now_ms) if more else []


def _expire(connection: Connection, due: Sequence[Sequence[Any]]) -> None:
    given_back: dict[AccountDay, int] = {}
    for _, account, due_day, currency, kind, amount_minor in due:
        day = AccountDay(account, due_day, currency, Kind(kind))
        given_back[day] = given_back.get(day, 0) - amount_minor
    connection.execute(
        update(schema.reservations)
        .where(_TABLE.transaction_id == bindparam("of_transaction"))
        .values(state=State.EXPIRED.value, settled_at_ms=_TABLE.expires_at_ms),
        [{"of_transaction": transaction_id} for transaction_id, *_ in due],
    )
    add_to_rows(connection, given_back)


def used_now(connection: Connection, wanted: Mapping[AccountDay, Caps], now_ms: int) -> dict[AccountDay, Used]:
    """The usage of some days, and of the periods that their caps bound, without expired reservations: for read-only
    transactions. Two statements, regardless of the number of days."""
    if not wanted:
        return {}
    accounts = {day.account for day in wanted}
    first = min(_first_counted(day, caps) for day, caps in wanted.items())
    sums = schema.usage.c
    used = connection.execute(
        select(sums.account, sums.day, sums.currency, sums.kind, sums.used_minor).where(
            sums.account.in_(accounts), sums.day >= first
        )
    )
    # Overdue reservations no longer count, even if their expiry is not written yet.
    expired = connection.execute(
        select(_TABLE.account, _TABLE.day, _TABLE.currency, _TABLE.kind, -_TABLE.amount_minor).where(
            _TABLE.account.in_(accounts),
            _TABLE.day >= first,
            _TABLE.state == State.RESERVED.value,
            _TABLE.expires_at_ms <= now_ms,
        )
    )
    series: dict[tuple[bytes, str, str], dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for account, day, currency, kind, minor in (*used, *expired):
        series[account, currency, kind][day] += minor
    return {
        day: _used_of(day.day, caps, series[day.account, day.currency, day.kind.value]) for day, caps in wanted.items()
    }


def _first_counted(day: AccountDay, caps: Caps) -> date:
    """The first day of the longest period that the caps bound."""
    if caps.yearly_minor != NO_LIMIT:
        return year_of(day.day)[0]
    return month_of(day.day)[0] if caps.monthly_minor != NO_LIMIT else day.day


def _used_of(day: date, caps: Caps, by_day: Mapping[date, int]) -> Used:
    def minor(period: tuple[date, date]) -> int:
        first, following = period
        return sum(minor for each, minor in by_day.items() if first <= each < following)

    return Used(
        by_day.get(day, 0),
        minor(month_of(day)) if caps.monthly_minor != NO_LIMIT else None,
        minor(year_of(day)) if caps.yearly_minor != NO_LIMIT else None,
    )


def settle(
    connection: Connection, requests: Sequence[SettlementRequest], now_ms: int
) -> list[Reservation | StandingError]:
    """Settle the requests in order; repeating a request changes nothing.

    Each request yields its reservation afterwards, or NotFound, NothingReserved, AlreadySettled, ReservationExpired,
    InvalidValue (an amount above what is available), Conflict (a refund's id with another amount).
    """
    book = _ReservationBook(connection, sorted({request.transaction_id for request in requests}), now_ms)
    answers: list[Reservation | StandingError] = []
    for request in requests:
        try:
            answers.append(book.settle(request))
        except StandingError as error:
            answers.append(error)
    book.write()
    return answers


class _ReservationBook:
    """Some decisions' reservations within one transaction: read and locked, settled, written."""

    def __init__(self, connection: Connection, names: Sequence[str], now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        rows = connection.execute(
            select(schema.reservations)
            .where(_TABLE.transaction_id.in_(names))
            .order_by(_TABLE.transaction_id)
            .with_for_update()
        ).all()
        self._days = {
            row.transaction_id: AccountDay(row.account, row.day, row.currency, Kind(row.kind)) for row in rows
        }
        self._stored = {row.transaction_id: State(row.state) for row in rows}
        self._now = {row.transaction_id: current_reservation(row, now_ms) for row in rows}
        self._changed = {name for name, held in self._now.items() if held.state is not self._stored[name]}
        self._given_back: dict[AccountDay, int] = {}
        for name in self._changed:  # overdue
            self._give_back(name, self._now[name].amount_minor)
        decided = schema.decisions.c.transaction_id
        self._decided = set(connection.scalars(select(decided).where(decided.in_(names))))
        self._refunds = _refunds(connection, list(self._now))
        self._new_refunds: list[dict[str, Any]] = []

    def settle(self, request: SettlementRequest) -> Reservation:
        held = self._now.get(request.transaction_id)
        if held is None:
            raise self._missing(request.transaction_id)
        match request:
            case Capture():
                after = self._capture(request, held)
            case Void():
                after = self._void(request, held)
            case Refund():
                after = self._refund(request, held)
        if after is not held:
            self._now[request.transaction_id] = after
            self._changed.add(request.transaction_id)
        return after

    def _capture(self, request: Capture, held: Reservation) -> Reservation:
        amount_minor = held.amount_minor if request.amount_minor is None else request.amount_minor
        if held.state is State.CAPTURED:
            if amount_minor != held.captured_minor:
                raise AlreadySettled(f"captured already, with {held.captured_minor}; allowed: the same amount again")
            return held
        if held.state is State.EXPIRED:
            raise ReservationExpired(
                f"the reservation expired at {held.expires_at_ms}, and its amount was released; "
                "allowed: a new decision, captured in time"
            )
        _check_reserved(held)
        if amount_minor > held.amount_minor:
            raise InvalidValue("amount_minor", "more than was reserved", f"1 to {held.amount_minor}")
        self._give_back(request.transaction_id, held.amount_minor - amount_minor)
        return replace(held, state=State.CAPTURED, captured_minor=amount_minor, settled_at_ms=self._now_ms)

    def _void(self, request: Void, held: Reservation) -> Reservation:
        # An expired reservation holds nothing any more, so there is nothing to void.
        if held.state in {State.VOIDED, State.EXPIRED}:
            return held
        _check_reserved(held)
        self._give_back(request.transaction_id, held.amount_minor)
        return replace(held, state=State.VOIDED, settled_at_ms=self._now_ms)

    def _refund(self, request: Refund, held: Reservation) -> Reservation:
        if held.state is not State.CAPTURED or held.captured_minor is None:
            raise NothingReserved(f"the reservation is {held.state.value}; allowed: refunds of what was captured")
        refunds = self._refunds.setdefault(request.transaction_id, {})
        if request.refund_id in refunds:
            if refunds[request.refund_id] != request.amount_minor:
                raise Conflict("refund_id: used before with another amount; allowed: the same amount, or a new id")
            return held
        left_minor = held.captured_minor - held.refunded_minor
        if request.amount_minor > left_minor:
            raise InvalidValue("amount_minor", "more than is left of what was captured", f"at most {left_minor}")
        if len(refunds) >= MAX_REFUNDS:
            raise Conflict(f"{MAX_REFUNDS} refunds of this payment exist already; allowed: no more")
        refunds[request.refund_id] = request.amount_minor
        self._new_refunds.append(
            {
                "transaction_id": request.transaction_id,
                "refund_id": request.refund_id,
                "amount_minor": request.amount_minor,
                "refunded_at_ms": self._now_ms,
            }
        )
        self._give_back(request.transaction_id, request.amount_minor)
        return replace(held, refunded_minor=held.refunded_minor + request.amount_minor)

    def _give_back(self, name: str, amount_minor: int) -> None:
        day = self._days[name]
        self._given_back[day] = self._given_back.get(day, 0) - amount_minor

    def _missing(self, name: str) -> StandingError:
        if name not in self._decided:
            return NotFound("transaction_id: no decision with this id; allowed: one that was decided before")
        return NothingReserved("the decision has no reservation; allowed: approved transactions only")

    def write(self) -> None:
        """Write the settlements."""
        if self._changed:
            self._connection.execute(
                update(schema.reservations)
                .where(_TABLE.transaction_id == bindparam("of_transaction"))
                .values(
                    state=bindparam("new_state"),
                    settled_at_ms=bindparam("now_settled_at_ms"),
                    captured_minor=bindparam("now_captured_minor"),
                    refunded_minor=bindparam("now_refunded_minor"),
                ),
                [self._row(name, self._now[name]) for name in sorted(self._changed)],
            )
        if self._new_refunds:
            self._connection.execute(insert(schema.refunds), self._new_refunds)
        add_to_rows(self._connection, self._given_back)

    def _row(self, name: str, held: Reservation) -> dict[str, Any]:
        return {
            "of_transaction": name,
            "new_state": held.state.value,
            "now_settled_at_ms": held.settled_at_ms,
            "now_captured_minor": held.captured_minor,
            "now_refunded_minor": held.refunded_minor,
        }


def _check_reserved(held: Reservation) -> None:
    if held.state is not State.RESERVED:
        raise AlreadySettled(f"the reservation is {held.state.value} already; allowed: only {held.state.value} again")


def _refunds(connection: Connection, names: Sequence[str]) -> dict[str, dict[str, int]]:
    table = schema.refunds.c
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        select(table.transaction_id, table.refund_id, table.amount_minor).where(table.transaction_id.in_(names))
    )
    for row in rows:
        found.setdefault(row.transaction_id, {})[row.refund_id] = row.amount_minor
    return found
