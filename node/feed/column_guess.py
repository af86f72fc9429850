"""Which column of a file of unknown form holds which field of a change: by the headings, or by the look of the values.

Where the headings leave a choice, none is made: a column that is nearly the right one, such as the limit of credits
or the state of the card beside that of the account, would be read without anybody noticing.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from standing.ledger.attestations.money import currency_number
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange
from standing.node.feed.file_sample import Sample
from standing.node.feed.headings import folded, folded_word, units_of
from standing.node.feed.profile import MAX_JOINED, Column
from standing.node.feed.profile_values import DATE_WORD, EMPTY_PART, FIRST_DATE_WORD, LAST_DATE_WORD, date_word
from standing.node.feed.records import LIMITS
from standing.node.feed.state_headings import (
    holds_restrictions,
    tells_of_places_or_people,
    tells_state_by_date,
    tells_status,
)
from standing.node.feed.usual_words import (
    HEADINGS,
    MAX_DRAFTED_WORDS,
    NO,
    OF_AMOUNTS,
    PARTS_OF_NAMES,
    UNITS,
    WORDS,
    YES,
)

#: What only a date looks like; eight digits may also be flags.
_DATE = re.compile(
    r"(?:19|20|21|99)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?$"
    r"|\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}(?:\D|$)|\d{1,2}[- ][^\W\d]{3,9}[- ]\d{2,4}(?:\D|$)"
)
#: What stands for nothing, and how long a value of a flag is.
_NOTHING = re.compile(r"[\s0/.,:-]*")
_FLAG = 3
#: What the values of a column look like, where there is no heading.
_LOOKS = {
    "id_document_number": re.compile(r"\d{17}[\dXx]"),
    "phone": re.compile(r"(\+?86)?1[3-9]\d{9}"),
    "number": re.compile(r"\d{12,30}"),
    "holder_name": re.compile(r"[\u4e00-\u9fff·●]{2,30}"),
}


@dataclass
class ColumnGuess:
    """`found`: for each field the index of its column. `open`: fields that several columns may hold, by heading.

    `status`: the headings that together state it, where there are several. `dates`: those of them that hold dates.
    `doubtful`: the headings that are left and may tell of a restriction. `unused`: the others.
    """

    found: dict[str, int]
    open: dict[str, list[str]] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    unused: list[Column] = field(default_factory=list)


def guess_columns(sample: Sample) -> ColumnGuess:
    """The columns of a file's fields. Several columns that state the status get one more in `sample`, with all of
    them joined as a profile does."""
    if sample.heading is None:
        return _by_values(sample.rows)
    guess = ColumnGuess({})
    taken: set[int] = set()
    for field_name in HEADINGS:
        if field_name not in AccountChange.model_fields:
            continue
        fitting = _fitting(field_name, sample.heading, taken)
        if not fitting and (nearly := _nearly(field_name, sample.heading)):
            guess.open[field_name] = nearly
        taken.update(fitting)
        if len(fitting) > 1:
            guess.open[field_name] = [sample.heading[index] for index in fitting]
        elif fitting:
            guess.found[field_name] = fitting[0]
    taken.update(_join_status(guess, sample, taken))
    parts = [name for name in sample.heading if folded(name) in PARTS_OF_NAMES]
    if parts and "holder_name" in guess.found:
        guess.open["holder_name"] = [sample.heading[guess.found.pop("holder_name")], *parts]
    for index, name in enumerate(sample.heading):
        if index not in taken and (name or _values(sample, index)):
            (guess.doubtful if _may_restrict(sample, index) else guess.unused).append(name)
    return guess


def _fitting(field_name: str, heading: Sequence[str], taken: set[int]) -> list[int]:
    """The columns that may hold a field: one, or several among which the headings do not decide."""
    names = [folded(name) for name in heading]
    if field_name != "status" and not any(name in HEADINGS[field_name] for name in names):
        names = [folded(name.rpartition(".")[2]) for name in heading]  # of an object within another: holder.mobile
    fitting = [index for index, name in enumerate(names) if name in HEADINGS[field_name] and index not in taken]
    if field_name == "status" and fitting:  # State may be an address; whatever else tells of the state is joined
        best = min((names[index] for index in fitting), key=HEADINGS[field_name].index)
        fitting = [index for index in fitting if names[index] == best]
    if field_name in LIMITS:  # 日限额(转入) is another limit
        return [index for index in fitting if all(map(_is_unit, units_of(heading[index])))]
    # Of 手机号 and 手机号(备用) the plain one; 手机号 and 联系电话 are two.
    plain = [index for index in fitting if not units_of(heading[index])]
    return plain if len(plain) == 1 and len({names[index] for index in fitting}) == 1 else fitting


def _nearly(field_name: str, heading: Sequence[str]) -> list[str]:
    """Headings of limits that say more in brackets than their unit, such as 日限额(转入)."""
    return [name for name in heading if field_name in LIMITS and folded(name) in HEADINGS[field_name]]


def _is_unit(text: str) -> bool:
    if text in UNITS:
        return True
    with suppress(InvalidValue):
        currency_number(text.upper())
        return True
    return False


def _join_status(guess: ColumnGuess, sample: Sample, taken: set[int]) -> list[int]:
    """Note all columns that state the status, if there are several; the indexes of those beside its own."""
    assert sample.heading is not None
    others = [
        index
        for index, name in enumerate(sample.heading)
        if index not in taken
        and (
            tells_status(name)
            or holds_restrictions(name, _values(sample, index))
            or (tells_state_by_date(name) and _holds_dates(sample, index))
        )
    ]
    if not others or "status" in guess.open:
        return []
    dated = [index for index in others if _holds_dates(sample, index)]
    columns = [*([guess.found["status"]] if "status" in guess.found else []), *others]
    stated = [sample.heading[index] for index in columns]
    guess.dates = [sample.heading[index] for index in dated]
    told = [[_told(row, index, dated) for index in columns] for row in sample.rows]
    if len(columns) > MAX_JOINED or "status" not in guess.found or _are_texts(told):
        guess.open["status"] = stated
        guess.found.pop("status", None)
        return others
    guess.status = stated
    width = max(len(sample.heading), *(len(row) for row in sample.rows), 0)
    joined = [" ".join(part or EMPTY_PART for part in parts) for parts in told]
    sample.rows = [[*row, *[""] * (width - len(row)), word] for row, word in zip(sample.rows, joined, strict=True)]
    guess.found["status"] = width
    return others


def _values(sample: Sample, index: int) -> set[str]:
    return {row[index] for row in sample.rows if index < len(row) and row[index]}


def _told(row: Sequence[str], index: int, dated: Sequence[int]) -> str:
    """What a column tells of the status: a date is a word there."""
    cell = row[index] if index < len(row) else ""
    return date_word(cell) or "" if index in dated else cell


def _are_texts(told: Sequence[Sequence[str]]) -> bool:
    """Whether one of several columns holds too many different texts for words of a profile, such as remarks."""
    return any(len(set(filter(None, column))) > MAX_DRAFTED_WORDS for column in zip(*told, strict=True))


def _may_restrict(sample: Sample, index: int) -> bool:
    """Whether a column may tell of a restriction in words that are not known here: it has flags, few values, or values
    on some records only, as the day of the closing has. Amounts tell of none, nor do places, products and people, nor
    dates on every record."""
    assert sample.heading is not None
    heading = sample.heading[index]
    if OF_AMOUNTS.search(heading.casefold()) or tells_of_places_or_people(heading):
        return False
    cells = [row[index] if index < len(row) else "" for row in sample.rows]
    stated = Counter(cell for cell in cells if _NOTHING.fullmatch(cell) is None)
    if sum(stated.values()) < len(cells):
        return True
    if all(map(_DATE.match, stated)):
        return False
    is_flag = all(len(cell) <= _FLAG or folded_word(cell) in {*YES, *NO} for cell in stated)
    return is_flag or len(stated) * 2 <= len(cells)


def _holds_dates(sample: Sample, index: int) -> bool:
    """Whether a column's values are dates, by their look; where the heading names a date, also any other form of one,
    and zeros or nothing at all."""
    assert sample.heading is not None
    named = tells_state_by_date(sample.heading[index])
    values = [word for word in map(date_word, _values(sample, index)) if word is not None]
    if named:
        return all(value in {DATE_WORD, LAST_DATE_WORD, FIRST_DATE_WORD} for value in values)
    return bool(values) and all(_DATE.match(value) for value in _values(sample, index))


def _by_values(rows: Sequence[Sequence[str]]) -> ColumnGuess:
    """Without a heading: the columns whose values allow one reading only. Words come first: a kind of document is no
    name."""
    guess = ColumnGuess({})
    taken: set[int] = set()
    known = {name: {word for words in meanings.values() for word in words} for name, meanings in WORDS.items()}
    for field_name in (*WORDS, *_LOOKS):
        fitting = []
        for index in range(max(map(len, rows), default=0)):
            cells = [row[index] for row in rows if index < len(row) and row[index]]
            if field_name in WORDS:
                fits = sum(not cell.isdigit() and folded_word(cell) in known[field_name] for cell in cells)
            else:
                fits = sum(_LOOKS[field_name].fullmatch(cell) is not None for cell in cells)
            if index not in taken and cells and fits * 10 >= len(cells) * 9:
                fitting.append(index)
        if len(fitting) == 1:
            guess.found[field_name] = fitting[0]
        elif fitting:
            guess.open[field_name] = [str(index + 1) for index in fitting]
        if len(fitting) == 1 or field_name in WORDS:
            taken.update(fitting)
    taken.update(int(number) - 1 for numbers in guess.open.values() for number in numbers)
    guess.unused = [index + 1 for index in range(max(map(len, rows), default=0)) if index not in taken]
    return guess
