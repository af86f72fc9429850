"""Which column of a file of unknown form holds which field of a change: by the headings, or by the look of the values.

Where the headings leave a choice, none is made: a column that is nearly the right one, such as the limit of credits
or the state of the card beside that of the account, would be read without anybody noticing.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from standing.ledger.attestations.money import currency_number
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange
from standing.node.feed.file_sample import Sample
from standing.node.feed.headings import folded, folded_word, simplified, units_of
from standing.node.feed.profile import MAX_JOINED
from standing.node.feed.profile_values import DATE_WORD, EMPTY_PART, LAST_DATE_WORD, date_word
from standing.node.feed.records import LIMITS
from standing.node.feed.usual_words import (
    HEADINGS,
    NOT_ALLOWED,
    NOT_OF_STATUS,
    NOT_OF_STATUS_WORDS,
    OF_A_DATE,
    OF_A_DATE_WORDS,
    OF_DATED_STATE,
    OF_DATED_STATE_STEMS,
    OF_DATED_STATE_WORDS,
    OF_STATUS,
    OF_STATUS_STEMS,
    OF_STATUS_WORDS,
    PARTS_OF_NAMES,
    RESTRICTIONS,
    UNITS,
    WORDS,
)

_LETTERS = re.compile(r"[^\W\d_]+")
#: How many different words of a field a draft lists.
MAX_DRAFTED_WORDS = 40
#: How many words a value of few has that tells of a restriction.
_FEW_WORDS = 4
#: Words, also of other columns than the status, that tell of an account that is not active.
_STATES = frozenset(
    word for meaning, words in WORDS["status"].items() if meaning != "active" for word in words if len(word) > 1
)
#: What only a date looks like; eight digits may also be flags.
_DATE = re.compile(
    r"(?:19|20|21|99)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?$"
    r"|\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}(?:\D|$)|\d{1,2}[- ][^\W\d]{3,9}[- ]\d{2,4}(?:\D|$)"
)
#: How words begin that end with status and tell of the holder.
_OF_PEOPLE = ("famil", "marital", "zivil", "civil", "sivil", "tax", "kyc", "resid")
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
    `unused`: the headings that are left.
    """

    found: dict[str, int]
    open: dict[str, list[str]] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


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
    guess.unused = [name for index, name in enumerate(sample.heading) if index not in taken and name]
    return guess


def _fitting(field_name: str, heading: Sequence[str], taken: set[int]) -> list[int]:
    """The columns that may hold a field: one, or several among which the headings do not decide."""
    names = [folded(name) for name in heading]
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
            _tells_status(name)
            or _holds_restrictions(name, _values(sample, index))
            or (_tells_state_by_date(name) and _holds_dates(sample, index))
        )
    ]
    if not others or "status" in guess.open:
        return []
    dated = [index for index in others if _holds_dates(sample, index)]
    for row in sample.rows:
        for index in dated:
            if index < len(row):
                row[index] = date_word(row[index]) or ""
    columns = [*([guess.found["status"]] if "status" in guess.found else []), *others]
    stated = [sample.heading[index] for index in columns]
    guess.dates = [sample.heading[index] for index in dated]
    if len(columns) > MAX_JOINED or "status" not in guess.found or _are_texts(sample, columns):
        guess.open["status"] = stated
        guess.found.pop("status", None)
        return others
    guess.status = stated
    width = max(len(sample.heading), *(len(row) for row in sample.rows), 0)
    sample.rows = [[*row, *[""] * (width - len(row)), _joined(row, columns)] for row in sample.rows]
    guess.found["status"] = width
    return others


def _values(sample: Sample, index: int) -> set[str]:
    return {row[index] for row in sample.rows if index < len(row) and row[index]}


def _are_texts(sample: Sample, columns: Sequence[int]) -> bool:
    """Whether one of several columns holds too many different texts for words of a profile, such as remarks."""
    return any(len(_values(sample, index)) > MAX_DRAFTED_WORDS for index in columns)


def _holds_restrictions(heading: str, values: Collection[str]) -> bool:
    """Whether some values of a column tell what may restrict an account, as 只收不付 under 收付控制, whatever its
    heading says."""
    plain = simplified(unicodedata.normalize("NFKC", heading)).casefold()
    if any(part in plain for part in NOT_OF_STATUS) or set(_LETTERS.findall(plain)) & NOT_OF_STATUS_WORDS:
        return False
    return any(_restricts(value) for value in values)


def _restricts(value: str) -> bool:
    plain = simplified(unicodedata.normalize("NFKC", value)).casefold()
    if any(part in plain for part in RESTRICTIONS):
        return True
    words = _LETTERS.findall(plain)
    if len(words) > _FEW_WORDS or re.search(r"\d", plain):  # an address, such as Block 5
        return False
    found = set(words)
    return (
        bool(found & _STATES)
        or any(word.startswith(OF_STATUS_STEMS) for word in words)
        or all(found & each for each in NOT_ALLOWED)
    )


def _joined(row: Sequence[str], columns: Sequence[int]) -> str:
    return " ".join((row[index] if index < len(row) else "") or EMPTY_PART for index in columns)


def _plain_and_words(heading: str) -> tuple[str, set[str]]:
    """A heading in simplified characters, and its words in small letters: accountStatus has two."""
    plain = simplified(unicodedata.normalize("NFKC", heading))
    return plain, set(_LETTERS.findall(re.sub("(?<=[a-z])(?=[A-Z])", " ", plain).casefold()))


def _tells_status(heading: str) -> bool:
    """Whether a heading names a state, or what may restrict an account."""
    plain, words = _plain_and_words(heading)
    if words & NOT_OF_STATUS_WORDS or any(part in plain for part in NOT_OF_STATUS):
        return False
    if words & OF_STATUS_WORDS or any(word.startswith(OF_STATUS_STEMS) for word in words):
        return True
    if any(word.endswith("status") and not word.startswith(_OF_PEOPLE) for word in words):  # Kontostatus
        return True
    return all(words & each for each in NOT_ALLOWED) or any(part in plain for part in OF_STATUS)


def _tells_state_by_date(heading: str) -> bool:
    """Whether a heading names the date of a restriction. The day itself is in 日 only at its end: 日限额 is another."""
    plain, words = _plain_and_words(heading)
    if any(part in plain for part in NOT_OF_STATUS if part not in OF_A_DATE) or "解冻" in plain:
        return False
    if any(part in plain for part in OF_DATED_STATE) and plain.rstrip(")]} ").endswith(OF_A_DATE):
        return True
    if words & (NOT_OF_STATUS_WORDS - OF_A_DATE_WORDS):
        return False
    if any(word.startswith(OF_DATED_STATE_STEMS) for word in words):
        return True
    tells = words & OF_DATED_STATE_WORDS or any(word.startswith(OF_STATUS_STEMS) for word in words)
    return bool(tells and words & OF_A_DATE_WORDS)


def _holds_dates(sample: Sample, index: int) -> bool:
    """Whether a column's values are dates, by their look; where the heading names a date, also any other form of one,
    and zeros or nothing at all."""
    assert sample.heading is not None
    named = _tells_state_by_date(sample.heading[index])
    values = [word for word in map(date_word, _values(sample, index)) if word is not None]
    if named:
        return all(value in {DATE_WORD, LAST_DATE_WORD} for value in values)
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
    return guess
