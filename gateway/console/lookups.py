"""Queries of the console without a service elsewhere: accounts by digits, decisions, open holds, reviews."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Row, Select, func, select, tuple_

from standing.gateway.bindings.service import StoredBinding, stored_binding, stored_bindings
from standing.gateway.decisions.reservations import current_reservation
from standing.gateway.decisions.search import cursor_after, parse_cursor
from standing.gateway.decisions.usage import Reservation
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage

#: The most rows per list.
MAX_LISTED = 50
#: The fewest characters of a partial id, the most results of each kind, and the most rows read for them.
MIN_PARTIAL, MAX_PARTIAL, _MAX_PARTIAL_ROWS = 4, 20, 500
#: Among how many of the newest decisions a partial id is searched.
PARTIAL_DECISIONS = 20_000

_decisions, _bindings, _holds = schema.decisions.c, schema.bindings.c, schema.holds.c
#: What decisions are ordered by.
_ORDER = tuple_(_decisions.decided_at_ms, _decisions.transaction_id)


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision as a line of a list. `reviewed`: the outcome of its review, once staff have closed it. `reservation`:
    what became of an approved amount; None where nothing was approved."""

    transaction_id: str
    binding: bytes
    kind: str
    amount_minor: int
    currency: str
    outcome: str
    reason: str | None
    decided_at_ms: int
    reviewed: str | None
    reservation: Reservation | None


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Ids that begin with a text, whatever their capitals, at most MAX_PARTIAL of each kind. `cut`: there are more."""

    users: list[str]
    transactions: list[str]
    cut: bool


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[_T]):
    """The first rows of a list, at most MAX_LISTED. `count`: of all of them."""

    rows: list[_T]
    count: int

    @property
    def cut(self) -> bool:
        """Whether there are more than the rows."""
        return self.count > len(self.rows)


class Lookups:
    """Runs the queries. Every method raises StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def ending_in(self, digits: str, *, begins: str) -> Listed[StoredBinding]:
        """Bindings of accounts whose number ends in these four digits, newest first. `begins`: what is shown of its
        beginning, if anything."""
        query = stored_bindings().where(schema.LAST_FOUR.in_([digits]))
        if begins:
            query = query.where(_bindings.number_masked.startswith(begins))
        return await self._listed(query.order_by(_bindings.created_at_ms.desc()), stored_binding)

    async def of_accounts(self, accounts: list[bytes]) -> list[StoredBinding]:
        """Bindings of accounts by their keyed hashes, newest first, at most MAX_LISTED."""
        query = stored_bindings().where(_bindings.account.in_(accounts)).order_by(_bindings.created_at_ms.desc())
        return [stored_binding(row) for row in await self._rows(query.limit(MAX_LISTED))]

    async def beginning_with(self, text: str) -> Beginnings:
        """The users and transactions whose id begins with an ASCII text, which is not empty; transactions among the
        newest, and those that are the text in small or in capital letters."""
        failures = schema.binding_failures.c

        def read() -> Beginnings:
            with self._storage.read() as connection:
                users, more_users = _listed(
                    [_users(connection, text, each) for each in (_bindings.user_id, failures.user_id)]
                )
                transactions, more = _listed([_transactions(connection, text)])
            return Beginnings(users, transactions, more_users or more)

        return await self._storage.reading(read)

    async def failures_of(self, user_id: str) -> list[Row[Any]]:
        """A user's attempts to bind that failed, newest first."""
        table = schema.binding_failures
        query = select(table).where(table.c.user_id == user_id)
        return await self._rows(query.order_by(table.c.at_ms.desc(), table.c.position.desc()).limit(MAX_LISTED))

    async def refusals_since(self, user_id: str, since_ms: int) -> int:
        """How often banks have refused to bind for a user after a time."""
        refused = schema.binding_refusals.c
        query = select(func.count().label("refusals")).where(refused.user_id == user_id, refused.at_ms > since_ms)
        return int((await self._rows(query))[0].refusals)

    async def events_on(self, binding: bytes, publications: Sequence[int]) -> list[Row[Any]]:
        """Publication, type and data of the events about some publications of a binding, in the order of the log."""
        events = schema.events.c
        query = select(events.publication, events.type, events.data).where(
            events.binding == binding, events.publication.in_(publications)
        )
        return await self._rows(query.order_by(events.position))

    async def closed_by(self, transaction_id: str) -> str | None:
        """Who closed a transaction's review; None while it is open, or where there was none."""
        query = select(schema.reviews.c.closed_by).where(schema.reviews.c.transaction_id == transaction_id)
        return next((row.closed_by for row in await self._rows(query)), None)

    async def is_decided(self, transaction_id: str) -> bool:
        """Whether there is a decision with this id."""
        return bool(
            await self._rows(select(_decisions.transaction_id).where(_decisions.transaction_id == transaction_id))
        )

    async def decisions_of(
        self, binding: bytes, now_ms: int, *, limit: int = MAX_LISTED, cursor: str | None = None
    ) -> tuple[list[DecisionLine], str | None]:
        """A page of a binding's decisions, newest first, and the cursor of the next page; None on the last one."""
        query = _lines().where(_decisions.binding == binding)
        if cursor is not None:
            query = query.where(parse_cursor(cursor) > _ORDER)
        query = query.order_by(_decisions.decided_at_ms.desc(), _decisions.transaction_id.desc())
        return _page([_line(row, now_ms) for row in await self._rows(query.limit(limit + 1))], limit)

    async def open_holds(self, now_ms: int) -> Listed[Row[Any]]:
        """Holds in force now, oldest first."""
        query = select(schema.holds).where(_holds.lifted_at_ms.is_(None), _holds.ends_at_ms > now_ms)
        return await self._listed(query.order_by(_holds.began_at_ms, _holds.hold_id), lambda row: row)

    async def open_reviews(self, now_ms: int) -> Listed[DecisionLine]:
        """Transactions whose review is still open, oldest first."""
        return await self._listed(_open_reviews(), lambda row: _line(row, now_ms))

    async def open_reviews_after(self, cursor: str, now_ms: int) -> tuple[list[DecisionLine], str | None]:
        """The page of open reviews that follows a decision, and the cursor of the next page; None on the last one."""
        query = _open_reviews().where(parse_cursor(cursor) < _ORDER)
        return _page([_line(row, now_ms) for row in await self._rows(query.limit(MAX_LISTED + 1))], MAX_LISTED)

    async def _listed(self, query: Select[Any], of_row: Callable[[Row[Any]], _T]) -> Listed[_T]:
        def read() -> Listed[_T]:
            with self._storage.read() as connection:
                rows = [of_row(row) for row in connection.execute(query.limit(MAX_LISTED))]
                if len(rows) < MAX_LISTED:
                    return Listed(rows, len(rows))
                every = select(func.count()).select_from(query.order_by(None).subquery())
                return Listed(rows, connection.execute(every).scalar_one())

        return await self._storage.reading(read)

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        def read() -> list[Row[Any]]:
            with self._storage.read() as connection:
                return list(connection.execute(query))

        return await self._storage.reading(read)


def _users(connection: Connection, text: str, user_id: Column[str]) -> list[str]:
    """The users of a table whose id begins with a text, by its folded index."""
    low = text.lower()
    high = low[:-1] + chr(ord(low[-1]) + 1)
    # PostgreSQL's operators that compare by bytes: the order of a language has no range for a prefix.
    not_below, below = ("~>=~", "~<~") if connection.dialect.name == "postgresql" else (">=", "<")
    folded = func.lower(user_id)
    query = select(user_id).where(
        folded.op(not_below, is_comparison=True)(low), folded.op(below, is_comparison=True)(high)
    )
    return list(connection.scalars(query.limit(_MAX_PARTIAL_ROWS)))


def _transactions(connection: Connection, text: str) -> list[str]:
    """The newest transactions whose id begins with a text, and those of any time in the usual capitals. A folded index
    would find all, but every decision would have to pay for it."""
    low, identifier = text.lower(), _decisions.transaction_id
    newest = select(identifier).order_by(_decisions.decided_at_ms.desc(), identifier.desc()).limit(PARTIAL_DECISIONS)
    among = newest.subquery().c.transaction_id
    query = select(among).where(func.lower(func.substr(among, 1, len(low))) == low).limit(_MAX_PARTIAL_ROWS)
    whole = select(identifier).where(identifier.in_([low, text.upper()]))
    return [*connection.scalars(query), *connection.scalars(whole)]


def _listed(found: Sequence[list[str]]) -> tuple[list[str], bool]:
    """The first of all ids in order, and whether there are more."""
    ids = sorted({each for some in found for each in some}, key=lambda each: (each.lower(), each))
    cut = any(len(some) >= _MAX_PARTIAL_ROWS for some in found) or len(ids) > MAX_PARTIAL
    return ids[:MAX_PARTIAL], cut


def _lines() -> Select[Any]:
    reviewed, held = schema.reviews.c, schema.reservations.c
    settled = (held.state, held.day, held.expires_at_ms, held.captured_minor, held.refunded_minor, held.settled_at_ms)
    return select(schema.decisions, reviewed.outcome.label("reviewed"), *settled).select_from(
        schema.decisions.outerjoin(schema.reservations).outerjoin(
            schema.reviews, reviewed.transaction_id == _decisions.transaction_id
        )
    )


def _open_reviews() -> Select[Any]:
    query = _lines().where(schema.REVIEW_IS_OPEN)
    return query.order_by(_decisions.decided_at_ms, _decisions.transaction_id)


def _page(found: list[DecisionLine], limit: int) -> tuple[list[DecisionLine], str | None]:
    """The first `limit` lines, and the cursor of the next page if there are more."""
    lines = found[:limit]
    return lines, cursor_of(lines[-1]) if len(found) > limit else None


def cursor_of(line: DecisionLine) -> str:
    """The cursor of the page that follows a line."""
    return cursor_after(line.decided_at_ms, line.transaction_id)


def _line(row: Row[Any], now_ms: int) -> DecisionLine:
    return DecisionLine(
        row.transaction_id,
        row.binding,
        row.kind,
        row.amount_minor,
        row.currency,
        row.outcome,
        row.reason,
        row.decided_at_ms,
        row.reviewed,
        # The whole amount of a decision is reserved, so the row has one amount.
        current_reservation(row, now_ms) if row.state is not None else None,
    )
