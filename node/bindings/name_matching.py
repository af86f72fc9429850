"""How closely a claimed name matches the one in the bank's records: equal in canonical form, close, or neither.

Close is what a person would look at twice:

- the family name first or last, of one word or several: the same words, rotated;
- a title that one side leaves out, and the legal form of a company, in full or short (`node.bindings.name_forms`);
- a lost accent, or other letters for one: Jose for José, Soren or Soeren for Søren, Mueller for Müller; a mark that is
  a vowel or a consonant of its script, as in Thai, Tibetan or Devanagari, is no accent;
- letters that are written for each other: of Arabic and Persian, of Russian and other Cyrillic languages, Latin and
  Cyrillic ones that look the same, Ethiopic ones of one sound; hiragana for katakana, large kana for small ones; the
  dot of Indian scripts for a nasal before its consonant; Hebrew letters without their final form;
- traditional characters for simplified ones, the forms that Japan writes, and 々 for the character before it;
- `and` for &, or left out, and 株 for 株式会社;
- one typing slip in a long Latin name: a letter that is missing, doubled, wrong, or changed places with the next.

Pinyin for characters is not close: too many names share a spelling. Nor is a slip in a Chinese name: another
character is another person.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from anyascii import anyascii
from opencc import OpenCC
from rapidfuzz.distance import OSA

from standing.ledger.attestations.binding_protocol import MatchWord
from standing.ledger.attestations.names import MAX_NAME, canonical_name, folded, is_masked_name, words_of
from standing.node.bindings.name_forms import (
    FORM_BEFORE,
    GENERATIONS,
    IN_FULL_AND_SHORT,
    LOOKS_LATIN,
    SHORT_NAMES,
    THAI_FORM,
    THAI_SHORT,
    TITLES,
    TITLES_BEHIND,
)
from standing.node.bindings.name_parts import is_wrong_initial, longer_name, shorter_names, transfer_names

#: Letters that a Latin name must have before one slip in it counts as close; shorter ones are other names.
_LONG_NAME = 8
#: Letters that are left of a name without its title.
_SHORT_NAME = 2
#: The most words of a name that is turned, and letters of a canonical one that is compared any further than for
#: equality. One written to be long (a single character may stand for 18 letters) would take half a second.
_MAX_WORDS, _MAX_LETTERS = 20, MAX_NAME

#: Canonical combining classes (Unicode Standard, table 4-3): marks through a letter, Hebrew and Arabic points, and from
#: here on marks attached to, above or below a letter of any script.
_OVERLAY, _POINTS, _ATTACHED = 1, range(10, 37), 200


#: Other letters for one where there is no key for it: German, the Nordic languages (ICAO 9303), Croatian, Azerbaijani.
_OTHERWISE = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "đ": "dj", "ə": "a"})
_SMALL_KANA = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
#: Arabic: yeh without dots and of Persian, kaf of Persian, teh marbuta for heh, heh of Urdu, the e of Kurdish, and
#: alef wasla. Japanese: small kana, and the long vowel, for which banks write a dash. Cyrillic: letters that Russian
#: does not have.
_WRITTEN_FOR: dict[int, int | str | None] = {
    **str.maketrans("\u0649\u06cc\u06a9\u0629\u06c1\u06be\u06d5\u0671", "\u064a\u064a\u0643" + "\u0647" * 4 + "\u0627"),
    **_SMALL_KANA,
    **str.maketrans("", "", "ー"),
    **str.maketrans("әғқңөұүһґҳҷ", "агкноуухгхч"),
    **str.maketrans("ךםןףץ", "כמנפצ"),
    **{ord(ligature): letters for ligature, letters in (("װ", "וו"), ("ױ", "וי"), ("ײ", "יי"))},
}
#: The blocks of Indian scripts have one layout. A nasal consonant without a vowel, before a consonant of its own row,
#: is also written as a dot; so is the half moon with a dot, and Punjabi's tippi.
_INDIAN = (0x0900, 0x0980, 0x0A00, 0x0A80, 0x0B00, 0x0C00, 0x0C80)
_ANY_INDIAN = re.compile("[\u0900-\u0cff]")
_DOT, _KILLER, _ROWS_OF_FIVE = 0x02, 0x4D, (0x15, 0x1A, 0x1F, 0x24, 0x2A)
_WRITTEN_FOR |= {block + 1: block + _DOT for block in _INDIAN} | {0x0A70: 0x0A00 + _DOT}
_NASALS = [
    (re.compile(f"{chr(at + 4)}{chr(block + _KILLER)}(?=[{chr(at)}-{chr(at + 3)}])"), chr(block + _DOT))
    for block in _INDIAN
    for at in (block + row for row in _ROWS_OF_FIVE)
]
#: Ethiopic: rows of letters that have had one sound in Amharic for centuries, and the row that is usual. Of ha and a,
#: the fourth letter sounds as the first.
_OPEN_ROWS = (0x1200, 0x12A0)
_ROWS = {0x1200: 0x1200, 0x1210: 0x1200, 0x1280: 0x1200, 0x1220: 0x1230, 0x12A0: 0x12A0, 0x12D0: 0x12A0, 0x1340: 0x1338}
_WRITTEN_FOR |= {
    row + vowel: usual + (0 if vowel == 3 and usual in _OPEN_ROWS else vowel)
    for row, usual in _ROWS.items()
    for vowel in range(7)
}
_KATAKANA = {hiragana: hiragana + 0x60 for hiragana in range(0x3041, 0x3097)}
#: Variants of characters in Japanese names, which systems with fewer characters write in the usual form.
_JAPANESE = str.maketrans("髙𠮷﨑邉濵浜篭冨栁舩姫", "高吉崎邊濱濱籠富柳船姬")
#: Forms of printed books, which are usual in Korea and in old Chinese books, and of Japan.
_JAPANESE |= str.maketrans("兪靑尙戸淸愼緖緒呉郞郷翆頬隣桒", "俞青尚户清慎绪绪吴郎乡翠颊邻桑")
#: María, as Spain writes it.
_MARIA = re.compile(r"\bM\.?ª\.?", re.IGNORECASE)
_REPEATED = re.compile("(.)々")
#: Forms of companies, of which the sign ㈱ or ㈜ leaves one character; and Armenian's ligature, in capitals and not.
_SHORT = (("株式会社", "株"), ("有限会社", "有"), ("주식회사", "주"), ("եւ", "եվ"))
#: The dot of Devanagari for sounds of other languages, which is often left out.
_NUKTA = "\u093c"
_ROMAN = re.compile("[ivx]+")
_TITLE_WORDS = frozenset((*TITLES, *TITLES_BEHIND))
_AND = ("and", "und", "et", "y", "e", "i", "en", "og", "och", "и")


def match_name(held: str, claimed: str, *, of_person: bool = True, held_words: Sequence[str] = ()) -> MatchWord:
    """How a claimed name, as written, compares with a held one in canonical form.

    `of_person`: the holder is a person, or may be one; a company's name is not compared in parts. `held_words`: the
    words of the held name, where they are known; without them nothing tells a middle name of it from a longer first
    or last one. Raises: InvalidValue.
    """
    canonical = canonical_name(claimed)
    if is_masked_name(held, of_person=of_person):  # who types the same mask knows what receipts show, not the name
        return "no_match"
    if canonical == held:
        return "match"
    if max(len(canonical), len(held)) > _MAX_LETTERS:
        return "no_match"
    words = words_of(claimed)
    turned = {canonical, *_turned(words)}
    if _MARIA.search(claimed):
        turned.update(_turned(words_of(_MARIA.sub("María", claimed))))
    if "&" in claimed:
        turned.update(folded(claimed.replace("&", word)) for word in _AND)
    turned.update(map(folded, transfer_names(canonical, _with_large_kana(claimed))))
    asked = set().union(*map(_forms, turned))
    forms = _forms(held)
    if asked & (forms | _without_titles(forms)) or forms & _without_titles(asked):
        return "close"
    if of_person and (_shares_parts(forms, words) or _leaves_out_parts(_forms(canonical), held_words)):
        return "close"
    return "close" if _is_slip(held, canonical, words) else "no_match"


def _shares_parts(forms: set[str], words: Sequence[str]) -> bool:
    """Whether a person's names differ in a part that one side leaves out or shortens."""
    spellings = {tuple(_plain(word).translate(LOOKS_LATIN) for word in words)}
    spellings.add(tuple(_plain(word.translate(_OTHERWISE)).translate(LOOKS_LATIN) for word in words))
    spellings.update([tuple(_replaced(word, _short_names()) for word in spelling) for spelling in spellings])
    for spelling in spellings:
        for order in _orders(spelling):
            longer = longer_name(order)
            if not forms.isdisjoint(shorter_names(order)) or (longer and any(map(longer.fullmatch, forms))):
                return True
    return False


def _leaves_out_parts(asked: set[str], held_words: Sequence[str]) -> bool:
    """As `_shares_parts`, for a claim that leaves out a part of the held name, with its title or without."""
    untitled = _untitled(held_words)
    return _shares_parts(asked, held_words) or (untitled != held_words and _shares_parts(asked, untitled))


def _with_large_kana(claimed: str) -> str:
    return unicodedata.normalize("NFKC", claimed).strip().translate(_SMALL_KANA)


def _forms(canonical: str) -> set[str]:
    """What a canonical name is compared by: two names that share one of these are close."""
    plain = {_plain(each) for each in (canonical, canonical.translate(_OTHERWISE))}
    return {each.translate(LOOKS_LATIN) for each in plain | set(map(_shortened, plain))}


def _shortened(plain: str) -> str:
    """A name with the legal form of its company, and words of a person's name, as they are shortest; and with the form
    behind the company's name where that could be before it."""
    plain = _replaced(_replaced(plain, _short_forms()), _short_names())
    if (thai := _thai_company().fullmatch(plain)) is not None:
        return THAI_SHORT[0] + "".join(filter(None, thai.groups()))
    return FORM_BEFORE.sub(r"\2\1", plain) if FORM_BEFORE.match(plain) else plain


@lru_cache(maxsize=1)
def _thai_company() -> re.Pattern[str]:
    before, behind, *short = (_plain(folded(each)) for each in (*THAI_FORM, *THAI_SHORT))
    return re.compile(f"(?:{'|'.join(short)})(.+)|{before}(.+){behind}|(.+){behind}|{before}(.+)")


def _without_titles(forms: set[str]) -> set[str]:
    """Names without a title before or behind them, or several (Prof. Dr.): one side may leave them out, but Mr and Mrs
    are two people."""
    before, behind = _titles()
    without: set[str] = set()
    left = forms
    while left:
        cut = {form.removeprefix(title) for form in left for title in before if form.startswith(title)}
        cut |= {form.removesuffix(title) for form in left for title in behind if form.endswith(title)}
        left = {each for each in cut if len(each) >= _SHORT_NAME} - without
        without |= left
    return without


def _replaced(plain: str, pairs: Sequence[tuple[str, str]]) -> str:
    for full, short in pairs:
        plain = plain.replace(full, short)
    return plain


@lru_cache(maxsize=1)
def _short_forms() -> tuple[tuple[str, str], ...]:
    return tuple((_plain(folded(full)), _plain(folded(short))) for full, short in IN_FULL_AND_SHORT)


@lru_cache(maxsize=1)
def _short_names() -> tuple[tuple[str, str], ...]:
    return tuple((_plain(folded(full)), short) for full, short in SHORT_NAMES)


@lru_cache(maxsize=1)
def _titles() -> tuple[list[str], list[str]]:
    before, behind = (
        [_plain(folded(title)).translate(LOOKS_LATIN) for title in titles] for titles in (TITLES, TITLES_BEHIND)
    )
    return before, behind


def _turned(words: Sequence[str]) -> Iterator[str]:
    """A name with each number of the first words last, as a family name may have several, and so may a given name; a
    generation stays last. With and without a title, with the short form of María, and without the word for `and`."""
    yield "".join("ma" if word == "maria" else word for word in map(_plain, words))
    yield "".join(word for at, word in enumerate(words) if word not in _AND or at in {0, len(words) - 1})
    for order in _orders(words):
        yield "".join(order)


def _orders(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """The words of a name as written, and with each number of the first ones last, also without a title."""
    yield words
    if len(words) > _MAX_WORDS:
        return
    untitled = _untitled(words)
    for each in (words, untitled) if len(untitled) < len(words) else (words,):
        generation = [word for word in each[-1:] if word in GENERATIONS]
        named = each[: len(each) - len(generation)]
        for at in range(1, len(named)):
            yield (*named[at:], *named[:at], *generation)
        for at in range(1, len(each) if generation else 0):
            yield (*each[at:], *each[:at])


def _untitled(words: Sequence[str]) -> Sequence[str]:
    begin, end = 0, len(words)
    while begin < end - 1 and words[begin] in _TITLE_WORDS:
        begin += 1
    while end > begin + 1 and words[end - 1] in _TITLE_WORDS:
        end -= 1
    return tuple(words[begin:end])


def _plain(canonical: str) -> str:
    """A canonical name in simplified characters, in Latin letters without accents, and in one of the letters that are
    written for each other."""
    usual = _REPEATED.sub(r"\1\1", canonical).translate(_JAPANESE).translate(_KATAKANA).translate(_WRITTEN_FOR)
    for nasal, dot in _NASALS if _ANY_INDIAN.search(usual) else ():
        usual = nasal.sub(dot, usual)
    for long, short in _SHORT:
        usual = usual.replace(long, short)
    return "".join(_plain_letter(character) for character in unicodedata.normalize("NFD", usual))


@lru_cache(maxsize=16_384)
def _plain_letter(character: str) -> str:
    if _is_accent(character):
        return ""
    if unicodedata.name(character, "").startswith("LATIN"):
        return anyascii(character).casefold()
    # One character at a time: among others, OpenCC would choose by the context.
    return str(_simplifier().convert(character if _is_chinese(character) else _of_japan().convert(character)))


def _is_chinese(character: str) -> bool:
    """Whether a character is in use in simplified Chinese: what Japan writes so may be another one there (芸, 予)."""
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _is_accent(character: str) -> bool:
    """Whether a mark may be left out in writing, by Unicode's combining classes: those above and below letters and
    through them, and the vowel points of Hebrew and Arabic. Other scripts have whole vowels in their marks, and kana
    the voice of a consonant."""
    combining = unicodedata.combining(character)
    return character == _NUKTA or combining == _OVERLAY or combining in _POINTS or combining >= _ATTACHED


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("hk2s")  # as t2s, and with the forms that Hong Kong writes (衞)


@lru_cache(maxsize=1)
def _of_japan() -> OpenCC:
    return OpenCC("jp2t")


def _is_slip(held: str, claimed: str, words: Sequence[str]) -> bool:
    """Whether two long Latin names differ in one letter. A wrong digit is not a slip: companies differ by one, father
    and son by a Roman one, or by Jr and Sr. Nor is one in a title: Mr and Mrs are two people."""
    plain, asked = _plain(held), _plain(claimed)
    if not (plain.isascii() and asked.isascii()) or min(len(plain), len(asked)) < _LONG_NAME:
        return False
    digits = "0123456789.ivx" if any(map(_ROMAN.fullmatch, words)) else "0123456789."
    if [each for each in plain if each in digits] != [each for each in asked if each in digits]:
        return False
    if any(word in GENERATIONS and word not in plain for word in words):
        return False
    held_title = max((title for title in TITLES if plain.startswith(title)), key=len, default="")
    if words[0] in TITLES and words[0] != held_title:
        return False
    if is_wrong_initial([_plain(word) for word in words], asked, plain):
        return False
    return OSA.distance(plain, asked, score_cutoff=1) <= 1
