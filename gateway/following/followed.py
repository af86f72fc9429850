"""The follower's stored position on the chain, and the hashes of the blocks before it."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from standing.gateway.storage import schema
from standing.ledger.chain.client import Head

_ROW = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to and including this block has been followed; `adopted_to_ms` and `ledger` as in the table."""

    number: int
    hash: bytes
    adopted_to_ms: int
    ledger: str | None


class CursorMoved(Exception):
    """Another process has followed the chain in the meantime: these findings must be discarded."""


def load(connection: Connection) -> Cursor | None:
    """The follower's position; None before its first start."""
    row = connection.execute(select(schema.follower).where(schema.follower.c.id == _ROW)).one_or_none()
    return None if row is None else Cursor(row.block_number, row.block_hash, row.adopted_to_ms, row.ledger)


def start(connection: Connection, head: Head, ledger: str | None) -> None:
    """Begin at `head`; earlier blocks count only as state. Raises: IntegrityError where a cursor exists."""
    connection.execute(
        insert(schema.follower).values(
            id=_ROW, block_number=head.number, block_hash=head.hash, adopted_to_ms=0, ledger=ledger
        )
    )
    remember(connection, {head.number: head.hash}, keep=1)


def start_again(connection: Connection, cursor: Cursor, head: Head, ledger: str | None) -> None:
    """Go on from `head`, because the blocks before it cannot be followed; every binding is to be compared with it.

    What was observed stays. Raises: CursorMoved.
    """
    states = schema.binding_states
    hold(connection, cursor)
    connection.execute(delete(schema.followed_blocks))
    remember(connection, {head.number: head.hash}, keep=1)
    name_ledger(connection, ledger)
    advance(connection, head.number, head.hash)
    connection.execute(update(states).values(recheck=True))


def name_ledger(connection: Connection, ledger: str | None) -> None:
    """Store which ledger the position is on."""
    connection.execute(update(schema.follower).where(schema.follower.c.id == _ROW).values(ledger=ledger))


def hold(connection: Connection, expected: Cursor) -> None:
    """Lock the cursor for this transaction. Raises: CursorMoved where it is no longer `expected`."""
    connection.execute(select(schema.follower.c.id).where(schema.follower.c.id == _ROW).with_for_update())
    if load(connection) != expected:
        raise CursorMoved


def advance(connection: Connection, number: int, block_hash: bytes) -> None:
    """Move the cursor."""
    connection.execute(
        update(schema.follower).where(schema.follower.c.id == _ROW).values(block_number=number, block_hash=block_hash)
    )


def adopted(connection: Connection, cursor: Cursor, to_ms: int) -> None:
    """Record up to when all bindings have been checked for the first time. Raises: CursorMoved."""
    hold(connection, cursor)
    connection.execute(update(schema.follower).where(schema.follower.c.id == _ROW).values(adopted_to_ms=to_ms))


def remember(connection: Connection, hashes: dict[int, bytes], *, keep: int) -> None:
    """Store blocks' hashes, keeping only the newest `keep` and the first of all: by that one, a node that is far behind
    is told from another chain."""
    if not hashes:
        return
    table = schema.followed_blocks
    connection.execute(delete(table).where(table.c.number.in_(list(hashes))))
    connection.execute(insert(table), [{"number": number, "hash": value} for number, value in hashes.items()])
    newest = select(table.c.number).order_by(table.c.number.desc()).limit(keep).subquery()
    oldest = connection.scalar(select(func.min(newest.c.number)))
    first = connection.scalar(select(func.min(table.c.number)))
    connection.execute(delete(table).where(table.c.number < oldest, table.c.number > first))


def remembered(connection: Connection) -> list[tuple[int, bytes]]:
    """The remembered blocks, newest first."""
    table = schema.followed_blocks
    rows = connection.execute(select(table).order_by(table.c.number.desc()))
    return [(row.number, row.hash) for row in rows]


def go_back(connection: Connection, cursor: Cursor, to: Head, *, common: bool) -> int:
    """Undo everything after block `to`, the newest that the remembered chain and the present one share; or everything
    (not `common`), to begin again at `to`.

    The reported states of bindings stay, to be compared with the chain again. Returns: how many bindings that affects.
    Raises: CursorMoved.
    """
    hold(connection, cursor)
    shared = to.number if common else -1
    table, states = schema.followed_blocks, schema.binding_states
    connection.execute(delete(table).where(table.c.number > shared))
    if not common:
        remember(connection, {to.number: to.hash}, keep=1)
    advance(connection, to.number, to.hash)
    connection.execute(delete(schema.observations).where(schema.observations.c.block_number > shared))
    return connection.execute(update(states).where(states.c.block_number > shared).values(recheck=True)).rowcount
