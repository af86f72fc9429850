"""What a binding is, ready to use, and how its records open."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.errors import TermsUnreadable


@dataclass(frozen=True, slots=True)
class Bound:
    """What a binding is, ready to use: its names, its key, the tags of its user, and the time zone of its bank's days.

    Of these only the tags ever change, where the user's name, document or phone changes on the platform.
    `account` is a keyed hash of bank and number: two bindings of one account, one after the other, share a daily limit.
    """

    binding: bytes
    bank: str
    bank_bytes: bytes
    account: bytes
    key: bytes
    tags: IdentityTags
    zone: ZoneInfo

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"Bound(bank={self.bank!r}, binding=0x{self.binding.hex()})"


def open_record(record: Record, bound: Bound) -> Terms | None:
    """The terms of a record; None where there is no record, or it does not open with the binding's key."""
    if record.publication == 0:
        return None
    try:
        return unseal(
            record.tag,
            record.sealed_terms,
            key=bound.key,
            bank=bound.bank,
            binding=bound.binding,
            publication=record.publication,
            effective_at_ms=record.effective_at_ms,
        )
    except TermsUnreadable:
        return None


def adopt(tags: bytes, unvouched: str, stated: IdentityTags) -> bytes:
    """The 12 bytes of `tags`, with those of the `unvouched` fields (comma-separated) as the bank states them."""
    adopted = IdentityTags.unpack(tags)
    return replace(adopted, **{field: getattr(stated, field) for field in unvouched.split(",")}).pack()
