"""The node's part of the sync trail: where each change and each publication is, with times."""

from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Row, func, select

from standing.ledger.errors import NotFound
from standing.node.publishing import outbox
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase


class PublicationHops(BaseModel):
    """The hops of one publication; null where a hop is not reached yet."""

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
    complete: bool = Field(description="false while more parts of the entry are to come")
    publications: list[PublicationHops]
    on_ledger: bool = Field(
        description="Whether all its attestations are in blocks. An entry without changes has none: it is on the "
        "ledger once the bank's watermark has reached it"
    )


class BindingHop(BaseModel):
    """One attestation of a binding on its way; `publication` is null while it waits.

    An attestation from the feed has an `entry_as_of_ms` and a `received_at_ms`; one that a request has queued, such as
    a grant or a resync, has a `queued_at_ms`.
    """

    effective_at_ms: int
    entry_as_of_ms: int | None
    received_at_ms: int | None
    queued_at_ms: int | None
    publication: PublicationHops | None


class BindingTrail(BaseModel):
    """The newest attestations of a binding, newest first."""

    binding: str
    hops: list[BindingHop]


_NEWEST = 20

#: All columns of a publication's row except its content.
_HOPS = tuple(schema.publications.c[name] for name in PublicationHops.model_fields)


class Trail:
    """Answers where a change is."""

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
            its = schema.outbox.c.entry_as_of_ms == as_of_ms
            waits = select(func.count()).where(its, schema.outbox.c.publication.is_(None))
            waiting = connection.execute(waits).scalar_one()
            # The database counts: an entry may have a hundred thousand attestations.
            numbers = select(schema.outbox.c.publication).where(its).distinct()
            rows = connection.execute(
                select(*_HOPS).where(schema.publications.c.number.in_(numbers)).order_by(schema.publications.c.number)
            ).all()
            # A later entry makes up for one that was never completed.
            complete = outbox.last_as_of_ms(connection) >= as_of_ms
            reached = entry.changes > 0 or (outbox.watermark_in_block_ms(connection) or 0) >= as_of_ms
        publications = [_publication(row) for row in rows]
        return ChangeTrail(
            as_of_ms=entry.as_of_ms,
            received_at_ms=entry.received_at_ms,
            changes=entry.changes,
            attestations=entry.attestations,
            waiting=waiting,
            publications=publications,
            complete=complete,
            on_ledger=reached
            and complete
            and waiting == 0
            and all(hops.in_block_at_ms is not None for hops in publications),
        )

    def binding(self, platform: str | None, binding: bytes) -> BindingTrail:
        """The newest attestations of a binding, if `platform` is None or its own. Raises: NotFound."""
        with self._database.read() as connection:
            owner = connection.execute(
                select(schema.bindings.c.platform).where(schema.bindings.c.id == binding)
            ).scalar_one_or_none()
            if owner is None or platform not in {None, owner}:
                raise NotFound("there is no such binding")
            rows = connection.execute(
                select(
                    schema.outbox.c.effective_at_ms,
                    schema.outbox.c.entry_as_of_ms,
                    schema.outbox.c.queued_at_ms,
                    schema.feed_entries.c.received_at_ms,
                    *_HOPS,
                )
                .outerjoin(schema.publications, schema.publications.c.number == schema.outbox.c.publication)
                .outerjoin(schema.feed_entries, schema.feed_entries.c.as_of_ms == schema.outbox.c.entry_as_of_ms)
                .where(schema.outbox.c.binding_id == binding)
                .order_by(schema.outbox.c.id.desc())
                .limit(_NEWEST)
            ).all()
        hops = [
            BindingHop(
                effective_at_ms=row.effective_at_ms,
                entry_as_of_ms=row.entry_as_of_ms,
                received_at_ms=row.received_at_ms,
                queued_at_ms=row.queued_at_ms,
                publication=_publication(row) if row.number is not None else None,
            )
            for row in rows
        ]
        return BindingTrail(binding="0x" + binding.hex(), hops=hops)


def _publication(row: Row[Any]) -> PublicationHops:
    return PublicationHops(
        number=row.number,
        signed_at_ms=row.signed_at_ms,
        submitted_at_ms=row.submitted_at_ms,
        transaction_hash="0x" + row.transaction_hash.hex() if row.transaction_hash is not None else None,
        in_block_at_ms=row.in_block_at_ms,
        block_number=row.block_number,
    )
