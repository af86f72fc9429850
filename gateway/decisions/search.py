"""Pages of decisions by user, binding, account, outcome, reason and time, and of open reviews.

A page begins after the last decision of the previous page, not at an offset, so new decisions do not shift it.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, exists, select, tuple_

from standing.gateway.bindings.users import check_known
from standing.gateway.decisions import records
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import Clock
from standing.ledger.errors import NotFound

#: The most decisions per page.
MAX_PAGE = 200

CURSOR_PATTERN = r"^[0-9]{1,15}~[A-Za-z0-9._:-]{1,64}$"

_TABLE = schema.decisions.c


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """A filter: decisions that match every stated field.

    `account_of`: a binding; matches the decisions of all bindings of its account. `since_ms` is inclusive, `until_ms`
    exclusive.
    """

    user_id: str | None = None
    binding: bytes | None = None
    account_of: bytes | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Decisions as JSON documents, and the cursor of the next page; None on the last page."""

    documents: list[bytes]
    next: str | None


class DecisionSearch:
    """Lists decisions. Every method raises NotFound (no such user or binding) and StorageUnavailable."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def listed(self, wanted: DecisionFilter, *, limit: int, cursor: str | None = None) -> Page:
        """A page of decisions, newest first."""
        return await self._storage.reading(self._page, wanted, limit, cursor, open_reviews=False)

    async def open_reviews(self, wanted: DecisionFilter, *, limit: int, cursor: str | None = None) -> Page:
        """A page of the queue: decisions whose review is open, oldest first."""
        return await self._storage.reading(self._page, wanted, limit, cursor, open_reviews=True)

    def _page(self, wanted: DecisionFilter, limit: int, cursor: str | None, *, open_reviews: bool) -> Page:
        with self._storage.read() as connection:
            _check(connection, wanted)
            query = _matching(wanted)
            at = tuple_(_TABLE.decided_at_ms, _TABLE.transaction_id)
            if open_reviews:
                query = query.where(schema.REVIEW_IS_OPEN)
                query = query.order_by(_TABLE.decided_at_ms, _TABLE.transaction_id)
            else:
                query = query.order_by(_TABLE.decided_at_ms.desc(), _TABLE.transaction_id.desc())
            if cursor is not None:
                last = tuple_(*parse_cursor(cursor))
                query = query.where(at > last if open_reviews else at < last)
            rows = connection.execute(query.limit(limit + 1)).all()
            names = [row.transaction_id for row in rows[:limit]]
            documents = records.present(connection, names, self._clock.now_ms())
        more = len(rows) > limit
        end = cursor_after(rows[limit - 1].decided_at_ms, rows[limit - 1].transaction_id) if more else None
        return Page([documents[name] for name in names], end)


def cursor_after(decided_at_ms: int, transaction_id: str) -> str:
    """The cursor of the page that follows a decision."""
    return f"{decided_at_ms}~{transaction_id}"


def parse_cursor(cursor: str) -> tuple[int, str]:
    """The time and the transaction of a page's last decision. The caller has checked its form (CURSOR_PATTERN)."""
    assert re.fullmatch(CURSOR_PATTERN, cursor), "routes check the form"
    decided_at_ms, _, transaction_id = cursor.partition("~")
    return int(decided_at_ms), transaction_id


def _check(connection: Connection, wanted: DecisionFilter) -> None:
    if wanted.user_id is not None:
        check_known(connection, wanted.user_id)
    own = schema.bindings.c.binding
    for binding in (wanted.binding, wanted.account_of):
        if binding is not None and not connection.scalar(select(exists().where(own == binding))):
            raise NotFound("binding: not one of this platform's; allowed: one that POST /v1/bindings granted")


def _matching(wanted: DecisionFilter) -> Select[Any]:
    own = schema.bindings.c
    query = select(_TABLE.transaction_id, _TABLE.decided_at_ms)
    if wanted.user_id is not None:
        query = query.where(_TABLE.binding.in_(select(own.binding).where(own.user_id == wanted.user_id)))
    if wanted.binding is not None:
        query = query.where(_TABLE.binding == wanted.binding)
    if wanted.account_of is not None:
        account = select(own.account).where(own.binding == wanted.account_of).scalar_subquery()
        query = query.where(_TABLE.binding.in_(select(own.binding).where(own.account == account)))
    if wanted.outcome is not None:
        query = query.where(_TABLE.outcome == wanted.outcome.value)
    if wanted.reason is not None:
        query = query.where(_TABLE.reason == wanted.reason.value)
    if wanted.since_ms is not None:
        query = query.where(_TABLE.decided_at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        query = query.where(_TABLE.decided_at_ms < wanted.until_ms)
    return query
