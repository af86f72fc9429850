"""Rows of a core's view, as changes: what is understood, what makes its account unstated, and what names no account."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange, Trouble
from standing.node.feed.profile import Profile
from standing.node.feed.profile_values import Translator
from standing.node.feed.records import left_empty, not_understood, number_problem, read_record, stated_number

STATED_TWICE = InvalidValue("number", "stated twice", "each account once")

_SHOWN_DIGITS = 4


@dataclass
class Page:
    """The content of a page of rows. `unnamed`: how many name no account; `first_problem` is for the operator; `names`:
    by the number of each account, how its row is called."""

    states: list[AccountChange] = field(default_factory=list)
    bad: list[AccountChange] = field(default_factory=list)
    unnamed: int = 0
    first_problem: str = ""
    names: dict[str, str] = field(default_factory=dict)

    @property
    def bad_rows(self) -> int:
        return len(self.bad) + self.unnamed


class RowReader:
    """Reads rows by the view's profile."""

    def __init__(self, profile: Profile | None) -> None:
        self._translator = None if profile is None else Translator(profile)

    def read(self, rows: Iterable[Mapping[str, Any]], as_of_ms: int, twice: Collection[str] = ()) -> Page:
        """Parse rows. What cannot be understood counts from `as_of_ms` on. `twice`: numbers on several pages."""
        page = Page()
        read: dict[str, AccountChange] = {}
        for row in rows:
            record, problems = (row, []) if self._translator is None else self._translator.record(row)
            change, found = read_record(record)
            problems = [*problems, *found, *left_empty(record)]
            number = stated_number(record)
            wrong = None if change is None else number_problem(change)
            if wrong is not None:
                problems.append(wrong)
            name = _row_name(record)
            if number is not None and (number in read or number in twice):
                # For example an account with two holders. Either of the two rows may be right.
                problems.append(STATED_TWICE)
            if problems and not page.first_problem:
                page.first_problem = f"{name}.{problems[0]}"
            if number is None:
                page.unnamed += 1
                continue
            page.names[number] = name
            if change is None or problems:
                read[number] = not_understood(number, as_of_ms, {**row, **record}, name, problems)
            else:
                read[number] = change.stated_in(name)
        page.bad = [change for change in read.values() if change.unstated]
        page.states = [change for change in read.values() if not change.unstated]
        return page

    def read_untimed(self, rows: Iterable[Mapping[str, Any]], as_of_ms: int) -> Page:
        """Parse rows whose time cannot be when they took effect: the state of their accounts is unknown."""
        page = Page()
        problem = (
            "effective_at_ms: null, before 1970, or after the core's present time; allowed: the time of the last"
            " change, in milliseconds, or in the form and zone of profile.times"
        )
        for row in rows:
            record = row if self._translator is None else self._translator.record(row)[0]
            number = stated_number(record)
            name = _row_name(record)
            page.first_problem = page.first_problem or f"{name}.{problem}"
            if number is None:
                page.unnamed += 1
            else:
                page.names[number] = name
                trouble = Trouble(name, problem)
                page.bad.append(AccountChange.not_understood(number, as_of_ms, AccountChange.STATE_FIELDS, trouble))
        return page

    def number(self, row: Mapping[str, Any]) -> str | None:
        """The number of the account that a row is about."""
        return stated_number(row if self._translator is None else self._translator.record(row)[0])


def _row_name(record: Mapping[str, Any]) -> str:
    """A row's name without its whole number."""
    number, at_ms = record.get("number"), record.get("effective_at_ms")
    text = "" if number is None else str(number)
    shown = text[-_SHOWN_DIGITS:] if len(text) > 2 * _SHOWN_DIGITS and text.isascii() and text.isalnum() else ""
    return f"row of …{shown} at {at_ms if isinstance(at_ms, int) else '?'}"
