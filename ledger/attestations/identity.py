"""The holder of an account: name, ID document and phone, in the canonical form that both sides compare.

What reads alike is one. A canonical name is Unicode NFKC, case-folded, and holds letters, marks and digits only: dots,
hyphens, apostrophes, commas, spaces and invisible characters are gone, and private-use characters and radicals are the
Han characters that they stand for (`ledger.attestations.han`). Documents and phones are normalised by python-stdnum and
phonenumbers. Two spellings of one thing have one canonical value.
"""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from stdnum import get_cc_module, luhn
from stdnum.cn import ric
from stdnum.exceptions import InvalidChecksum, InvalidFormat, ValidationError

from standing.ledger.attestations.han import HAN_EQUIVALENTS
from standing.ledger.errors import InvalidValue

#: Letters and marks that a name may have or lack: those that Unicode shows as nothing (Default_Ignorable_Code_Point),
#: such as joiners and fillers, and apostrophes.
_INVISIBLE = dict.fromkeys(
    [
        *range(0x02B9, 0x02C0),  # apostrophes that are letters to Unicode
        0x02C8,
        0x02EE,
        0x034F,
        *range(0x115F, 0x1161),
        *range(0x17B4, 0x17B6),
        *range(0x180B, 0x1810),
        0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
#: Turkish and Azeri have a dotless i, which the capitals of other systems do not tell apart from the dotted one.
_DOTLESS = str.maketrans({"\u0131": "i"})
#: Categories of characters between the digits of a number: controls, formats, dashes and spaces.
_BETWEEN = frozenset({"Cc", "Cf", "Pd", "Zs", "Zl", "Zp"})
_MAX_NAME = 140  # Max140Text, the length of a party's name in ISO 20022
_MAX_DOCUMENT = 35  # Max35Text, the length of an identification in ISO 20022
_MAX_PHONE = 40
_SHORTEST_PHONE = 7  # digits without country code; shorter ones are services and parts of a number
_MAX_NUMBER = 64  # as typed, with separators
_PASSPORT = re.compile(r"[A-Z0-9]{5,12}")  # ICAO 9303: up to nine characters; some states issue longer ones
_CARD = re.compile(r"[0-9]{12,19}")  # ISO/IEC 7812
_ACCOUNT = re.compile(r"[A-Z0-9]{4,34}")  # Max34Text, the length of an account identification in ISO 20022
_RESIDENT_15 = re.compile(r"[0-9]{15}")
_RESIDENT_18 = re.compile(r"[0-9]{17}[0-9X]")
_COUNTRY = re.compile(r"[A-Z]{2}")

#: National identity numbers (ISO 20022 code NIDN) whose checksum python-stdnum knows, by ISO 3166 country.
_NATIONAL_NUMBERS = {"CN": "ric", "ID": "nik", "IN": "aadhaar", "KR": "rrn", "MY": "nric", "TH": "pin", "ZA": "idnr"}


@dataclass(frozen=True, slots=True)
class IdDocument:
    """An identity document: `scheme` NIDN (national identity number) or CCPT (passport), both codes of ISO 20022's
    ExternalPersonIdentification1Code; the ISO 3166 `country` that issued it; its `number`."""

    scheme: str
    country: str
    number: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The three identity fields of a holder, each in canonical form. Personal data: never logged and never on the
    ledger."""

    name: str
    id_document: str
    phone: str

    def __repr__(self) -> str:  # no log line and no traceback may show it
        return "Identity(…)"


def canonical_identity(name: str, id_document: IdDocument, phone: str) -> Identity:
    """All three fields in canonical form. Raises: InvalidValue naming the field."""
    return Identity(canonical_name(name), canonical_id_document(id_document), canonical_phone(phone))


def canonical_number(number: str, number_type: str, field: str = "number") -> str:
    """The canonical form of a card or account number: capital letters and digits only.

    Raises: InvalidValue for a card number that fails the Luhn check (ISO/IEC 7812), or a wrong shape.
    """
    allowed = "12 to 19 digits, Luhn-valid" if number_type == "card" else "4 to 34 letters and digits"
    compact = _compact(number[:_MAX_NUMBER])
    shape = _CARD if number_type == "card" else _ACCOUNT
    if len(number) > _MAX_NUMBER or not shape.fullmatch(compact):
        raise InvalidValue(field, f"not a {number_type} number", allowed)
    if number_type == "card" and not luhn.is_valid(compact):
        raise InvalidValue(field, "a digit is wrong (Luhn check)", allowed)
    return compact


def canonical_name(name: str, field: str = "holder_name") -> str:
    """The canonical form of a name. Raises: InvalidValue where it holds no letter or is too long."""
    if len(name) > _MAX_NAME:
        raise InvalidValue(field, f"longer than {_MAX_NAME} characters", f"1 to {_MAX_NAME} characters")
    canonical, before = name, ""
    # Each step may make another one possible, as where a removed mark had kept two characters apart.
    while canonical != before:
        before, canonical = canonical, _folded(canonical)
    if not any(character.isalpha() for character in canonical):
        raise InvalidValue(field, "no letters in it", f"a name of 1 to {_MAX_NAME} characters")
    return canonical


def _folded(name: str) -> str:
    composed = unicodedata.normalize("NFKC", name.translate(HAN_EQUIVALENTS)).casefold()
    # A capital I with a dot folds to an i and a combining dot.
    letters = unicodedata.normalize("NFKC", composed).translate(_DOTLESS).replace("i\u0307", "i").translate(_INVISIBLE)
    kept = (character for character in letters if unicodedata.category(character)[0] in "LMN")
    return unicodedata.normalize("NFKC", "".join(kept))


def _compact(text: str) -> str:
    """A number as typed, in capitals, without spaces, dashes and invisible characters."""
    plain = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    return "".join(each for each in plain if unicodedata.category(each) not in _BETWEEN).upper()


def canonical_id_document(document: IdDocument, field: str = "id_document") -> str:
    """The canonical form `SCHEME:COUNTRY:NUMBER`.

    Raises: InvalidValue for an unknown scheme or country, or a number that fails its own checksum or shape.
    """
    if not _COUNTRY.fullmatch(document.country):
        raise InvalidValue(f"{field}_country", "not a country code", "two capital letters (ISO 3166-1)")
    if len(document.number) > _MAX_DOCUMENT:
        raise InvalidValue(f"{field}_number", "too long", f"at most {_MAX_DOCUMENT} characters")
    number = _compact(document.number)
    if document.scheme == "NIDN":
        if document.country == "CN" and _RESIDENT_15.fullmatch(number):
            # Before 1999: the year without its century, and no check digit (GB 11643).
            number = number[:6] + "19" + number[6:]
            number += ric.calc_check_digit(f"{number}0")  # it leaves the last digit out
        module = get_cc_module(document.country.lower(), _NATIONAL_NUMBERS.get(document.country, ""))
        if module is None:
            raise InvalidValue(f"{field}_country", "no national number known here", ", ".join(_NATIONAL_NUMBERS))
        try:
            number = _resident_number(number) if document.country == "CN" else module.validate(number)
        except ValidationError as error:
            raise InvalidValue(f"{field}_number", "not valid by its own rules", "a national number") from error
    elif document.scheme == "CCPT":
        if not _PASSPORT.fullmatch(number):
            raise InvalidValue(f"{field}_number", "not a passport number", "5 to 12 letters and digits")
    else:
        raise InvalidValue(f"{field}_scheme", "unknown", "NIDN (national identity number) or CCPT (passport)")
    return f"{document.scheme}:{document.country}:{number}".casefold()


def _resident_number(number: str) -> str:
    """A Chinese resident number with the right check digit (GB 11643). Raises: ValidationError.

    The county is not checked: people keep the number that they were given, and counties have been abolished since.
    Permits of residents of Hong Kong, Macau and Taiwan (81, 82, 83) and of foreigners (9) have the same form.
    """
    if not _RESIDENT_18.fullmatch(number):
        raise InvalidFormat
    if ric.calc_check_digit(number) != number[-1]:
        raise InvalidChecksum
    return number


def canonical_phone(phone: str, field: str = "phone") -> str:
    """The E.164 form of a phone number. A number without a country code is read as Chinese.

    Raises: InvalidValue where it has not the length of a phone number of its country.
    """
    allowed = "an international number such as +86 138 0013 8000, or a Chinese one without +86"
    if len(phone) > _MAX_PHONE:
        raise InvalidValue(field, "too long", allowed)
    try:
        parsed = phonenumbers.parse(unicodedata.normalize("NFKC", phone), "CN")
    except phonenumbers.NumberParseException as error:
        raise InvalidValue(field, "not a phone number", allowed) from error
    # Possible is enough: operators put ranges to use before any library knows of them.
    national = str(parsed.national_number)
    if not phonenumbers.is_possible_number(parsed) or len(national) < _SHORTEST_PHONE:
        raise InvalidValue(field, "too short or too long for a phone number", allowed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
