"""`feed learn`: drafts a profile from a file as a core wrote it, and gives the reason for each guess.

What the file does not show is left as `?`; a profile that still holds one is refused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from standing.node.accounts.changes import AccountChange
from standing.node.feed.column_guess import ColumnGuess, guess_columns
from standing.node.feed.draft_amounts import put_amounts
from standing.node.feed.draft_text import Draft, one_line
from standing.node.feed.file_sample import Sample, read_sample
from standing.node.feed.headings import KNOWN, folded, plain_text, simplified, units_of
from standing.node.feed.profile import MAX_JOINED, TO_FILL_IN, Column
from standing.node.feed.profile_values import DATE_WORD, EMPTY_PART, FIRST_DATE_WORD, LAST_DATE_WORD
from standing.node.feed.records import BOOLEANS, DOCUMENT, LIMITS
from standing.node.feed.rounded_numbers import LongNumbers
from standing.node.feed.time_forms import time_reader
from standing.node.feed.usual_words import CHINESE_CURRENCIES, MAX_DRAFTED_WORDS, OF_LIMITS, TIME_FORMS, UNITS, WORDS
from standing.node.feed.word_meanings import is_feed_value, meaning_of

_HAN = re.compile("[\u4e00-\u9fff]")
#: What has no more digits than a short number is no phone of a holder.
_FEW_DIGITS = 4
#: A Chinese mobile number, or a landline with its area code.
_CHINESE_PHONE = re.compile(
    r"(?:(?:00)?86[ -]?)?(?:1[3-9]\d[ -]?\d{4}[ -]?\d{4}|0(?:10|2\d)[ -]?\d{8}|0[3-9]\d\d[ -]?\d{7,8})(?!\d)"
)
_TAX_NUMBER = re.compile(r"[A-Z]{5}\d{4}[A-Z]")
_ZERO = re.compile(r"0+(?:[.,]0+)?")
#: What to do about times in no form of strptime, such as R8.11.28.
_WITHOUT_TIMES = "without the column, changes count from the file's time"
#: Years of Buddhist calendars, 1900 to 2100 of ours.
_BUDDHIST = range(2443, 2644)


def draft_profile(path: Path) -> str:
    """A profile for files like this one, as TOML. Raises: OSError, InvalidValue where the file cannot be understood."""
    sample = read_sample(path)
    guess = guess_columns(sample)
    columns = guess.found
    draft = Draft(["# Drafted from a file; each line says why. Read it all, and put the right thing for every '?'."])
    _put_form(draft, sample)
    _put_ignored(draft, guess)
    if guess.dates and "status" not in guess.open:
        why = (
            f"tell a state by a date: among the words it is {DATE_WORD!r}, past or not; {LAST_DATE_WORD!r} far ahead; "
            f"{FIRST_DATE_WORD!r} for the first days of databases, which stand for none"
        )
        draft.put("dates", guess.dates, why)
    draft.table("profile.columns")
    _put_columns(draft, sample, guess)
    derived = [name for name in BOOLEANS if name not in columns and "status" in columns]
    for name in derived:
        why = "no column of its own: derived from the status, see its words"
        draft.put(name, _named(sample, guess, "status"), why)
    follow = [name for name in BOOLEANS if name not in columns and "status" in guess.open]
    for name in follow:
        draft.put(name, TO_FILL_IN, f"no column of its own: as the status; [profile.words.{name}] says what is allowed")
    _put_constants(draft, sample, columns, {*derived, *follow, *guess.open})
    _put_words(draft, sample, columns, derived)
    _put_empty(draft, sample, columns, derived)
    put_amounts(draft, sample, guess)
    _put_times(draft, sample, columns)
    _put_phones(draft, sample, columns)
    return "\n".join(draft.lines) + "\n"


def _put_columns(draft: Draft, sample: Sample, guess: ColumnGuess) -> None:
    for name in guess.found:
        if name == "status" and guess.status:
            why = f"all of them tell of it; joined by spaces, and an empty one is {EMPTY_PART!r}"
        else:
            why = f"heading {_named(sample, guess, name)!r}" if sample.heading else "the look of its values"
        doubt = _doubt(sample, name, guess.found[name])
        column = TO_FILL_IN if doubt else _named(sample, guess, name)
        draft.put(name, column, one_line(f"{why}, but {doubt}" if doubt else why))
    for name, headings in guess.open.items():
        several = f", or a list of up to {MAX_JOINED}" if name in {"status", "holder_name"} else ""
        dated = f"; `dates` under [profile] names those with dates: {', '.join(guess.dates)}" if guess.dates else ""
        why = f"one of these{several}: {', '.join(headings)}{dated if name == 'status' else ''}"
        draft.put(name, TO_FILL_IN, one_line(why))
    for name in ("id_document_number", "phone"):
        if name not in guess.found and name not in guess.open:
            draft.note(f"{name}: no column looks like it; without it, claims are not compared with one")
    unread = [str(name) for name in (*guess.doubtful, *guess.unused) if OF_LIMITS.search(plain_text(str(name)))]
    if unread:
        draft.note(f"look like limits and are not read: {', '.join(unread)}")


def _put_ignored(draft: Draft, guess: ColumnGuess) -> None:
    """List every column that is not read, so that one which a file gains later is told from them."""
    doubtful, unused = list[Column](dict.fromkeys(guess.doubtful)), list(dict.fromkeys(guess.unused))
    if not (doubtful or unused):
        return
    why = "not read; make sure that none of them restricts an account, and take out what you read after all"
    if doubtful:
        which = f"those before the {TO_FILL_IN!r}" if unused else "each"
        why = f"{which} may restrict an account, by the look of its values: add what does to the status, and remove the"
        why += f" {TO_FILL_IN!r} once none is left that does; take out what you read after all"
        doubtful.append(TO_FILL_IN)
    draft.put("ignored", [*doubtful, *unused], why)


def _doubt(sample: Sample, name: str, index: int) -> str:
    """Why a column that is named as a field may hold something else; empty where nothing speaks against it."""
    cells = [unicodedata.normalize("NFKC", row[index]) for row in sample.rows if index < len(row)]
    if name == "holder_name":
        return _doubt_of_names(cells)
    return _doubt_of_numbers(name, cells) if name in {"number", "id_document_number"} else ""


def _doubt_of_names(cells: Sequence[str]) -> str:
    if len(cells) > 1 and len(set(cells)) == 1:
        return "the same on every record: is it a product's or a branch's?"
    return (
        "most are masked: no holder's claim would match" if sum("*" in cell for cell in cells) * 2 > len(cells) else ""
    )


def _doubt_of_numbers(name: str, cells: Sequence[str]) -> str:
    numbers = LongNumbers()
    for cell in cells:
        numbers.add(cell)
    if numbers.look_rounded:
        return "all end in zeros: has a spreadsheet rounded them?"
    if name == "number" and any(cells) and all(_TAX_NUMBER.fullmatch(cell) for cell in cells if cell):
        return "these are tax numbers of India: PAN is no card's number there"
    if name == "number" and max(Counter(filter(None, cells)).values(), default=1) > 1:
        return "some occur twice: has an account several rows, as for sub-accounts? A list of columns is joined"
    return ""


def _named(sample: Sample, guess: ColumnGuess, name: str) -> Any:
    """The column of a field as a profile names it."""
    if name == "status" and guess.status:
        return guess.status
    index = guess.found[name]
    return sample.heading[index] if sample.heading else index + 1


def _is_chinese(sample: Sample) -> bool:
    """Whether a file is likely to be a core's of mainland China: by its encoding, or by the headings that were
    recognised, unless some are in traditional characters."""
    texts = [name for name in sample.heading if folded(name) in KNOWN] if sample.heading else sample.rows[0]
    is_simplified = all(simplified(text) == text for text in texts)
    return sample.encoding == "gb18030" or (is_simplified and any(_HAN.search(text) for text in texts))


def _put_form(draft: Draft, sample: Sample) -> None:
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
    if sample.skip_lines:
        draft.put("skip_lines", sample.skip_lines, "what is before the heading has fewer cells, as a title")
    if sample.trailer:
        draft.put("trailer", sample.trailer, "the last line is no record; a file without such a line is rejected")
    draft.put("final_line_break", sample.final_line_break, "as this file ends; true shows a file that was cut short")


def _put_constants(draft: Draft, sample: Sample, columns: dict[str, int], stated: Container[str]) -> None:
    needed = [*AccountChange.STATE_FIELDS, *(DOCUMENT if "id_document_number" in columns else ())]
    missing = [name for name in dict.fromkeys(needed) if name not in columns and name not in stated]
    draft.table("profile.constants", "what no column states, the same for every account")
    guesses = {"id_document_country": (TO_FILL_IN, "no column: ISO 3166, two letters")}
    if _is_chinese(sample):
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


def _put_number_type(draft: Draft, sample: Sample, columns: dict[str, int]) -> None:
    at = columns.get("number", -1)
    numbers = [row[at] for row in sample.rows if 0 <= at < len(row)]
    if any(re.fullmatch(r"[0-9]{12,19}", number) is None for number in numbers):
        draft.put("number_type", "account", "no column, and not every number has the form of a card's")
    else:
        draft.put("number_type", TO_FILL_IN, 'no column: "account", or "card" where every number is a card')


def _put_words(draft: Draft, sample: Sample, columns: dict[str, int], derived: Sequence[str]) -> None:
    for name in (*WORDS, *BOOLEANS):
        source = columns.get("status") if name in derived else columns.get(name)
        if source is None:
            continue
        counted = Counter(row[source] for row in sample.rows if source < len(row) and row[source])
        if len(counted) > MAX_DRAFTED_WORDS:
            draft.note(f"words.{name}: {len(counted)} different values, too many for words; is that the right column?")
            continue
        guesses = {word: meaning_of(name, word, derived=name in derived) for word in counted}
        if not counted or all(is_feed_value(name, word) for word in counted):
            continue
        draft.table(f"profile.words.{name}")
        for word, times in counted.most_common():
            meaning = guesses[word]
            why = f"{times} of {len(sample.rows)} records"
            if name == "currency" and word in CHINESE_CURRENCIES and not _is_chinese(sample):
                meaning = None
            elif meaning is True and name not in derived and (frozen := _frozen_with(sample, columns, source, word)):
                meaning, why = None, f"{why}, and {frozen} of them frozen: true would let these pay or be paid"
            elif name in BOOLEANS and name not in derived:
                why += "; GUESS: it says what is allowed" if meaning is not None else ""
            elif name in derived and meaning is False:
                why += "; GUESS: nothing is allowed unless the account is active"
            elif name in {"status", *derived} and meaning is not None and len(word) == 1 and word.isascii():
                why += "; GUESS: a code of one letter"
            draft.put(word, TO_FILL_IN if meaning is None else meaning, why)


def _frozen_with(sample: Sample, columns: dict[str, int], at: int, word: str) -> int:
    """How many records of frozen accounts have a word: it may name a service that was ordered."""
    status = columns.get("status", at)
    whole = [row for row in sample.rows if max(status, at) < len(row)]
    return sum(row[at] == word and meaning_of("status", row[status]) == "frozen" for row in whole)


def _put_empty(draft: Draft, sample: Sample, columns: dict[str, int], derived: Sequence[str]) -> None:
    draft.table("profile.empty", "what an empty cell states; otherwise it states nothing")
    for name in LIMITS:
        at = columns.get(name)
        empty = 0 if at is None else sum(not row[at] for row in sample.rows if at < len(row))
        if empty:
            draft.put(name, TO_FILL_IN, f'{empty} of {len(sample.rows)} records: "none" where that means no limit')
    for name in ("status", *BOOLEANS):
        at = columns.get("status") if name in derived else columns.get(name)
        if at is not None and (empty := sum(not row[at] for row in sample.rows if at < len(row))):
            draft.put(name, TO_FILL_IN, f"{empty} of {len(sample.rows)} records; otherwise unstated")
    numbers, schemes = columns.get("id_document_number"), columns.get("id_document_scheme")
    if numbers is not None and schemes is not None:
        whole = [row for row in sample.rows if max(numbers, schemes) < len(row)]
        if halves := sum(row[schemes] != "" and row[numbers] == "" for row in whole):
            draft.put("id_document_number", TO_FILL_IN, f'{halves} with a kind of document: "none" where there is none')
    for name in (*LIMITS, "phone", "id_document_number"):
        _put_words_for_numbers(draft, sample, name, columns.get(name))


def _put_words_for_numbers(draft: Draft, sample: Sample, name: str, at: int | None) -> None:
    """Leave open what stands in place of an amount or a number, such as 不限, N/A or -1."""
    cells = [row[at] for row in sample.rows if at is not None and at < len(row)]
    words = Counter(cell for cell in cells if cell and (cell[0] == "-" or not re.search(r"\d", cell)))
    if name in LIMITS:
        words.update(cell for cell in cells if _ZERO.fullmatch(cell))
    for unit in [word for word in words if folded(word) + "".join(units_of(word)) in UNITS - {""}]:
        del words[unit]  # of the amounts below it
    if not words or len(words) > MAX_DRAFTED_WORDS:
        return
    draft.table(f"profile.words.{name}", "what stands in place of a number")
    for word, times in words.most_common():
        meaning = "no limit" if name in LIMITS else "that there is none"
        other = ', "0" where nothing may be paid' if _ZERO.fullmatch(word) and name in LIMITS else ""
        draft.put(word, TO_FILL_IN, f'{times} of {len(sample.rows)} records: "none" where that means {meaning}{other}')


def _put_times(draft: Draft, sample: Sample, columns: dict[str, int]) -> None:
    at = columns.get("effective_at_ms")
    if at is None:
        return
    cells = [row[at] for row in sample.rows if at < len(row) and row[at]][:1_000]
    draft.table("profile.times")
    form = _time_form(cells)
    draft.put(
        "form",
        form or TO_FILL_IN,
        "every value fits" if form else f"epoch_ms, epoch_s, iso, or as %Y-%m-%d %H:%M:%S; {_WITHOUT_TIMES}",
    )
    if form not in {"epoch_ms", "epoch_s"}:
        zone = "Asia/Shanghai" if _is_chinese(sample) else TO_FILL_IN
        draft.put("zone", zone, "GUESS: the zone of the core's clock" if zone != TO_FILL_IN else "an IANA name")


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
    return moment.year >= 1970 and moment.year not in _BUDDHIST


def _put_phones(draft: Draft, sample: Sample, columns: dict[str, int]) -> None:
    """Leave open to which country phones without a country code belong, unless a Chinese file holds Chinese ones."""
    at = columns.get("phone", -1)
    cells = [row[at] for row in sample.rows if 0 <= at < len(row) and len(re.findall(r"\d", row[at])) > _FEW_DIGITS]
    local = [cell for cell in cells if not cell.startswith("+")]
    chinese = [cell for cell in local if _CHINESE_PHONE.match(cell)]
    if local and not (_is_chinese(sample) and len(chinese) * 2 >= len(local)):
        draft.table("profile.phones")
        why = "have no country code: ISO 3166 of their country, two letters"
        draft.put("country", TO_FILL_IN, f"{len(local)} of {len(cells)} phones {why}")
