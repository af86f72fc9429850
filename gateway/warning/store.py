"""Storage of banks' hours, and of how far they are counted."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, or_, select, update

from standing.gateway.storage import schema
from standing.gateway.warning.hours import KEEP_HOURS, BankHours, Hour
from standing.ledger.clock import HOUR_MS


def hours_between(connection: Connection, bank: str, from_ms: int, until_ms: int) -> dict[int, Hour]:
    """A bank's hours that begin within a period, by their start."""
    table = schema.bank_hours.c
    query = select(table.hour_ms, table.figures).where(
        table.bank == bank, table.hour_ms >= from_ms, table.hour_ms < until_ms
    )
    return {row.hour_ms: Hour.from_json(row.figures) for row in connection.execute(query)}


def load(connection: Connection, banks: Iterable[str]) -> dict[str, tuple[int, BankHours]]:
    """For each counted bank: the block it is counted to, and its state with the current hour."""
    table = schema.bank_paces
    found = {}
    for row in connection.execute(select(table).where(table.c.bank.in_(list(banks)))):
        start_ms = row.to_ms - row.to_ms % HOUR_MS
        hours = hours_between(connection, row.bank, start_ms, start_ms + HOUR_MS)
        found[row.bank] = (row.block_number, BankHours(row.watermark_ms, row.suspended, row.to_ms, hours))
    return found


def save(connection: Connection, banks: Mapping[str, BankHours], block: int, was: Mapping[str, int]) -> bool:
    """Store the state of banks after a block. `was`: the block each stored bank was counted to before.

    Returns: whether that was still so. If another process has counted further, discard this one's count.
    """
    table = schema.bank_paces
    for bank, hours in banks.items():
        values = {
            "block_number": block,
            "to_ms": hours.to_ms,
            "watermark_ms": hours.watermark_ms,
            "suspended": hours.suspended,
        }
        if bank not in was:
            connection.execute(insert(table).values(bank=bank, **values))
        else:
            moved = connection.execute(
                update(table).where(table.c.bank == bank, table.c.block_number == was[bank]).values(**values)
            )
            if not moved.rowcount:
                return False
        _save_hours(connection, bank, hours.hours)
    return True


def _save_hours(connection: Connection, bank: str, hours: Mapping[int, Hour]) -> None:
    """Store a bank's newest hours, in two statements whatever their number: decisions wait for the same writer."""
    if not hours:
        return
    table = schema.bank_hours
    replaced, outdated = table.c.hour_ms >= min(hours), table.c.hour_ms < max(hours) - KEEP_HOURS * HOUR_MS
    connection.execute(delete(table).where(table.c.bank == bank, or_(replaced, outdated)))
    rows = [{"bank": bank, "hour_ms": start_ms, "figures": hour.to_json()} for start_ms, hour in hours.items()]
    connection.execute(insert(table), rows)


def mark_slowing(connection: Connection, bank: str, since_ms: int | None) -> bool:
    """Record since when a bank is reported as slowing, or that it no longer is. Returns: whether that is new."""
    table = schema.bank_paces
    known = table.c.slowing_since_ms
    is_news = known.is_(None) if since_ms is not None else known.is_not(None)
    changed = connection.execute(update(table).where(table.c.bank == bank, is_news).values(slowing_since_ms=since_ms))
    return bool(changed.rowcount)
