"""Columns that a profile neither reads nor lists under `ignored`: a file or a view may have gained them since.

By the rules of `feed learn`, some of them may restrict accounts: by their headings, or by words such as 只收不付. What
has such a column is refused, as the accounts that it freezes would stay active. The others are only named.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import Profile
from standing.node.feed.records import shown_name, trimmed
from standing.node.feed.state_headings import (
    holds_restrictions,
    tells_of_places_or_people,
    tells_state_by_date,
    tells_status,
)
from standing.node.feed.usual_words import MAX_DRAFTED_WORDS

_ALLOWED = "each column read, or listed under ignored"
#: JSON objects may have any names: what follows is not noted.
_MAX_NAMES = 1_000
_MAX_SHOWN = 20


class UnreadColumns:
    """Notes such columns of a file, row by row, and the words in them. Without a profile there are none."""

    def __init__(self, profile: Profile | None) -> None:
        self._profile = profile
        self._named = frozenset[str]() if profile is None else _named(profile)
        self._words: dict[str, set[str]] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Note the columns of a row, and their words up to the number from which on a column holds texts."""
        for name in row.keys() - self._named:
            if name not in self._words and len(self._words) >= _MAX_NAMES:
                continue
            words = self._words.setdefault(name, set())
            value = row[name]
            if value is not None and len(words) <= MAX_DRAFTED_WORDS and (word := trimmed(str(value))):
                words.add(word)

    @property
    def names(self) -> list[str]:
        """The columns in which there is any value."""
        return [shown_name(name) for name, words in sorted(self._words.items()) if words]

    def problem(self) -> InvalidValue | None:
        """Why these columns are not to be passed over; None where they are."""
        if self._profile is not None and not self._profile.heading and self._profile.format == "csv":
            return _problem("columns that the profile does not name, so that others may have moved", self.names)
        return _restricting(name for name, words in sorted(self._words.items()) if _may_restrict(name, words))


def heading_problem(profile: Profile, headings: Iterable[str]) -> InvalidValue | None:
    """Why the columns of a view that its profile does not name are not to be passed over, by their headings alone."""
    named = _named(profile)
    return _restricting(name for name in headings if name not in named and _tells_restriction(name))


def _named(profile: Profile) -> frozenset[str]:
    read = (one for column in profile.columns.values() for one in (column if isinstance(column, list) else [column]))
    return frozenset(str(one) for one in (*read, *profile.ignored))


def _restricting(names: Iterable[str]) -> InvalidValue | None:
    return _problem("columns that may restrict accounts, and that the profile does not name", map(shown_name, names))


def _problem(problem: str, names: Iterable[str]) -> InvalidValue | None:
    listed = list(names)
    return InvalidValue("header", f"{problem}: {', '.join(listed[:_MAX_SHOWN])}", _ALLOWED) if listed else None


def _may_restrict(name: str, words: set[str]) -> bool:
    if _tells_restriction(name):
        return True
    return len(words) <= MAX_DRAFTED_WORDS and not tells_of_places_or_people(name) and holds_restrictions(name, words)


@lru_cache(maxsize=4_096)
def _tells_restriction(heading: str) -> bool:
    return tells_status(heading) or tells_state_by_date(heading)
