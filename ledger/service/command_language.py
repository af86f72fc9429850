"""Errors of commands in the language of the environment: the same sentences as in `problem_language`. Exit codes,
and the names of settings and options, are the same in every language."""

import tomllib
from collections.abc import Sequence
from functools import cache
from gettext import find
from importlib.resources import files

from starlette.types import Scope

from standing.ledger.service.problem_language import Sentences, asked_for, chinese

#: The gettext domain of the commands' help.
DOMAIN = "standing"
LOCALES = str(files("standing.ledger.service") / "locales")


def in_language(english: str, each: Sequence[str] = ()) -> str:
    """An error in the language of the environment (`LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`); English where there
    is no translation. `each`: the single faults, where the error reports several."""
    if find(DOMAIN, LOCALES) is None:
        return english
    listed = "; ".join(each)
    if len(each) > 1 and english.endswith(listed):
        source = english.removesuffix(listed).removesuffix(": ")
        return f"{source}：" + "；".join(in_language(fault) for fault in each)
    return errors().of(english) or english


def of_both(english: str, chinese_text: str) -> str:
    """A text that is kept in both languages, in that of the environment."""
    return english if find(DOMAIN, LOCALES) is None else chinese_text


def in_language_of(scope: Scope, english: str) -> str:
    """Why a service is not ready, in the language that a request prefers; English where there is no translation."""
    return (errors().of(english) or english) if asked_for(scope) == "zh" else english


def label(english: str) -> str:
    """A word of a screen in the language of the environment. Kept apart from the sentences, whose parts may be names of
    settings such as `banks` and `policy`."""
    if find(DOMAIN, LOCALES) is None:
        return english
    return labels().get(english, english)


@cache
def errors() -> Sentences:
    """The errors in Chinese, the one language besides English."""
    return Sentences(chinese().titles, {**chinese().sentences, **_catalogue()["sentences"]})


@cache
def labels() -> dict[str, str]:
    """The words of screens in Chinese."""
    return _catalogue()["labels"]


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    file = files("standing.ledger.service") / "locales" / "zh" / "commands.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
