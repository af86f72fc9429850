"""Hints for people who type: values of a claim that look mistyped.

A hint uses only the claim, not the bank's records, so it reveals nothing to a guesser. It stops nobody: banks know
all their numbers, and no library does. Only checks that every number in use passes are here. Korean, Indonesian and
South African numbers have outgrown the checks that libraries have for them, so those get no hint.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import phonenumbers
from stdnum import get_cc_module, iban, lei, luhn
from stdnum.cn import ric
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError
from stdnum.fr import siren, siret

from standing.ledger.attestations.documents import IdDocument, compacted_document_number
from standing.ledger.attestations.numbers import compacted
from standing.ledger.attestations.phones import canonical_phone, parsed_phone

Hint = Literal["check_digit", "length", "unknown_range"]

_CARD_DIGITS = range(12, 20)  # ISO/IEC 7812
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_RESIDENT_18 = re.compile(r"[0-9]{17}[0-9X]")
#: Numbers under which holders in China are known who have no such number: of a foreigner's permanent residence until
#: 2023, and of an organisation before the credit code (its code, and the one of its licence).
_FOREIGNER_15 = re.compile(r"[A-Z]{3}[0-9]{12}")
_BEFORE_CREDIT_CODES = frozenset({9, 13, 15})
#: Of a person, the tax number of Brazil has 11 digits.
_BRAZILIAN_COMPANY = 14

#: Modules of python-stdnum whose checks every number in use passes, by scheme and country.
_NATIONAL = {
    ("COID", "CN"): "uscc",
    ("NIDN", "ES"): "dni",
    ("NIDN", "IN"): "aadhaar",
    ("NIDN", "PL"): "pesel",
    ("NIDN", "TH"): "pin",
    ("TXID", "BR"): "cpf",
}
_ELSEWHERE: Mapping[str, Any] = {"LEI": lei, "SREN": siren, "SRET": siret}
_LENGTHS = {"DUNS": (9,), "GS1G": (13,)}


def number_hint(number: str, number_type: str) -> Hint | None:
    """A likely slip in a card or account number: the length, or a digit (Luhn; ISO 7064 of an IBAN)."""
    compact = compacted(number)
    if number_type == "card":
        if not compact.isdigit() or len(compact) not in _CARD_DIGITS:
            return "length"
        return None if luhn.is_valid(compact) else "check_digit"
    if _IBAN.fullmatch(compact):
        return _hint_from(lambda text: iban.validate(text, check_country=False), compact)
    return None


def document_hint(document: IdDocument) -> Hint | None:
    """A likely slip in the number of an ID document."""
    scheme, country, compact = document.scheme, document.country, compacted_document_number(document)
    if (scheme, country) == ("NIDN", "CN"):
        return _resident_hint(compact)
    if scheme in _LENGTHS:
        return None if len(compact) in _LENGTHS[scheme] else "length"
    if (scheme, country) == ("COID", "CN") and len(compact) in _BEFORE_CREDIT_CODES:
        return None
    if (scheme, country) == ("TXID", "BR") and len(compact) == _BRAZILIAN_COMPANY:
        return None
    name = _NATIONAL.get((scheme, country))
    module = _ELSEWHERE.get(scheme) if name is None else get_cc_module(country.lower(), name)
    return None if module is None else _hint_from(module.validate, compact)


def phone_hint(phone: str) -> Hint | None:
    """A likely slip in a phone number: its length, or a range that phonenumbers does not know as in use."""
    parsed = parsed_phone(canonical_phone(phone))
    if parsed is None:
        return "length"
    if not phonenumbers.is_possible_number(parsed):
        return "length"
    return None if phonenumbers.is_valid_number(parsed) else "unknown_range"


def _resident_hint(number: str) -> Hint | None:
    """A Chinese resident number (GB 11643). Its district is not checked: it may have been abolished since."""
    if len(number) == 15 and (number.isdigit() or _FOREIGNER_15.fullmatch(number)):
        return None
    if not _RESIDENT_18.fullmatch(number):
        return "length"
    return None if ric.calc_check_digit(number) == number[-1] else "check_digit"


def _hint_from(validate: Callable[[str], object], number: str) -> Hint | None:
    try:
        validate(number)
    except InvalidChecksum:
        return "check_digit"
    except InvalidLength:
        return "length"
    except ValidationError:
        return None  # of a form that the library does not know
    return None
