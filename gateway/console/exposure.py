"""Counts recorded decisions that a snapshot would have got wrong: from the event log, without deciding again.

A snapshot holds the bank's statements at the time it was taken; a decision rests on the bank's statements at its own
time. If a fact that the decision rests on changed in between, the snapshot would have led to another answer. A bank's
silence and the platform's own rules are excluded: a snapshot covers neither, and the right answer is not recorded.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import DAY_MS

#: Intervals of snapshots, by the name of their message; 0: nightly, at midnight in the bank's time zone.
INTERVALS_MS = {"nightly": 0, "hourly": 3_600_000, "five-minutes": 300_000}
#: The most decisions with an earlier change that are examined.
MAX_EXAMINED = 5_000

_OF_STATUS = frozenset(
    {
        Reason.ACCOUNT_FROZEN,
        Reason.ACCOUNT_LOST,
        Reason.ACCOUNT_CLOSED,
        Reason.ACCOUNT_DORMANT,
        Reason.ACCOUNT_UNSTATED,
        Reason.UNBOUND,
    }
)
_OF_IDENTITY = frozenset({Reason.NAME_CHANGED, Reason.ID_DOCUMENT_CHANGED, Reason.PHONE_CHANGED})
_OF_LIMITS = frozenset(
    {Reason.OVER_TRANSACTION_LIMIT, Reason.OVER_DAILY_LIMIT, Reason.OVER_MONTHLY_LIMIT, Reason.OVER_YEARLY_LIMIT}
)
_GOOD = "active"


@dataclass(frozen=True, slots=True)
class Changed:
    """A change at the bank, from the event log."""

    at_ms: int
    type: str
    status: str | None
    previous_status: str | None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A decision that a snapshot would have got wrong. `by`: the names of the intervals. `reviewed`: the outcome of its
    review, once staff have closed it."""

    transaction_id: str
    outcome: str
    reason: str | None
    decided_at_ms: int
    changed_at_ms: int
    by: tuple[str, ...]
    reviewed: str | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """The exposure in a period. `complete` is False if not everything was examined."""

    counts: dict[str, int]
    exposed: list[Exposed]
    complete: bool


def taken_ms(interval_ms: int, at_ms: int, zone: ZoneInfo) -> int:
    """The time of the newest snapshot before `at_ms`."""
    if interval_ms:
        return at_ms - at_ms % interval_ms
    midnight = datetime.fromtimestamp(at_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp() * 1000)


def rests_on(outcome: str, reason: str | None, changes: Iterable[Changed], since_ms: int) -> Changed | None:
    """The first change after a snapshot that determined the decision; None if there is none.

    `changes`: those of the binding up to the decision, in order.
    """
    later = [each for each in changes if each.at_ms > since_ms]
    if reason is None and outcome == Outcome.APPROVE:
        first = _first_of_status(later)
        return first if first is not None and first.previous_status != _GOOD else None
    if reason in _OF_STATUS:
        first = _first_of_status(later)
        return first if first is not None and first.previous_status == _GOOD else None
    wanted = (
        EventType.IDENTITY_CHANGED
        if reason in _OF_IDENTITY
        else EventType.LIMITS_CHANGED
        if reason in _OF_LIMITS
        else None
    )
    return next((each for each in later if each.type == wanted), None)


def _first_of_status(changes: Sequence[Changed]) -> Changed | None:
    return next((each for each in changes if each.previous_status and each.status != each.previous_status), None)


def exposure(storage: Storage, zones: dict[str, ZoneInfo], since_ms: int) -> Exposure:
    """The exposure of the decisions since a time, newest first. Raises: StorageUnavailable."""
    decided, bound, logged, closed = schema.decisions.c, schema.bindings.c, schema.events.c, schema.reviews.c
    query = (
        select(
            decided.transaction_id,
            decided.outcome,
            decided.reason,
            decided.decided_at_ms,
            closed.outcome.label("reviewed"),
            bound.bank,
            logged.type,
            logged.happened_at_ms,
            logged.data,
        )
        .join(schema.bindings, bound.binding == decided.binding)
        .join(schema.events, logged.binding == decided.binding)
        .outerjoin(schema.reviews, closed.transaction_id == decided.transaction_id)
        .where(
            decided.decided_at_ms >= since_ms,
            logged.happened_at_ms <= decided.decided_at_ms,
            logged.happened_at_ms > decided.decided_at_ms - DAY_MS,
        )
        .order_by(decided.decided_at_ms.desc(), decided.transaction_id, logged.position)
        .limit(MAX_EXAMINED)
    )
    with storage.read() as connection:
        rows = list(connection.execute(query))
    by_decision: dict[str, list[Any]] = {}
    for row in rows:
        by_decision.setdefault(row.transaction_id, []).append(row)
    exposed = [found for each in by_decision.values() if (found := _exposed(each, zones)) is not None]
    counts = {name: sum(name in each.by for each in exposed) for name in INTERVALS_MS}
    return Exposure(counts, exposed, len(rows) < MAX_EXAMINED)


def _exposed(rows: Sequence[Any], zones: dict[str, ZoneInfo]) -> Exposed | None:
    first = rows[0]
    zone = zones.get(first.bank)
    if zone is None:
        return None  # the bank is no longer served, so its midnight is unknown
    changes = [_changed(row) for row in rows]
    by, newest = [], None
    for name, interval_ms in INTERVALS_MS.items():
        change = rests_on(first.outcome, first.reason, changes, taken_ms(interval_ms, first.decided_at_ms, zone))
        if change is not None:
            by.append(name)
            newest = change
    if newest is None:
        return None
    return Exposed(
        first.transaction_id, first.outcome, first.reason, first.decided_at_ms, newest.at_ms, tuple(by), first.reviewed
    )


def _changed(row: Any) -> Changed:
    data = json.loads(row.data)
    return Changed(row.happened_at_ms, row.type, data.get("status"), data.get("previous_status"))
