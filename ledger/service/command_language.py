"""Errors of commands in the language of the environment: the same sentences as in `problem_language`. Exit codes,
and the names of settings and options, are the same in every language."""

import tomllib
from collections.abc import Sequence
from functools import cache
from gettext import find
from importlib.resources import files

from standing.ledger.service.problem_language import Sentences, chinese

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


@cache
def errors() -> Sentences:
    """The errors in Chinese, the one language besides English."""
    file = files("standing.ledger.service") / "locales" / "zh" / "commands.toml"
    own = tomllib.loads(file.read_text(encoding="utf-8"))["sentences"]
    return Sentences(chinese().titles, {**chinese().sentences, **own})
