"""Which accounts a full file or a view does not state."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, select

from standing.ledger.attestations.terms import Status
from standing.ledger.service.database import Database
from standing.node.accounts.store import Account, AccountStore
from standing.node.storage import schema


def newest(connection: Connection) -> int:
    """The store's id of the newest account; 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(schema.accounts.c.id), 0))).scalar_one())


def missing_accounts(
    database: Database, accounts: AccountStore, seen: Sequence[int], newest_id: int, page_size: int
) -> Iterator[list[Account]]:
    """The accounts up to `newest_id` that are not marked in `seen`, page by page. Closed accounts may be missing."""
    table, after = schema.accounts, 0
    while True:
        query = select(table.c.id).where(
            table.c.id > after, table.c.id <= newest_id, table.c.status != int(Status.CLOSED)
        )
        with database.read() as connection:
            ids = connection.execute(query.order_by(table.c.id).limit(page_size)).scalars().all()
            found = [accounts.get(connection, each) for each in ids if not marked(seen, each)]
        if found:
            yield found
        if not ids:
            return
        after = ids[-1]


def mark(bits: bytearray, index: int | None) -> None:
    """Note an account's id."""
    if index is None:
        return
    if index // 8 >= len(bits):
        bits.extend(bytes(index // 8 + 1 - len(bits)))
    bits[index // 8] |= 1 << index % 8


def marked(bits: Sequence[int], index: int) -> bool:
    """Whether an account's id was noted."""
    return index // 8 < len(bits) and bool(bits[index // 8] >> index % 8 & 1)
