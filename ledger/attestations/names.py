"""The canonical form of a holder's name: spellings that read alike are one.

A canonical name is the name after Unicode's NFKC_Casefold, without dots, dashes, apostrophes, commas, symbols,
spaces and invisible characters. A sign within a number is kept, as a point: 3.5 and 24/7 are not 35 and 247.
Private-use characters of GBK and radicals are the Han characters that they stand for
(`ledger.attestations.han`). A private-use character of a bank's own, and a character that this Python's Unicode does
not know yet, is kept: without it, two names could become one. For the same reason a sign in place of a character that
was lost in a conversion, or is hidden, is kept.
"""

import re
import unicodedata

from standing.ledger.attestations.han import HAN_EQUIVALENTS
from standing.ledger.errors import InvalidValue

MAX_NAME = 140  # Max140Text, the length of a party's name in ISO 20022

#: A sign between two digits, which is part of the number (3.5, 24/7), and one between groups of three, which is not.
_SIGN_IN_NUMBER = re.compile(r"(?<=\d)[.,/\u2044:\-\uff0e\uff0c\uff0f\uff1a\uff0d\u2010-\u2015\u2212](?=\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,]\d{3})+(?![\d.,])")
#: Letters and marks that Unicode shows as nothing (Default_Ignorable_Code_Point), such as joiners and fillers.
_IGNORABLE = (
    0x034F,
    *range(0x115F, 0x1161),
    *range(0x17B4, 0x17B6),
    *range(0x180B, 0x1810),
    0x2065,
    0x3164,
    0xFFA0,
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0xE0000, 0xE1000),
)
#: Apostrophes and dots that are letters to Unicode.
_LETTERLIKE_SIGNS = (*range(0x02B9, 0x02C0), 0x02C8, 0x02EE, 0x1427, 0xA78B, 0xA78C, 0xA78F)
INVISIBLE = dict.fromkeys((*_IGNORABLE, *_LETTERLIKE_SIGNS))

#: Turkish and Azeri have a dotless i, which the capitals of other systems do not distinguish from the dotted one.
_DOTLESS = str.maketrans({"\u0131": "i"})
#: A capital I with a dot folds to an i and a combining dot.
_DOTTED_I = re.compile("i\u0307+")

#: What programs write where a character was lost or could not be shown. A question mark is one beside Han characters.
_LOST = "\ufffd\u25a1\u3013"
_QUESTION_MARKS = "?\uff1f\ufe56"
_HAN_RANGES = (
    "\u2e80-\u2fdf\u3005-\u3007\u31c0-\u31e3\u3400-\u4dbf\u4e00-\u9fff\ue000-\uf8ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ANY_HAN = re.compile(f"[{_HAN_RANGES}]")
#: What hides characters of a name: several such signs, or one beside Han. One between two parts that are whole words
#: is the dot of a name such as 买买提·吐尔逊.
_MASKS = "*#\u00d7\u203b\u2587\u2588\u25a0"
#: The same as they are before compatibility form.
_WIDE_MASKS = "\uff0a\ufe61\uff03\ufe5f"
_NO_MASK = re.compile(
    rf"(?<![{_MASKS}])(?:(?<=[{_HAN_RANGES}]{{2}})[{_MASKS}](?=[{_HAN_RANGES}]{{2}})"
    rf"|(?<![{_HAN_RANGES}])[{_MASKS}](?![{_HAN_RANGES}]))(?![{_MASKS}])"
)
_STRAY_QUESTION_MARKS = re.compile(rf"(?<![?{_HAN_RANGES}{_LOST}])\?+(?![?{_HAN_RANGES}{_LOST}])")

#: A Hangul letter that is written as a middle dot, and the line that stretches an Arabic word.
_DOT_LETTER, _TATWEEL = "\u318d", "\u0640"
#: Circles that are written for the digit zero of Han.
_CIRCLES = "\u25cb\u25ef"
#: Marks that voice the kana before them, where they stand for themselves: カ゛ is ガ, and not カ.
_VOICED = str.maketrans("\u309b\u309c", "\u3099\u309a")
#: Letters that have code points of their own since Unicode 4.1 and 5.1. Older texts write a consonant, its vowel killer
#: and a joiner: Malayalam's final letters, and the final t of Bengali.
_FINAL_LETTERS = {
    0x0D7A: "\u0d23\u0d4d",
    0x0D7B: "\u0d28\u0d4d",
    0x0D7C: "\u0d30\u0d4d",
    0x0D7D: "\u0d32\u0d4d",
    0x0D7E: "\u0d33\u0d4d",
    0x0D7F: "\u0d15\u0d4d",
    0x09CE: "\u09a4\u09cd",
}
#: What looks the same, and is typed either way: in Thai and Lao the ring of am before the tone, and e twice for ae; in
#: Tamil the two spellings of Sri.
_TYPED_EITHER_WAY = (
    (re.compile("\u0e4d([\u0e48-\u0e4b])"), "\\1\u0e4d"),
    (re.compile("\u0ecd([\u0ec8-\u0ecb])"), "\\1\u0ecd"),
    (re.compile("\u0e40\u0e40"), "\u0e41"),
    (re.compile("\u0ec0\u0ec0"), "\u0ec1"),
    (re.compile("\u0bb6(?=\u0bcd\u0bb0\u0bc0)"), "\u0bb8"),
)
#: Khmer: what belongs to one consonant is typed in any order. Consonants below it come first, ro last of them and da as
#: ta, which looks the same there; then what shifts the register, vowels, and other signs.
_KHMER_CLUSTER = re.compile("(?:\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd])+")
_KHMER_PART = re.compile("\u17d2.|.")
_KHMER_DA, _KHMER_TA, _KHMER_RO = "\u17d2\u178a", "\u17d2\u178f", "\u17d2\u179a"
_KHMER_SHIFTERS = "\u17c9\u17ca"
#: Two signs for the vowels oo and oe, which have one of their own.
_KHMER_VOWELS = re.compile("([\u17b6\u17b8])\u17c1")
_KHMER_WHOLE_VOWELS = {"\u17b6": "\u17c4", "\u17b8": "\u17be"}
_EQUIVALENTS: dict[int, int | str | None] = {
    **HAN_EQUIVALENTS,
    **str.maketrans(_CIRCLES, "\u3007" * len(_CIRCLES), _DOT_LETTER),
    **_FINAL_LETTERS,
}
_SHOWN_AS_NOTHING = INVISIBLE | {ord(_TATWEEL): None}

#: Controls, formats, surrogates, separators, punctuation and symbols. Unassigned (Cn) and private-use characters (Co)
#: are kept.
_LEFT_OUT = frozenset(
    ["Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"]
)
#: A spacing accent serves as an apostrophe. NFKC would turn it into a space and a combining accent.
_SPACING_ACCENTS = "Sk"
#: Most Chinese names: each of these characters is its own canonical form, and stays so beside any other of them.
_HAN = re.compile("[\u4e00-\u9fff]*")


def canonical_name(name: str) -> str:
    """The canonical form of a name. Raises: InvalidValue where nothing is left, or it is too long."""
    if len(name) > MAX_NAME:
        raise InvalidValue("holder_name", f"longer than {MAX_NAME} characters", f"1 to {MAX_NAME} characters")
    canonical = folded(name)
    if not canonical.strip(_LOST + _MASKS + "?"):
        raise InvalidValue("holder_name", "no letters in it", f"a name of 1 to {MAX_NAME} characters")
    return canonical


def is_masked_name(canonical: str, *, of_person: bool) -> bool:
    """Whether characters of a canonical name are hidden: then it may be the name of several holders. A single sign may
    belong to a company's name."""
    signs = sum(each in _MASKS for each in canonical)
    return signs > (0 if of_person else 1)


def folded(text: str) -> str:
    """The canonical form of any text, which may be empty."""
    if _HAN.fullmatch(text):
        return text
    if text.isascii():
        return _folded_once(text)
    canonical, before = text, ""
    # Each step may make another one possible, as where a removed mark had kept two characters apart.
    while canonical != before:
        before, canonical = canonical, _folded_once(canonical)
    return canonical


def _folded_once(text: str) -> str:
    if text.isascii() and "**" not in text and "##" not in text:
        return ".".join("".join(filter(str.isalnum, part)) for part in _parts_of_numbers(text.lower()))
    plain = "".join(each for each in text.translate(_VOICED) if unicodedata.category(each) != _SPACING_ACCENTS)
    composed = unicodedata.normalize("NFKC", plain.translate(_EQUIVALENTS)).casefold()
    dotless = unicodedata.normalize("NFKC", composed).translate(_DOTLESS)
    letters = _DOTTED_I.sub("i", dotless).translate(_SHOWN_AS_NOTHING)
    kept = ".".join(
        "".join(each for each in part if unicodedata.category(each) not in _LEFT_OUT or _is_kept_sign(each))
        for part in _parts_of_numbers(letters)
    )
    if "?" in kept:
        kept = _STRAY_QUESTION_MARKS.sub("", kept)
    if any(each in kept for each in _MASKS):
        kept = _NO_MASK.sub("", kept)
    kept = _KHMER_CLUSTER.sub(_ordered_khmer, kept)
    # Repeated here and not by `folded`: a row of tones and rings takes a step for each, and a whole step is slow.
    before = ""
    while kept != before:
        before = kept
        for typed, usual in _TYPED_EITHER_WAY:
            kept = typed.sub(usual, kept)
        kept = unicodedata.normalize("NFKC", kept)
    return kept


def _parts_of_numbers(text: str) -> list[str]:
    """A text split at each sign that is part of a number."""
    return _SIGN_IN_NUMBER.split(_THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), text))


def _ordered_khmer(found: re.Match[str]) -> str:
    """What belongs to a Khmer consonant, in one order."""
    parts = _KHMER_PART.findall(found[0].replace(_KHMER_DA, _KHMER_TA))
    ordered = "".join(sorted(parts, key=_khmer_place))
    return _KHMER_VOWELS.sub(lambda vowel: _KHMER_WHOLE_VOWELS[vowel[1]], ordered)


def _khmer_place(part: str) -> tuple[int, str]:
    if len(part) > 1:
        return (1, "") if part == _KHMER_RO else (0, "")
    if part in _KHMER_SHIFTERS:
        return 2, part
    return (4, part) if part >= "\u17c6" else (3, part)


def _is_kept_sign(character: str) -> bool:
    """Whether a symbol or punctuation mark is kept.

    It is a radical or a stroke that stands for no ideograph in the tables, or says how a character that cannot be typed
    is made of others, or it may stand for a lost or hidden character.
    """
    is_part = "\u2e80" <= character <= "\u2fff" or "\u31c0" <= character <= "\u31e3"
    return is_part or character in _LOST or character in _MASKS or character == "?"


def words_of(name: str) -> list[str]:
    """The words of a name as written, each in canonical form: the parts between spaces, dashes and other signs."""
    within = _LOST + _CIRCLES + (_QUESTION_MARKS if _ANY_HAN.search(name) else "")
    within += _MASKS + _WIDE_MASKS if any(each in folded(name) for each in _MASKS) else ""
    spaced = ".".join(
        "".join(each if each in within or _holds_together(each) else " " for each in part)
        for part in _parts_of_numbers(unicodedata.normalize("NFC", name.translate(_VOICED)))
    )
    return [word for word in (folded(part) for part in spaced.split()) if word]


def _holds_together(character: str) -> bool:
    """Whether a character is within a word: a letter, mark or digit, or nothing at all. Apostrophes are within too."""
    category = unicodedata.category(character)
    if character == _DOT_LETTER:
        return False
    return category not in _LEFT_OUT or category == "Cf" or character in "'\u2019`´\u02bc"
