"""The unit of amounts in a drafted profile, and the signs within them."""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

from standing.ledger.attestations.money import minor_digits
from standing.ledger.errors import InvalidValue
from standing.node.feed.amount_signs import read_signs
from standing.node.feed.column_guess import ColumnGuess
from standing.node.feed.draft_text import Draft
from standing.node.feed.file_sample import Sample
from standing.node.feed.headings import folded, simplified, units_of
from standing.node.feed.profile import TO_FILL_IN
from standing.node.feed.records import LIMITS
from standing.node.feed.usual_words import MAJOR_UNIT, MINOR_UNIT, MULTIPLES
from standing.node.feed.word_meanings import meaning_of

#: The unit of all amounts in a line before the heading, such as 单位：万元.
_UNIT_IN_TITLE = re.compile(
    r"(?:单位|單位|単位)\W*(?:人民币|人民幣)?([百千万萬亿億]*[元分円圆])"
    r"|\b(?:in|unit):? (thousands?|millions?|lakhs?|crores?)\b",
    re.IGNORECASE,
)
#: A unit of many within a longer text, such as 万元/日.
_MANY = re.compile("[百千万亿][元圆円]")
_ONE_ZERO = re.compile(r"\d+([.,]0)?")
_THREE = 3


def put_amounts(draft: Draft, sample: Sample, guess: ColumnGuess) -> None:
    """Draft how amounts are written."""
    limits = _limit_columns(sample, guess)
    if not limits:
        return
    numbers = [
        (unicodedata.normalize("NFKC", row[at]), _has_three_decimals(row, guess.found))
        for at in limits
        for row in sample.rows
        if at < len(row) and re.search(r"\d", row[at])
    ]
    signs = read_signs(numbers)
    texts = _unit_texts(sample, limits)
    headings = "".join(texts).casefold()
    units = {unit for text in texts for unit in units_of(text)}
    by_heading = [
        unit
        for unit, words in (("minor", MINOR_UNIT), ("major", MAJOR_UNIT))
        if any(word in headings for word in words)
    ]
    draft.table("profile.amounts")
    if units & MULTIPLES or _MANY.search(simplified(headings)):
        draft.put(
            "unit",
            TO_FILL_IN,
            "the heading names a unit of many: major or minor, and a line such as factor = 10000 for 万元",
        )
    elif by_heading:
        why = (
            "the heading says so"
            if len(by_heading) == 1
            else "the headings name both, a profile one: convert one of them"
        )
        draft.put("unit", by_heading[0] if len(by_heading) == 1 else TO_FILL_IN, why)
    elif _no_smaller_units(sample, guess.found):
        draft.put("unit", "major", "their currencies have no smaller unit")
    elif signs.has_decimals and all(_ONE_ZERO.fullmatch(text) for text, _ in numbers):
        draft.put("unit", TO_FILL_IN, "no decimals but .0, which programs add to whole numbers: major or minor?")
    elif signs.has_decimals:
        draft.put("unit", "major", "amounts have decimals")
    else:
        draft.put("unit", TO_FILL_IN, "no heading and no decimals say it: major if these are yuan, minor if fen")
    draft.put("thousands", signs.thousands, signs.thousands_why)
    draft.put("decimal", signs.decimal, signs.decimal_why)


def _limit_columns(sample: Sample, guess: ColumnGuess) -> list[int]:
    """The columns of limits, and of those that are left open: whoever fills one in needs its unit as well."""
    left_open = {heading for name in LIMITS for heading in guess.open.get(name, ())}
    found = {guess.found[name] for name in LIMITS if name in guess.found}
    return sorted(found | {at for at, heading in enumerate(sample.heading or ()) if heading in left_open})


def _unit_texts(sample: Sample, columns: Sequence[int]) -> list[str]:
    """What may name the unit of amounts: their headings, the title of the file, and a line below the headings."""
    if sample.heading is None:
        return []
    found = [sample.heading[index] for index in columns]
    found += [f"({unit})" for match in _UNIT_IN_TITLE.findall(sample.title) for unit in match if unit]
    below = [sample.rows[0][index] for index in columns if index < len(sample.rows[0])] if sample.rows else []
    found += [f"({folded(cell)}{''.join(units_of(cell))})" for cell in below if cell and not re.search(r"\d", cell)]
    return found


def _has_three_decimals(row: Sequence[str], columns: dict[str, int]) -> bool:
    """Whether the currency of a row is known to have three decimals or more, as the Kuwaiti dinar has."""
    return (_decimals_of(row, columns) or 0) >= _THREE


def _no_smaller_units(sample: Sample, columns: dict[str, int]) -> bool:
    """Whether every currency is known to have no decimals, as yen and dong have none."""
    return {_decimals_of(row, columns) for row in sample.rows} == {0}


def _decimals_of(row: Sequence[str], columns: dict[str, int]) -> int | None:
    """The decimals of a row's currency; None where that is not known."""
    at = columns.get("currency")
    if at is None or at >= len(row):
        return None
    with suppress(InvalidValue):
        return minor_digits(str(meaning_of("currency", row[at]) or row[at]).upper())
    return None
