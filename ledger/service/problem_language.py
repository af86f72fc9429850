"""Problem documents (RFC 9457) in the caller's language.

Errors are raised in English, with their values filled in. `locales/zh/problems.toml` has each sentence in Chinese,
with `{name}` for a value, `{name:d}` for a number; a sentence is recognised by its fixed words. `type`, `status` and
the names of fields are the same in every language.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.types import Scope

from standing.ledger.service.languages import Language, preferred

#: A longer text stays in English; no known sentence comes close.
_MAX_SENTENCE = 1_000
_MAX_LISTED = 5
#: Choices as pydantic lists them: 'payment' or 'withdrawal'; 'a', 'b' or 'c'.
_CHOICES = re.compile(r"('[^']*'(?:, '[^']*')*) or ('[^']*')")
_FILLED_IN = re.compile(r"\{(\w+)(:d)?\}")


class Sentences:
    """Sentences in another language, by the English ones. Thread-safe."""

    def __init__(self, titles: Mapping[str, str], sentences: Mapping[str, str]) -> None:
        self.titles = titles
        self.sentences = sentences
        self._fixed = {english: other for english, other in sentences.items() if not _FILLED_IN.search(english)}
        filled = sorted((english for english in sentences if english not in self._fixed), key=_weight, reverse=True)
        self._filled = [(_recognising(english), sentences[english]) for english in filled]

    def of(self, english: str) -> str | None:
        """A sentence in this language; None where it is not known. A filled-in value may be a sentence itself."""
        fixed = self._fixed.get(english)
        if fixed is not None or len(english) > _MAX_SENTENCE:
            return fixed
        if choices := _CHOICES.fullmatch(english):
            return f"{choices[1].replace(', ', '、')} 或 {choices[2]}"
        for pattern, other in self._filled:
            found = pattern.fullmatch(english)
            if found is not None:
                parts = {name: self.of(part) or part for name, part in found.groupdict().items()}
                return _FILLED_IN.sub(lambda place: parts[place[1]], other)  # noqa: B023 - called at once
        return None


def _weight(english: str) -> int:
    """How much of a sentence is fixed; the more, the surer the match."""
    return len(_FILLED_IN.sub("", english))


def _recognising(english: str) -> re.Pattern[str]:
    pieces = _FILLED_IN.split(english)  # fixed words, a name, its form, fixed words, …
    pattern = re.escape(pieces[0])
    for name, form, words in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+?' if form is None else '-?[0-9]+'}){re.escape(words)}"
    return re.compile(pattern, re.DOTALL)


@cache
def chinese() -> Sentences:
    """The sentences of `locales/zh/problems.toml`."""
    file = files("standing.ledger.service") / "locales" / "zh" / "problems.toml"
    catalogue = tomllib.loads(file.read_text(encoding="utf-8"))
    return Sentences(catalogue["titles"], catalogue["sentences"])


def asked_for(scope: Scope) -> Language:
    """The language that a request prefers by `Accept-Language`; English without the header."""
    given = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
    return preferred(given.decode("latin-1"))


def localized(problem: Mapping[str, Any], language: Language) -> tuple[dict[str, Any], dict[str, str]]:
    """A problem document in a language, with the matching headers.

    An untranslated sentence stays English, and `Content-Language` then names both languages.
    """
    if language == "en":
        return dict(problem), _headers("en")
    sentences = chinese()
    whole = True

    def translated(english: str) -> str:
        nonlocal whole
        other = sentences.of(english)
        whole = whole and other is not None
        return other if other is not None else english

    document = dict(problem)
    title = sentences.titles.get(str(problem["type"]).rpartition(":")[2])
    whole = title is not None
    document["title"] = title if title is not None else problem["title"]
    errors = problem.get("errors")
    if errors:
        document["errors"] = [
            each | {"problem": translated(each["problem"]), "allowed": _allowed(sentences, each["allowed"])}
            for each in errors
        ]
        document["detail"] = "；".join(_sentence(each) for each in document["errors"][:_MAX_LISTED])
    elif problem.get("detail"):
        document["detail"] = translated(str(problem["detail"]))
    return document, _headers("zh" if whole else "zh, en")


def _allowed(sentences: Sentences, allowed: str) -> str:
    """Translate `allowed`, which may be a list of protocol words, the same in every language."""
    return sentences.of(allowed) or allowed


def _sentence(error: Mapping[str, str]) -> str:
    more = "" if error["allowed"] in error["problem"] else f"；允许：{error['allowed']}"
    return f"{error['field']}：{error['problem']}{more}"


def _headers(language: str) -> dict[str, str]:
    return {"Content-Language": language, "Vary": "Accept-Language"}
