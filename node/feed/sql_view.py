"""Polls the core's view: one row per account, as it is now, with the time of its last change.

Each pass reads one snapshot. Its `as_of_ms` is the core's own time of that snapshot less `settle_ms`, the time for
which a change may still be uncommitted after it took effect. The pass is one feed entry, in as many parts as it needs.
The promise comes with the last part, so the watermark never runs ahead of a row that was not read yet.

States are compared with the store by content, so a row is told once, however often it is read: after a crash in the
middle of a pass, or when passes overlap to find what became visible later than `settle_ms` allows.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from standing.ledger.errors import InvalidValue
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.changes import AccountChange, FeedEntry
from standing.node.accounts.store import AccountStore
from standing.node.feed import cursors
from standing.node.feed.comparison import Difference, compare_states, place_of
from standing.node.feed.core_database import CoreView
from standing.node.feed.cursors import Cursor
from standing.node.feed.records import InvalidRecord, parse_change
from standing.node.feed.service import Feed
from standing.node.feed.settings import SqlViewSettings

SOURCE = "sql_view"
_SHOWN_DIGITS = 4


class SqlViewSource:
    """Feeds what the view states. One thread runs it."""

    def __init__(self, settings: SqlViewSettings, feed: Feed, database: Database, vault: Vault) -> None:
        self._settings = settings
        self._view = CoreView(settings)
        self._feed = feed
        self._database = database
        self._accounts = AccountStore(vault)
        self._late_checked_ms: int | None = None

    def step(self, stop: threading.Event) -> None:
        """One pass over what changed since the last. Ends early, and without a promise, when told to stop.

        Raises: CoreUnavailable, InvalidValue (naming the row and column), Overloaded.
        """
        with self._view.snapshot() as snapshot:
            core_now_ms = snapshot.now_ms()
            as_of_ms = core_now_ms - self._settings.settle_ms
            last_ms = self._feed.last_as_of_ms()
            if as_of_ms <= last_ms:
                return
            after_ms, checks_late = self._read_from(as_of_ms, last_ms)
            if checks_late and snapshot.undated():
                raise InvalidValue(
                    "effective_at_ms",
                    "null, or no time in milliseconds, in a row of the view",
                    "milliseconds in every row",
                )
            part = self._feed.next_part(as_of_ms)
            held: list[AccountChange] = []
            # Rows after the promised time are read as well: what such an account was before, the view shows no more.
            with snapshot.pages(after_ms, core_now_ms) as pages:
                for rows in pages:
                    if stop.is_set():
                        return
                    on_time = self._take(rows, as_of_ms, last_ms)
                    if held and on_time:
                        self._accept(held, as_of_ms, part, complete=False)
                        part += 1
                    held = on_time or held
        self._accept(held, as_of_ms, part, complete=True)
        if checks_late:
            self._late_checked_ms = as_of_ms

    def close(self) -> None:
        """Close the connections to the core's database."""
        self._view.close()

    def _read_from(self, as_of_ms: int, last_ms: int) -> tuple[int, bool]:
        """The time after which to read, and whether that overlaps what was read before, to find what came late."""
        with self._database.read() as connection:
            position = cursors.load(connection, SOURCE)
        if position is None:
            return -1, True
        after_ms = min(int(position["as_of_ms"]), last_ms)
        window_ms = self._settings.late_window_ms
        # Twice in each window, so that nothing in it is missed.
        if self._late_checked_ms is None or as_of_ms - self._late_checked_ms >= window_ms // 2:
            return max(-1, after_ms - window_ms), True
        return after_ms, False

    def _take(self, rows: Iterable[Mapping[str, Any]], as_of_ms: int, last_ms: int) -> list[AccountChange]:
        """Feed what a page of rows states late or early. Returns: what this pass's entry is to state."""
        states = [_parse(row) for row in rows]
        with self._database.read() as connection, _rows_named(states):
            differences = compare_states(connection, self._accounts, states).differences
        late, on_time, early = _sort(differences, as_of_ms, last_ms)
        if late:
            structlog.get_logger().warning("view_rows_late", rows=len(late), settle_ms=self._settings.settle_ms)
        for changes in (late, early):
            if changes:
                with _rows_named(changes):
                    self._feed.correct(changes)
        return on_time

    def _accept(self, changes: list[AccountChange], as_of_ms: int, part: int, *, complete: bool) -> None:
        entry = FeedEntry(as_of_ms=as_of_ms, part=part, complete=complete, changes=changes)
        with _rows_named(changes):
            self._feed.accept(entry, Cursor(SOURCE, {"as_of_ms": as_of_ms}) if complete else None)


def _sort(
    differences: Iterable[Difference], as_of_ms: int, last_ms: int
) -> tuple[list[AccountChange], list[AccountChange], list[AccountChange]]:
    """Split changes: those that should have been said before, those that this entry promises, and those ahead of the
    next promise."""
    late, on_time, early = [], [], []
    for difference in differences:
        change = difference.change
        if change.effective_at_ms > as_of_ms:
            early.append(change)
        elif change.effective_at_ms < difference.earliest_ms(last_ms):
            late.append(change)
        else:
            on_time.append(change)
    return late, on_time, early


def _parse(row: Mapping[str, Any]) -> AccountChange:
    try:
        return parse_change(row)
    except InvalidRecord as error:
        raise error.problems[0].within(_row_name(row.get("number"), row.get("effective_at_ms"))) from error


@contextmanager
def _rows_named(changes: list[AccountChange]) -> Iterator[None]:
    """Make errors name the row by the number's last digits and the row's time, without showing the whole number."""
    try:
        yield
    except InvalidValue as error:
        index, seen = place_of(error)
        if index is None:
            raise
        raise seen.within(_row_name(changes[index].number, changes[index].effective_at_ms)) from error


def _row_name(number: Any, effective_at_ms: Any) -> str:
    shown = str(number)[-_SHOWN_DIGITS:] if number is not None and len(str(number)) > 2 * _SHOWN_DIGITS else ""
    return f"row of …{shown} at {effective_at_ms if isinstance(effective_at_ms, int) else '?'}"
