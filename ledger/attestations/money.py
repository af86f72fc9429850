"""Currencies (ISO 4217) and amounts in minor units."""

from functools import cache

from iso4217 import Currency
from moneyed.classes import CURRENCIES

from standing.ledger.errors import InvalidValue

#: The sentinel "no limit stated". It is the largest u64, so `amount > limit` needs no special case; 0 means nothing.
NO_LIMIT = 2**64 - 1

#: The largest amount or stated limit, in minor units: what a signed 64-bit database column holds.
MAX_AMOUNT_MINOR = 2**63 - 1


#: Currencies in use, alphabetic code to numeric (ISO 4217, list one).
_IN_USE = {currency.code: int(currency.number) for currency in Currency if currency.number is not None}

#: Codes of ISO 4217 for "no currency" (XXX) and for tests (XTS).
_NO_CURRENCY = frozenset({"XXX", "XTS"})

#: With those that are withdrawn (list three), as far as they had numeric codes. py-moneyed keeps what iso4217 drops.
_EVER = {
    code: int(held.numeric) for code, held in CURRENCIES.items() if held.numeric is not None and held.numeric.isdigit()
} | _IN_USE

#: Of several codes that one number has had, the newest: CSD took over the number of YUM, as XCG did that of ANG. Where
#: a currency in use has the number, it is that one.
_NEWEST = ("CSD", "ESP", "HRK", "BRN", "ARP", "ZRN")
_BY_NUMBER = (
    {number: code for code, number in _EVER.items()}
    | {_EVER[code]: code for code in _NEWEST}
    | {number: code for code, number in _IN_USE.items()}
)


def currency_number(code: str) -> int:
    """The ISO 4217 numeric code of an alphabetic one, such as 156 for CNY; withdrawn currencies are known too.

    What was recorded in a currency stays true after it is withdrawn: records, changes and evidence name it. Raises:
    InvalidValue for anything that never was an ISO 4217 code in upper case.
    """
    number = _EVER.get(code)
    if number is None:
        raise InvalidValue("currency", "not a currency", "an ISO 4217 alphabetic code, such as CNY")
    return number


def check_in_use(code: str) -> None:
    """Check that a currency may be that of a new account.

    Raises: InvalidValue for one that is withdrawn or unknown, and for XXX and XTS, which name none.
    """
    if code in _NO_CURRENCY:
        raise InvalidValue("currency", "not a currency", "an ISO 4217 alphabetic code, such as CNY")
    if code not in _IN_USE:
        currency_number(code)
        raise InvalidValue(
            "currency", "withdrawn, and a new account needs a currency in use", "an ISO 4217 code in use"
        )


def currency_code(number: int) -> str:
    """The ISO 4217 alphabetic code of a numeric one: the one in use, or the last that had the number.

    Raises: InvalidValue for a number that never named a currency.
    """
    code = _BY_NUMBER.get(number)
    if code is None:
        raise InvalidValue("currency", f"{number} names no currency", "an ISO 4217 numeric code")
    return code


@cache
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


def amount_text(amount_minor: int, code: str) -> str:
    """An amount for people, such as `CNY 2,500.00`; in minor units for a currency that is withdrawn or has no minor
    unit."""
    try:
        digits = minor_digits(code)
    except InvalidValue:
        return f"{code} {amount_minor:,} (minor units)"
    whole, part = divmod(amount_minor, 10**digits)
    return f"{code} {whole:,}" + (f".{part:0{digits}}" if digits else "")


def check_limit(field: str, limit_minor: int) -> int:
    """A limit in minor units: 0 (nothing) to MAX_AMOUNT_MINOR, or NO_LIMIT. Raises: InvalidValue."""
    if limit_minor != NO_LIMIT and not 0 <= limit_minor <= MAX_AMOUNT_MINOR:
        raise InvalidValue(field, "out of range", f"0 to {MAX_AMOUNT_MINOR} minor units, or none stated")
    return limit_minor


def limit_word(limit_minor: int) -> int | str:
    """A limit as the API writes it: minor units, or "none" where the bank states none."""
    return "none" if limit_minor == NO_LIMIT else limit_minor
