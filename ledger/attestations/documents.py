"""Identity documents of persons and organisations, in the canonical form that both sides compare.

A document is carried as the bank has recorded it: none is refused for its checksum, district code, range or country.
What looks mistyped in a claim is a hint (`ledger.attestations.hints`).
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field
from stdnum.cn import ric

from standing.ledger.attestations.code_patterns import COUNTRY_PATTERN
from standing.ledger.attestations.numbers import compacted, is_masked, is_scientific, visible, without_zero_decimals
from standing.ledger.errors import InvalidValue

#: Codes of ISO 20022's ExternalPersonIdentification1Code and ExternalOrganisationIdentification1Code for what an
#: authority issues. LEI is an element of its own there (ISO 17442).
PersonScheme = Literal["ARNU", "CCPT", "CUST", "DRLC", "EMPL", "NIDN", "POID", "SOSE", "TXID"]
OrganisationScheme = Literal["CINC", "COID", "DUNS", "GS1G", "LEI", "SREN", "SRET"]
Scheme = PersonScheme | OrganisationScheme

PERSON_SCHEMES: tuple[str, ...] = get_args(PersonScheme)
ORGANISATION_SCHEMES: tuple[str, ...] = get_args(OrganisationScheme)
SCHEMES = (*PERSON_SCHEMES, *ORGANISATION_SCHEMES)

#: Numbers that no country issues: each is unique worldwide.
GLOBAL_SCHEMES = frozenset({"DUNS", "GS1G", "LEI"})

MAX_DOCUMENT = 35  # Max35Text, the length of an identification in ISO 20022
_COUNTRY = re.compile(r"[A-Z]{2}")
_RESIDENT_15 = re.compile(r"[0-9]{15}")
#: Sweden: 12 digits with the century, as banks store it, or the 10 that people state.
_SWEDISH_12 = re.compile(r"(?:18|19|20)([0-9]{10})")
#: How many digits a number has whose first ones may be zeros, which spreadsheets and columns of numbers leave out: at
#: most two. Vietnam's former numbers have nine.
_DIGITS: dict[tuple[str, str], int] = {
    ("NIDN", "BE"): 11,
    ("NIDN", "BG"): 10,
    ("NIDN", "BR"): 11,
    ("NIDN", "DK"): 10,
    ("NIDN", "IL"): 9,
    ("NIDN", "IR"): 10,
    ("NIDN", "KR"): 13,
    ("NIDN", "KZ"): 12,
    ("NIDN", "LV"): 11,
    ("NIDN", "MY"): 12,
    ("NIDN", "NO"): 11,
    ("NIDN", "PL"): 11,
    ("NIDN", "VN"): 12,
    ("NIDN", "ZA"): 13,
    ("SOSE", "US"): 9,
    ("TXID", "BR"): 11,
}
_LOST_ZEROS = 2
_RESIDENT_17 = re.compile(r"[0-9]{17}")
#: What people and old systems write in place of the check character X: a multiplication sign, an asterisk, and the
#: Cyrillic and Greek letters that look like it.
_LIKE_X = frozenset("×✕✖╳*ХхΧχ")


#: Capitals of Cyrillic and Greek that look like Latin ones. Identity cards and passports with such letters bear only
#: these, so that they can be read abroad; books and claims hold them in either script.
_LIKE_LATIN = str.maketrans("АВЕІЈКМНОРСТУХЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEIJKMHOPCTYXSABEZHIKMNOPTYX")
#: The sign before a number, which compatibility form would turn into letters.
_NUMERO = "\u2116"


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


#: Field types for API models.
SchemeField = Annotated[
    Scheme,
    BeforeValidator(_capitals),
    Field(description="ISO 20022 code, such as NIDN (national number), CCPT (passport), COID (of an organisation)"),
]
CountryField = Annotated[
    str,
    Field(pattern=COUNTRY_PATTERN, description="ISO 3166-1 alpha-2; none for LEI, DUNS, GS1G"),
    BeforeValidator(_capitals),
]


@dataclass(frozen=True, slots=True)
class IdDocument:
    """An identity document: its `scheme` (ISO 20022 code), the ISO 3166 `country` that issued it, its `number`."""

    scheme: str
    country: str
    number: str

    def __repr__(self) -> str:  # personal data
        return f"IdDocument({self.scheme!r}, {self.country!r}, …)"


def stated_document(scheme: str | None, country: str | None, number: str | None) -> IdDocument | None:
    """The document of three fields that are all stated or all left out; a worldwide number needs no country.

    Raises: InvalidValue where only a part is stated.
    """
    if scheme is None and country is None and number is None:
        return None
    if scheme is None or number is None or (country is None and scheme not in GLOBAL_SCHEMES):
        raise InvalidValue("id_document", "not whole", "scheme, country and number, all three or none")
    return IdDocument(scheme, country or "", number)


def canonical_id_document(document: IdDocument) -> str:
    """The canonical form `scheme:country:number`; the country is empty where no country issues the number.

    Raises: InvalidValue for an unknown scheme, an invalid country code, or a number without a letter or digit, masked,
    or rounded by a spreadsheet.
    """
    if document.scheme not in SCHEMES:
        raise InvalidValue("id_document_scheme", "unknown", ", ".join(SCHEMES))
    country = "" if document.scheme in GLOBAL_SCHEMES else document.country
    if document.scheme not in GLOBAL_SCHEMES and not _COUNTRY.fullmatch(country):
        raise InvalidValue("id_document_country", "not a country code", "two capital letters (ISO 3166-1)")
    if len(document.number) > MAX_DOCUMENT:
        raise InvalidValue("id_document_number", "too long", f"at most {MAX_DOCUMENT} characters")
    allowed = f"1 to {MAX_DOCUMENT} characters"
    written = _written(document)
    number = compacted(written).translate(_LIKE_LATIN)
    if not number:
        raise InvalidValue("id_document_number", "no letter or digit in it", allowed)
    if is_scientific(written):
        raise InvalidValue("id_document_number", "rounded by a spreadsheet", f"{allowed}, from a column of text")
    if is_masked(written, number):
        raise InvalidValue("id_document_number", "masked, or with lost characters", allowed)
    of = (document.scheme, country)
    if of == ("NIDN", "SE") and (swedish := _SWEDISH_12.fullmatch(number)) is not None:
        number = swedish[1]
    if number.isdecimal() and 0 < _DIGITS.get(of, 0) - len(number) <= _LOST_ZEROS:
        number = number.zfill(_DIGITS[of])
    if of == ("NIDN", "CN") and _RESIDENT_15.fullmatch(number):
        # Before 1999: the year without its century, and no check digit (GB 11643).
        number = number[:6] + "19" + number[6:]
        number += ric.calc_check_digit(f"{number}0")  # it leaves the last digit out
    return f"{document.scheme}:{country}:{number}".casefold()


def compacted_document_number(document: IdDocument) -> str:
    """A document's number in capitals, with letters, marks and digits only."""
    return compacted(_written(document)).translate(_LIKE_LATIN)


def _written(document: IdDocument) -> str:
    """A document's number as it was meant: without a spreadsheet's decimals, and with its check character as an X."""
    written = without_zero_decimals(visible(document.number.replace(_NUMERO, " "))).strip()
    if (document.scheme, document.country) == ("NIDN", "CN") and written[-1:] in _LIKE_X:
        digits = compacted(written[:-1])
        if _RESIDENT_17.fullmatch(digits):
            return f"{digits}X"
    return written
