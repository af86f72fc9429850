"""The event log: written in the same transaction as the changes it records, and read by position."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, update

from standing.gateway.events.types import Event, LoggedEvent, new_event_id
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage

#: The most events per page.
MAX_PAGE = 500


class EventLog:
    """Reads the log. Every method raises StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def page(self, after: int, limit: int, binding: bytes | None = None) -> list[LoggedEvent]:
        """At most `limit` events after a position, in order."""
        with self._storage.read() as connection:
            return page(connection, after, limit, binding)

    def ends(self) -> tuple[int, int]:
        """The position from which on no event is missing, and that of the newest event; (0, 0) for an empty log.

        Events that wait for an endpoint are kept longer than later ones, so there may be older events.
        """
        with self._storage.read() as connection:
            table, pruned_to = schema.events.c, connection.scalar(select(schema.follower.c.pruned_to)) or 0
            oldest = connection.scalar(select(func.min(table.position)).where(table.position > pruned_to))
            newest = connection.scalar(select(func.max(table.position)))
        return (oldest or 0, newest or 0)


def page(connection: Connection, after: int, limit: int, binding: bytes | None = None) -> list[LoggedEvent]:
    """As `EventLog.page`, within a transaction."""
    table = schema.events
    query = select(table).where(table.c.position > after).order_by(table.c.position).limit(limit)
    if binding is not None:
        query = query.where(table.c.binding == binding)
    return [_logged(row) for row in connection.execute(query)]


def at(connection: Connection, positions: Sequence[int]) -> dict[int, LoggedEvent]:
    """Events by their positions."""
    rows = connection.execute(select(schema.events).where(schema.events.c.position.in_(positions)))
    return {row.position: _logged(row) for row in rows}


def append(connection: Connection, events: Sequence[Event]) -> None:
    """Write events in order."""
    if not events:
        return
    newest = connection.scalar(select(func.max(schema.events.c.position))) or 0  # it is never pruned
    # By the clock, not by a count: a count would go on from a restored backup with positions that readers have seen.
    first = max(newest + 1, events[0].observed_at_ms)
    connection.execute(
        insert(schema.events),
        [
            {
                "position": first + number,
                "id": new_event_id(),
                "type": event.type.value,
                "bank": event.bank,
                "binding": event.binding,
                "publication": event.publication,
                "block_number": event.block_number,
                "happened_at_ms": event.happened_at_ms,
                "observed_at_ms": event.observed_at_ms,
                "data": json.dumps(event.data, separators=(",", ":")),
            }
            for number, event in enumerate(events)
        ],
    )


def prune(connection: Connection, before_ms: int, limit: int) -> int:
    """Delete up to `limit` events, and as many hops of changes, observed before a time. Returns: how many of the kind
    of which there were more.

    Events pending in an endpoint's queue are kept, however old. So is the newest one, because a returning reader needs
    its position. Their other deliveries go with the events.
    """
    table, deliveries = schema.events, schema.webhook_deliveries
    pending = select(deliveries.c.position).where(
        deliveries.c.position == table.c.position, deliveries.c.state == "pending"
    )
    old = (
        select(table.c.position)
        .where(
            table.c.observed_at_ms < before_ms,
            ~pending.exists(),
            table.c.position < select(func.max(table.c.position)).scalar_subquery(),
        )
        .order_by(table.c.position)
        .limit(limit)
    )
    positions = list(connection.scalars(old))
    if positions:
        connection.execute(delete(table).where(table.c.position.in_(positions)))
        pruned_to = func.coalesce(schema.follower.c.pruned_to, 0)
        connection.execute(update(schema.follower).where(pruned_to < positions[-1]).values(pruned_to=positions[-1]))
    seen = schema.observations
    old_hops = (
        select(seen.c.binding, seen.c.publication)
        .where(
            seen.c.observed_at_ms < before_ms,
            # A binding's newest change is kept: it shows how the current attestation arrived.
            select(schema.binding_states.c.binding)
            .where(
                schema.binding_states.c.binding == seen.c.binding,
                schema.binding_states.c.publication > seen.c.publication,
            )
            .exists(),
        )
        .limit(limit)
    )
    hops = connection.execute(delete(seen).where(tuple_(seen.c.binding, seen.c.publication).in_(old_hops)))
    return max(len(positions), hops.rowcount)


def _logged(row: Row[Any]) -> LoggedEvent:
    return LoggedEvent(
        position=row.position,
        id=row.id,
        type=row.type,
        bank=row.bank,
        binding=row.binding,
        publication=row.publication,
        block_number=row.block_number,
        happened_at_ms=row.happened_at_ms,
        observed_at_ms=row.observed_at_ms,
        data=row.data,
    )
