"""Feed entries and their parts in the store: which is next, and which was received before."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from standing.ledger.errors import Conflict
from standing.node.accounts.changes import FeedEntry, FeedReceipt, limits_rounded
from standing.node.storage import schema


class FeedOutOfOrder(Conflict):
    """The entry is older than the last one, or is a part that is not next."""


class EntryDiffers(Conflict):
    """An entry with this time exists already, with other content."""


def known_receipt(connection: Connection, entry: FeedEntry, begun: Row[Any], digest: bytes) -> FeedReceipt | None:
    """The receipt of an entry, or part, that was received before; None for the part that is next.

    Raises: EntryDiffers.
    """
    parts = schema.feed_parts
    known = connection.execute(
        select(parts).where(parts.c.as_of_ms == entry.as_of_ms, parts.c.part == entry.part)
    ).one_or_none()
    if known is None and not begun.complete:
        return None
    whole = begun.complete and begun.parts == 1
    if known is None and whole and entry.part == 1:
        known = begun
    if known is None or known.digest != digest:
        raise EntryDiffers(
            f"as_of_ms: an entry of {entry.as_of_ms} with different content exists already; "
            "allowed: the same content again, or a later as_of_ms"
        )
    return FeedReceipt(
        as_of_ms=entry.as_of_ms,
        part=entry.part,
        complete=known.complete,
        changes=known.changes,
        attestations=known.attestations,
        received_at_ms=known.received_at_ms,
        limits_rounded=limits_rounded(entry.changes),
    )


def check_turn(connection: Connection, entry: FeedEntry, begun: Row[Any] | None) -> None:
    """Check that the entry comes after all others, or is the next part of the newest, incomplete one."""
    newest_ms = connection.execute(select(func.coalesce(func.max(schema.feed_entries.c.as_of_ms), 0))).scalar_one()
    if entry.as_of_ms < newest_ms:
        raise FeedOutOfOrder(
            f"as_of_ms: {entry.as_of_ms} is older than the last entry; allowed: later than {newest_ms}"
        )
    next_part = 1 if begun is None else begun.parts + 1
    if entry.part != next_part:
        raise FeedOutOfOrder(f"part: {entry.part} of the entry of {entry.as_of_ms} is not next; allowed: {next_part}")


def begin(connection: Connection, receipt: FeedReceipt, digest: bytes) -> None:
    """Store an entry before the rows that refer to it."""
    if receipt.part == 1:
        connection.execute(
            insert(schema.feed_entries).values(
                as_of_ms=receipt.as_of_ms,
                digest=digest,
                received_at_ms=receipt.received_at_ms,
                changes=0,
                attestations=0,
                complete=False,
                parts=1,
            )
        )


def finish(connection: Connection, receipt: FeedReceipt, digest: bytes) -> None:
    """Store the effect of an entry."""
    entries = schema.feed_entries
    connection.execute(
        update(entries)
        .where(entries.c.as_of_ms == receipt.as_of_ms)
        .values(
            parts=receipt.part,
            complete=receipt.complete,
            changes=entries.c.changes + receipt.changes,
            attestations=entries.c.attestations + receipt.attestations,
        )
    )
    if receipt.part > 1 or not receipt.complete:
        stored = receipt.model_dump(exclude={"limits_rounded"})  # derived from the content
        connection.execute(insert(schema.feed_parts).values(digest=digest, **stored))
