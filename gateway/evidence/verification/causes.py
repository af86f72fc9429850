"""Check 13: whose statement, delay or silence a decision was based on.

A decision is judged by what the ledger said. Where the account had changed by then and the block that was read did not
show it, somebody was late, and this check names them: the bank, if its change reached the ledger after the decision;
the gateway's access to the ledger, if the change was there before and an older block was read.
"""

from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.decisions.rules import Reason
from standing.gateway.evidence.claims import EvidenceClaims, RecordClaims
from standing.gateway.evidence.verification.redo import opened, redo
from standing.ledger.attestations.publication import Attestation
from standing.ledger.attestations.terms import Terms
from standing.ledger.chain.codec import Record
from standing.ledger.chain.history import History, Signed
from standing.ledger.errors import InvalidValue
from standing.ledger.service.times import iso, seconds

#: How many later publications are searched for a late change.
MAX_SCANNED = 20_000


class Who(StrEnum):
    """The party whose statement or delay it was."""

    BANK_WORD = "bank_word"
    BANK_DELAY = "bank_delay"
    BANK_BROKE_ITS_WATERMARK = "bank_broke_its_watermark"
    BANK_SILENCE = "bank_silence"
    LEDGER_ACCESS_DELAY = "ledger_access_delay"
    GUARDIAN_WORD = "guardian_word"
    PLATFORM_WORD = "platform_word"
    GATEWAY_WORD = "gateway_word"


@dataclass(frozen=True, slots=True)
class Cause:
    """The party, and the whole sentence. Times in ms where known: changed, published (its block), decided."""

    who: Who
    text: str
    decided_at_ms: int
    changed_at_ms: int | None = None
    published_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Late:
    """A change that had taken effect when the decision was made, and was not in the block that was read."""

    attestation: Attestation
    effective_at_ms: int
    publication: int
    watermark_ms: int
    block_number: int
    block_time_ms: int


def find_cause(claims: EvidenceClaims, key: bytes | None, signed: Signed | None, history: History | None) -> Cause:
    """The cause; without a history, from the claims alone. Raises: LedgerUnreachable."""
    record = claims.record
    if record is None:
        return Cause(
            Who.GATEWAY_WORD,
            "the gateway's own statement that the ledger gave no answer in time; nothing on the ledger can confirm it",
            claims.decided_at_ms,
        )
    # The time of a change is sealed: without the key nobody can say whether it was late.
    if key is not None and history is not None and claims.block_number is not None:
        late = _late_change(claims, record, key, history)
        if late is not None:
            return _of_late(claims, record, key, late)
    if claims.reason is Reason.BANK_SILENT:
        return _of_silence(claims, record)
    others = {
        Reason.BANK_SUSPENDED: (Who.GUARDIAN_WORD, "the ledger's guardian had suspended the bank"),
        Reason.NO_ATTESTATION: (Who.BANK_WORD, "the bank had published nothing about this binding"),
        Reason.LEDGER_ROLLED_BACK: (
            Who.GATEWAY_WORD,
            f"the gateway's own statement that it had seen publication {claims.floor} before",
        ),
        Reason.RISK_HOLD: (Who.PLATFORM_WORD, f"the platform's own rule {claims.held_by}"),
    }
    if claims.ended:
        others[Reason.UNBOUND] = (
            Who.PLATFORM_WORD,
            "the platform's own statement that it had ended the binding itself",
        )
    if claims.reason in others:
        return Cause(*others[claims.reason], claims.decided_at_ms)
    terms = opened(claims, key, record.record()) if key is not None else None
    return _of_statement(claims, record, terms, signed, history)


def _of_statement(
    claims: EvidenceClaims, record: RecordClaims, terms: Terms | None, signed: Signed | None, history: History | None
) -> Cause:
    published_at_ms = None
    there = ""
    if signed is not None and history is not None:
        published_at_ms = history.time_ms(signed.placed.event.block_number)
        there = f", on the ledger at {iso(published_at_ms)}"
    return Cause(
        Who.BANK_WORD,
        f"the bank's statement{f' of {iso(terms.effective_at_ms)}' if terms is not None else ''} "
        f"(publication {record.publication}{there}), "
        f"which it vouched for up to {iso(record.watermark_ms)}; decided at {iso(claims.decided_at_ms)}",
        claims.decided_at_ms,
        changed_at_ms=terms.effective_at_ms if terms is not None else None,
        published_at_ms=published_at_ms,
    )


def _of_silence(claims: EvidenceClaims, record: RecordClaims) -> Cause:
    if record.watermark_ms == 0:
        text = "the bank's silence: it had never published on this ledger"
    elif record.watermark_ms > claims.decided_at_ms:
        text = (
            f"the bank's clock: it vouched up to {iso(record.watermark_ms)}, "
            f"{seconds(record.watermark_ms - claims.decided_at_ms)} after the decision"
        )
    else:
        text = (
            f"the bank's silence: its watermark is {iso(record.watermark_ms)}, "
            f"{seconds(claims.decided_at_ms - record.watermark_ms)} before the decision; "
            f"allowed: {seconds(claims.policy.max_staleness_ms)}"
        )
    return Cause(Who.BANK_SILENCE, text, claims.decided_at_ms)


def _of_late(claims: EvidenceClaims, record: RecordClaims, key: bytes, late: _Late) -> Cause:
    changed_at_ms = late.effective_at_ms
    times = (
        f"the account changed at {iso(changed_at_ms)}, which was published at {iso(late.block_time_ms)} "
        f"(publication {late.publication}, block {late.block_number}); decided at {iso(claims.decided_at_ms)} "
        f"on block {claims.block_number}"
    )
    if late.block_time_ms + 1_000 <= claims.decided_at_ms:  # a block's time is in whole seconds
        who, whose = Who.LEDGER_ACCESS_DELAY, "the gateway's access to the ledger was late"
    elif record.publication and changed_at_ms <= record.watermark_ms:
        # A watermark vouches for changes. The first attestation of a new binding describes an account as it was long
        # before.
        who = Who.BANK_BROKE_ITS_WATERMARK
        whose = f"the bank's delay, against its own watermark, which vouched up to {iso(record.watermark_ms)}"
    else:
        who, whose = Who.BANK_DELAY, "the bank's delay"
    return Cause(
        who,
        f"{whose}: {times}{_in_time(claims, key, late)}",
        claims.decided_at_ms,
        changed_at_ms=changed_at_ms,
        published_at_ms=late.block_time_ms,
    )


def _in_time(claims: EvidenceClaims, key: bytes, late: _Late) -> str:
    """The decision that the late attestation would have led to."""
    record = Record(
        late.publication,
        late.attestation.tag_and_head,
        late.attestation.tail,
        late.watermark_ms,
        False,
    )
    try:
        then = redo(claims, key, record)
    except InvalidValue:
        return ""  # check 12 has reported the fault in the claims
    return f"; in time, it would have been: {then.outcome}" + (f", {then.reason}" if then.reason is not None else "")


def _late_change(claims: EvidenceClaims, record: RecordClaims, key: bytes, history: History) -> _Late | None:
    """The first change after the block that was read which had taken effect by the time of the decision.

    Repeated terms, as after a resync, are not a change. The search ends with the first publication that vouches for
    that time: nothing may come after it.
    """
    assert claims.block_number is not None
    found, read = None, opened(claims, key, record.record())
    for scanned, placed in enumerate(history.after(claims.block_number, history.latest())):
        event = placed.event
        if claims.binding_id in event.bindings and (signed := history.signed(placed)) is not None:
            for attestation in signed.publication.attestations:
                if attestation.binding != claims.binding_id:
                    continue
                later = Record(event.number, attestation.tag_and_head, attestation.tail, event.watermark_ms, False)
                terms = opened(claims, key, later)
                if terms is not None and terms != read and terms.effective_at_ms <= claims.decided_at_ms:
                    found = (attestation, terms.effective_at_ms)
            if found is not None:
                time_ms = history.time_ms(event.block_number)
                return _Late(*found, event.number, event.watermark_ms, event.block_number, time_ms)
        if event.watermark_ms >= claims.decided_at_ms or scanned >= MAX_SCANNED:
            return None
    return None
