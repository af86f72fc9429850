"""Herds: bindings that are published together, so that the ledger does not show which of them has changed.

Anyone who reads the ledger sees which records each publication writes. Two bindings of one account change in the same
publications again and again, so without cover they are soon known to be one holder's. A binding therefore joins a herd
when it is granted, and a change of one member publishes all of them, sealed again. It shows only that somebody in
the herd has changed. Bindings of one account, and of one holder where the bank has the document, are in one herd:
what truly belongs together would otherwise occur together more often than chance.

A herd is filled in the order of grants. It grows past its size where one account or holder needs more room, up to
MAX_MEMBERS. With the size 1 there are no herds, and no cover.

Members that have ended go on giving cover. One that was replaced would otherwise be seen for the last time in the
publication in which its successor is seen for the first time, and two that end together would vanish together.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, exists, func, or_, select, update

from standing.ledger.attestations.terms import Terms
from standing.node.storage import schema
from standing.node.storage.database import in_chunks

#: The most bindings of one herd that have not ended. An account has at most 32.
MAX_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Cover:
    """A member whose terms are stated again as they are on the ledger, or on their way to it."""

    binding: bytes
    platform: str
    terms: Terms


def join(connection: Connection, account_id: int, size: int) -> int | None:
    """The herd for a new binding of an account, the same as for the account's or its holder's other bindings; None if
    herds are off. Bindings of the account that have no herd, because they were granted before there were any, join the
    same herd.

    If a herd has more ended members than its size, one of them leaves: otherwise a binding that is replaced over and
    over would make its herd grow forever.
    """
    if size == 1:
        return None
    table, accounts = schema.bindings, schema.accounts
    holder = select(accounts.c.holder_lookup).where(accounts.c.id == account_id).scalar_subquery()
    its_own = table.c.account_id == account_id
    same_holder = table.c.account_id.in_(select(accounts.c.id).where(accounts.c.holder_lookup == holder))
    herd = connection.execute(
        select(table.c.herd)
        .where(or_(its_own, same_holder), table.c.herd.is_not(None), table.c.ended_at_ms.is_(None))
        .order_by(table.c.account_id != account_id, table.c.herd.desc())
        .limit(1)
    ).scalar_one_or_none()
    if herd is None or _members(connection, herd, active=True) >= MAX_MEMBERS:
        herd = connection.execute(select(func.max(table.c.herd))).scalar_one_or_none() or 1
        if _members(connection, herd) >= size:
            herd += 1
    active = table.c.ended_at_ms.is_(None)
    connection.execute(update(table).where(its_own, active, table.c.herd.is_(None)).values(herd=herd))
    _leave(connection, herd, size)
    return int(herd)


def _leave(connection: Connection, herd: int, size: int) -> None:
    """If more than `size` members of a herd have ended, remove one that has nothing waiting to be published. It is
    chosen at random: a fixed order of leaving would show the order in which bindings were replaced. The one that ended
    last stays, because it must be seen again after its successor.
    """
    table, waiting = schema.bindings, schema.outbox.c
    ended = (table.c.herd == herd, table.c.ended_at_ms.is_not(None))
    if connection.execute(select(func.count()).where(*ended)).scalar_one() <= size:
        return
    waits = exists().where(waiting.binding_id == table.c.id, waiting.publication.is_(None))
    newest_first = select(table.c.id).where(*ended, ~waits).order_by(table.c.ended_at_ms.desc())
    may_leave = connection.execute(newest_first.offset(1)).scalars().all()
    if may_leave:
        connection.execute(update(table).where(table.c.id == secrets.choice(may_leave)).values(herd=None))


def _members(connection: Connection, herd: int, *, active: bool = False) -> int:
    table = schema.bindings.c
    query = select(func.count()).where(table.herd == herd)
    return int(connection.execute(query.where(table.ended_at_ms.is_(None)) if active else query).scalar_one())


def cover(connection: Connection, bindings: Iterable[bytes], size: int) -> dict[bytes, list[Cover]]:
    """For each binding, the other members of its herd that the ledger knows, as they were last stated; empty if herds
    are off by `size`."""
    if size == 1:
        return {}
    herd_of = _herds(connection, bindings)
    members: dict[int, list[Any]] = {}
    for chunk in in_chunks(sorted(set(herd_of.values()))):
        table = schema.bindings.c
        for row in connection.execute(select(table.id, table.platform, table.herd).where(table.herd.in_(chunk))):
            members.setdefault(row.herd, []).append(row)
    stated = _last_stated(connection, [row.id for rows in members.values() for row in rows])
    return {
        binding: [
            Cover(row.id, row.platform, stated[row.id])
            for row in members[herd]
            if row.id != binding and row.id in stated
        ]
        for binding, herd in herd_of.items()
    }


def _herds(connection: Connection, bindings: Iterable[bytes]) -> dict[bytes, int]:
    table = schema.bindings.c
    return {
        row.id: row.herd
        for chunk in in_chunks(list(dict.fromkeys(bindings)))
        for row in connection.execute(select(table.id, table.herd).where(table.id.in_(chunk), table.herd.is_not(None)))
    }


def _last_stated(connection: Connection, bindings: Sequence[bytes]) -> dict[bytes, Terms]:
    """The terms of each binding in the newest publication that stated it for its own sake, not as cover."""
    table, known = schema.outbox.c, schema.bindings.c
    newest = last_published(table.id)
    stated = {}
    for chunk in in_chunks(bindings):
        of_each = select(newest).where(known.id.in_(chunk))
        query = select(table.binding_id, table.terms, table.effective_at_ms).where(table.id.in_(of_each))
        for row in connection.execute(query):
            stated[row.binding_id] = replace(Terms.unpack(row.terms), effective_at_ms=row.effective_at_ms)
    return stated


def last_published(column: ColumnElement[int]) -> ScalarSelect[int]:
    """A subquery, for a query over bindings: a column of the outbox row that was published last for the binding.

    One look into the index for each binding: its times never go back, and a walk through its whole history would take
    longer with every publication.
    """
    table = schema.outbox.c
    return (
        select(column)
        .where(table.binding_id == schema.bindings.c.id, table.publication.is_not(None))
        .order_by(table.effective_at_ms.desc(), table.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def fitting(changed: Sequence[bytes], covers: Mapping[bytes, Sequence[Cover]], limit: int) -> tuple[int, list[Cover]]:
    """How many of `changed`, in order, fit together with their herds into a publication of `limit` records, and the
    cover that goes with them.

    A herd is published as a whole. Only a herd that alone exceeds the limit is cut, for example after the network
    lowered the limit: the change must not wait forever.
    """
    taken: set[bytes] = set()
    given: dict[bytes, Cover] = {}
    together: set[bytes] = set()
    for count, binding in enumerate(changed):
        herd = {each.binding: each for each in covers.get(binding, ())}
        more = (herd.keys() | {binding}) - together
        if len(together) + len(more) > limit:
            if count:
                return count, [each for key, each in given.items() if key not in taken]
            kept = sorted(herd)[: limit - 1]
            return 1, [herd[key] for key in kept]
        together |= more
        taken.add(binding)
        given |= herd
    return len(changed), [each for key, each in given.items() if key not in taken]
