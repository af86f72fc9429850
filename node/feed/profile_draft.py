"""`feed learn`: drafts a profile from a file as a core wrote it, and gives the reason for each guess.

What the file does not show is left as `?`; a profile that still holds one is refused.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standing.ledger.attestations.money import minor_digits
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange
from standing.node.feed.amount_signs import read_signs
from standing.node.feed.file_sample import Sample, read_sample
from standing.node.feed.profile import TO_FILL_IN
from standing.node.feed.records import BOOLEANS, DOCUMENT, LIMITS
from standing.node.feed.time_forms import time_reader
from standing.node.feed.usual_words import HEADINGS, MAJOR_UNIT, MINOR_UNIT, NO, TIME_FORMS, WORDS, YES

_MAX_WORDS = 40
_BRACKETS = re.compile(r"[(\[{<].*?[)\]}>]")


@dataclass
class _Draft:
    lines: list[str] = field(default_factory=list)

    def table(self, name: str, why: str = "") -> None:
        self.lines += ["", f"[{name}]" + (f"  # {why}" if why else "")]

    def put(self, key: str, value: Any, why: str) -> None:
        shown = key if re.fullmatch(r"[a-z_]+", key) else _toml(key)
        self.lines.append(f"{shown} = {_toml(value)}  # {why}")

    def note(self, text: str) -> None:
        self.lines.append(f"# {_one_line(text)}")


def draft_profile(path: Path) -> str:
    """A profile for files like this one, as TOML. Raises: OSError, InvalidValue where the file cannot be understood."""
    sample = read_sample(path)
    columns, unused = _guess_columns(sample)
    draft = _Draft(["# Drafted from a file; each line says why. Read it all, and put the right thing for every '?'."])
    _put_form(draft, sample)
    draft.table("profile.columns")
    for name, index in columns.items():
        why = f"heading {sample.heading[index]!r}" if sample.heading else "the look of its values"
        draft.put(name, sample.heading[index] if sample.heading else index + 1, _one_line(why))
    if unused:
        draft.note(f"not used: {', '.join(unused)}")
    status = columns.get("status")
    derived = [name for name in BOOLEANS if name not in columns and status is not None]
    for name in derived:
        assert status is not None
        where = sample.heading[status] if sample.heading else status + 1
        draft.put(name, where, "no column of its own: derived from the status, see its words")
    _put_constants(draft, sample, columns, derived)
    _put_words(draft, sample, columns, derived)
    _put_empty(draft, sample, columns)
    _put_amounts(draft, sample, columns)
    _put_times(draft, sample, columns)
    return "\n".join(draft.lines) + "\n"


def folded(text: str) -> str:
    """A heading or a word in the form used for look-up: without text in brackets, signs and spaces."""
    plain = _BRACKETS.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return "".join(each for each in plain if each.isalnum())


def _guess_columns(sample: Sample) -> tuple[dict[str, int], list[str]]:
    """For each field the column it is likely to be in, and the headings that are left."""
    if sample.heading is None:
        return _guess_by_values(sample), []
    found: dict[str, int] = {}
    names = [folded(name) for name in sample.heading]
    for field_name, usual in HEADINGS.items():
        if field_name in AccountChange.model_fields:
            at = next(
                (names.index(one) for one in usual if one in names and names.index(one) not in found.values()), None
            )
            if at is not None:
                found[field_name] = at
    unused = [name for index, name in enumerate(sample.heading) if index not in found.values() and name]
    return found, unused


def _guess_by_values(sample: Sample) -> dict[str, int]:
    """Without a heading: the columns whose values allow one reading only."""
    looks = {
        "id_document_number": r"\d{17}[\dXx]",
        "phone": r"(\+?86)?1[3-9]\d{9}",
        "number": r"\d{12,30}",
        "holder_name": r"[\u4e00-\u9fff·●]{2,30}",
    }
    found: dict[str, int] = {}
    for field_name, look in looks.items():
        shape = re.compile(look)
        for index in range(max((len(row) for row in sample.rows), default=0)):
            cells = [row[index] for row in sample.rows if index < len(row) and row[index]]
            fitting = sum(shape.fullmatch(cell) is not None for cell in cells)
            if index not in found.values() and cells and fitting * 10 >= len(cells) * 9:
                found[field_name] = index
                break
    for field_name, meanings in WORDS.items():
        known = {word for words in meanings.values() for word in words if not word.isdigit()}
        for index in range(max((len(row) for row in sample.rows), default=0)):
            cells = [folded(row[index]) for row in sample.rows if index < len(row) and row[index]]
            if index not in found.values() and cells and sum(cell in known for cell in cells) * 10 >= len(cells) * 9:
                found[field_name] = index
                break
    return found


def _put_form(draft: _Draft, sample: Sample) -> None:
    draft.table("profile")
    draft.put("format", sample.form, "the look of the first line")
    draft.put("encoding", sample.encoding, sample.encoding_why)
    if sample.form == "csv":
        draft.put("delimiter", sample.delimiter, "guessed by clevercsv")
        draft.put("quote", sample.quote, "around cells that hold the delimiter")
        if sample.escape:
            draft.put("escape", sample.escape, "guessed by clevercsv")
        draft.put(
            "heading",
            sample.heading is not None,
            "the first line holds no numbers" if sample.heading else "the first line holds numbers",
        )
    draft.put("final_line_break", sample.final_line_break, "as this file ends; true shows a file that was cut short")


def _put_constants(draft: _Draft, sample: Sample, columns: dict[str, int], derived: Iterable[str]) -> None:
    needed = [*AccountChange.STATE_FIELDS, *(DOCUMENT if "id_document_number" in columns else ())]
    missing = [name for name in dict.fromkeys(needed) if name not in columns and name not in derived]
    draft.table("profile.constants", "what no column states, the same for every account")
    guesses = {"id_document_country": ("CN", "no column; GUESS: all documents were issued in China")}
    if "number" not in columns:
        draft.note("columns.number: no column looks like it; a profile needs one")
    for name in missing:
        if name in guesses:
            draft.put(name, *guesses[name])
        elif name == "number_type":
            _put_number_type(draft, sample, columns)
        elif name in LIMITS:
            draft.put(name, TO_FILL_IN, 'no column: "none", or minor units')
        elif name == "currency":
            draft.put(name, TO_FILL_IN, "no column: ISO 4217 letters")
        elif name in BOOLEANS:
            draft.put(name, TO_FILL_IN, "no column: true or false")
        elif name == "id_document_scheme":
            draft.put(name, TO_FILL_IN, "no column: NIDN, CCPT …")
        else:
            draft.note(f"{name}: no column looks like it; full files need one")


def _put_number_type(draft: _Draft, sample: Sample, columns: dict[str, int]) -> None:
    at = columns.get("number", -1)
    numbers = [row[at] for row in sample.rows if 0 <= at < len(row)]
    if any(re.fullmatch(r"[0-9]{12,19}", number) is None for number in numbers):
        draft.put("number_type", "account", "no column, and not every number has the form of a card's")
    else:
        draft.put("number_type", TO_FILL_IN, 'no column: "account", or "card" where every number is a card')


def _put_words(draft: _Draft, sample: Sample, columns: dict[str, int], derived: Sequence[str]) -> None:
    for name in (*WORDS, *BOOLEANS):
        source = columns.get("status") if name in derived else columns.get(name)
        if source is None:
            continue
        counted = Counter(row[source] for row in sample.rows if source < len(row) and row[source])
        if len(counted) > _MAX_WORDS:
            draft.note(f"words.{name}: {len(counted)} different values, too many for words; is that the right column?")
            continue
        guesses = {word: _meaning(name, word, name in derived) for word in counted}
        if not counted or all(_is_feed_value(name, word) for word in counted):
            continue
        draft.table(f"profile.words.{name}")
        for word, times in counted.most_common():
            meaning = guesses[word]
            why = f"{times} of {len(sample.rows)} records"
            if name in derived and meaning is False:
                why += "; GUESS: nothing is allowed unless the account is active"
            draft.put(word, TO_FILL_IN if meaning is None else meaning, why)


def _is_feed_value(name: str, word: str) -> bool:
    """Whether a value is what the feed itself writes."""
    return _meaning(name, word, derived=False) == word


def _meaning(name: str, word: str, derived: bool) -> str | bool | None:
    plain = folded(word)
    if derived:
        status = _meaning("status", word, derived=False)
        return None if status is None else status == "active"
    if name in BOOLEANS:
        return True if plain in YES else False if plain in NO else None
    return next((meaning for meaning, usual in WORDS[name].items() if plain in usual), None)


def _put_empty(draft: _Draft, sample: Sample, columns: dict[str, int]) -> None:
    draft.table("profile.empty", "what an empty cell states; otherwise it states nothing")
    for name in LIMITS:
        at = columns.get(name)
        empty = 0 if at is None else sum(not row[at] for row in sample.rows if at < len(row))
        if empty:
            draft.put(name, TO_FILL_IN, f'{empty} of {len(sample.rows)} records: "none" where that means no limit')


def _put_amounts(draft: _Draft, sample: Sample, columns: dict[str, int]) -> None:
    stated = [name for name in LIMITS if name in columns]
    if not stated:
        return
    numbers = [
        (unicodedata.normalize("NFKC", row[columns[name]]), _has_three_decimals(row, columns))
        for name in stated
        for row in sample.rows
        if columns[name] < len(row) and re.search(r"\d", row[columns[name]])
    ]
    signs = read_signs(numbers)
    headings = "".join(sample.heading[columns[name]] for name in stated).casefold() if sample.heading else ""
    draft.table("profile.amounts")
    if any(word in headings for word in MINOR_UNIT):
        draft.put("unit", "minor", "the heading says so")
    elif any(word in headings for word in MAJOR_UNIT):
        draft.put("unit", "major", "the heading says so")
    elif signs.has_decimals:
        draft.put("unit", "major", "amounts have decimals")
    elif signs.thousands:
        draft.put("unit", TO_FILL_IN, "no heading and no decimals say it: major if these are yuan, minor if fen")
    else:
        draft.put(
            "unit", "minor", "GUESS: no heading and no decimals say otherwise; major if these are yuan and not fen"
        )
    draft.put("thousands", signs.thousands, signs.thousands_why)
    draft.put("decimal", signs.decimal, signs.decimal_why)


def _has_three_decimals(row: Sequence[str], columns: dict[str, int]) -> bool:
    """Whether the currency of a row is known to have three decimals or more, as the Kuwaiti dinar has."""
    at = columns.get("currency")
    if at is None or at >= len(row):
        return False
    with suppress(InvalidValue):
        return minor_digits(str(_meaning("currency", row[at], derived=False) or row[at]).upper()) >= 3
    return False


def _put_times(draft: _Draft, sample: Sample, columns: dict[str, int]) -> None:
    at = columns.get("effective_at_ms")
    if at is None:
        return
    cells = [row[at] for row in sample.rows if at < len(row) and row[at]][:1_000]
    draft.table("profile.times")
    form = _time_form(cells)
    draft.put(
        "form", form or TO_FILL_IN, "every value fits" if form else "epoch_ms, epoch_s, iso, or as %Y-%m-%d %H:%M:%S"
    )
    if form not in {"epoch_ms", "epoch_s"}:
        draft.put("zone", "Asia/Shanghai", "GUESS: the zone of the core's clock")


def _time_form(cells: Sequence[str]) -> str | None:
    if cells and all(re.fullmatch(r"1\d{12}", cell) for cell in cells):
        return "epoch_ms"
    if cells and all(re.fullmatch(r"1\d{9}", cell) for cell in cells):
        return "epoch_s"
    for form in TIME_FORMS:
        if cells and all(_fits(cell, form) for cell in cells):
            return form
    return "iso" if cells and all(_fits(cell, "iso") for cell in cells) else None


def _fits(cell: str, form: str) -> bool:
    try:
        moment = time_reader(form)(cell)
    except (ValueError, OverflowError):
        return False
    return moment.year >= 1970


def _toml(value: Any) -> str:
    """A value as TOML writes it; its basic strings are those of JSON, but for DEL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value).encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:1_000]
