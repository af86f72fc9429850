"""Publications: signed and stored before anything is sent, and kept until they are in a block."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, update

from standing.ledger.attestations.publication import ATTESTATION_SIZE, Attestation, Domain, Publication, Signer
from standing.ledger.attestations.sealing import seal
from standing.node.publishing import outbox
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.outbox import Draft, Issuer
from standing.node.storage import schema

_FIRST_PREVIOUS = bytes(32)

#: A reorg undoes only a few publications. A ledger that lacks more has been set up anew, which an operator must look
#: at.
MAX_UNDONE = 64

_log = structlog.get_logger()


def sign(
    connection: Connection,
    issuer: Issuer,
    deployment: Deployment,
    last: Row[Any] | None,
    attestations: Callable[[int], Sequence[Attestation]],
    *,
    watermark_ms: int,
    now_ms: int,
) -> Publication:
    """Sign the publication after `last` and store it, inside one transaction and before anything is sent.

    `attestations` returns the batch, sealed for the number that it is called with.
    """
    number = last.number + 1 if last is not None else 1
    publication = Publication(
        domain=deployment.domain,
        bank=issuer.bic,
        number=number,
        previous=last.digest if last is not None else _FIRST_PREVIOUS,
        watermark_ms=watermark_ms,
        attestations=tuple(attestations(number)),
    )
    _store(connection, publication, issuer.signer, now_ms)
    return publication


def sign_next(
    connection: Connection,
    issuer: Issuer,
    deployment: Deployment,
    *,
    max_attestations: int,
    latest_ms: int,
    now_ms: int,
) -> Publication | None:
    """Seal, sign and store the next publication: waiting rows with their herds, at most `max_attestations` records.

    Where no row waits, it is a heartbeat.

    `latest_ms`: the latest time that the ledger accepts now. Returns: None where there is nothing to publish,
    because no row waits and the watermark would not move.
    """
    drafts, last_id = outbox.next_drafts(connection, issuer.herd_size, max_attestations, latest_ms)
    last = outbox.last_publication(connection)
    floor_ms = outbox.watermark_floor_ms(last, deployment)
    watermark_ms = outbox.reachable_watermark_ms(connection, last_id, floor_ms, latest_ms=latest_ms, now_ms=now_ms)
    if not drafts and watermark_ms == floor_ms:
        return None
    publication = sign(
        connection,
        issuer,
        deployment,
        last,
        lambda number: [attest(draft, issuer, number) for draft in drafts],
        watermark_ms=watermark_ms,
        now_ms=now_ms,
    )
    outbox.mark_published(connection, last_id, publication.number)
    return publication


def attest(draft: Draft, issuer: Issuer, number: int) -> Attestation:
    """Seal a draft for its platform, in publication `number`."""
    tag_and_head, tail = seal(
        draft.terms,
        key=issuer.secret.binding_key(draft.binding, draft.platform),
        bank=issuer.bic,
        binding=draft.binding,
        publication=number,
    )
    return Attestation(draft.binding, tag_and_head, tail)


def _store(connection: Connection, publication: Publication, signer: Signer, now_ms: int) -> None:
    connection.execute(
        insert(schema.publications).values(
            **publication_columns(publication),
            signer=signer.address,
            signature=signer.sign(publication.digest),
            signed_at_ms=now_ms,
        )
    )


def publication_columns(publication: Publication) -> dict[str, Any]:
    """A publication's content as its row holds it."""
    return {
        "number": publication.number,
        "chain_id": publication.domain.chain_id,
        "contract": publication.domain.contract,
        "previous": publication.previous,
        "watermark_ms": publication.watermark_ms,
        "digest": publication.digest,
        "attestations": b"".join(attestation.words for attestation in publication.attestations),
    }


def stored_publication(row: Row[Any], bic: str) -> Publication:
    """The publication of a stored row, exactly as it was signed."""
    attestations = tuple(map(Attestation.of_words, words_of(row)))
    return Publication(
        Domain(row.chain_id, row.contract), bic, row.number, row.previous, row.watermark_ms, attestations
    )


def words_of(row: Row[Any]) -> list[bytes]:
    """The attestations of a stored row, each as its words on the ledger."""
    words: bytes = row.attestations
    return [words[at : at + ATTESTATION_SIZE] for at in range(0, len(words), ATTESTATION_SIZE)]


def give_up(connection: Connection, signed: Sequence[Row[Any]], bic: str) -> set[bytes]:
    """Discard the store's newest publications, which can never enter a block. Their content waits again.

    Their digests are logged, as a record of what this bank has signed. Returns: the bindings in them.
    """
    bindings: set[bytes] = set()
    for row in signed:
        bindings.update(attestation.binding for attestation in stored_publication(row, bic).attestations)
        _log.warning("publication_given_up", number=row.number, digest=f"0x{row.digest.hex()}", signer=row.signer)
    numbers = [row.number for row in signed]
    waiting = schema.outbox
    connection.execute(update(waiting).where(waiting.c.publication.in_(numbers)).values(publication=None))
    for table, column in ((schema.transactions, "publication"), (schema.publications, "number")):
        connection.execute(delete(table).where(table.c[column].in_(numbers)))
    return bindings


def undo(connection: Connection, after: int, bic: str) -> int:
    """Mark the publications after number `after` as not in a block. Returns: how many. Marks nothing and returns 0 if
    there are more than `MAX_UNDONE`, or if one of them cannot be sent again because a recovery rebuilt it without its
    content.
    """
    table = schema.publications
    rows = connection.execute(select(table).where(table.c.number > after).limit(MAX_UNDONE + 1)).all()
    if len(rows) > MAX_UNDONE or any(stored_publication(row, bic).digest != row.digest for row in rows):
        return 0
    connection.execute(
        update(table)
        .where(table.c.number > after)
        .values(in_block_at_ms=None, block_number=None, transaction_hash=None)
    )
    return len(rows)


def unfinished(connection: Connection, base_number: int = 0) -> Sequence[Row[Any]]:
    """The signed publications after `base_number` that are not known to be in a block, in order."""
    return connection.execute(
        select(schema.publications)
        .where(schema.publications.c.in_block_at_ms.is_(None), schema.publications.c.number > base_number)
        .order_by(schema.publications.c.number)
    ).all()
