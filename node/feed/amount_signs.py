"""Which sign separates thousands in a core's amounts, and which one decimals."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from standing.node.feed.profile import TO_FILL_IN

_SIGNS = (",", ".", "'", "\u2019", " ", "\u066c")
#: The decimal sign of Arabic digits, which is used for nothing else.
_ARABIC = "\u066b"
#: An amount in thousands, or one with three decimals: nothing in it tells.
_OPEN = re.compile(r"[1-9]\d{0,2}\.\d{3}")


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs as a profile names them, each with the reason."""

    thousands: str
    thousands_why: str
    decimal: str
    decimal_why: str
    has_decimals: bool


def read_signs(amounts: Sequence[tuple[str, bool]]) -> Signs:
    """The signs in amounts, each with whether its currency has three decimals.

    Three digits after the only point of an amount are decimals where its currency has three, or where thousands would
    be written otherwise (12500.000, 0.500). Elsewhere they are thousands where some amounts have no point, or several;
    where every amount looks so, nothing tells.
    """
    texts = [text for text, _ in amounts]
    by_comma = sum(_has_decimals(text, ",", r"\d{1,2}", three=three) for text, three in amounts)
    by_point = sum(
        _has_decimals(text, ".", r"\d{1,4}", three=three) and (three or not _OPEN.fullmatch(text))
        for text, three in amounts
    )
    undecided = [text for text, three in amounts if _OPEN.fullmatch(text) and not three]
    if not by_comma and not by_point and (undecided or any(text.count(".") > 1 for text in texts)):
        if len(undecided) == len(texts):
            why = "three digits after every point: thousands or decimals?"
            return Signs(TO_FILL_IN, why, TO_FILL_IN, why, has_decimals=False)
        return Signs(".", "GUESS: three digits after every point", ",", "none seen", has_decimals=False)
    by_sign = any(_ARABIC in text for text in texts)
    decimal = _ARABIC if by_sign else "," if by_comma > by_point else "."
    seen = [sign for sign in _SIGNS if sign != decimal and any(sign in text for text in texts)]
    return Signs(
        seen[0] if seen else "",
        "as amounts are written" if seen else "none seen",
        decimal,
        "as amounts are written" if by_sign or by_comma or by_point else "none seen",
        has_decimals=bool(by_sign or by_comma or by_point),
    )


def _has_decimals(text: str, sign: str, digits: str, *, three: bool) -> bool:
    """Whether an amount ends with decimals, of a usual number or of the three that its currency has."""
    whole, found, part = text.rpartition(sign)
    usual = re.fullmatch(rf"{digits}|\d{{3}}" if three else digits, part) is not None
    return found != "" and sign not in whole and usual
