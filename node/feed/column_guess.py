"""Which column of a file of unknown form holds which field of a change: by the headings, or by the look of the values.

Where the headings leave a choice, none is made: a column that is nearly the right one, such as the limit of credits
or the state of the card beside that of the account, would be read without anybody noticing.
"""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from opencc import OpenCC

from standing.ledger.attestations.money import currency_number
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange
from standing.node.feed.file_sample import Sample
from standing.node.feed.profile import MAX_JOINED
from standing.node.feed.profile_values import EMPTY_PART
from standing.node.feed.records import LIMITS
from standing.node.feed.usual_words import (
    HEADINGS,
    NOT_ALLOWED,
    NOT_OF_STATUS,
    NOT_OF_STATUS_WORDS,
    OF_STATUS,
    OF_STATUS_STEMS,
    OF_STATUS_WORDS,
    PARTS_OF_NAMES,
    UNITS,
    WORDS,
)

_BRACKETS = re.compile(r"[(\[{<](.*?)[)\]}>]")
_LETTERS = re.compile(r"[^\W\d_]+")
_WITHIN = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
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

    `status`: the headings that together state it, where there are several. `unused`: the headings that are left.
    """

    found: dict[str, int]
    open: dict[str, list[str]] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)
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


def folded(heading: str) -> str:
    """A heading in the form used for look-up: in simplified characters, without text in brackets, signs and
    spaces."""
    plain = simplified(_BRACKETS.sub("", unicodedata.normalize("NFKC", heading)).casefold())
    return "".join(each for each in plain if each.isalnum())


def folded_word(word: str) -> str:
    """A word in the form used for look-up. What is in brackets counts: 正常(冻结) is not 正常, and A* is not A."""
    return _WITHIN.sub("", simplified(unicodedata.normalize("NFKC", word).casefold().strip()))


def simplified(text: str) -> str:
    """A text in simplified characters, in which the usual words are."""
    return text if text.isascii() else str(_simplifier().convert(text))


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def units_of(heading: str) -> list[str]:
    """What stands in brackets in a heading, folded."""
    found = _BRACKETS.findall(unicodedata.normalize("NFKC", heading))
    return ["".join(each for each in text.casefold() if each.isalnum()) for text in found]


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
    if "status" not in guess.found:
        return []
    others = [index for index, name in enumerate(sample.heading) if index not in taken and _tells_status(name)]
    if not others:
        return []
    columns = [guess.found["status"], *others]
    guess.status = [sample.heading[index] for index in columns]
    if len(columns) > MAX_JOINED:
        guess.open["status"] = guess.status
        del guess.found["status"]
        return others
    width = max(len(sample.heading), *(len(row) for row in sample.rows), 0)
    sample.rows = [[*row, *[""] * (width - len(row)), _joined(row, columns)] for row in sample.rows]
    guess.found["status"] = width
    return others


def _joined(row: Sequence[str], columns: Sequence[int]) -> str:
    parts = [row[index] if index < len(row) else "" for index in columns]
    return " ".join(part or EMPTY_PART for part in parts) if any(parts) else ""


def _tells_status(heading: str) -> bool:
    """Whether a heading names a state, or what may restrict an account."""
    plain = simplified(unicodedata.normalize("NFKC", heading))
    words = set(_LETTERS.findall(re.sub("(?<=[a-z])(?=[A-Z])", " ", plain).casefold()))
    if words & NOT_OF_STATUS_WORDS or any(part in plain for part in NOT_OF_STATUS):
        return False
    if words & OF_STATUS_WORDS or any(word.startswith(OF_STATUS_STEMS) for word in words):
        return True
    return all(words & each for each in NOT_ALLOWED) or any(part in plain for part in OF_STATUS)


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
