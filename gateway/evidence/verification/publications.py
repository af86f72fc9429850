"""Checks 5 to 8: the publications behind record and watermark, who signed them, and their place in the chain."""

from standing.gateway.evidence.claims import EvidenceClaims, RecordClaims
from standing.gateway.evidence.verification.lines import Lines
from standing.ledger.chain.history import History, Placed, Signed
from standing.ledger.errors import LedgerUnreachable


def check_publications(
    lines: Lines, claims: EvidenceClaims, record: RecordClaims, block_number: int, history: History
) -> Signed | None:
    """5 to 8. Returns: the publication that holds the record, where it does."""
    signed = None
    number = 5
    try:
        if record.publication:
            signed = _check_publication(lines, claims, record, block_number, history)
        number = 8
        _check_watermark(lines, record, history.newest(block_number), history)
    except LedgerUnreachable as error:
        lines.unknown(number, f"the ledger's history cannot be read: {error}")
    return signed


def _check_publication(
    lines: Lines, claims: EvidenceClaims, record: RecordClaims, block_number: int, history: History
) -> Signed | None:
    number = record.publication
    placed = history.publication(number, block_number)
    if placed is None:
        lines.fails(5, f"no publication {number} of {claims.bank} up to block {block_number}")
        return None
    signed = history.signed(placed)
    if signed is None:
        lines.fails(
            5,
            f"the transaction of publication {number} does not match its event, or does not follow the one before",
        )
        return None
    written = [item for item in signed.publication.attestations if item.binding == claims.binding_id]
    stated = record.record()
    sealed = (stated.tag_and_head, stated.tail)
    if not written or (written[-1].tag_and_head, written[-1].tail) != sealed:
        lines.fails(5, f"publication {number} has another record of this binding, or none")
        return None
    lines.holds(5, f"publication {number} in block {placed.event.block_number} holds the record")
    _check_signature(lines, 6, signed, history)
    _check_chain(lines, placed, history)
    return signed


def _check_signature(lines: Lines, line: int, signed: Signed, history: History) -> None:
    name = f"publication {signed.publication.number}"
    named = history.signer_of(signed.placed)
    if named is None:
        lines.fails(line, f"the ledger named no signer for the bank before {name}")
        return
    try:
        accepted = history.accepts(named.address, signed)
    except LedgerUnreachable as error:
        lines.unknown(line, f"{named.address} is no key that signed {name}, and is not seen as a contract: {error}")
        return
    if not accepted:
        lines.fails(line, f"{name} is not signed by {named.address}, the signer in force then")
    else:
        lines.holds(
            line,
            f"{name} is signed by {named.address}, "
            f"the signer in force since {named.event} in block {named.block_number}",
        )


def _check_chain(lines: Lines, placed: Placed, history: History) -> None:
    """Check the link to the next publication; the link to the previous one is part of the signed content (5)."""
    number = placed.event.number
    after = history.publication(number + 1, history.latest())
    if after is None:
        lines.holds(7, f"publication {number} continues the one before; there is none after it yet")
    elif history.signed(after) is None:
        lines.fails(7, f"publication {number + 1} does not continue publication {number}")
    else:
        lines.holds(7, f"publications {number - 1}, {number} and {number + 1} are links of one chain")


def _check_watermark(lines: Lines, record: RecordClaims, newest: Placed | None, history: History) -> None:
    published_ms = newest.event.watermark_ms if newest is not None else 0
    if published_ms != record.watermark_ms:
        lines.fails(8, f"the bank's newest publication states {published_ms}, the evidence {record.watermark_ms}")
    elif newest is None:
        lines.holds(8, "none: the bank had not published on this ledger yet")
    elif (signed := history.signed(newest)) is None or signed.publication.watermark_ms != published_ms:
        lines.fails(8, f"the transaction of publication {newest.event.number} does not match its event")
    else:
        _check_signature(lines, 8, signed, history)
