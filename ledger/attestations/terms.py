"""Terms: what a bank states about a binding, in exactly 32 bytes.

    byte 0       status: 1 active, 2 frozen, 3 lost, 4 dormant, 5 closed, 6 unbound, 7 unstated
    byte 1       permissions: bit 0 debit allowed, bit 1 credit allowed; the others are zero
    bytes 2-3    currency, ISO 4217 numeric, big-endian
    bytes 4-11   per-transaction limit of debits, minor units, u64; 2^64-1 = none stated, 0 = nothing
    bytes 12-19  daily limit of debits, likewise
    bytes 20-31  identity tags: name, ID document, phone, 4 bytes each

There is exactly one encoding of each value, and every other byte string is refused.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from standing.ledger.attestations.money import check_limit, currency_code
from standing.ledger.errors import InvalidValue, TermsUnreadable

TERMS_SIZE = 32
TAG_SIZE = 4

_LAYOUT = struct.Struct(">BBHQQ4s4s4s")
_DEBIT = 0b01
_CREDIT = 0b10


class Status(IntEnum):
    """The state of a binding's account, or of the binding itself (UNBOUND)."""

    ACTIVE = 1
    FROZEN = 2
    LOST = 3  # the account or card was reported lost or stolen
    DORMANT = 4
    CLOSED = 5
    UNBOUND = 6
    UNSTATED = 7  # the bank cannot say at the moment how the account is

    @property
    def word(self) -> str:
        """The status as the APIs write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class IdentityTags:
    """Short keyed tags of the holder's name, ID document and phone; see `ledger.attestations.sealing.identity_tags`."""

    name: bytes
    id_document: bytes
    phone: bytes

    def __post_init__(self) -> None:
        for field in ("name", "id_document", "phone"):
            if len(getattr(self, field)) != TAG_SIZE:
                raise InvalidValue(f"tags.{field}", "wrong length", f"{TAG_SIZE} bytes")

    def pack(self) -> bytes:
        """The 12 bytes as they stand in the terms."""
        return self.name + self.id_document + self.phone

    @classmethod
    def unpack(cls, raw: bytes) -> "IdentityTags":
        return cls(raw[0:4], raw[4:8], raw[8:])


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bank states about a binding.

    `currency` is an ISO 4217 numeric code. Limits are in minor units, apply to debits only, and are
    `ledger.attestations.money.NO_LIMIT` where the bank states none; 0 means nothing may be debited.

    Raises: InvalidValue where a field is out of bounds.
    """

    status: Status
    debit_allowed: bool
    credit_allowed: bool
    currency: int
    transaction_limit_minor: int
    daily_limit_minor: int
    tags: IdentityTags

    def __post_init__(self) -> None:
        currency_code(self.currency)
        check_limit("transaction_limit_minor", self.transaction_limit_minor)
        check_limit("daily_limit_minor", self.daily_limit_minor)

    def pack(self) -> bytes:
        """The 32 bytes to seal."""
        permissions = (_DEBIT if self.debit_allowed else 0) | (_CREDIT if self.credit_allowed else 0)
        return _LAYOUT.pack(
            self.status,
            permissions,
            self.currency,
            self.transaction_limit_minor,
            self.daily_limit_minor,
            self.tags.name,
            self.tags.id_document,
            self.tags.phone,
        )

    @classmethod
    def unpack(cls, raw: bytes) -> "Terms":
        """The terms of 32 bytes.

        Raises: TermsUnreadable for a wrong length, an unknown status, permission or currency, or a limit out of range.
        """
        if len(raw) != TERMS_SIZE:
            raise TermsUnreadable(f"terms are {TERMS_SIZE} bytes, not {len(raw)}")
        status, permissions, currency, transaction_limit, daily_limit, *tags = _LAYOUT.unpack(raw)
        if permissions & ~(_DEBIT | _CREDIT):
            raise TermsUnreadable("unknown permission bits are set")
        try:
            return cls(
                status=Status(status),
                debit_allowed=bool(permissions & _DEBIT),
                credit_allowed=bool(permissions & _CREDIT),
                currency=currency,
                transaction_limit_minor=transaction_limit,
                daily_limit_minor=daily_limit,
                tags=IdentityTags(*tags),
            )
        except (ValueError, InvalidValue) as error:
            raise TermsUnreadable(f"not terms: {error}") from error
