"""How closely a claimed name matches the one in the bank's records: equal in canonical form, close, or neither.

Close is what a person would look at twice:

- the family name first or last, of one word or several: the same words, rotated;
- a lost accent, or other letters for one: Jose for José, Soren or Soeren for Søren, Mueller for Müller; a mark that is
  a vowel or a consonant of its script, as in Thai, Tibetan or Devanagari, is no accent;
- letters that Arabic and Persian keyboards have in common use for each other, and the large kana that Japanese banks
  write for small ones;
- traditional characters for simplified ones;
- one typing slip in a long Latin name: a letter that is missing, doubled, wrong, or changed places with the next.

Pinyin for characters is not close: too many names share a spelling. Nor is a slip in a Chinese name: another
character is another person.
"""

import unicodedata
from functools import lru_cache

from anyascii import anyascii
from opencc import OpenCC
from rapidfuzz.distance import OSA

from standing.ledger.attestations.binding_protocol import MatchWord
from standing.ledger.attestations.names import canonical_name, words_of

#: Letters that a Latin name must have before one slip in it counts as close; shorter ones are other names.
_LONG_NAME = 8

#: Canonical combining classes (Unicode Standard, table 4-3): marks through a letter, Hebrew and Arabic points, and from
#: here on marks attached to, above or below a letter of any script.
_OVERLAY, _POINTS, _ATTACHED = 1, range(10, 37), 200


#: Letters that are written as two where there is no key for them: German, the Nordic languages (ICAO 9303), Croatian.
_AS_TWO = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "đ": "dj"})
#: Arabic: yeh without dots and of Persian, kaf of Persian, teh marbuta for heh, heh of Urdu, and alef wasla. Japanese:
#: small kana.
_WRITTEN_FOR = str.maketrans(
    "\u0649\u06cc\u06a9\u0629\u06c1\u06be\u0671" + "ァィゥェォッャュョヮヵヶぁぃぅぇぉっゃゅょゎ",
    "\u064a\u064a\u0643\u0647\u0647\u0647\u0627" + "アイウエオツヤユヨワカケあいうえおつやゆよわ",
)


def match_name(held: str, claimed: str) -> MatchWord:
    """How a claimed name, as written, compares with a held one in canonical form. Raises: InvalidValue."""
    canonical = canonical_name(claimed)
    if canonical == held:
        return "match"
    plain_held, spelled_held = _plain(held), _plain(held.translate(_AS_TWO))
    for turned in (canonical, *_rotated(words_of(claimed))):
        if _plain(turned) == plain_held or _plain(turned.translate(_AS_TWO)) == spelled_held:
            return "close"
    return "close" if _one_slip(plain_held, _plain(canonical)) else "no_match"


def _rotated(words: list[str]) -> list[str]:
    """The words with each number of the first ones last, run together as in a canonical name: a family name may have
    several words, and so may a given name."""
    return ["".join((*words[at:], *words[:at])) for at in range(1, len(words))]


def _plain(canonical: str) -> str:
    """A canonical name in simplified characters, in Latin letters without accents, and in one of the letters that are
    written for each other."""
    letters = unicodedata.normalize("NFD", canonical.translate(_WRITTEN_FOR))
    return "".join(_plain_letter(character) for character in letters)


@lru_cache(maxsize=16_384)
def _plain_letter(character: str) -> str:
    if _is_accent(character):
        return ""
    if unicodedata.name(character, "").startswith("LATIN"):
        return anyascii(character).casefold()
    # One character at a time: among others, OpenCC would choose by the context.
    return str(_simplifier().convert(character))


def _is_accent(character: str) -> bool:
    """Whether a mark may be left out in writing, by Unicode's combining classes: those above and below letters and
    through them, and the vowel points of Hebrew and Arabic. Other scripts have whole vowels in their marks, and kana
    the voice of a consonant."""
    combining = unicodedata.combining(character)
    return combining == _OVERLAY or combining in _POINTS or combining >= _ATTACHED


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("hk2s")  # as t2s, and with the forms that Hong Kong writes (衞)


def _one_slip(held: str, claimed: str) -> bool:
    """Whether two long Latin names differ in one letter. A wrong digit is not a slip: companies differ by one."""
    if not (held.isascii() and claimed.isascii()) or min(len(held), len(claimed)) < _LONG_NAME:
        return False
    if [each for each in held if each.isdigit()] != [each for each in claimed if each.isdigit()]:
        return False
    return OSA.distance(held, claimed, score_cutoff=1) <= 1
