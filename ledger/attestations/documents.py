"""Identity documents of persons and organisations, in the canonical form that both sides compare.

A document is carried as the bank has recorded it: none is refused for its checksum, district code, range or country.
What looks mistyped in a claim is a hint (`ledger.attestations.hints`).
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field
from stdnum.cn import ric
from stdnum.es import dni

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
#: Sweden: 12 digits with the century, as banks store it, or the 10 that people state. A plus in place of the dash is
#: the sign of people over 100; who was born by 1925 keeps the century, or a child could be one with them.
_SWEDISH_12 = re.compile(r"(18|19|20)([0-9]{2})([0-9]{8})")
_SWEDISH_10 = re.compile(r"([0-9]{2})[0-9]{8}")
_YEAR_OF_PLUS = 25
#: Sri Lanka until 2015: the year without its century, the day, a serial number with its check digit, and whether the
#: holder votes. In the numbers since, a zero is before the serial number.
_SRI_LANKAN = re.compile("^([0-9]{5})([0-9]{4})[VX]$")
#: How many digits a number has whose first ones may be zeros, which spreadsheets and columns of numbers leave out: at
#: most two. Vietnam's former numbers have nine. Indonesia's tax numbers of 15 digits have had a zero before them since
#: 2024.
_DIGITS: dict[tuple[str, str], int] = {
    **{("NIDN", country): 8 for country in ("AR", "PE", "UY")},
    **{("NIDN", country): 9 for country in ("IL", "NL", "SV", "UA")},
    **{("NIDN", country): 10 for country in ("BG", "DK", "EC", "IR", "IS")},
    **{("NIDN", country): 11 for country in ("BE", "BR", "DO", "GE", "HR", "LV", "NO", "PL")},
    **{("NIDN", country): 12 for country in ("JP", "KZ", "MY", "VN")},
    **{("NIDN", country): 13 for country in ("BA", "HN", "KR", "ME", "MK", "RS", "SI", "ZA")},
    ("SOSE", "US"): 9,
    **{("SOSE", country): 11 for country in ("GR", "MX", "RU")},
    ("SOSE", "ES"): 12,
    **{("TXID", country): 9 for country in ("GR", "IL", "NL", "NZ", "US")},
    **{("TXID", country): 10 for country in ("TR", "UA")},
    **{("TXID", country): 11 for country in ("BR", "HR", "IT")},
    ("TXID", "ID"): 16,
    **{("COID", country): 8 for country in ("CZ", "FI", "GB", "SK", "TW", "UA")},
    **{("COID", country): 9 for country in ("AU", "BG")},
    **{(scheme, "CL"): 9 for scheme in ("COID", "NIDN", "TXID")},
    ("COID", "BR"): 14,
    ("SREN", "FR"): 9,
    ("SRET", "FR"): 14,
    **{(scheme, country): 10 for scheme in ("COID", "TXID") for country in ("BE", "VN")},
    **{(scheme, "TH"): 13 for scheme in ("COID", "TXID")},
}
_LOST_ZEROS = 2
_RESIDENT_17 = re.compile(r"[0-9]{17}")
#: The country's letters that stand before a tax number, as in a European VAT number; Greece writes its own. What
#: follows begins with a letter at most: the letters of other numbers are part of them.
_TAX_SCHEMES = frozenset({"TXID", "COID"})
_AFTER_COUNTRY = re.compile("[A-Z]?[0-9]{7,}[A-Z0-9]*")
_TAX_LETTERS = {"CH": ("CHE",), "GR": ("EL", "GR")}
#: What stands behind a number to say that its holder is registered for VAT.
_TAX_WORDS = {"CH": re.compile("([0-9]{9})(?:MWST|TVA|IVA)"), "NO": re.compile("([0-9]{9})MVA")}
#: Permits of Hong Kong and Macau residents for the mainland: the holder's number, and how often it was issued. The
#: number of Taiwan residents' permits has eight digits.
_ISSUED_PERMIT = re.compile("([HM][0-9]{8})[0-9]{2}")
_ISSUED_TAIWAN_PERMIT = re.compile("([0-9]{8})[0-9]{2}[A-Z]?")
#: Under which scheme such a permit, or the card of a foreigner who lives in China, is stated differs from system to
#: system. Their numbers have forms of their own, which tell what they are.
_SCHEMES_OF_VISITORS = frozenset({"ARNU", "CCPT", "NIDN"})
_PERMIT = re.compile("[HM]?[0-9]{8}")
_RESIDENT = re.compile("[0-9]{17}[0-9X]|[A-Z]{3}[0-9]{12}")
#: China's tax numbers are the resident number of a person, which holds a day of birth, and the unified social credit
#: code (GB 32100) of an organisation.
_RESIDENT_BORN = re.compile("[0-9]{6}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9X]")
_CREDIT_CODE = re.compile("[1-9A-Y][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
#: Spain: eight digits and a letter that they determine; foreigners have X, Y or Z in place of the first, and on older
#: cards a zero between the two.
_SPANISH = re.compile("([XYZ]?)([0-9]{6,8})([A-Z]?)")
_SPANISH_LENGTH = 8
#: Hong Kong: one letter or two, six digits, and a check character that they determine.
_HONG_KONG = re.compile("[A-Z]{1,2}[0-9]{6}")
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
    number = _whole(document.scheme, country, number, written)
    return f"{_usual_scheme(document.scheme, country, number)}:{country}:{number}".casefold()


def _usual_scheme(scheme: str, country: str, number: str) -> str:
    """The scheme of a document; one for those of China that are stated under several, which their forms tell apart."""
    if country == "CN" and scheme in _SCHEMES_OF_VISITORS:
        if _PERMIT.fullmatch(number):
            return "CCPT"
        if _RESIDENT.fullmatch(number):
            return "NIDN"
    if (scheme, country) == ("TXID", "CN"):
        if _RESIDENT_BORN.fullmatch(number):
            return "NIDN"
        if _CREDIT_CODE.fullmatch(number):
            return "COID"
    return scheme


def _whole(scheme: str, country: str, number: str, written: str) -> str:
    """A number as its country writes it in full: without what may stand beside it, with what may be left out."""
    of = (scheme, country)
    if scheme in _TAX_SCHEMES:
        number = _without_tax_words(number, country)
    digits = number.removesuffix("K") if country == "CL" else number  # Chile's check character may be a K
    if digits.isdecimal() and 0 < _DIGITS.get(of, 0) - len(number) <= _LOST_ZEROS:
        return number.zfill(_DIGITS[of])
    if country in {"CN", "HK", "MO", "TW"}:
        number = _without_issue(scheme, country, number)
    if of == ("NIDN", "CN") and _RESIDENT_15.fullmatch(number):
        # Before 1999: the year without its century, and no check digit (GB 11643).
        number = number[:6] + "19" + number[6:]
        return number + ric.calc_check_digit(f"{number}0")  # it leaves the last digit out
    if of == ("NIDN", "HK") and _HONG_KONG.fullmatch(number):
        number += _hong_kong_check(number)
    elif of in {("NIDN", "ES"), ("TXID", "ES")}:
        number = _spanish(number)
    elif of == ("NIDN", "LK"):
        number = _SRI_LANKAN.sub(r"19\g<1>0\2", number)
    elif of == ("NIDN", "SE"):
        number = _swedish(number, has_plus="+" in written)
    elif of == ("NIDN", "FI") and "+" in written:  # born before 1900; a dash is the sign of the next century
        number = f"{number[:6]}+{number[6:]}"
    return number


def _without_tax_words(number: str, country: str) -> str:
    for letters in _TAX_LETTERS.get(country, (country,)):
        rest = number.removeprefix(letters)
        if rest != number and _AFTER_COUNTRY.fullmatch(rest):
            number = rest
    behind = _TAX_WORDS.get(country)
    found = None if behind is None else behind.fullmatch(number)
    return number if found is None else found[1]


def _without_issue(scheme: str, country: str, number: str) -> str:
    if scheme not in _SCHEMES_OF_VISITORS:
        return number
    found = None if country == "TW" else _ISSUED_PERMIT.fullmatch(number)
    if found is None and (country == "CN" or (scheme, country) == ("CCPT", "TW")):
        found = _ISSUED_TAIWAN_PERMIT.fullmatch(number)
    return number if found is None else found[1]


def _hong_kong_check(number: str) -> str:
    """The check character in brackets: weights 9 to 2, a letter counts from A as 10, and a missing first one as 36."""
    values = [int(each, 36) for each in number]
    values = [36, *values] if len(values) < 8 else values
    rest = -sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True)) % 11
    return "0123456789A"[rest]


def _spanish(number: str) -> str:
    found = _SPANISH.fullmatch(number)
    if found is None:
        return number
    first, digits, letter = found.groups()
    digits = digits.zfill(_SPANISH_LENGTH - len(first))
    if first and len(digits) == _SPANISH_LENGTH:
        digits = digits.removeprefix("0")
    if len(first) + len(digits) != _SPANISH_LENGTH:
        return number
    as_digits = f"{'XYZ'.index(first)}{digits}" if first else digits
    return first + digits + (letter or dni.calc_check_digit(as_digits))


def _swedish(number: str, *, has_plus: bool) -> str:
    if (found := _SWEDISH_12.fullmatch(number)) is not None:
        century, year, rest = found.groups()
        is_old = century == "18" or (century == "19" and int(year) <= _YEAR_OF_PLUS)
        return number if is_old else f"{year}{rest}"
    if has_plus and (short := _SWEDISH_10.fullmatch(number)) is not None:
        return ("19" if int(short[1]) <= _YEAR_OF_PLUS else "18") + number
    return number


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
