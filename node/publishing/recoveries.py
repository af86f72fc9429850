"""Recoveries of an old store: how far the core must feed again before anything is signed."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from standing.node.storage import schema


@dataclass(frozen=True, slots=True)
class Unmet:
    """The period that the core has to feed again: all after `core_from_ms`, at least up to `core_until_ms`."""

    core_from_ms: int
    core_until_ms: int


def unmet(connection: Connection) -> Unmet | None:
    """The period that the core has to feed again, over all recoveries; None where it need not."""
    table = schema.recoveries
    rows = connection.execute(select(table).where(table.c.fed_again_at_ms.is_(None))).all()
    if not rows:
        return None
    return Unmet(min(row.core_from_ms for row in rows), max(row.core_until_ms for row in rows))


def begin(connection: Connection, wanted: Unmet, now_ms: int) -> None:
    """Ask the core to feed again."""
    connection.execute(
        insert(schema.recoveries).values(
            at_ms=now_ms, core_from_ms=wanted.core_from_ms, core_until_ms=wanted.core_until_ms
        )
    )


def met(connection: Connection, now_ms: int) -> None:
    """Note the operator's confirmation that the core has fed again."""
    table = schema.recoveries
    connection.execute(update(table).where(table.c.fed_again_at_ms.is_(None)).values(fed_again_at_ms=now_ms))
