"""The holder of an account: name, ID document and phone, in the canonical form that both sides compare.

A canonical name is Unicode NFKC, case-folded, without white space and name dots. Documents and phones are validated and
normalised by python-stdnum and phonenumbers. Two spellings of one thing have one canonical value.
"""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from stdnum import get_cc_module, luhn
from stdnum.exceptions import ValidationError

from standing.ledger.errors import InvalidValue

#: The dots that people type inside a name: interpuncts, bullets, katakana middle dots, full stops.
_NAME_DOTS = "·•‧・･∙⋅.。．"
_DOTS = {ord(dot): None for dot in unicodedata.normalize("NFKC", _NAME_DOTS) + _NAME_DOTS}
_MAX_NAME = 140  # Max140Text, the length of a party's name in ISO 20022
_MAX_DOCUMENT = 35  # Max35Text, the length of an identification in ISO 20022
_MAX_PHONE = 40
_MAX_NUMBER = 64  # as typed, with separators
_PASSPORT = re.compile(r"[A-Z0-9]{5,12}")  # ICAO 9303: up to nine characters; some states issue longer ones
_CARD = re.compile(r"[0-9]{12,19}")  # ISO/IEC 7812
_ACCOUNT = re.compile(r"[A-Z0-9]{4,34}")  # Max34Text, the length of an account identification in ISO 20022
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
    compact = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", number[:_MAX_NUMBER])).upper()
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
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_DOTS)
    # NFKC once more: folding may leave a sequence that is not normalised.
    canonical = unicodedata.normalize("NFKC", "".join(folded.split()))
    if not any(character.isalpha() for character in canonical):
        raise InvalidValue(field, "no letters in it", f"a name of 1 to {_MAX_NAME} characters")
    return canonical


def canonical_id_document(document: IdDocument, field: str = "id_document") -> str:
    """The canonical form `SCHEME:COUNTRY:NUMBER`.

    Raises: InvalidValue for an unknown scheme or country, or a number that fails its own checksum or shape.
    """
    if not _COUNTRY.fullmatch(document.country):
        raise InvalidValue(f"{field}_country", "not a country code", "two capital letters (ISO 3166-1)")
    if len(document.number) > _MAX_DOCUMENT:
        raise InvalidValue(f"{field}_number", "too long", f"at most {_MAX_DOCUMENT} characters")
    number = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", document.number)).upper()
    if document.scheme == "NIDN":
        module = get_cc_module(document.country.lower(), _NATIONAL_NUMBERS.get(document.country, ""))
        if module is None:
            raise InvalidValue(f"{field}_country", "no national number known here", ", ".join(_NATIONAL_NUMBERS))
        try:
            number = module.validate(number)
        except (ValidationError, LookupError) as error:
            # python-stdnum raises LookupError for a Chinese number of a known province and an unknown county.
            raise InvalidValue(f"{field}_number", "not valid by its own rules", "a national number") from error
    elif document.scheme == "CCPT":
        if not _PASSPORT.fullmatch(number):
            raise InvalidValue(f"{field}_number", "not a passport number", "5 to 12 letters and digits")
    else:
        raise InvalidValue(f"{field}_scheme", "unknown", "NIDN (national identity number) or CCPT (passport)")
    return f"{document.scheme}:{document.country}:{number}".casefold()


def canonical_phone(phone: str, field: str = "phone") -> str:
    """The E.164 form of a phone number. A number without a country code is read as Chinese.

    Raises: InvalidValue where it is not a valid number of any country.
    """
    allowed = "an international number such as +86 138 0013 8000, or a Chinese one without +86"
    if len(phone) > _MAX_PHONE:
        raise InvalidValue(field, "too long", allowed)
    try:
        parsed = phonenumbers.parse(unicodedata.normalize("NFKC", phone), "CN")
    except phonenumbers.NumberParseException as error:
        raise InvalidValue(field, "not a phone number", allowed) from error
    if not phonenumbers.is_valid_number(parsed):
        raise InvalidValue(field, "not a phone number in use", allowed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
