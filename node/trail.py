"""The node's part of the sync trail: where each change and each publication is, with its times."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, select

from ledger.errors import NotFound
from node import outbox, schema
from node.storage import NodeDatabase


class PublicationHops(BaseModel):
    """The hops of one publication; null where it has not come to yet."""

    number: int
    signed_at_ms: int
    submitted_at_ms: int | None
    transaction_hash: str | None
    in_block_at_ms: int | None
    block_number: int | None


class ChangeTrail(BaseModel):
    """Where the attestations of one feed entry are."""

    as_of_ms: int
    received_at_ms: int
    changes: int
    attestations: int
    waiting: int
    #: Whether everything up to its time is said; false while more parts of it are to come.
    complete: bool
    publications: list[PublicationHops]
    on_ledger: bool


class BindingHop(BaseModel):
    """One attestation of a binding on its way; `publication` is null while it waits."""

    effective_at_ms: int
    entry_as_of_ms: int | None
    received_at_ms: int | None
    publication: PublicationHops | None


class BindingTrail(BaseModel):
    """The newest attestations of a binding, newest first."""

    binding: str
    hops: list[BindingHop]


_NEWEST = 20


class Trail:
    """Answers where things are."""

    def __init__(self, database: NodeDatabase) -> None:
        self._database = database

    def entry(self, as_of_ms: int) -> ChangeTrail:
        """Where the attestations of a feed entry are. Raises: NotFound."""
        with self._database.read() as connection:
            entry = connection.execute(
                select(schema.feed_entries).where(schema.feed_entries.c.as_of_ms == as_of_ms)
            ).one_or_none()
            if entry is None:
                raise NotFound(f"there is no feed entry of {as_of_ms}")
            rows = _hops(connection, schema.outbox.c.entry_as_of_ms == as_of_ms)
            # A later entry makes good for one that was never completed.
            complete = outbox.last_as_of_ms(connection) >= as_of_ms
        waiting = sum(1 for row in rows if row.publication is None)
        publications = {row.number: _publication(row) for row in rows if row.number is not None}
        return ChangeTrail(
            as_of_ms=entry.as_of_ms,
            received_at_ms=entry.received_at_ms,
            changes=entry.changes,
            attestations=entry.attestations,
            waiting=waiting,
            publications=[publications[number] for number in sorted(publications)],
            complete=complete,
            on_ledger=complete
            and waiting == 0
            and all(hops.in_block_at_ms is not None for hops in publications.values()),
        )

    def binding(self, platform: str | None, binding: bytes) -> BindingTrail:
        """The newest attestations of a binding, of `platform` only where one is given. Raises: NotFound."""
        with self._database.read() as connection:
            owner = connection.execute(
                select(schema.bindings.c.platform).where(schema.bindings.c.id == binding)
            ).scalar_one_or_none()
            if owner is None or platform not in {None, owner}:
                raise NotFound("there is no such binding")
            rows = _hops(connection, schema.outbox.c.binding_id == binding)
        hops = [
            BindingHop(
                effective_at_ms=row.effective_at_ms,
                entry_as_of_ms=row.entry_as_of_ms,
                received_at_ms=row.received_at_ms,
                publication=_publication(row) if row.number is not None else None,
            )
            for row in reversed(rows)
        ]
        return BindingTrail(binding="0x" + binding.hex(), hops=hops[:_NEWEST])


def _hops(connection: Any, condition: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Outbox rows with their entry and publication, in order."""
    return connection.execute(  # type: ignore[no-any-return]
        select(schema.outbox, schema.publications, schema.feed_entries.c.received_at_ms)
        .outerjoin(schema.publications, schema.publications.c.number == schema.outbox.c.publication)
        .outerjoin(schema.feed_entries, schema.feed_entries.c.as_of_ms == schema.outbox.c.entry_as_of_ms)
        .where(condition)
        .order_by(schema.outbox.c.id)
    ).all()


def _publication(row: Row[Any]) -> PublicationHops:
    return PublicationHops(
        number=row.number,
        signed_at_ms=row.signed_at_ms,
        submitted_at_ms=row.submitted_at_ms,
        transaction_hash="0x" + row.transaction_hash.hex() if row.transaction_hash is not None else None,
        in_block_at_ms=row.in_block_at_ms,
        block_number=row.block_number,
    )
