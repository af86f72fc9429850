"""A binding ready to use, and the decryption of its records."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from standing.gateway.bindings.banks import Bank
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.errors import TermsUnreadable
from standing.ledger.service.vault import Vault


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding ready to use: its names, its key, the tags of its user, and the time zone of its bank.

    Only the tags can change, when the user's name, document or phone changes on the platform. `account` is a keyed hash
    of bank and number, so that successive bindings of one account share their limits.
    """

    binding: bytes
    bank: str
    bank_bytes: bytes
    account: bytes
    key: bytes
    tags: IdentityTags
    zone: ZoneInfo

    def open(self, record: Record) -> Terms | None:
        """The terms of a record of this binding; None without a record, or if it cannot be decrypted."""
        return open_record(record, key=self.key, bank=self.bank, binding=self.binding)

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"Bound(bank={self.bank!r}, binding=0x{self.binding.hex()})"


class StoredBound(NamedTuple):
    """The stored columns of a binding ready to use."""

    binding: bytes
    bank: str
    account: bytes
    key_sealed: bytes
    tags: bytes


def bound_of(row: Row[Any] | StoredBound, bank: Bank, vault: Vault) -> Bound:
    """The binding of a stored row. Raises: StorageUnavailable where the vault cannot decrypt its key."""
    return Bound(
        binding=row.binding,
        bank=bank.bic,
        bank_bytes=bank.bic_bytes,
        account=row.account,
        key=vault.unseal(row.key_sealed),
        tags=IdentityTags.unpack(row.tags),
        zone=bank.zone,
    )


def open_record(record: Record, *, key: bytes, bank: str, binding: bytes) -> Terms | None:
    """The terms of a record; None without a record, or if the binding's key cannot decrypt it."""
    if record.publication == 0:
        return None
    try:
        return unseal(
            record.tag_and_head,
            record.tail,
            key=key,
            bank=bank,
            binding=binding,
            publication=record.publication,
        )
    except TermsUnreadable:
        return None


def adopt(tags: bytes, unvouched: str, stated: IdentityTags) -> bytes:
    """The packed `tags`, with those of the `unvouched` fields (comma-separated) replaced by the bank's own."""
    adopted = IdentityTags.unpack(tags)
    return replace(adopted, **{field: getattr(stated, field) for field in unvouched.split(",")}).pack()
