"""Times as a core writes them in text, by the form of its profile."""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from functools import cache

_PART = re.compile(r"%.|.", re.DOTALL)
#: Python takes any sign for the T of ISO 8601, a digit too: it reads 2026010111000 as 10:00.
_ISO_WITH_DIGIT = re.compile(r"\d{9}|\d{4}-\d\d-\d{3}|\d{4}-?W\d\d-?\d{2}")
#: How many digits strftime writes for each directive that is a number; strptime also takes fewer.
_WIDTHS = {
    **dict.fromkeys(("%Y", "%G"), 4),
    "%j": 3,
    **dict.fromkeys(("%y", "%m", "%d", "%H", "%I", "%M", "%S", "%U", "%W", "%V"), 2),
    **dict.fromkeys(("%u", "%w"), 1),
}
_FRACTION = "%f"

#: Reads a text. Raises: ValueError, OverflowError where it is no time.
ReadTime = Callable[[str], datetime]


@cache  # `feed learn` asks for each cell
def time_reader(form: str) -> ReadTime:
    """A reader of times in `iso` or a form of `strptime`; what states no zone is returned without one.

    Numbers without separators are read only with all their digits: strptime reads 13000 by %H%M%S as 13:00:00, but it
    is 01:30:00 without its leading zero. Numbers with separators may be shorter, such as 1/2/2026 by %d/%m/%Y.
    """
    if form == "iso":
        return _read_iso
    whole = _whole(form) if needs_zeros(form) else None

    def read(text: str) -> datetime:
        plain = unicodedata.normalize("NFKC", text)
        moment = datetime.strptime(plain, form)  # noqa: DTZ007 - the caller knows the zone
        if whole is not None and whole.fullmatch(plain) is None:
            raise ValueError("numbers without separators, and some without their leading zeros")
        return moment

    return read


def _read_iso(text: str) -> datetime:
    plain = unicodedata.normalize("NFKC", text)
    if _ISO_WITH_DIGIT.match(plain) is not None:
        raise ValueError("a digit between date and time")
    return datetime.fromisoformat(plain)


def needs_zeros(form: str) -> bool:
    """Whether a form has two numbers without a separator between them."""
    parts = _PART.findall(form)
    return any(_is_crowded(parts, index) for index in range(len(parts)))


def _whole(form: str) -> re.Pattern[str]:
    """The texts of a form in which numbers without separators have all their digits.

    Everything else matches anything: only what strptime has read is compared.
    """
    parts = _PART.findall(form)
    return re.compile("".join(_shape(parts, index) for index in range(len(parts))), re.DOTALL | re.IGNORECASE)


def _shape(parts: list[str], index: int) -> str:
    part = parts[index]
    if not part.startswith("%"):
        return r"\s*" if part.isspace() else re.escape(part)
    if part == "%%":
        return "%"
    if not _is_crowded(parts, index):
        return ".+?"
    if part == _FRACTION:
        return r"(?:\d{3}|\d{6})"  # with any other length, a lost leading zero would not be noticed
    if part == "%d":
        return r"[ \d]\d"  # strptime also reads it if it is padded with a space, unlike the others
    return rf"\d{{{_WIDTHS[part]}}}"


def _is_crowded(parts: list[str], index: int) -> bool:
    """Whether a part is a number, and so is the one before or after it."""
    beside = parts[max(0, index - 1) : index] + parts[index + 1 : index + 2]
    return _is_number(parts[index]) and any(_is_number(each) or each.isdigit() for each in beside)


def _is_number(part: str) -> bool:
    return part in _WIDTHS or part == _FRACTION
