"""Limits: the amounts that a bank allows one platform on an account in a period, and their form in four bytes.

A stated limit is `mantissa × 10^exponent` minor units: 27 bits of mantissa, then 5 bits of exponent. The exponent is
the smallest one that states the amount exactly. An amount that no mantissa states exactly is rounded down, never up, to
the largest one that can be stated. All ones: the bank states none. Zero: nothing is allowed.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

from standing.ledger.attestations.money import NO_LIMIT, check_limit
from standing.ledger.errors import InvalidValue

LIMIT_SIZE = 4

_EXPONENT_BITS = 5
_MANTISSA_MAX = 2**27 - 1
_NONE_STATED = b"\xff" * LIMIT_SIZE
_POWERS: tuple[int, ...] = tuple(10**exponent for exponent in range(2**_EXPONENT_BITS))


@dataclass(frozen=True, slots=True)
class Limits:
    """Six limits in minor units, in the order of the sealed terms.

    Each is NO_LIMIT where the bank states none; 0 means nothing. Debits are payments, credits are withdrawals to the
    account. Days, months and years are those of the bank's time zone.

    Raises: InvalidValue where one is out of bounds.
    """

    transaction_limit_minor: int
    daily_limit_minor: int
    monthly_limit_minor: int
    yearly_limit_minor: int
    daily_credit_limit_minor: int
    yearly_credit_limit_minor: int

    def __post_init__(self) -> None:
        for name in LIMIT_FIELDS:
            check_limit(name, getattr(self, name))

    def pack(self) -> bytes:
        """The 24 bytes as in the terms."""
        return _packed(self)

    @classmethod
    def of(cls, *limits_minor: int) -> "Limits":
        """As `Limits`, from a memory of the last few thousand. Raises: InvalidValue."""
        return _limits(*limits_minor)

    @classmethod
    def unpack(cls, raw: bytes) -> "Limits":
        """The limits of 24 bytes. Raises: InvalidValue."""
        return _unpacked(raw)


# Many accounts of a bank have the same limits, and to check, encode or decode six of them costs as much as the cipher.


@lru_cache(maxsize=4_096)
def _limits(*limits_minor: int) -> Limits:
    return Limits(*limits_minor)


@lru_cache(maxsize=4_096)
def _packed(limits: Limits) -> bytes:
    return b"".join(encode_limit(getattr(limits, name)) for name in LIMIT_FIELDS)


@lru_cache(maxsize=4_096)
def _unpacked(raw: bytes) -> Limits:
    return Limits(*(decode_limit(raw[at : at + LIMIT_SIZE]) for at in range(0, LIMITS_SIZE, LIMIT_SIZE)))


LIMIT_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Limits))
LIMITS_SIZE = LIMIT_SIZE * len(LIMIT_FIELDS)

#: The bank states no limit at all.
NO_LIMITS = Limits(*(NO_LIMIT for _ in LIMIT_FIELDS))

#: Nothing is allowed in either direction.
NOTHING = Limits(*(0 for _ in LIMIT_FIELDS))


def encode_limit(limit_minor: int) -> bytes:
    """The four bytes of a limit; rounds down where it cannot be stated exactly. Raises: InvalidValue."""
    if check_limit("limit", limit_minor) == NO_LIMIT:
        return _NONE_STATED
    mantissa, exponent = _largest_below(limit_minor)
    return (mantissa << _EXPONENT_BITS | exponent).to_bytes(LIMIT_SIZE, "big")


def decode_limit(raw: bytes) -> int:
    """The limit of four bytes, in minor units. Raises: InvalidValue for bytes that encode no limit."""
    if raw == _NONE_STATED:
        return NO_LIMIT
    packed = int.from_bytes(raw, "big")
    mantissa, exponent = packed >> _EXPONENT_BITS, packed & (2**_EXPONENT_BITS - 1)
    if exponent and mantissa * 10 <= _MANTISSA_MAX:
        raise InvalidValue("limit", "not in its shortest form", "the smallest exponent that states it exactly")
    return check_limit("limit", mantissa * _POWERS[exponent])


def stated(limit_minor: int) -> int:
    """The limit as the ledger will state it: itself, or the next lower one that four bytes can hold."""
    if check_limit("limit", limit_minor) == NO_LIMIT:
        return NO_LIMIT
    mantissa, exponent = _largest_below(limit_minor)
    return mantissa * _POWERS[exponent]


def _largest_below(amount_minor: int) -> tuple[int, int]:
    """Mantissa and exponent of the largest amount that can be stated and is not above `amount_minor`."""
    exponent = 0
    while amount_minor // _POWERS[exponent] > _MANTISSA_MAX:
        exponent += 1
    mantissa = amount_minor // _POWERS[exponent]
    # Just past a power of ten, the largest mantissa with the exponent before is nearer: 134,217,728 is stated as
    # 134,217,727 and not as 13,421,772 × 10.
    if exponent and mantissa * 10 < _MANTISSA_MAX:
        return _MANTISSA_MAX, exponent - 1
    return mantissa, exponent
