"""The encoding of a file of unknown form, guessed from its first bytes.

Nearly any bytes can be read as GB18030, names in other encodings as other people's names. So that is guessed only where
the file reads as Chinese.
"""

import re
from contextlib import suppress

import charset_normalizer

from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import ENCODINGS
from standing.node.feed.usual_words import HEADINGS, WORDS

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\x84\x31\x95\x33": "gb18030"}
_MAX_CHARACTER = 4  # bytes
_DETECTED_BYTES = 65_536
_WEIGHED = 5_000
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_NO_SIGN = re.compile("[^\x00-\x7f\u3000-\u303f\uff00-\uffef]")
#: Words by which a file in Chinese is recognised, however short it is.
_CHINESE_WORDS = frozenset(
    word
    for words in (*HEADINGS.values(), *(words for meanings in WORDS.values() for words in meanings.values()))
    for word in words
    if re.fullmatch("[\u4e00-\u9fff]{2,}", word)
)
#: In Chinese most characters are among the 3755 usual ones of GB 2312, which are in order of their sound, and about a
#: quarter are of the sounds X to Z. Korean in EUC-KR has the same bytes, but none of the latter; Japanese has few.
_USUAL, _OF_LAST_SOUNDS = 0.5, 0.1
#: Which difference in the detector's measure of odd sequences says nothing in a short file.
_NEARLY = 0.06
#: Encodings that cores write, and that are named where they fit about as well as the best one: short files read well in
#: several, and rare ones such as Mac's are seldom right.
_USUAL_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("big5", "cp932", "euc_jp", "cp949", "cp850", "cp852", "cp866"),
)
_MAX_NAMED = 3


def guess_encoding(raw: bytes, *, cut_off: bool) -> tuple[str, str]:
    """The encoding of a file's first bytes, and why. `cut_off`: more follows, and the last character may be cut in two.

    Raises: InvalidValue where it is none in which files of the feed can be.
    """
    return _unicode(raw, cut_off) or _chinese(raw, cut_off)


def _unicode(raw: bytes, cut_off: bool) -> tuple[str, str] | None:
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return encoding, "the file begins with its mark"
    text = _decoded(raw, "utf-8", cut_off)
    if text is not None and "\0" not in text:
        return "utf-8", "every byte fits" if not text.isascii() else "plain ASCII: UTF-8 and GB18030 are the same"
    high, low = raw[::2].count(0), raw[1::2].count(0)
    # In Chinese few are zero, but all on the same side; what pads a column is on both.
    if (high + low) * 4 > len(raw) or ((high + low) * 50 > len(raw) and min(high, low) * 10 < max(high, low)):
        return ("utf-16-le" if low >= high else "utf-16-be"), "every other byte is zero where a character is ASCII"
    return None if text is None else ("utf-8", "every byte fits")


def _chinese(raw: bytes, cut_off: bool) -> tuple[str, str]:
    text = _decoded(raw, "gb18030", cut_off)
    if text is not None and any(word in text for word in _CHINESE_WORDS):
        return "gb18030", "every byte fits, and it holds words that cores use"
    usual, of_last_sounds = (0.0, 0.0) if text is None else _weigh(text)
    if usual >= _USUAL and of_last_sounds >= _OF_LAST_SOUNDS:
        return "gb18030", "every byte fits, and most characters are usual ones; look whether the names read well"
    other = _other_encoding(raw, cut_off)
    if usual >= _USUAL and other is None:
        return "gb18030", "GUESS: every byte fits, but it is too short to tell; look whether the names read well"
    if other is None:
        raise InvalidValue("file", "in an unknown encoding", ", ".join(ENCODINGS))
    raise InvalidValue("file", f"not in an encoding of the feed; it looks like {other}", ", ".join(ENCODINGS))


def _decoded(raw: bytes, encoding: str, cut_off: bool) -> str | None:
    """The bytes as text; None where they are not in that encoding."""
    for cut in range(_MAX_CHARACTER if cut_off else 1):
        with suppress(UnicodeDecodeError):
            return raw[: len(raw) - cut].decode(encoding)
    return None


def _weigh(text: str) -> tuple[float, float]:
    """Of a text's characters other than ASCII and signs, the shares of usual ones and of those of the last sounds.

    One of four bytes counts as both: two of its bytes are digits, in places in which no other encoding has them.
    """
    found = [sign.encode("gb18030") for sign in _NO_SIGN.findall(text)[:_WEIGHED]]
    long = sum(len(each) == _MAX_CHARACTER for each in found)
    usual = [each for each in found if len(each) == 2 and 0xB0 <= each[0] <= 0xD7 and each[1] >= 0xA1]
    last = sum(each[0] >= 0xD0 for each in usual)
    return ((len(usual) + long) / len(found), (last + long) / len(found)) if found else (0.0, 0.0)


def _other_encoding(raw: bytes, cut_off: bool) -> str | None:
    """The encodings that fit clearly better than GB18030; None where none does."""
    # It is no UTF-8, which was tried, and no UTF-16, in which a line break has a zero.
    unicode = [name for name in charset_normalizer.constant.IANA_SUPPORTED if name.startswith("utf")]
    matches = charset_normalizer.from_bytes(_telling_part(raw, cut_off), cp_exclusion=["ascii", *unicode])
    best = matches.best()
    if best is None:
        return None
    rival = next((match.chaos for match in matches if match.encoding == "gb18030"), 1.0)
    if rival - best.chaos <= _NEARLY:
        return None
    near = [name for match in matches if match.chaos - best.chaos <= _NEARLY for name in match.could_be_from_charset]
    named = [name for name in _USUAL_ENCODINGS if name in near][:_MAX_NAMED] or [best.encoding]
    return ", ".join(named).replace("_", "-")


def _telling_part(raw: bytes, cut_off: bool) -> bytes:
    """The lines from the first one that is not plain ASCII on, as many as the detector needs."""
    first = _NOT_ASCII.search(raw)
    start = 0 if first is None else raw.rfind(b"\n", 0, first.start()) + 1
    part = raw[start : start + _DETECTED_BYTES]
    if not cut_off and start + len(part) == len(raw):
        return part
    # A character cut in two would rule out the right encoding; no second byte of one is a line break.
    return part[: part.rfind(b"\n") + 1] or part
