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
_PADDING = "\0\ufeff \t\r\n"
_ALLOWED = "4 to 34 letters and digits"


def canonical_number(number: str, number_type: str, field: str = "number") -> str:
    """The canonical form of a card or account number: capital letters and digits only.

    No check digit is checked: not every card has one (see `ledger.attestations.hints` for people who type). Raises:
    InvalidValue for a wrong shape, or a number that a spreadsheet has rounded.
    """
    if _NUMBER.fullmatch(number):
        return number  # nearly every core writes them so
    if len(number) > _MAX_NUMBER:
        raise InvalidValue(field, f"not a {number_type} number", _ALLOWED)
    compact = compacted(number)
    if _SCIENTIFIC.fullmatch(visible(number).replace(" ", "").upper()):
        raise InvalidValue(field, "rounded by a spreadsheet", f"{_ALLOWED}, from a column of text")
    if not _NUMBER.fullmatch(compact):
        raise InvalidValue(field, f"not a {number_type} number", _ALLOWED)
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


def visible(text: str) -> str:
    """Text in compatibility form (NFKC), without controls and characters that show as nothing; spaces are plain."""
    if text.isascii() and text.isprintable():
        return text  # nothing of what follows would change it
    plain = unicodedata.normalize("NFKC", text).translate(INVISIBLE)
    spaced = (" " if unicodedata.category(each) in {"Zs", "Zl", "Zp"} else each for each in plain)
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
