"""How a bank's own files or view are written: the `[profile]` that docs/FEED.md describes.

A profile says which column is which field of a change, and how values are written. With it a core's export is read
unchanged.
"""

import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import phonenumbers
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from standing.ledger.errors import InvalidValue
from standing.ledger.service.settings import parse_toml
from standing.node.feed.records import BOOLEANS, FIELDS, LIMITS

#: The encodings of files; each may begin with a byte order mark or not. `utf-16` without one is read as little-endian.
ENCODINGS = ("utf-8", "gb18030", "utf-16", "utf-16-le", "utf-16-be")

#: The mark that `feed learn` writes where it cannot guess. A profile that still holds it is refused.
TO_FILL_IN = "?"

#: Form after form must give back this date; its parts differ from each other and from what strptime assumes.
_EXAMPLE = datetime(2026, 11, 28, 13, 45, 56, 789_000, tzinfo=UTC)

#: How many columns one field may be joined of: cores have a flag each for frozen, stopped, lost, dormant and closed.
MAX_JOINED = 8
_MAX_WORDS = 500
_MAX_PROFILE_BYTES = 262_144

FieldName = Literal[FIELDS]  # type: ignore[valid-type]  # the fields of a change, named once
Column = str | Annotated[int, Field(ge=1, le=1_000)]
Word = Annotated[str, Field(max_length=100)]


class Amounts(BaseModel):
    """How limits are written."""

    model_config = ConfigDict(extra="forbid")

    unit: Literal["minor", "major"] = Field("minor", description="major: such as yuan; minor: such as fen")
    factor: int = Field(1, ge=1, le=100_000_000, description="How many units a 1 stands for: 10000 where it is 万元")
    thousands: str = Field("", max_length=1, description="Separates groups of digits; empty: none")
    decimal: str = Field(".", min_length=1, max_length=1)

    @field_validator("thousands", "decimal")
    @classmethod
    def _plain(cls, sign: str) -> str:
        """A sign as amounts are read: a no-break space is a space."""
        return unicodedata.normalize("NFKC", sign)

    @model_validator(mode="after")
    def _check(self) -> "Amounts":
        if open_places := [name for name in ("thousands", "decimal") if getattr(self, name) == TO_FILL_IN]:
            raise ValueError(f"{', '.join(open_places)}: still {TO_FILL_IN!r}; say what it is")
        if self.thousands == self.decimal or any(each.isalnum() for each in self.thousands + self.decimal):
            raise ValueError("thousands and decimal are two different signs, and no digits or letters")
        return self


class Times(BaseModel):
    """How `effective_at_ms` is written.

    `form`: `epoch_ms`, `epoch_s`, `iso` (ISO 8601), `timestamp` (a view's own type), or a form of `strptime` such as
    `%Y%m%d %H%M%S`, which contains year, month and day. `zone` is that of times which do not state one.
    """

    model_config = ConfigDict(extra="forbid")

    form: str = Field("epoch_ms", min_length=1, max_length=64)
    zone: str = Field("UTC", max_length=64, description="IANA name, such as Asia/Shanghai")

    @field_validator("form")
    @classmethod
    def _check_form(cls, form: str) -> str:
        plain = unicodedata.normalize("NFKC", form)  # as times are read
        if plain not in {"epoch_ms", "epoch_s", "iso", "timestamp", TO_FILL_IN} and not _reads_dates(plain):
            raise ValueError(
                "allowed: epoch_ms, epoch_s, iso, timestamp, or a form with year, month and day, each directive once,"
                " such as %Y-%m-%d %H:%M:%S"
            )
        return plain

    @field_validator("zone")
    @classmethod
    def _check_zone(cls, zone: str) -> str:
        if zone == TO_FILL_IN:
            raise ValueError(f"still {TO_FILL_IN!r}; say what it is")
        try:
            ZoneInfo(zone)
        except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError as well
            raise ValueError("no such time zone; allowed: an IANA name, such as Asia/Shanghai") from error
        except KeyError as error:
            raise ValueError("no such time zone; allowed: an IANA name, such as Asia/Shanghai") from error
        return zone


class Phones(BaseModel):
    """How phones are written. `country`: that of numbers without a country code."""

    model_config = ConfigDict(extra="forbid")

    country: str = Field("CN", description="ISO 3166, two letters")

    @field_validator("country")
    @classmethod
    def _check_country(cls, country: str) -> str:
        if country == TO_FILL_IN:
            raise ValueError(f"still {TO_FILL_IN!r}; say what it is")
        if country not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("no country with a numbering plan; allowed: two capital letters (ISO 3166-1)")
        return country


def _reads_dates(form: str) -> bool:
    """Whether `strptime` can use a form, and reads a whole date by it."""
    try:
        read = datetime.strptime(_EXAMPLE.strftime(form), form)  # noqa: DTZ007 - only its date is looked at
    except (ValueError, re.error):  # re.error: a directive occurs twice
        return False
    return read.date() == _EXAMPLE.date()


class Profile(BaseModel):
    """One bank's way to write its accounts.

    `columns`: for each field the column that holds it: its heading, or its number from 1 where there is no heading. A
    list of columns is joined by spaces (a date and a time of day; a state and a flag). Two fields may come from one
    column. `dates`: columns that tell a state by a date, such as that of the closing; where words are looked up, a
    date in them is the word `date`, one far ahead `9999`, and the first of a database `1900`. `ignored`: columns that
    were looked at and tell nothing of what an account may do. `constants`: fields that are the same on every
    line. `words`: for each field what the core's words mean.
    `empty`: for each field what an empty cell means; otherwise it states nothing.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "jsonl"] = "csv"
    encoding: Literal["utf-8", "gb18030", "utf-16", "utf-16-le", "utf-16-be"] = "utf-8"
    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', max_length=1, description="Empty: cells are never quoted")
    escape: str = Field("", max_length=1, description="Before a quote within a cell; empty: such a quote is doubled")
    multiline: bool = Field(False, description="Whether a quoted cell may contain whole lines")
    heading: bool = True
    skip_lines: int = Field(0, ge=0, le=100, description="Lines before the heading, or before the first record")
    trailer: str = Field(
        "",
        max_length=100,
        description="How the last line begins, which is no record: T|, or 合计. Empty: there is none",
    )
    final_line_break: bool = Field(
        True, description="Whether the last line ends with a line break, which shows that it is complete"
    )
    columns: dict[FieldName, Column | list[Column]]
    dates: list[Column] = Field([], max_length=MAX_JOINED)
    ignored: list[Column] = Field([], max_length=1_000)
    constants: dict[FieldName, Word | bool | int] = {}
    words: dict[FieldName, dict[Word, Word | bool]] = {}
    empty: dict[FieldName, Word | bool] = {}
    amounts: Amounts = Amounts()
    times: Times = Times()
    phones: Phones = Phones()

    @model_validator(mode="after")
    def _check(self) -> "Profile":
        if "number" not in self.columns:
            raise ValueError("columns: number is missing")
        if twice := sorted(set(self.columns) & set(self.constants)):
            raise ValueError(f"constants: {', '.join(twice)}: named under columns as well")
        if self.delimiter in {"\r", "\n"} or self.delimiter in {self.quote, self.escape}:
            raise ValueError("delimiter: not a line break, and neither quote nor escape")
        if self.trailer and self.format == "jsonl":
            raise ValueError("trailer: only in CSV")
        for field, words in self.words.items():
            if len(words) > _MAX_WORDS:
                raise ValueError(f"words.{field}: at most {_MAX_WORDS}")
            if field not in self.columns:
                raise ValueError(f"words.{field}: {field} has no column")
        if extra := sorted(set(self.empty) - set(self.columns)):
            raise ValueError(f"empty: {', '.join(extra)}: no column")
        for field, column in self.columns.items():
            named = _listed(column)
            if not 1 <= len(named) <= MAX_JOINED:
                raise ValueError(f"columns.{field}: one to {MAX_JOINED} columns")
            wanted = str if self.heading or self.format == "jsonl" else int
            if not all(isinstance(one, wanted) for one in named):
                kind = "headings" if wanted is str else "numbers from 1, as there is no heading"
                raise ValueError(f"columns.{field}: allowed: {kind}")
        self._check_filled_in()
        self._check_meanings()
        self._check_beside_fields()
        self._check_frozen()
        return self

    def _check_beside_fields(self) -> None:
        read = [one for column in self.columns.values() for one in _listed(column)]
        if twice := sorted({str(one) for one in read if one in self.ignored}):
            raise ValueError(f"ignored: {', '.join(twice)}: read as well")
        used = [one for field in self.words for one in _listed(self.columns[field])]
        if extra := [str(one) for one in self.dates if one not in used]:
            raise ValueError(f"dates: {', '.join(extra)}: no column of a field with words")

    def _check_frozen(self) -> None:
        """A frozen account may do what is allowed beside its status, so that must not be the same for every account."""
        meanings = self.words.get("status", {"": "frozen"}).values()
        allowed = str(self.constants.get("debit_allowed", "false")).lower() == "true"
        if allowed and "status" in self.columns and "frozen" in meanings:
            raise ValueError(
                "constants.debit_allowed: true, and a frozen account could still pay; "
                "take it from the columns of the status, with words"
            )

    def _check_filled_in(self) -> None:
        open_places = [f"constants.{field}" for field, value in self.constants.items() if value == TO_FILL_IN]
        open_places += [f"empty.{field}" for field, value in self.empty.items() if value == TO_FILL_IN]
        open_places += [f"columns.{field}" for field, column in self.columns.items() if column == TO_FILL_IN]
        open_places += [
            f"words.{field}.{word}"
            for field, words in self.words.items()
            for word, meaning in words.items()
            if meaning == TO_FILL_IN
        ]
        open_places += [] if self.times.form != TO_FILL_IN else ["times.form"]
        open_places += ["ignored"] if TO_FILL_IN in self.ignored else []
        if open_places:
            raise ValueError(f"{', '.join(open_places)}: still {TO_FILL_IN!r}; say what it is")

    def _check_meanings(self) -> None:
        """A wrong meaning would make every account that uses it unstated, so it is refused here."""
        stated: list[tuple[str, str, object]] = [
            (f"words.{f}.{w}", f, m) for f, words in self.words.items() for w, m in words.items()
        ]
        stated += [(f"constants.{field}", field, value) for field, value in self.constants.items()]
        stated += [(f"empty.{field}", field, value) for field, value in self.empty.items()]
        for place, field, meaning in stated:
            allowed = _MEANINGS.get(field)
            if allowed is not None and str(meaning).lower() not in allowed:
                raise ValueError(f"{place}: allowed: {', '.join(allowed)}")
            if field in LIMITS and not (str(meaning) == "none" or (str(meaning).isascii() and str(meaning).isdigit())):
                raise ValueError(f"{place}: allowed: none, or a whole number of minor units")


def _listed(column: Column | list[Column]) -> list[Column]:
    return column if isinstance(column, list) else [column]


#: The possible meanings of words, for fields with few values.
_MEANINGS: dict[str, tuple[str, ...]] = {
    "number_type": ("card", "account"),
    "status": ("active", "frozen", "lost", "dormant", "closed"),
    "replaced_bindings": ("go_on", "end"),
    "holder_kind": ("person", "organisation"),
    "account_class": ("1", "2", "3"),
    **dict.fromkeys(BOOLEANS, ("true", "false")),
}


def profile_of(path: Path | None) -> Profile | None:
    """The profile that settings name, if they name one. Raises: as `read_profile`."""
    return None if path is None else read_profile(path)


def read_profile(path: Path) -> Profile:
    """The profile in a TOML file, under `[profile]`. Raises: InvalidValue naming the file and the setting."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"profile {path}", f"cannot be read: {error.strerror}", "a readable file") from error
    if len(raw) > _MAX_PROFILE_BYTES:
        raise InvalidValue(f"profile {path}", "too long", f"at most {_MAX_PROFILE_BYTES} bytes")
    try:
        stated = parse_toml(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise InvalidValue(f"profile {path}", f"not TOML in UTF-8: {error}", "see docs/FEED.md") from error
    if set(stated) != {"profile"}:
        raise InvalidValue(f"profile {path}", "not one table [profile]", "[profile] and what is within it")
    try:
        return Profile.model_validate(stated["profile"])
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(["profile", *(str(part) for part in first["loc"])])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        problem = first["msg"].removeprefix("Value error, ")
        raise InvalidValue(f"{path}: {place}", problem + more, "see docs/FEED.md") from error
