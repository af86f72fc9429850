"""Queries of the console without a service elsewhere: accounts by digits, decisions, open holds, reviews."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select

from standing.gateway.bindings.service import StoredBinding, stored_binding, stored_bindings
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage

#: The most rows per list.
MAX_LISTED = 50
_decisions, _bindings, _holds = schema.decisions.c, schema.bindings.c, schema.holds.c


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision as a line of a list. `reviewed`: the outcome of its review, once staff have closed it."""

    transaction_id: str
    binding: bytes
    kind: str
    amount_minor: int
    currency: str
    outcome: str
    reason: str | None
    decided_at_ms: int
    reviewed: str | None


class Lookups:
    """Runs the queries. Every method raises StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def ending_in(self, digits: str) -> list[StoredBinding]:
        """Bindings of accounts whose number ends in these four digits, newest first, at most MAX_LISTED."""
        query = stored_bindings().where(schema.LAST_FOUR.in_([digits]))
        rows = await self._rows(query.order_by(_bindings.created_at_ms.desc()).limit(MAX_LISTED))
        return [stored_binding(row) for row in rows]

    async def is_decided(self, transaction_id: str) -> bool:
        """Whether there is a decision with this id."""
        return bool(
            await self._rows(select(_decisions.transaction_id).where(_decisions.transaction_id == transaction_id))
        )

    async def last_decisions(self, binding: bytes, limit: int = 20) -> list[DecisionLine]:
        """The newest decisions on a binding, newest first."""
        query = _lines().where(_decisions.binding == binding)
        return [_line(row) for row in await self._rows(query.order_by(_decisions.decided_at_ms.desc()).limit(limit))]

    async def open_holds(self, now_ms: int) -> list[Row[Any]]:
        """Holds in force now, oldest first, at most MAX_LISTED."""
        query = select(schema.holds).where(_holds.lifted_at_ms.is_(None), _holds.ends_at_ms > now_ms)
        return await self._rows(query.order_by(_holds.began_at_ms, _holds.hold_id).limit(MAX_LISTED))

    async def open_reviews(self) -> list[DecisionLine]:
        """Transactions whose review is still open, oldest first, at most MAX_LISTED."""
        query = _lines().where(schema.REVIEW_IS_OPEN)
        return [_line(row) for row in await self._rows(query.order_by(_decisions.decided_at_ms).limit(MAX_LISTED))]

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        def read() -> list[Row[Any]]:
            with self._storage.read() as connection:
                return list(connection.execute(query))

        return await self._storage.reading(read)


def _lines() -> Select[Any]:
    reviewed = schema.reviews.c
    return select(schema.decisions, reviewed.outcome.label("reviewed")).select_from(
        schema.decisions.outerjoin(schema.reviews, reviewed.transaction_id == _decisions.transaction_id)
    )


def _line(row: Row[Any]) -> DecisionLine:
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
    )
