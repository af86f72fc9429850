"""How far each source of the feed has been read. A cursor moves in the transaction that stores what was read.

So nothing is lost or stored twice, whenever the node is killed.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from standing.node.storage import schema


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of a source. `position` is the source's own JSON, without personal data; `source` has at most 64
    letters."""

    source: str
    position: dict[str, Any]


def load(connection: Connection, source: str) -> dict[str, Any] | None:
    """The position of a source; None before its first move."""
    table = schema.feed_cursors
    text = connection.execute(select(table.c.position).where(table.c.source == source)).scalar_one_or_none()
    return None if text is None else dict(json.loads(text))


def save(connection: Connection, cursor: Cursor, now_ms: int) -> None:
    """Move a cursor, inside the transaction that stores what was read up to it."""
    table = schema.feed_cursors
    values = {"position": json.dumps(cursor.position, sort_keys=True), "moved_at_ms": now_ms}
    moved = connection.execute(update(table).where(table.c.source == cursor.source).values(values))
    if moved.rowcount == 0:
        connection.execute(insert(table).values(source=cursor.source, **values))
