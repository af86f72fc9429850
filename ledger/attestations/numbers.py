"""Card and account numbers in canonical form, and how numbers of any kind are read as they were typed."""

import re
import unicodedata
from collections.abc import Collection
from typing import Any

from standing.ledger.attestations.names import INVISIBLE
from standing.ledger.errors import InvalidValue

_MAX_NUMBER = 64  # as typed, with separators
_NUMBER = re.compile(r"[A-Z0-9]{4,34}")  # Max34Text, the length of an account identification in ISO 20022
#: A long number as a spreadsheet writes it: the digits that it left out are lost.
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+E[+-]?|E[+-])[0-9]+")
#: The same in a document or phone, where an E may also be a letter of its own: one digit before the point, or a plus.
_SCIENTIFIC_ELSEWHERE = re.compile(r"[0-9][.,][0-9]+E[+-]?[0-9]{1,3}|[0-9]+E\+[0-9]{1,3}")
#: A number as a spreadsheet writes it that took it for an amount; with or without thousands separated.
_WITH_DECIMALS = re.compile(
    r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)\.[0-9]{1,2}|(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]{1,2}"
)
_ZERO_DECIMALS = re.compile(r"([0-9]{10,})\.00?")
#: Signs that stand for characters which are hidden, or were lost in a conversion. A lone surrogate is what a decoder
#: leaves of a bad byte, or JSON of half a character.
_HIDDEN = re.compile("[*?×○■□█▪〓\ufffd\ud800-\udfff]|[•●·._]{2,}|#{2,}|[0-9] ?#|[-\u2010-\u2015\u2212]{3,}")
#: The same after other signs are removed. Three at least between digits: documents and IBANs may contain two. Four
#: elsewhere, as in a masked Aadhaar number (XXXX XXXX 1234) or one of Singapore (SXXXX567D): Mexico's tax numbers of
#: foreigners end in three.
_HIDDEN_BY_X = re.compile("[0-9]X{3,}[0-9]|X{4}")
#: What keeps a spreadsheet from taking text for a number.
_QUOTES = "'\"="
_PADDING = "\0\ufeff \t\r\n"
#: Every number has one: NULL, None, #VALUE! and TOTAL are what programs and people write in place of a number.
_DIGIT = re.compile("[0-9]")
#: What people copy along with an IBAN; no other number begins so.
_IBAN_WORD = re.compile(r"IBAN(?=[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$)")
_ALLOWED = "4 to 34 letters and digits"


def canonical_number(number: str, number_type: str, field: str = "number") -> str:
    """The canonical form of a card or account number: capital letters and digits only.

    No check digit is checked: not every card has one (see `ledger.attestations.hints` for people who type). Raises:
    InvalidValue for a wrong shape, no digit, a number that a spreadsheet has rounded or written with decimals, or a
    masked one.
    """
    if _NUMBER.fullmatch(number) and "XXX" not in number and _DIGIT.search(number) and number[:4] != "IBAN":
        return number  # nearly every core writes them so
    if len(number) > _MAX_NUMBER:
        raise InvalidValue(field, f"not a valid {number_type} number", _ALLOWED)
    written = visible(number).replace(" ", "").strip(_QUOTES).upper()
    if _SCIENTIFIC.fullmatch(written):
        raise InvalidValue(field, "rounded by a spreadsheet", f"{_ALLOWED}, from a column of text")
    if _WITH_DECIMALS.fullmatch(written):
        raise InvalidValue(field, "written by a spreadsheet, with decimals", f"{_ALLOWED}, from a column of text")
    compact = compacted(number)
    if is_masked(written, compact):
        raise InvalidValue(field, "masked, or with lost characters", _ALLOWED)
    compact = _IBAN_WORD.sub("", compact)
    if not _NUMBER.fullmatch(compact):
        raise InvalidValue(field, f"not a valid {number_type} number", _ALLOWED)
    if not _DIGIT.search(compact):
        raise InvalidValue(field, "no digit in it", _ALLOWED)
    return compact


def compacted(text: str) -> str:
    """A number as typed, in capitals, with letters, marks and digits only."""
    if text.isascii():
        return "".join(filter(str.isalnum, text)).upper()
    compact, before = text, ""
    while compact != before:  # capitals may be written in other characters than the letters were
        before = compact
        kept = (each for each in visible(compact) if unicodedata.category(each)[0] in "LMN")
        compact = "".join(_plain_digit(each) for each in kept).upper()
    return compact


def is_masked(written: str, compact: str) -> bool:
    """Whether characters of a number are hidden or lost: without them, two numbers could become one.

    `written`: the number as `visible`; `compact`: as `compacted`.
    """
    return _HIDDEN.search(written) is not None or _HIDDEN_BY_X.search(compact) is not None


def is_scientific(written: str) -> bool:
    """Whether a spreadsheet has rounded a document's number or a phone (1.10105E+17)."""
    return _SCIENTIFIC_ELSEWHERE.fullmatch(written.replace(" ", "").strip(_QUOTES).upper()) is not None


def without_zero_decimals(written: str) -> str:
    """A number of ten digits or more without the `.0` that programs add to a column with gaps."""
    match = _ZERO_DECIMALS.fullmatch(written.strip())
    return written if match is None else match[1]


def visible(text: str) -> str:
    """Text in compatibility form (NFKC), without controls and characters that show as nothing; spaces, tabs and line
    breaks are plain spaces."""
    if text.isascii() and text.isprintable():
        return text  # nothing of what follows would change it
    plain = unicodedata.normalize("NFKC", text).translate(INVISIBLE)
    spaced = (" " if each.isspace() else each for each in plain)
    return "".join(each for each in spaced if unicodedata.category(each) not in {"Cc", "Cf"})


def trimmed_fields(stated: Any, names: Collection[str] | None = None) -> Any:
    """A mapping's values without blanks around them, as of blank-padded columns; a value that is all blank is left out.

    `names`: only the values of these. Anything but a mapping is returned unchanged.
    """
    if not isinstance(stated, dict):
        return stated
    trimmed = {}
    for name, value in stated.items():
        wanted = isinstance(value, str) and (names is None or name in names)
        shown = trimmed_text(value) if wanted else value
        if not wanted or shown:
            trimmed[name] = shown
    return trimmed


def trimmed_text(text: str) -> str:
    """Text without spaces, controls and byte-order marks around it; a CHAR column is padded with blanks or NULs."""
    return text.strip(_PADDING).strip().strip(_PADDING)


def _plain_digit(character: str) -> str:
    """A decimal digit of any script as 0 to 9; any other character unchanged."""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
