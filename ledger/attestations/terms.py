"""Terms: a bank's statement about a binding, in exactly 42 bytes.

    byte 0       status 3 bits: 1 active, 2 frozen, 3 lost, 4 dormant, 5 closed, 6 unbound, 7 unstated
                 debit allowed 1 bit, credit allowed 1 bit
                 account class 2 bits: 0 not stated, 1 to 3 (classes I, II, III of a bank settlement account)
                 holder 1 bit: 0 a person, 1 an organisation
    bytes 1-2    currency, ISO 4217 numeric, big-endian
    bytes 3-8    when they took effect, ms since the Unix epoch, u48
    bytes 9-32   six limits, 4 bytes each (`ledger.attestations.limits`): debits of one transaction, of a day, of a
                 month, of a year; credits of a day, of a year
    bytes 33-41  identity tags: name, ID document, phone, 3 bytes each; zero where the bank states none

There is exactly one encoding of each value, and every other byte string is refused. Status 0 is kept for later forms.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from standing.ledger.attestations.limits import LIMITS_SIZE, Limits
from standing.ledger.attestations.money import currency_code
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import InvalidValue, TermsUnreadable

TERMS_SIZE = 42
TAG_SIZE = 3

#: The tag of a field that is not stated.
NOT_STATED = bytes(TAG_SIZE)

_LAYOUT = struct.Struct(f">BH6s{LIMITS_SIZE}s{3 * TAG_SIZE}s")
_STATUS_SHIFT = 5
_DEBIT = 0b10000
_CREDIT = 0b01000
_CLASS_SHIFT = 1
_CLASS_MAX = 3
_ORGANISATION = 0b00001


class Status(IntEnum):
    """The state of a binding's account, or of the binding itself (UNBOUND)."""

    ACTIVE = 1
    FROZEN = 2
    LOST = 3  # the account or card was reported lost or stolen
    DORMANT = 4
    CLOSED = 5
    UNBOUND = 6
    UNSTATED = 7  # the bank's own statement that it cannot state the account's status at the moment

    @property
    def word(self) -> str:
        """The status as the APIs write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class IdentityTags:
    """Short keyed tags of the holder's name, ID document and phone; see `ledger.attestations.sealing.identity_tags`.

    A tag is NOT_STATED where the bank has no such field of this holder.
    """

    name: bytes
    id_document: bytes
    phone: bytes

    def __post_init__(self) -> None:
        if len(self.name) == len(self.id_document) == len(self.phone) == TAG_SIZE:
            return
        field = next(name for name in ("name", "id_document", "phone") if len(getattr(self, name)) != TAG_SIZE)
        raise InvalidValue(f"tags.{field}", "wrong length", f"{TAG_SIZE} bytes")

    def pack(self) -> bytes:
        """The 9 bytes as in the terms."""
        return self.name + self.id_document + self.phone

    @classmethod
    def unpack(cls, raw: bytes) -> "IdentityTags":
        return cls(raw[:TAG_SIZE], raw[TAG_SIZE : 2 * TAG_SIZE], raw[2 * TAG_SIZE :])


def tags_differ(tag: bytes, other: bytes) -> bool:
    """Whether both tags are stated, and of different values. What either side does not state is not compared."""
    return tag != other and NOT_STATED not in (tag, other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A bank's statement about a binding.

    `currency` is an ISO 4217 numeric code. `effective_at_ms` is when the account reached this state at the bank.
    `account_class` is 1 to 3, or 0 where it is not stated.

    Raises: InvalidValue where a field is out of bounds.
    """

    status: Status
    debit_allowed: bool
    credit_allowed: bool
    currency: int
    effective_at_ms: int
    limits: Limits
    tags: IdentityTags
    account_class: int = 0
    organisation: bool = False

    def __post_init__(self) -> None:
        currency_code(self.currency)
        if not 0 <= self.effective_at_ms <= MAX_CALENDAR_MS:
            # Past the calendar's end there is no date to show.
            raise InvalidValue("effective_at_ms", "out of range", f"0 to {MAX_CALENDAR_MS}")
        if not 0 <= self.account_class <= _CLASS_MAX:
            raise InvalidValue("account_class", "out of range", f"1 to {_CLASS_MAX}, or 0 where it is not stated")

    def pack(self) -> bytes:
        """The 42 bytes to seal."""
        return _LAYOUT.pack(
            self.status << _STATUS_SHIFT
            | (_DEBIT if self.debit_allowed else 0)
            | (_CREDIT if self.credit_allowed else 0)
            | self.account_class << _CLASS_SHIFT
            | (_ORGANISATION if self.organisation else 0),
            self.currency,
            self.effective_at_ms.to_bytes(6, "big"),
            self.limits.pack(),
            self.tags.pack(),
        )

    @classmethod
    def unpack(cls, raw: bytes) -> "Terms":
        """The terms of 42 bytes.

        Raises: TermsUnreadable for a wrong length, an unknown status or currency, or an invalid limit.
        """
        if len(raw) != TERMS_SIZE:
            raise TermsUnreadable(f"terms are {TERMS_SIZE} bytes, not {len(raw)}")
        first, currency, effective_at, limits, tags = _LAYOUT.unpack(raw)
        try:
            return cls(
                status=Status(first >> _STATUS_SHIFT),
                debit_allowed=bool(first & _DEBIT),
                credit_allowed=bool(first & _CREDIT),
                currency=currency,
                effective_at_ms=int.from_bytes(effective_at, "big"),
                limits=Limits.unpack(limits),
                tags=IdentityTags.unpack(tags),
                account_class=first >> _CLASS_SHIFT & _CLASS_MAX,
                organisation=bool(first & _ORGANISATION),
            )
        except (ValueError, InvalidValue) as error:
            raise TermsUnreadable(f"not terms: {error}") from error
