"""Headings and words of a file in the form in which they are looked up among the usual ones."""

import re
import unicodedata
from functools import lru_cache

from opencc import OpenCC

from standing.node.feed.usual_words import HEADINGS

_BRACKETS = re.compile(r"[(\[{<](.*?)[)\]}>]")
_WITHIN = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
#: A unit behind the name of a limit, with or without a sign between them: 日限额_万元.
_UNIT_BEHIND = re.compile(r"(?<=限额|上限)[\s_:/-]*((?:人民币)?[百千万亿]*[元角分])$")
#: What is said beside a unit: 单位：万元, 人民币万元, in thousands.
_BESIDE_UNITS = re.compile(r"^(?:(?:金额)?单位|unit|in)\W*|人民币(?=[百千万亿元角分])")
#: Half a character, and the mark of bytes that could not be decoded.
_NO_TEXT = re.compile("[\ud800-\udfff]")
#: All usual headings.
KNOWN = frozenset(name for usual in HEADINGS.values() for name in usual)


def folded(heading: str) -> str:
    """A heading in the form used for look-up: in simplified characters, without text in brackets, a unit, signs and
    spaces."""
    name = _BRACKETS.sub("", plain_text(heading)).strip()
    return "".join(each for each in _UNIT_BEHIND.sub("", name) if each.isalnum())


def folded_word(word: str) -> str:
    """A word in the form used for look-up. What is in brackets counts: 正常(冻结) is not 正常, and A* is not A."""
    return _WITHIN.sub("", plain_text(word).strip())


def plain_text(text: str) -> str:
    """A text in simplified characters and small letters, in which the usual words are."""
    return simplified(unicodedata.normalize("NFKC", text).casefold())


def simplified(text: str) -> str:
    """A text in simplified characters. OpenCC fails at what is no text, such as half a character."""
    return text if text.isascii() else str(_simplifier().convert(_NO_TEXT.sub("\ufffd", text)))


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def units_of(heading: str) -> list[str]:
    """What stands in brackets in a heading, and a unit behind it, folded."""
    name = plain_text(heading).strip()
    found = [*_BRACKETS.findall(name), *_UNIT_BEHIND.findall(name)]
    return ["".join(each for each in _BESIDE_UNITS.sub("", text.strip()) if each.isalnum()) for text in found]
