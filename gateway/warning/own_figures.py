"""A bank in a period, from a gateway's own records: decisions, bindings, deposits, and how fast changes arrived."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, distinct, func, select

from standing.gateway.events.types import EventType
from standing.gateway.storage import schema

#: The most observations per bank and period from which times are computed, newest first.
MAX_OBSERVATIONS = 100_000

#: Events after which a binding cannot be used until somebody acts.
_ENDS = (EventType.FROZEN, EventType.LOST, EventType.CLOSED, EventType.UNBOUND, EventType.UNREADABLE)


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """A bank in a period, from one platform's records.

    `decisions`: by outcome, then by reason (none: approved). `effective_to_seen_*_ms`: the time between a change taking
    effect at the bank and this gateway seeing it on the ledger; None without changes. `failed`: bindings that stopped
    working, by event.
    """

    decisions: dict[str, dict[str, int]]
    bindings_made: int
    bindings_ended: int
    failed: dict[str, int]
    changes_seen: int
    effective_to_seen_median_ms: int | None
    effective_to_seen_p99_ms: int | None
    deposits_asked: int
    deposits_done: int


def own_figures(connection: Connection, bank: str, from_ms: int, until_ms: int) -> OwnFigures:
    """Add up the records of a period."""
    own, pending = schema.bindings.c, schema.pending_bindings.c
    decided = schema.decisions.c
    decisions: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        select(decided.outcome, decided.reason, func.count().label("count"))
        .join(schema.bindings, own.binding == decided.binding)
        .where(own.bank == bank, decided.decided_at_ms >= from_ms, decided.decided_at_ms < until_ms)
        .group_by(decided.outcome, decided.reason)
        .order_by(decided.outcome, decided.reason)
    ):
        decisions.setdefault(row.outcome, {})[row.reason or "none"] = row._mapping["count"]
    events = schema.events.c
    failed = {
        str(kind): int(count)
        for kind, count in connection.execute(
            select(events.type, func.count(distinct(events.binding)))
            .where(
                events.bank == bank,
                events.type.in_([kind.value for kind in _ENDS]),
                events.observed_at_ms >= from_ms,
                events.observed_at_ms < until_ms,
            )
            .group_by(events.type)
            .order_by(events.type)
        )
    }

    def count_of(moment: ColumnElement[int], *where: ColumnElement[bool]) -> int:
        query = select(func.count()).where(moment >= from_ms, moment < until_ms, *where)
        return int(connection.scalar(query) or 0)

    delays = _delays(connection, bank, from_ms, until_ms)
    return OwnFigures(
        decisions=decisions,
        bindings_made=count_of(own.created_at_ms, own.bank == bank),
        bindings_ended=count_of(own.ended_at_ms, own.bank == bank),
        failed=failed,
        changes_seen=len(delays),
        effective_to_seen_median_ms=_quantile(delays, 500),
        effective_to_seen_p99_ms=_quantile(delays, 990),
        deposits_asked=count_of(pending.created_at_ms, pending.bank == bank),
        deposits_done=count_of(pending.created_at_ms, pending.bank == bank, pending.binding.is_not(None)),
    )


def _delays(connection: Connection, bank: str, from_ms: int, until_ms: int) -> list[int]:
    seen, own = schema.observations.c, schema.bindings.c
    query = (
        select(seen.observed_at_ms - seen.effective_at_ms)
        .join(schema.bindings, own.binding == seen.binding)
        .where(own.bank == bank, seen.observed_at_ms >= from_ms, seen.observed_at_ms < until_ms)
        .order_by(seen.observed_at_ms.desc())
        .limit(MAX_OBSERVATIONS)
    )
    return sorted(connection.scalars(query))


def _quantile(ordered: list[int], per_mille: int) -> int | None:
    """The smallest value that at least `per_mille` thousandths do not exceed."""
    return ordered[max(0, -(-len(ordered) * per_mille // 1000) - 1)] if ordered else None
