"""Phone numbers in canonical form: E.164, in the numbering plans of today.

A phone is carried as the bank has recorded it, in whatever range. What cannot be read as a phone number is compared by
its digits. A masked phone (138****8000) counts as no phone: two of them may look alike without being the same.
"""

import re
import unicodedata

import phonenumbers

from standing.ledger.attestations.numbers import is_scientific, visible, without_zero_decimals
from standing.ledger.errors import InvalidValue

MAX_PHONE = 64  # as written; a book may hold two numbers in one field
_HOME = "CN"
_ALLOWED = "an international number such as +86 138 0013 8000, or a Chinese one without +86"
#: Chinese words for an extension, which phonenumbers does not know.
_EXTENSION = re.compile("转|轉|分机|分機")
#: A Chinese landline with its area code, after other signs are removed, and the extension that follows a dash.
_LANDLINE = re.compile(r"(?:(?:\+|00)?860?|0)(?:10[0-9]{8}|2[0-9]{9}|[3-9][0-9]{9,10})")
_DASHED_EXTENSION = re.compile(r"(.*[0-9]) *[-\u2010-\u2015\u2212] *[0-9]{1,6}")
#: The country code a second time, before a Chinese mobile number.
_CODE_TWICE = re.compile("(?:0{0,2}86)+(1[3-9][0-9]{9})")
_MOBILE = re.compile("1[3-9][0-9]{9}")
#: The most different characters of a filler in canonical form: the plus, a country code of three digits, and one digit.
_MAX_IN_FILLER = 5
#: Numbers of Hong Kong, Macau and Taiwan, whose country codes people in China write without a plus.
_NEIGHBOUR = re.compile("(?:852|853|8860?)[0-9]{8,9}")
#: Signs that stand for hidden or lost digits. One x or # may also come before an extension.
_HIDDEN = re.compile(
    r"[*?×○■□█▪〓\ufffd\ud800-\udfff]|[•●·_]{2,}|\.{3,}|[-\u2010-\u2015\u2212]{3,}|(?<![a-z])[x#]{2,}(?![a-z])",
    re.IGNORECASE,
)
_ONE_X = re.compile(r"(?<![a-z])[x#](?![a-z])", re.IGNORECASE)
_NSN = phonenumbers.national_significant_number
#: What stands between two numbers in one field.
_BETWEEN = (
    re.compile(r"\s*[/,;|、]\s*"),
    re.compile(r"\s+"),
    re.compile(r"[^\d+]*[^\W\d_][^\d+]*"),  # words, as in 13800138000(备用 13900139000)
)
#: The usual form of Chinese mobile numbers. Their canonical form is known without the library, which takes a hundred
#: times as long. 179 is left out, because carrier codes begin so.
_CHINESE_MOBILE = re.compile(r"(?:\+86)?(1(?:[3-68-9][0-9]|7[0-8])[0-9]{8})")

_ITALY, _VIETNAM, _CHINA, _IVORY_COAST = 39, 84, 86, 225
#: By country code: national numbers of older plans, or with what is dialled before them, and how they are today.
_PLANS = {
    52: [("(?:0?1|04[45])([0-9]{10})", r"\1")],  # Mexico, 2019: 01 before a number of another town
    54: [("9([0-9]{10})", r"\1")],  # Argentina: dialled from abroad before a mobile number, as 15 within the country
    55: [("([0-9]{2})([6-9][0-9]{7})", r"\g<1>9\2")],  # Brazil, 2016: every mobile number has nine digits
    56: [("(2[0-9]{7})", r"2\1")],  # Santiago de Chile, 2012: fixed lines
    57: [("([0-9]{8})", r"60\1")],  # Colombia, 2021: fixed lines
    229: [("([0-9]{8})", r"01\1")],  # Benin, 30 November 2024
    237: [("([23][0-9]{7})", r"2\1"), ("([0-9]{8})", r"6\1")],  # Cameroon, 2014: fixed lines, mobile numbers
    593: [("([89][0-9]{7})", r"9\1")],  # Ecuador, 2012: mobile numbers
}
#: Vietnam, 2018: mobile numbers of eleven digits lost one (the ministry's plan 798/QĐ-BTTTT).
_VIETNAM_2018 = {f"16{digit}": f"3{digit}" for digit in range(2, 10)}
_VIETNAM_2018 |= {"120": "70", "121": "79", "122": "77", "126": "76", "128": "78"}
_VIETNAM_2018 |= {"123": "83", "124": "84", "125": "85", "127": "81", "129": "82"}
_VIETNAM_2018 |= {"186": "56", "188": "58", "199": "59"}


def canonical_phone(phone: str) -> str:
    """The E.164 form of a phone number. A number without a country code is read as Chinese, except that 852, 853 and
    886 are country codes without a plus, too: no number of these places could be a Chinese one.

    Raises: InvalidValue where no digit is in it, it is too long or masked, or a spreadsheet has rounded it.
    """
    if (mobile := _CHINESE_MOBILE.fullmatch(phone)) is not None:
        return f"+86{mobile[1]}"
    if len(phone) > MAX_PHONE:
        raise InvalidValue("phone", "too long", _ALLOWED)
    plain = without_zero_decimals(_before_extension(_first_of_several(visible(phone), _HOME)))
    if is_scientific(plain):
        raise InvalidValue("phone", "rounded by a spreadsheet", _ALLOWED)
    if _hides_digits(plain):
        raise InvalidValue("phone", "masked, or with lost characters", _ALLOWED)
    digits = "".join(str(unicodedata.decimal(each)) for each in plain if each.isdecimal())
    if not digits:
        raise InvalidValue("phone", "no digit in it", _ALLOWED)
    canonical, before = plain, ""
    while canonical != before:  # a removed prefix may leave another one
        before, canonical = canonical, _e164(canonical)
    return canonical


def international_phone(phone: str, country: str) -> str:
    """A phone number with its country code, which is that of `country` (ISO 3166) where none is written.

    What has one, is masked, or cannot be read is returned as written.
    """
    plain = without_zero_decimals(_first_of_several(visible(phone).strip(), country))
    if (
        plain.startswith("+")
        or _hides_digits(_before_extension(plain), country)
        or is_scientific(plain)
        or not _has_digits(plain)
    ):
        return phone
    # Outside many countries' plans, too, people write 00 before a country code.
    for written in (f"+{plain[2:]}", plain) if plain.startswith("00") else (plain,):
        parsed = parsed_phone(written, country)
        if parsed is not None and (written == plain or phonenumbers.is_valid_number(parsed)):
            return f"+{parsed.country_code}{_NSN(parsed)}"
    return phone


def is_masked_phone(phone: str) -> bool:
    """Whether digits of a phone number are hidden or lost, as in 138****8000."""
    return _hides_digits(_before_extension(visible(phone)))


def is_filler_phone(canonical: str) -> bool:
    """Whether a phone has one digit throughout, as 11111111111, and is no number in use: some are (+852 8888 8888)."""
    if len(set(canonical)) > _MAX_IN_FILLER:  # parsing takes a tenth of a feed's row, and nearly all phones end here
        return False
    parsed = parsed_phone(canonical)
    return parsed is not None and len(set(_NSN(parsed))) == 1 and not phonenumbers.is_valid_number(parsed)


def parsed_phone(phone: str, country: str = _HOME) -> phonenumbers.PhoneNumber | None:
    """A phone number as the library reads it, in `country` where it has no country code; None where it does not."""
    try:
        return phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None


def _has_digits(plain: str) -> bool:
    """Whether digits are in it, and not zeros alone."""
    return any(unicodedata.decimal(each, 0) for each in plain)


def _first_of_several(shown: str, country: str) -> str:
    """Of several whole numbers in one field the first Chinese mobile number, else the first one: there is one phone of
    a holder, and it is the mobile number that people state."""
    for between in _BETWEEN:
        parts = [part for part in between.split(shown.strip()) if part]
        if len(parts) > 1 and all(_is_valid(part, country) for part in parts):
            mobiles = (part for part in parts if _CHINESE_MOBILE.fullmatch(part))
            return next(mobiles, parts[0])
    return shown


def _before_extension(shown: str) -> str:
    plain = _EXTENSION.split(shown)[0].strip()
    dashed = _DASHED_EXTENSION.fullmatch(plain)
    if dashed is None or not _LANDLINE.fullmatch(re.sub("[^0-9+]", "", dashed[1])):
        return plain
    # Otherwise the last group belongs to the number.
    return dashed[1] if _is_valid(dashed[1]) else plain


def _hides_digits(plain: str, country: str = _HOME) -> bool:
    if _HIDDEN.search(plain) is not None:
        return True
    sign = _ONE_X.search(plain)
    if sign is None or not any(each.isdecimal() for each in plain[: sign.start()]):
        return False
    return not _is_valid(plain[: sign.start()], country)


def _is_valid(phone: str, country: str = _HOME) -> bool:
    """Whether a phone is complete: the library knows it as in use, or it could be a Chinese mobile number."""
    parsed = parsed_phone(phone, country)
    return parsed is not None and (phonenumbers.is_valid_number(parsed) or _MOBILE.fullmatch(_NSN(parsed)) is not None)


def _e164(phone: str) -> str:
    parsed = parsed_phone(phone)
    if parsed is None:
        digits = "".join(str(unicodedata.decimal(each)) for each in phone if each.isdecimal())
        return ("+" if phone.startswith("+") else "") + digits
    assert parsed.country_code is not None
    national = _with_usual_zero(parsed.country_code, _NSN(parsed))
    if parsed.country_code == _CHINA and (twice := _CODE_TWICE.fullmatch(national)) is not None:
        national = twice[1]
    if parsed.country_code == _CHINA and _NEIGHBOUR.fullmatch(national) and not phonenumbers.is_valid_number(parsed):
        neighbour = parsed_phone(f"+{national}")
        if neighbour is not None and phonenumbers.is_valid_number(neighbour):
            return f"+{neighbour.country_code}{_NSN(neighbour)}"
    return f"+{parsed.country_code}{_of_today(parsed.country_code, national)}"


def _with_usual_zero(country_code: int, national: str) -> str:
    """A national number without a zero that is only dialled within the country, as in +48 (0)600 123 456, or with the
    one of an Italian fixed line that was left out; unchanged where that gives no number in use."""
    other = national[1:] if national.startswith("0") else f"0{national}" if country_code == _ITALY else national
    if other == national:
        return national
    as_written, parsed = (parsed_phone(f"+{country_code}{each}") for each in (national, other))
    if as_written is None or parsed is None or phonenumbers.is_valid_number(as_written):
        return national
    return other if phonenumbers.is_valid_number(parsed) else national


def _of_today(country_code: int, national: str) -> str:
    """A national number in today's plan of its country."""
    for pattern, today in _PLANS.get(country_code, ()):
        if (found := re.fullmatch(pattern, national)) is not None:
            return found.expand(today)
    if country_code == _VIETNAM and len(national) == 10 and national[:3] in _VIETNAM_2018:
        return _VIETNAM_2018[national[:3]] + national[3:]
    if country_code == _IVORY_COAST and len(national) == 8:
        return _ivory_coast_2021(national) + national
    return national


def _ivory_coast_2021(national: str) -> str:
    """The operator's prefix of a number of eight digits (the regulator ARTCI's plan of 31 January 2021)."""
    if national[0] in "23":  # fixed: Moov, MTN, Orange
        return {"8": "21", "0": "25"}.get(national[2], "27")
    if national[1] in "0123":
        return "01"
    return "05" if national[1] in "456" else "07"
