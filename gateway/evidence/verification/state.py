"""Checks 3 and 4: the block, and the record in its state, as stated by the node or by a storage proof."""

from collections.abc import Mapping
from typing import Any

from standing.gateway.decisions.rules import Reason
from standing.gateway.evidence.claims import EvidenceClaims, RecordClaims
from standing.gateway.evidence.verification.case import Evidence, VerifierInputs
from standing.gateway.evidence.verification.ledger_view import LedgerView
from standing.gateway.evidence.verification.lines import Lines
from standing.ledger.chain.codec import Record
from standing.ledger.chain.proofs import Header, ProofWrong, Proved, parse_header, prove
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable
from standing.ledger.service.times import iso, seconds

#: A block's time is in whole seconds.
_SECOND_MS = 1_000
#: Parts of the errors by which nodes report a pruned state. They share no error code for it.
_PRUNED = (
    "prune",
    "missing trie node",
    "not available",
    "unavailable",
    "no state",
    "historical state",
    "header not found",
    "archive",
    "too old",
    "failed to load state",
    "world state",
)


def check_block(lines: Lines, claims: EvidenceClaims, block_number: int, ledger: LedgerView) -> None:
    """3: the ledger has the block, with the hash that evidence names, and it is not from after the decision."""
    try:
        head = ledger.head(block_number)
    except LedgerUnreachable as error:
        lines.unknown(3, f"block {block_number} cannot be read: {error}")
        return
    named = claims.block_hash
    if named is not None and head.hash.hex() != named[2:]:
        lines.fails(
            3,
            f"block {block_number} has the hash 0x{head.hash.hex()}, the evidence names {named}: "
            "another chain, or one that was reorganised",
        )
    else:
        hash_text = "with the hash that the evidence names" if named is not None else "(the evidence names no hash)"
        _check_time(lines, claims, head.time_s, f"block {block_number} of {iso(head.time_s * 1000)} {hash_text}")


def check_header(lines: Lines, claims: EvidenceClaims, block: Mapping[str, Any]) -> Header | None:
    """3, offline: the header hashes to what evidence names. Returns: the header, where it does."""
    try:
        header = parse_header(block)
    except ProofWrong as error:
        lines.fails(3, str(error))
        return None
    if claims.block_hash is None:
        lines.unknown(3, "the evidence names no block hash to compare the header with")
        return None
    if header.hash.hex() != claims.block_hash[2:] or header.number != claims.block_number:
        lines.fails(
            3,
            f"the header is of block {header.number} and hashes to 0x{header.hash.hex()} by Ethereum's rule; "
            f"the evidence names block {claims.block_number}, {claims.block_hash}",
        )
        return None
    text = f"the header of block {header.number}, {iso(header.time_s * 1000)}, has the hash that the evidence names"
    return header if _check_time(lines, claims, header.time_s, text) else None


def check_record(
    lines: Lines,
    claims: EvidenceClaims,
    record: RecordClaims,
    block_number: int,
    evidence: Evidence,
    means: VerifierInputs,
    ledger: LedgerView,
) -> None:
    """4: the state of the block holds exactly the record; by a storage proof where the node has pruned that state."""
    try:
        reading = ledger.read(claims.bank, claims.binding_id, block_number)
    except LedgerMismatch as error:
        lines.fails(4, str(error))
    except LedgerUnreachable as error:
        if evidence.block is not None and evidence.proof is not None:
            _check_by_own_proof(lines, claims, record, evidence, means, evidence.block)
        elif any(sign in str(error).lower() for sign in _PRUNED):
            lines.unknown(
                4,
                f"the node has pruned the state of block {block_number}: ask an archive node, or verify evidence "
                "with a storage proof",
            )
        else:
            lines.unknown(4, str(error))
    else:
        if reading.block_number != block_number:
            lines.fails(4, f"the node answers for block {reading.block_number}, asked for block {block_number}")
        else:
            _compare(lines, record.record(), reading.records[0], f"the state of block {block_number}")


def check_proof(
    lines: Lines,
    claims: EvidenceClaims,
    record: RecordClaims,
    evidence: Evidence,
    means: VerifierInputs,
    header: Header,
) -> Proved | None:
    """4, offline: the storage proof leads from the header to exactly the record. Returns: what the state proves."""
    if evidence.proof is None:
        lines.unknown(4, "the evidence contains no storage proof")
        return None
    try:
        proved = prove(evidence.proof, header, contract=means.contract, bank=claims.bank, binding=claims.binding_id)
    except ProofWrong as error:
        lines.fails(4, str(error))
        return None
    _compare(lines, record.record(), proved.record, f"the storage proof under block {header.number}")
    return proved


def _check_by_own_proof(
    lines: Lines,
    claims: EvidenceClaims,
    record: RecordClaims,
    evidence: Evidence,
    means: VerifierInputs,
    block: Mapping[str, Any],
) -> None:
    """The node gave the block's hash (3); the evidence's own header counts where it has that hash."""
    try:
        header = parse_header(block)
    except ProofWrong as error:
        lines.fails(4, str(error))
        return
    if claims.block_hash is None or header.hash.hex() != claims.block_hash[2:]:
        lines.fails(4, "the header with the storage proof is not that of the block that the evidence names")
        return
    check_proof(lines, claims, record, evidence, means, header)


def _compare(lines: Lines, stated: Record, found: Record, where: str) -> None:
    differing = [name for name in Record._fields if getattr(stated, name) != getattr(found, name)]
    if differing:
        lines.fails(4, f"{where} differs from the evidence in: {', '.join(differing)}")
    else:
        lines.holds(4, f"{where} holds exactly this record: publication {stated.publication}")


def _check_time(lines: Lines, claims: EvidenceClaims, block_time_s: int, text: str) -> bool:
    """3, its last part: the block is not from after the decision, as far as the clocks show.

    The clocks of validators and gateway differ. The decision tolerates a bank's watermark that is ahead of the
    gateway's clock by the policy's allowance, and this check tolerates the same of a block's time. Beyond it the
    decision ends with `bank_silent` whatever else applies: it states that the clocks differ, and approves nothing.
    Returns: whether it holds.
    """
    ahead_ms = block_time_s * 1000 - claims.decided_at_ms
    if ahead_ms <= 0:
        lines.holds(3, text)
        return True
    allowed_ms = max(claims.policy.ahead_allowance_ms, _SECOND_MS)
    clock = f"{seconds(ahead_ms)} ahead of the gateway's clock"
    record = claims.record
    if ahead_ms <= allowed_ms:
        lines.holds(3, f"{text}; {clock}, within the {seconds(allowed_ms)} that the policy allows clocks to differ")
        return True
    if (
        claims.reason is Reason.BANK_SILENT
        and record is not None
        and record.watermark_ms > claims.decided_at_ms + claims.policy.ahead_allowance_ms
    ):
        lines.holds(3, f"{text}; {clock}: one of the clocks is wrong, and the decision was bank_silent because of it")
        return True
    lines.fails(
        3,
        f"the block is of {iso(block_time_s * 1000)}, after the decision: {clock}, "
        f"and clocks may differ by {seconds(allowed_ms)}",
    )
    return False
