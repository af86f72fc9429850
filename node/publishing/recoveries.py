"""Recoveries of an old store: how far the core must feed again before anything is signed."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from standing.node.storage import schema


@dataclass(frozen=True, slots=True)
class PendingRefeed:
    """The period that the core has to feed again: everything after `core_from_ms`, at least up to `core_until_ms`."""

    core_from_ms: int
    core_until_ms: int


def pending(connection: Connection) -> PendingRefeed | None:
    """The period that the core has to feed again, over all recoveries; None if there is none."""
    table = schema.recoveries
    rows = connection.execute(select(table).where(table.c.fed_again_at_ms.is_(None))).all()
    if not rows:
        return None
    return PendingRefeed(min(row.core_from_ms for row in rows), max(row.core_until_ms for row in rows))


def begin(connection: Connection, wanted: PendingRefeed, now_ms: int) -> None:
    """Ask the core to feed again."""
    connection.execute(
        insert(schema.recoveries).values(
            at_ms=now_ms, core_from_ms=wanted.core_from_ms, core_until_ms=wanted.core_until_ms
        )
    )


def confirm(connection: Connection, now_ms: int) -> None:
    """Note the operator's confirmation that the core has fed again."""
    table = schema.recoveries
    connection.execute(update(table).where(table.c.fed_again_at_ms.is_(None)).values(fed_again_at_ms=now_ms))
