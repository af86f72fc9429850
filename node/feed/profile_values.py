"""Turns a row as a core writes it into a record of the feed, by its profile. Errors name the field, no value."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, currency_code, minor_digits
from standing.ledger.attestations.phones import international_phone
from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import Amounts, Profile, Times
from standing.node.feed.records import ALWAYS_STATED, BOOLEANS, DOCUMENT, LIMITS, holds_bad_bytes, trimmed
from standing.node.feed.time_forms import needs_zeros, time_reader

_LISTED_WORDS = 20
#: What an empty part of several joined columns counts as where words are looked up: without it, a flag in the second
#: column could be taken for one in the third.
EMPTY_PART = "-"
#: What a date counts as in a column that tells a state by one: what has five digits, or three numbers. Years far ahead
#: are a word of their own: such a day is no closing at all, and a freeze without end. So are the first days of
#: databases and spreadsheets, which stand for no day, or for one that nobody knows.
DATE_WORD, LAST_DATE_WORD, FIRST_DATE_WORD = "date", "9999", "1900"
_DATE = re.compile(r"(?:\D*\d){5}|\D*\d+\D+\d+\D+\d")
_LAST_DATE = re.compile(r"9999.*|.*\W9999(?:\W.*)?")
#: The year of a date: before month and day, or behind them. Years of other calendars are not among those far ahead.
_MONTH_AND_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_YEAR = re.compile(
    rf"(\d{{4}})(?:{_MONTH_AND_DAY}|[^\d:].*)(?:\D.*)?"
    r"|\d{1,2}\W(?:\d{1,2}|[^\W\d]{3,9})\W(\d{4})(?:\D.*)?"
)
_FAR_AHEAD = 2700
_FIRST_YEARS = frozenset({1753, 1800, 1899, 1900})
_EPOCH = re.compile(r"1970\W?01\W?01(?:\D.*)?|0?1\W0?1\W1970(?:\D.*)?")
#: What stands for no date: zeros alone, and the first year.
_NO_DATE = re.compile(r"[0\W]+|0001\W?01\W?01.*")
#: An amount with one separator of thousands, here a space, as some databases write four decimals.
_FOUR_DIGITS = re.compile(r"\d{1,4} \d{4}")
_EPOCH_END = 10**15  # from here on, a number has too many digits for a time

#: A value of a row: a cell's text, or whatever a database's driver gives.
Convert = Callable[[Any], Any]


class Translator:
    """Reads rows by a profile. `columns` are those that it needs, in no order."""

    def __init__(self, profile: Profile, note: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """`note` is called with each row."""
        self._note = note
        self._constants = dict[str, Any](profile.constants)
        self._columns = {
            field: tuple(str(one) for one in (column if isinstance(column, list) else [column]))
            for field, column in profile.columns.items()
        }
        self._empty = dict(profile.empty)
        self._empty_parts = {field: EMPTY_PART if profile.words.get(field) else "" for field in self._columns}
        #: For each field the word for none of its columns being filled, if the profile has it.
        self._none_filled = {
            field: word
            for field, names in self._columns.items()
            if (word := " ".join([EMPTY_PART] * len(names))) in profile.words.get(field, {})
        }
        self._converts: dict[str, Convert] = {}
        for field in self._columns:
            self._converts[field] = _convert(field, profile.words.get(field, {}), profile)
        self._dates = frozenset(map(str, profile.dates))
        self._has_document_column = any(field in self._columns for field in DOCUMENT)
        self._amount = _amount_reader(profile.amounts)
        self.columns: frozenset[str] = frozenset(name for names in self._columns.values() for name in names)

    def record(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[InvalidValue]]:
        """The record that a row states, and the problems of the fields that cannot be understood.

        Those fields are not in the record.
        """
        if self._note is not None:
            self._note(row)
        record: dict[str, Any] = dict(self._constants)
        problems = []
        for field, names in self._columns.items():
            stated = self._with_date_words(field, row) if self._dates else row
            value = stated.get(names[0]) if len(names) == 1 else _joined(stated, names, self._empty_parts[field])
            if isinstance(value, str):
                value = trimmed(value)
            if value is None or value == "":
                value = self._none_filled.get(field)
            if value is None:
                if field in self._empty:
                    record[field] = self._empty[field]
                elif field in ALWAYS_STATED:
                    record[field] = None
                continue
            try:
                if field == "number" and len(names) > 1 and not all(_is_stated(row.get(name)) for name in names):
                    raise InvalidValue(field, "a part of it is empty", "all columns of which it is joined")
                if isinstance(value, str) and holds_bad_bytes(value):
                    raise InvalidValue(field, "bytes that are not valid text", "text in the profile's encoding")
                record[field] = self._converts[field](value)
            except InvalidValue as error:
                problems.append(error)
        self._read_amounts(record, problems)
        self._read_document(record)
        return record, problems

    def _with_date_words(self, field: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A row as its field with words reads it: a date that tells a state is a word."""
        if not self._empty_parts[field]:
            return row
        return {
            name: date_word(row.get(name)) if name in self._dates else row.get(name) for name in self._columns[field]
        }

    def _read_document(self, record: dict[str, Any]) -> None:
        """A number `none` states that there is no document; constants alone, such as the country, state none."""
        if record.get("id_document_number") == "none":
            for field in DOCUMENT:
                record.pop(field, None)
            record["id_document_scheme"] = "none"
        elif self._has_document_column and not any(field in record for field in DOCUMENT if field in self._columns):
            for field in DOCUMENT:
                record.pop(field, None)

    def _read_amounts(self, record: dict[str, Any], problems: list[InvalidValue]) -> None:
        """Read the limits, which may need the currency of the row."""
        for field in LIMITS:
            amount = record.get(field)
            if not isinstance(amount, _Amount):
                continue
            try:
                record[field] = self._amount(field, amount.value, record.get("currency"))
            except InvalidValue as error:
                if all(
                    each.field != error.field for each in problems
                ):  # an unknown currency is one problem of all limits
                    problems.append(error)
                del record[field]


class _Amount:
    """An amount that is to be read once the row's currency is known."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _joined(row: Mapping[str, Any], names: tuple[str, ...], empty: str) -> str | None:
    parts = [trimmed(str(row[name])) if _is_stated(row.get(name)) else empty for name in names]
    return " ".join(filter(None, parts)) if any(_is_stated(row.get(name)) for name in names) else None


def date_word(value: Any) -> Any:
    """A date as the word for any of them, one that stands for none as nothing, and anything else unchanged."""
    if not _is_stated(value):
        return None
    text = unicodedata.normalize("NFKC", trimmed(str(value)))
    if _NO_DATE.fullmatch(text):
        return None
    found = _YEAR.fullmatch(text)
    year = 0 if found is None else int(found[1] or found[2])
    if year >= _FAR_AHEAD or _LAST_DATE.fullmatch(text):
        return LAST_DATE_WORD
    if year in _FIRST_YEARS or _EPOCH.fullmatch(text):
        return FIRST_DATE_WORD
    return DATE_WORD if _DATE.match(text) else value


def _is_stated(value: Any) -> bool:
    return value is not None and trimmed(str(value)) != ""


def _plain(word: str) -> str:
    """A word in the form used for look-up: width, case and surrounding space do not matter."""
    return unicodedata.normalize("NFKC", trimmed(word)).casefold()


def _in_any_form(words: Mapping[str, Any]) -> dict[str, Any]:
    """Meanings by the form of words used for look-up, without those of which two words of one form differ (A and a)."""
    meanings: dict[str, set[str]] = {}
    for word, meaning in words.items():
        meanings.setdefault(_plain(word), set()).add(str(meaning).lower())
    return {plain: meaning for word, meaning in words.items() if len(meanings[plain := _plain(word)]) == 1}


def _convert(field: str, words: Mapping[str, Any], profile: Profile) -> Convert:
    """The converter of a field: its words first, as written and then in any form, then what is usual for the field."""
    usual: Convert
    if field == "effective_at_ms":
        usual = _time_reader(profile.times)
    elif field in LIMITS:
        usual = _Amount
    elif field == "currency":
        # A bank that has numbers of its own (12 is sterling in China) does not write ISO's (012, Algeria's dinar).
        has_own = any(len(word) < 3 and trimmed(word).isdigit() for word in words)
        usual = _own_currency if has_own else _currency
    elif field == "phone":
        usual = _phone_reader(profile.phones.country)
    else:
        usual = _unchanged
    if not words:
        return usual
    shown = ", ".join(sorted({str(meaning) for meaning in words.values()})[:_LISTED_WORDS])
    exact = {trimmed(word): meaning for word, meaning in words.items()}
    in_any_form = _in_any_form(words)

    def convert(value: Any) -> Any:
        meaning = exact.get(str(value))
        if meaning is None:
            meaning = in_any_form.get(_plain(str(value)))
        if meaning is not None:
            return meaning
        if field in _CLOSED and _plain(str(value)) not in _CLOSED[field]:
            raise InvalidValue(field, "a value that the profile does not define", f"a word for one of {shown}")
        return usual(value)

    return convert


#: Fields of few values: beside the profile's words only these are understood.
_CLOSED: dict[str, frozenset[str]] = {
    "status": frozenset({"active", "frozen", "lost", "dormant", "closed"}),
    "number_type": frozenset({"card", "account"}),
    **{field: frozenset({"true", "false"}) for field in BOOLEANS},
}


def _unchanged(value: Any) -> Any:
    return value


def _phone_reader(country: str) -> Convert:
    """Reads phones. Numbers without a country code are Chinese to the feed."""
    if country == "CN":
        return _unchanged
    return lambda value: international_phone(str(value), country) if type(value) in {str, int} else value


def _currency(value: Any) -> Any:
    """A currency by its letters, or by its ISO 4217 number."""
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) <= 3:
        return currency_code(int(text))
    return text.upper() if isinstance(value, str) else value


def _own_currency(value: Any) -> Any:
    """A currency where the profile names numbers of the bank's own: another such number is unknown."""
    text = str(value).strip()
    if text.isdigit() and len(text) < 3:
        raise InvalidValue("currency", "a value that the profile does not define", "a word for it")
    return _currency(value)


def _amount_reader(amounts: Amounts) -> Callable[[str, Any, Any], int]:
    """Reads limits. Text in minor units has no decimals: with them it is probably in major units."""
    decimal, thousands = re.escape(amounts.decimal), re.escape(amounts.thousands)
    # Groups of two to four digits, the last of three or four: 1,234,567 and 12,34,567 and 123,4567, but not 1,5.
    grouped = rf"\d{{1,4}}(?:{thousands}\d{{2,4}})*{thousands}\d{{3,4}}|" if amounts.thousands else ""
    shape = re.compile(rf"({grouped}\d{{1,20}})(?:{decimal}(\d{{1,10}}))?")
    example = f"1{amounts.thousands}234{amounts.decimal}00" if amounts.unit == "major" else f"1{amounts.thousands}234"

    def read(field: str, value: Any, currency: Any) -> int:
        if isinstance(value, str):
            value = value.removeprefix("+")  # DB2 and COBOL write a sign before every amount
        number = _number(field, value, shape, amounts, example) * amounts.factor
        minor = number
        if amounts.unit == "major":
            if not isinstance(currency, str):
                raise InvalidValue(field, "an amount in major units on a line without a currency", "a currency as well")
            digits = minor_digits(currency)
            if digits < 3 and isinstance(value, str) and _thousands_or_decimals(value, amounts.decimal):
                problem = "three decimals in a currency with fewer: they could be thousands"
                raise InvalidValue(field, problem, f"an amount such as {example}")
            minor = number.scaleb(digits)
        if minor != minor.to_integral_value():
            raise InvalidValue(field, "more decimals than its unit has", f"an amount such as {example}")
        if not 0 <= minor <= MAX_AMOUNT_MINOR:
            raise InvalidValue(field, "out of range", f"0 to {MAX_AMOUNT_MINOR} minor units")
        return int(minor)

    return read


def _thousands_or_decimals(value: str, decimal: str) -> bool:
    """Whether an amount reads as one with three decimals and as one in thousands, such as 50.000."""
    return re.fullmatch(rf"[1-9]\d{{0,2}}{re.escape(decimal)}\d{{3}}", unicodedata.normalize("NFKC", value)) is not None


def _number(field: str, value: Any, shape: re.Pattern[str], amounts: Amounts, example: str) -> Decimal:
    wrong = InvalidValue(field, "not an amount", f"an amount such as {example}")
    if isinstance(value, bool):
        raise wrong
    if isinstance(value, int | Decimal | float):
        # A database's own number has no separators. A float is read as the shortest decimal that names it.
        try:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        except InvalidOperation as error:
            raise wrong from error
        if not number.is_finite() or abs(number) > MAX_AMOUNT_MINOR:
            raise wrong
        return number
    match = shape.fullmatch(unicodedata.normalize("NFKC", str(value)))
    if match is None:
        raise wrong
    if amounts.thousands and _FOUR_DIGITS.fullmatch(match[0].replace(amounts.thousands, " ")):
        raise InvalidValue(field, "four digits after its only separator: they could be decimals", wrong.allowed)
    if amounts.unit == "minor" and amounts.factor == 1 and match[2] is not None:
        raise InvalidValue(field, "decimals, although the profile's unit is minor", f"an amount such as {example}")
    whole = match[1].replace(amounts.thousands, "") if amounts.thousands else match[1]
    return Decimal(f"{whole}.{match[2] or 0}")


def _time_reader(times: Times) -> Convert:
    zone = ZoneInfo(times.zone)
    read_text = time_reader("iso" if times.form in {"epoch_ms", "epoch_s", "timestamp"} else times.form)
    allowed = f"a time written as {times.form}"
    if needs_zeros(times.form):
        allowed = f"a time written as {times.form}, with leading zeros"

    def read(value: Any) -> int:
        if isinstance(value, datetime):
            return _to_ms(value, zone)
        if isinstance(value, date):
            return _to_ms(datetime(value.year, value.month, value.day, tzinfo=zone), zone)
        if times.form in {"epoch_ms", "epoch_s"}:
            return _epoch(value, 1000 if times.form == "epoch_s" else 1, times.form)
        try:
            return _to_ms(read_text(str(value)), zone)
        except (ValueError, OverflowError) as error:
            raise InvalidValue("effective_at_ms", "not a time", allowed) from error

    return read


def _epoch(value: Any, factor: int, form: str) -> int:
    if isinstance(value, Decimal):  # a driver's own, which may show an exponent
        if value.is_finite() and 0 <= value < _EPOCH_END:
            return int(value * factor)
    elif not isinstance(value, bool) and re.fullmatch(r"\d{1,15}(\.\d{1,9})?", str(value)):
        return int(Decimal(str(value)) * factor)
    raise InvalidValue("effective_at_ms", "not a time", f"a time written as {form}")


def _to_ms(moment: datetime, zone: tzinfo) -> int:
    """Milliseconds since 1970 UTC. A local time that occurs twice, when summer time ends, is the first of the two."""
    stated = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    since = stated - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
