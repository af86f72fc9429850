"""Currencies (ISO 4217) and amounts in minor units."""

from functools import lru_cache

from iso4217 import Currency

from standing.ledger.errors import InvalidValue

#: The sentinel "no limit stated". It is the largest u64, so `amount > limit` needs no special case; 0 means nothing.
NO_LIMIT = 2**64 - 1

#: The largest amount or stated limit, in minor units: what a signed 64-bit database column holds.
MAX_AMOUNT_MINOR = 2**63 - 1


@lru_cache(maxsize=512)
def currency_number(code: str, field: str = "currency") -> int:
    """The ISO 4217 numeric code of an alphabetic one, such as 156 for CNY.

    Raises: InvalidValue for anything that is not an active ISO 4217 code in upper case.
    """
    try:
        number = Currency(code).number
    except ValueError:
        number = None
    if number is None:
        raise InvalidValue(field, "not a currency", "an ISO 4217 alphabetic code, such as CNY")
    return int(number)


@lru_cache(maxsize=512)
def currency_code(number: int) -> str:
    """The ISO 4217 alphabetic code of a numeric one.

    Raises: InvalidValue for a number that names no currency.
    """
    for currency in Currency:
        if currency.number == number:
            return str(currency.code)
    raise InvalidValue("currency", f"{number} names no currency", "an ISO 4217 numeric code")


@lru_cache(maxsize=512)
def minor_digits(code: str) -> int:
    """How many decimals of a currency's major unit its minor unit is, such as 2 for CNY and 0 for JPY.

    Raises: InvalidValue for anything that is not an ISO 4217 code, or one whose minor unit is not defined.
    """
    try:
        exponent = Currency(code).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise InvalidValue("currency", "not a currency with a minor unit", "an ISO 4217 alphabetic code, such as CNY")
    return int(exponent)


def check_limit(field: str, limit_minor: int) -> int:
    """A limit in minor units: 0 (nothing) to MAX_AMOUNT_MINOR, or NO_LIMIT. Raises: InvalidValue."""
    if limit_minor != NO_LIMIT and not 0 <= limit_minor <= MAX_AMOUNT_MINOR:
        raise InvalidValue(field, "out of range", f"0 to {MAX_AMOUNT_MINOR} minor units, or none stated")
    return limit_minor


def limit_word(limit_minor: int) -> int | str:
    """A limit as the API writes it: minor units, or "none" where the bank states none."""
    return "none" if limit_minor == NO_LIMIT else limit_minor
