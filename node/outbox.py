"""The outbox: terms on their way to the ledger, in the order in which they were stated, and the next publication.

The watermark of a publication is the core's own `as_of_ms`, and never passes a row that is not yet published: each row
names the time from which it holds the watermark back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from ledger.publication import Attestation, Domain, Publication, Signer
from ledger.sealing import derive_binding_key, seal
from ledger.terms import Terms
from node import schema

_ATTESTATION_SIZE = 128
_FIRST_PREVIOUS = bytes(32)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who publishes: the bank, its secret for binding keys, its signer."""

    bic: str
    secret: bytes
    signer: Signer


def put(
    connection: Connection,
    *,
    binding: bytes,
    effective_at_ms: int,
    terms: Terms,
    holds_from_ms: int,
    entry_as_of_ms: int | None = None,
) -> None:
    """Queue terms of a binding; inside the transaction that changes what they state.

    `holds_from_ms`: the first time that the watermark may not reach before this is published; all up to the feed entry
    before may have been promised already. `entry_as_of_ms` names the entry that the terms come from, if any.
    """
    connection.execute(
        insert(schema.outbox).values(
            binding_id=binding,
            effective_at_ms=effective_at_ms,
            terms=terms.pack(),
            holds_from_ms=holds_from_ms,
            entry_as_of_ms=entry_as_of_ms,
        )
    )


def last_as_of_ms(connection: Connection) -> int:
    """How far the core has spoken; 0 before it has at all."""
    return int(connection.execute(select(func.coalesce(func.max(schema.feed_entries.c.as_of_ms), 0))).scalar_one())


def waiting(connection: Connection) -> int:
    """How many rows wait to be published."""
    query = select(func.count()).select_from(schema.outbox).where(schema.outbox.c.publication.is_(None))
    return int(connection.execute(query).scalar_one())


def last_publication(connection: Connection) -> Row[Any] | None:
    """The publication signed last, whether it is on the ledger or not."""
    query = select(schema.publications).order_by(schema.publications.c.number.desc()).limit(1)
    return connection.execute(query).one_or_none()


def sign_next(
    connection: Connection, issuer: Issuer, domain: Domain, *, max_attestations: int, now_ms: int
) -> Publication | None:
    """Seal and sign the next publication and store it; inside one transaction, before anything is sent.

    Takes the waiting rows in order, at most `max_attestations`; without any it is a heartbeat. Returns None where there
    is nothing to say: no row waits and the watermark would not move.
    """
    rows = connection.execute(
        select(schema.outbox, schema.bindings.c.platform)
        .join(schema.bindings, schema.bindings.c.id == schema.outbox.c.binding_id)
        .where(schema.outbox.c.publication.is_(None))
        .order_by(schema.outbox.c.id)
        .limit(max_attestations + 1)
    ).all()
    batch, left_over = rows[:max_attestations], rows[max_attestations:]
    last = last_publication(connection)
    watermark_ms = last_as_of_ms(connection)
    if left_over:
        watermark_ms = min(watermark_ms, left_over[0].holds_from_ms - 1)
    if last is not None:
        watermark_ms = max(watermark_ms, last.watermark_ms)
    if not batch and (last.watermark_ms if last is not None else 0) == watermark_ms:
        return None
    number = last.number + 1 if last is not None else 1
    publication = Publication(
        domain=domain,
        bank=issuer.bic,
        number=number,
        previous=last.digest if last is not None else _FIRST_PREVIOUS,
        watermark_ms=watermark_ms,
        attestations=tuple(_attest(row, issuer, number) for row in batch),
    )
    _store(connection, publication, issuer.signer, now_ms)
    if batch:
        connection.execute(
            update(schema.outbox)
            .where(schema.outbox.c.publication.is_(None), schema.outbox.c.id <= batch[-1].id)
            .values(publication=number)
        )
    return publication


def _attest(row: Row[Any], issuer: Issuer, number: int) -> Attestation:
    tag, sealed_terms = seal(
        Terms.unpack(row.terms),
        key=derive_binding_key(issuer.secret, row.binding_id, row.platform),
        bank=issuer.bic,
        binding=row.binding_id,
        publication=number,
        effective_at_ms=row.effective_at_ms,
    )
    return Attestation(row.binding_id, row.effective_at_ms, tag, sealed_terms)


def _store(connection: Connection, publication: Publication, signer: Signer, now_ms: int) -> None:
    connection.execute(
        insert(schema.publications).values(
            number=publication.number,
            chain_id=publication.domain.chain_id,
            contract=publication.domain.contract,
            previous=publication.previous,
            watermark_ms=publication.watermark_ms,
            digest=publication.digest,
            attestations=b"".join(attestation.words for attestation in publication.attestations),
            signer=signer.address,
            signature=signer.sign(publication.digest),
            signed_at_ms=now_ms,
        )
    )


def stored_publication(row: Row[Any], bic: str) -> Publication:
    """The publication of a stored row, exactly as it was signed."""
    words: bytes = row.attestations
    attestations = tuple(
        Attestation(
            binding=words[at : at + 32],
            effective_at_ms=int.from_bytes(words[at + 32 : at + 64], "big"),
            tag=words[at + 64 : at + 80],
            sealed_terms=words[at + 96 : at + 128],
        )
        for at in range(0, len(words), _ATTESTATION_SIZE)
    )
    return Publication(
        Domain(row.chain_id, row.contract), bic, row.number, row.previous, row.watermark_ms, attestations
    )


def unfinished(connection: Connection) -> Sequence[Row[Any]]:
    """The signed publications that are not known to be in a block, in order."""
    return connection.execute(
        select(schema.publications)
        .where(schema.publications.c.in_block_at_ms.is_(None))
        .order_by(schema.publications.c.number)
    ).all()
