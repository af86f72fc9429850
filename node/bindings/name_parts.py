"""What one side leaves out of a name or shortens: particles, middle names, patronymics, and a company's form in bank
transfers of Japan and in Thailand.

The words of one side say what is a part of it. What it has beyond the other can be anything but the first and the last
word. What the other has beyond it must be known, since its words are not: a particle of the list, or a patronymic. One
particle is never another (van der, van den).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from standing.node.bindings.name_forms import (
    FORMS_IN_TRANSFERS,
    GENERATIONS,
    IN_FULL_AND_SHORT,
    LOOKS_LATIN,
    PARTICLES,
    PATRONYMICS,
)

#: Words of a name that is compared in parts.
_FEW_WORDS, _MAX_WORDS = 2, 8
_VOWELS = re.compile("[aeiouyаеёиоуыэюяіїє]+")
_LETTERS_ONLY = re.compile(r"[^\W\d_]+")
#: Scripts of which every vowel is written: a word of one syllable, as in Chinese, Korean and Vietnamese names, is then
#: part of the name, whatever else it may be (Kim Do Hyun, Li De Hua).
_WITH_VOWELS = re.compile("[a-z\u0400-\u04ff]+")
#: Syllables of such names, and of Burmese and Khmer ones, in Latin letters, and how long a word of them is; a word that
#: they do not make up, such as Smith or Ann, shows that a name is none of these.
_OF_SYLLABLES = re.compile(
    "(?:(?:[b-df-hj-np-tv-z]h?|ngh?|chh|h[klmnpst]|[kpst]r|[dnt]j|[st]z|ts|kk|tt|pp|ss|jj)?[aeiouyw]++"
    "(?:ng|nh|nt|ch|ck|rk|[bcdghklmnprst])?)+|s?ng"
)
_MAX_OF_SYLLABLES = 12
#: A name of a first, a middle and a family name.
_WITH_ONE_MIDDLE = 3
#: A form in brackets before or behind a Japanese name; behind it the second bracket is left out: トヨタ(カ.
_OWN_FORM = {form: short for short, forms in FORMS_IN_TRANSFERS.items() for form in (short, *forms) if len(form) < 4}
_FORM_IN_TRANSFER = re.compile(r"\(?({0})\)(.+)|(.+)\(({0})\)?".format("|".join(_OWN_FORM)))
_COMPANY_WORDS = frozenset(
    word for pair in IN_FULL_AND_SHORT for form in pair for word in form.split() if len(word) > 1
)
_NO_PERSON = _COMPANY_WORDS - GENERATIONS - set(PARTICLES)
#: The most initials that may stand for names, letters of a word in full beside one, and those for which one may stand.
_MAX_INITIALS = 2
_FULL, _BEHIND_INITIAL = 3, "[^\\W\\d_]{1,14}"
_PARTICLE = f"(?:{'|'.join(PARTICLES)})"
_PATRONYMIC = f"[^\\W\\d_]{{2,12}}?(?:{'|'.join(each.translate(LOOKS_LATIN) for each in PATRONYMICS)})"
_PATRONYMIC_ALONE = re.compile(_PATRONYMIC)
#: The most words beside which a patronymic may be missing.
_WITH_PATRONYMIC = 2


def shorter_names(words: Sequence[str]) -> Iterator[str]:
    """A claimed name as a book may have it: without particles, patronymic or a middle name, and with initials."""
    if not _is_of_parts(words):
        return
    core = [word for at, word in enumerate(words) if not _is_particle(words, at)]
    yield "".join(core)
    others = [word for at, word in enumerate(words) if at == 0 or not _PATRONYMIC_ALONE.fullmatch(word)]
    if len(others) >= _FEW_WORDS:  # Roman Abramovich is not Roman
        yield "".join(others)
    for each in {tuple(words), tuple(core)}:
        yield from _without_middle(each)
        yield from _with_initials(each)


def longer_name(words: Sequence[str]) -> re.Pattern[str] | None:
    """What a book may hold for a claimed name: with particles and patronymics between its words, and names in full for
    its initials; None where it has nothing of its own to go by."""
    if not _is_of_parts(words) or max(map(len, words)) < _FULL:
        return None
    if sum(len(word) == 1 for word in words) > _MAX_INITIALS:  # each could stand for many letters, in many ways
        return None
    more = f"|{_PATRONYMIC}" if len(words) <= _WITH_PATRONYMIC else ""
    parts = [re.escape(words[0]) + (_BEHIND_INITIAL if len(words[0]) == 1 else "")]
    for before, word in pairwise(words):
        gap = f"(?:{_PARTICLE * 2})?" if _are_syllables(before, word) else f"(?:(?:{_PARTICLE}){{1,2}}{more})?"
        gap = "" if word in PARTICLES or before in PARTICLES else gap
        initial = len(word) == 1 and word not in PARTICLES
        parts.append(gap + re.escape(word) + (_BEHIND_INITIAL if initial else ""))
    return re.compile("".join(parts) + (f"(?:{_PATRONYMIC})?" if more else ""))


def transfer_names(canonical: str, claimed: str) -> Iterator[str]:
    """A Japanese company with its form in full or as in bank transfers, before and behind its name."""
    found = _FORM_IN_TRANSFER.fullmatch(claimed)
    own = ""
    if found is not None:
        form, name = (found[1], found[2]) if found[1] else (found[4], found[3])
        own = _OWN_FORM[form]
    else:
        name = canonical
        for short, forms in FORMS_IN_TRANSFERS.items():
            for form in forms:
                if canonical.startswith(form) or canonical.endswith(form):
                    own, name = short, canonical.removeprefix(form).removesuffix(form)
                    break
    if own and name:
        for form in (own, *FORMS_IN_TRANSFERS[own]):
            yield form + name
            yield name + form


def is_wrong_initial(words: Sequence[str], claimed: str, held: str) -> bool:
    """Whether the only letter in which two names of one length differ is a word of its own: another initial, or son
    for daughter (s/o, a/p), is no slip."""
    if len(claimed) != len(held):
        return False
    at = next((at for at, (one, other) in enumerate(zip(claimed, held, strict=True)) if one != other), len(held))
    begin = 0
    for word in words:
        if begin == at and len(word) == 1:
            return True
        begin += len(word)
    return False


def _is_of_parts(words: Sequence[str]) -> bool:
    """Whether words are those of a person, as far as they tell."""
    if not _FEW_WORDS <= len(words) <= _MAX_WORDS or not all(map(_LETTERS_ONLY.fullmatch, words)):
        return False
    return not any(word in _NO_PERSON for word in words)


def _is_particle(words: Sequence[str], at: int) -> bool:
    if at in {0, len(words) - 1} or words[at] not in PARTICLES:
        return False
    if words[at - 1] in PARTICLES or words[at + 1] in PARTICLES:  # de la, van der
        return True
    others = [word for word in words[:at][::-1] if word not in PARTICLES][:1]
    others += [word for word in words[at:] if word not in PARTICLES][:1]
    return len(others) == _FEW_WORDS and not _are_syllables(*others)


def _are_syllables(*words: str) -> bool:
    return all(_WITH_VOWELS.fullmatch(word) and len(_VOWELS.findall(word)) < 2 for word in words)


def _has_western_middle(words: Sequence[str]) -> bool:
    """Whether the middle one of three names, though of one syllable, is no part of a name that syllables make up (John
    Paul Smith): one of the three is of none. With more names it could be: Grace Tan Mei Ling."""
    core = [word for word in words if word not in GENERATIONS]
    if len(core) != _WITH_ONE_MIDDLE or not all(word.isascii() for word in core):
        return False
    return not all(len(word) <= _MAX_OF_SYLLABLES and _OF_SYLLABLES.fullmatch(word) for word in core)


def _without_middle(words: Sequence[str]) -> Iterator[str]:
    for at in range(1, len(words) - 1):
        word = words[at]
        is_family_name = at == len(words) - 2 and words[-1] in GENERATIONS
        may_be_given = len(word) > 1 and _are_syllables(word) and not _has_western_middle(words)
        if word not in GENERATIONS and not is_family_name and not may_be_given:
            yield "".join((*words[:at], *words[at + 1 :]))


def _with_initials(words: Sequence[str]) -> Iterator[str]:
    """With an initial in place of the first name, of all but the family name, or of what is in the middle."""
    first, *middle, last = words
    if last in GENERATIONS or any(word in GENERATIONS for word in middle):
        return
    initials = [word if word in PARTICLES else word[:1] for word in middle]
    if len(last) >= _FULL:
        yield "".join((first[:1], *middle, last))
        yield "".join((first[:1], *initials, last))
        yield "".join((first[:1], last))
    if len(first) >= _FULL:
        yield "".join((first, *initials, last[:1]))
        yield "".join((first, *initials, last))
