"""The outbox: terms on their way to the ledger in the order in which they were stated.

`node.publishing.publications` signs them. A publication's watermark is the core's own `as_of_ms` and stays below every
unpublished row: each row states the time that the watermark must not reach before it is published. What a recovery has
to state again (`node.publishing.restating`) goes first.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from standing.ledger.attestations.publication import Signer
from standing.ledger.attestations.terms import Terms
from standing.ledger.errors import Overloaded
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.publishing import herds
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.herds import Cover
from standing.node.storage import schema

#: How far an entry's time may be ahead of the node's clock, in milliseconds. The ledger allows twice as much ahead of
#: its block, so a clock that is a few seconds ahead stops nothing.
AHEAD_ALLOWANCE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Issuer:
    """The publishing bank: its BIC, its secrets for binding keys, its signer, and how many bindings are published
    together (`node.publishing.herds`)."""

    bic: str
    secret: BankSecrets
    signer: Signer
    herd_size: int = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """Terms of a binding to be sealed for a platform. `floor_ms`: the effective time of a record that the platform may
    have seen and this store does not know; the terms take effect no earlier."""

    binding: bytes
    platform: str
    terms: Terms
    floor_ms: int = 0


def put(connection: Connection, binding: bytes, terms: Terms, now_ms: int) -> None:
    """Queue terms of a binding on request, inside the transaction that changes what they state.

    They count from after all that the core has promised, and may have taken effect long before `now_ms`.
    """
    put_all(
        connection,
        [(binding, terms)],
        holds_from_ms=last_as_of_ms(connection) + 1,
        entry_as_of_ms=None,
        queued_at_ms=now_ms,
    )


def put_all(
    connection: Connection,
    stated: Sequence[tuple[bytes, Terms]],
    *,
    holds_from_ms: int,
    entry_as_of_ms: int | None,
    queued_at_ms: int | None = None,
) -> None:
    """Queue terms of bindings in this order, inside the transaction that changes what they state. Uses one statement
    for all, at a tenth of the cost of one each.

    `holds_from_ms`: until this is published, the watermark stays below this time; everything up to the previous feed
    entry may have been promised already. `entry_as_of_ms` names the entry behind the terms, if any.
    `queued_at_ms`: when a request queued them, if one did.
    """
    fixed = {"holds_from_ms": holds_from_ms, "entry_as_of_ms": entry_as_of_ms, "queued_at_ms": queued_at_ms}
    rows = [
        {"binding_id": binding, "effective_at_ms": terms.effective_at_ms, "terms": terms.pack(), **fixed}
        for binding, terms in stated
    ]
    if rows:
        connection.execute(insert(schema.outbox), rows)


def last_as_of_ms(connection: Connection) -> int:
    """The time of the core's last entry; 0 before its first."""
    entry = _last_entry(connection)
    return int(entry.as_of_ms) if entry is not None else 0


def _last_entry(connection: Connection) -> Row[Any, Any] | None:
    """The core's last entry. An incomplete one promises nothing yet."""
    table = schema.feed_entries
    query = select(table.c.as_of_ms, table.c.received_at_ms).where(table.c.complete)
    return connection.execute(query.order_by(table.c.as_of_ms.desc()).limit(1)).one_or_none()


def waiting(connection: Connection, at_most: int | None = None) -> int:
    """How many rows wait to be published, counted up to `at_most` if it is given."""
    rows = select(schema.outbox.c.id).where(schema.outbox.c.publication.is_(None)).limit(at_most).subquery()
    return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())


def on_its_way(connection: Connection, binding: bytes) -> bool:
    """Whether the newest terms of a binding are on their way: queued, or signed and not yet seen in a block.

    A publication that a move to another deployment abandoned counts too: all bindings are then stated again.
    """
    table = schema.outbox.c
    in_flight = select(schema.publications.c.number).where(schema.publications.c.in_block_at_ms.is_(None))
    found = connection.execute(
        select(table.id)
        .where(table.binding_id == binding, or_(table.publication.is_(None), table.publication.in_(in_flight)))
        .limit(1)
    )
    return found.one_or_none() is not None


def check_room(connection: Connection, at_most: int) -> None:
    """Check that fewer than `at_most` rows wait to be published. Raises: Overloaded."""
    if waiting(connection, at_most) >= at_most:
        raise Overloaded(f"{at_most} attestations are already waiting for the ledger", retry_after_s=5)


def last_publication(connection: Connection) -> Row[Any] | None:
    """The publication signed last, whether it is on the ledger or not."""
    query = select(schema.publications).order_by(schema.publications.c.number.desc()).limit(1)
    return connection.execute(query).one_or_none()


def last_in_block(connection: Connection, base_number: int) -> int:
    """The highest publication after `base_number` that was seen in a block; `base_number` where none was."""
    table = schema.publications
    query = select(func.max(table.c.number)).where(table.c.number > base_number, table.c.in_block_at_ms.is_not(None))
    return int(connection.execute(query).scalar_one() or base_number)


def watermark_in_block_ms(connection: Connection) -> int | None:
    """The watermark of the newest publication that was seen in a block; None where none was."""
    table = schema.publications
    query = (
        select(table.c.watermark_ms).where(table.c.in_block_at_ms.is_not(None)).order_by(table.c.number.desc()).limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def next_drafts(connection: Connection, herd_size: int, limit: int, latest_ms: int) -> tuple[list[Draft], int]:
    """The records of the next publication, at most `limit`, and the id of the last waiting row among them (0 if no row
    waits). The records are the waiting rows in order, with their herds. A binding has one record in a publication, so
    the last of several rows counts. Rows that are not `in_bounds` are moved there, in the database too. The order of
    the records is that of the bindings' ids, which are random, so it reveals nothing.
    """
    rows = connection.execute(
        select(schema.outbox, schema.bindings.c.platform)
        .join(schema.bindings, schema.bindings.c.id == schema.outbox.c.binding_id)
        .where(schema.outbox.c.publication.is_(None))
        .order_by(schema.outbox.c.id)
        .limit(limit)
    ).all()
    changed = [row.binding_id for row in rows]
    count, cover = herds.fitting(changed, herds.cover(connection, changed, herd_size), limit)
    rows = rows[:count]
    stated = [Draft(row.binding_id, row.platform, _terms(row)) for row in rows]
    drafts = in_bounds(connection, stated, latest_ms)
    _note_times(connection, rows, drafts)
    return in_order([*covering(cover), *drafts]), rows[-1].id if rows else 0


def covering(cover: Iterable[Cover]) -> list[Draft]:
    """Drafts that state the members of a herd again, exactly as they were stated last."""
    return [Draft(each.binding, each.platform, each.terms) for each in cover]


def in_order(drafts: Iterable[Draft]) -> list[Draft]:
    """The last draft of each binding, by the bindings' ids."""
    last = {draft.binding: draft for draft in drafts}
    return [last[binding] for binding in sorted(last)]


def _terms(row: Row[Any]) -> Terms:
    """The terms of a row, with the effective time that the row has now."""
    return _taking_effect(Terms.unpack(row.terms), row.effective_at_ms)


def _taking_effect(terms: Terms, at_ms: int) -> Terms:
    return terms if terms.effective_at_ms == at_ms else replace(terms, effective_at_ms=at_ms)


def _note_times(connection: Connection, rows: Sequence[Row[Any]], drafts: Sequence[Draft]) -> None:
    """Store the times at which moved rows now take effect: later changes are compared with them."""
    moved = [
        {"row": row.id, "moved_to_ms": draft.terms.effective_at_ms}
        for row, draft in zip(rows, drafts, strict=True)
        if draft.terms.effective_at_ms != row.effective_at_ms
    ]
    if moved:
        table = schema.outbox
        query = update(table).where(table.c.id == bindparam("row")).values(effective_at_ms=bindparam("moved_to_ms"))
        connection.execute(query, moved)


def in_bounds(connection: Connection, drafts: Sequence[Draft], latest_ms: int) -> list[Draft]:
    """The drafts, none older than what was published for its binding before, and none later than `latest_ms`.

    The last statement is the valid one, so it takes effect no earlier than the one before it: platforms report the
    changes of an account in the order of these times. A time ahead comes from a clock that is ahead, the core's or this
    machine's. The change has happened, so it counts from the ledger's present time.
    """
    last = _last_published_ms(connection, {draft.binding for draft in drafts})
    ordered = []
    for draft in drafts:
        stated_ms = draft.terms.effective_at_ms
        earliest_ms = max(draft.floor_ms, last.get(draft.binding, 0))
        effective_at_ms = max(min(stated_ms, latest_ms), earliest_ms)
        last[draft.binding] = effective_at_ms
        moved = effective_at_ms != stated_ms
        ordered.append(replace(draft, terms=_taking_effect(draft.terms, effective_at_ms)) if moved else draft)
    return ordered


def _last_published_ms(connection: Connection, bindings: Collection[bytes]) -> dict[bytes, int]:
    """For each binding that was published before, the latest time that was published for it."""
    known, latest = schema.bindings.c.id, herds.last_published(schema.outbox.c.effective_at_ms)
    rows = connection.execute(select(known, latest).where(known.in_(bindings))).all()
    return {binding: last_ms for binding, last_ms in rows if last_ms is not None}


def mark_published(connection: Connection, up_to_id: int, number: int) -> None:
    """Note that the waiting rows up to an id are in publication `number`."""
    connection.execute(
        update(schema.outbox)
        .where(schema.outbox.c.publication.is_(None), schema.outbox.c.id <= up_to_id)
        .values(publication=number)
    )


def reachable_watermark_ms(connection: Connection, after_id: int, floor_ms: int, *, latest_ms: int, now_ms: int) -> int:
    """How far the watermark may move once the rows up to `after_id` are published; never below `floor_ms`.

    It is the core's own `as_of_ms`, but stays below the time from which any waiting row holds it back, and below the
    latest time that the ledger accepted when the core's entry came in (a row of that moment may have to count from
    there).
    """
    holding = connection.execute(
        select(func.min(schema.outbox.c.holds_from_ms)).where(
            schema.outbox.c.publication.is_(None), schema.outbox.c.id > after_id
        )
    ).scalar_one_or_none()
    entry = _last_entry(connection)
    age_ms = now_ms - entry.received_at_ms if entry is not None else -1
    if entry is None or age_ms < 0:
        # This clock was set back: the time of the core's entry is unknown, and a silent core must not look active.
        return floor_ms
    reachable_ms: int = min(entry.as_of_ms, latest_ms - age_ms - 1)
    return max(floor_ms, reachable_ms if holding is None else min(reachable_ms, holding - 1))


def watermark_floor_ms(last: Row[Any] | None, deployment: Deployment) -> int:
    """The watermark that this deployment will have once everything signed is in blocks."""
    return last.watermark_ms if last is not None and last.number > deployment.base_number else 0
