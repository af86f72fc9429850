"""Polls the core's view: one row per account, with its present state and the time of its last change.

Each pass reads one snapshot. Its `as_of_ms` is the core's own time of that snapshot less `settle_ms`, the time for
which a change may still be uncommitted after it took effect. The pass is one feed entry, in as many parts as it needs.
The promise comes with the last part, so the watermark never runs ahead of a row that was not read yet.

A row that cannot be understood makes its account unstated; one that names no account, all accounts that are in no row.

States are compared with the store by content, so a row is fed once, however often it is read: after a crash in the
middle of a pass, or when passes overlap to find what became visible later than `settle_ms` allows.
"""

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import structlog

from standing.ledger.errors import InvalidValue
from standing.ledger.service.database import Database
from standing.ledger.service.times import exactly
from standing.ledger.service.vault import Vault
from standing.node.accounts import quarantine
from standing.node.accounts.changes import AccountChange, FeedEntry, Trouble
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import AccountStore, count_accounts
from standing.node.feed import cursors
from standing.node.feed.comparison import Difference, compare_states, missing_from, news, rows_or_accounts
from standing.node.feed.core_database import CoreUnavailable, CoreView, Snapshot
from standing.node.feed.cursors import Cursor
from standing.node.feed.file_check import StatedNumbers
from standing.node.feed.missing import mark, missing_accounts, newest
from standing.node.feed.profile import Profile
from standing.node.feed.service import Feed
from standing.node.feed.settings import ALWAYS_TAKEN, SqlViewSettings, too_many_bad
from standing.node.feed.view_rows import STATED_TWICE, Page, RowReader
from standing.node.publishing.outbox import AHEAD_ALLOWANCE_MS

SOURCE = "sql_view"
_KEPT_PAGES = 1
_MAX_TWICE = 100_000
_RETRY_AFTER_S = 5


class SqlViewSource:
    """Feeds what the view states. One thread runs it."""

    def __init__(
        self,
        settings: SqlViewSettings,
        feed: Feed,
        database: Database,
        vault: Vault,
        profile: Profile | None = None,
    ) -> None:
        self._settings = settings
        self._view = CoreView(settings, profile)
        self._reading = _reading(settings.view, profile)
        self._rows = RowReader(profile)
        self._feed = feed
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._quarantine = Quarantine(vault)
        self._late_checked_ms: int | None = None

    def step(self, stop: threading.Event) -> None:
        """Make one pass over the rows that changed since the last one. If asked to stop, it ends early and does not
        move the watermark.

        Raises: CoreUnavailable, InvalidValue (the view is not as in the settings, or too much of the pass cannot be
        understood), Overloaded.
        """
        with self._view.snapshot() as snapshot:
            core_now_ms = snapshot.now_ms()
            as_of_ms = core_now_ms - self._settings.settle_ms
            last_ms = self._feed.last_as_of_ms()
            if as_of_ms <= last_ms:
                self._check_clock(as_of_ms, last_ms)
                return
            after_ms, checks_late = self._read_from(as_of_ms, last_ms)
            reading = _Pass(snapshot, after_ms, core_now_ms, as_of_ms, checks_late)
            unnamed = self._check_share(reading)
            part = self._feed.next_part(as_of_ms)
            held: list[AccountChange] = []
            for changes in self._changes(reading, last_ms, unnamed):
                if stop.is_set():
                    return
                if held and changes:
                    self._accept(held, as_of_ms, part, complete=False)
                    part += 1
                held = changes or held
        self._accept(held, as_of_ms, part, complete=True)
        if checks_late:
            self._late_checked_ms = as_of_ms

    def _check_share(self, reading: "_Pass") -> int:
        """Count the rows that cannot be understood, before anything is loaded. Returns: how many rows name no account.
        Raises: InvalidValue if there are too many.
        """
        rows = bad = unnamed = 0
        first_problem = ""
        with closing(StatedNumbers(self._vault)) as stated:
            for page in self._pages(reading):
                rows += len(page.states) + page.bad_rows
                bad += page.bad_rows
                unnamed += page.unnamed
                first_problem = first_problem or page.first_problem
                if twice := _on_earlier_pages(page, stated):
                    first_problem = first_problem or f"{page.names[twice[0]]}.{STATED_TWICE}"
                    reading.twice.update(twice)
                    bad += 2 * len(twice)  # of this row, and of the earlier one
                if len(reading.twice) > _MAX_TWICE:
                    raise InvalidValue("sql_view", f"over {_MAX_TWICE} accounts are stated twice", "each account once")
        if not rows:
            self._check_not_empty(reading)
        share = self._settings.max_bad_share
        of = rows if reading.after_ms < 0 else rows_or_accounts(self._database, rows, bad)
        if too_many_bad(bad, of, share) or (reading.after_ms < 0 and rows and bad >= rows):
            problem = f"{bad} of {rows} rows cannot be understood, the first: {first_problem}"
            raise InvalidValue("sql_view", problem, f"{ALWAYS_TAKEN} rows, or {share:.1%} of {of}")
        if unnamed:
            structlog.get_logger().warning("view_rows_name_no_account", rows=unnamed, first=first_problem)
        return unnamed

    def _check_clock(self, as_of_ms: int, last_ms: int) -> None:
        """Check that the core's time is not far behind the last `as_of_ms`. Raises: CoreUnavailable."""
        if as_of_ms < last_ms - AHEAD_ALLOWANCE_MS:
            raise CoreUnavailable(
                f"the core's time less settle_ms is {exactly(as_of_ms)}, and the feed has reached {exactly(last_ms)}: "
                "nothing is read until then; check whether the core's clock was set back",
                _RETRY_AFTER_S,
            )

    def _check_not_empty(self, reading: "_Pass") -> None:
        """Check that the view is not empty while accounts are known: somebody may be reloading it, or it may belong to
        another database. The node cannot vouch for accounts that it does not show. Raises: InvalidValue."""
        if reading.snapshot.is_empty():
            with self._database.read() as connection:
                known = count_accounts(connection)
            if known:
                raise InvalidValue("sql_view.view", "has no row, although accounts are known", "a row for each account")

    def _pages(self, reading: "_Pass") -> Iterator[Page]:
        """The pages of a pass, parsed. Most passes have one page; it is read once, however often this is called."""
        if reading.only is not None:
            yield from reading.only
            return
        kept: list[Page] = []
        for page in self._read_pages(reading):
            if len(kept) < _KEPT_PAGES:
                kept.append(page)
            else:
                kept = [page] * (_KEPT_PAGES + 1)  # too many to keep
            yield page
        if len(kept) <= _KEPT_PAGES:
            reading.only = kept

    def _read_pages(self, reading: "_Pass") -> Iterator[Page]:
        if reading.checks_late:
            with reading.snapshot.untimed(reading.up_to_ms) as pages:
                for rows in pages:
                    yield self._rows.read_untimed(rows, reading.as_of_ms)
        # Rows later than the pass's `as_of_ms` are read as well, because the view no longer shows the earlier state of
        # their accounts.
        with reading.snapshot.pages(reading.after_ms, reading.up_to_ms) as pages:
            for rows in pages:
                yield self._rows.read(rows, reading.as_of_ms, reading.twice)

    def _changes(self, reading: "_Pass", last_ms: int, unnamed: int) -> Iterator[list[AccountChange]]:
        """The changes of the pass's entry, a page at a time."""
        for page in self._pages(reading):
            yield self._take(page, reading.as_of_ms, last_ms)
        if unnamed:
            yield from self._missing(reading, unnamed)

    def _missing(self, reading: "_Pass", unnamed: int) -> Iterator[list[AccountChange]]:
        """Changes that make accounts without a row unstated: rows that name no account may be about them."""
        seen = bytearray()
        with self._database.read() as connection:
            newest_id = newest(connection)
        for source in (reading.snapshot.untimed(reading.up_to_ms), reading.snapshot.pages(-1, reading.up_to_ms)):
            with source as pages:
                for rows in pages:
                    numbers = [number for row in rows if (number := self._rows.number(row)) is not None]
                    with self._database.read() as connection:
                        for account in self._accounts.find(connection, numbers).values():
                            mark(seen, account.id)
        trouble = Trouble("sql_view", f"in no row of the view, in which {unnamed} rows name no account")
        for accounts in missing_accounts(self._database, self._accounts, seen, newest_id, self._settings.page_size):
            changes = [missing_from(account, reading.as_of_ms, trouble) for account in accounts]
            with self._database.read() as connection:
                yield news(connection, self._accounts, self._quarantine, changes)[1]

    def close(self) -> None:
        """Close the connections to the core's database."""
        self._view.close()

    def _read_from(self, as_of_ms: int, last_ms: int) -> tuple[int, bool]:
        """The time from which to read, and whether this overlaps the previous pass, so that late rows are found."""
        with self._database.read() as connection:
            position = cursors.load(connection, SOURCE)
            rereads = self._late_checked_ms is None and quarantine.count(connection) > 0
        # After a start, rows that were not understood are read again. All rows are, if the profile or the view's name
        # is another one: a corrected word must also reach accounts that do not change.
        if position is None or rereads or position.get("reading") != self._reading:
            return -1, True
        after_ms = min(int(position["as_of_ms"]), last_ms)
        window_ms = self._settings.late_window_ms
        # Twice in each window, so that nothing in it is missed.
        if self._late_checked_ms is None or as_of_ms - self._late_checked_ms >= window_ms // 2:
            return max(-1, after_ms - window_ms), True
        return after_ms, False

    def _take(self, page: Page, as_of_ms: int, last_ms: int) -> list[AccountChange]:
        """Feed the late and early changes of a page of rows. Returns: those for this pass's entry."""
        with self._database.read() as connection:
            differences = compare_states(connection, self._accounts, page.states).differences
            bad = news(connection, self._accounts, self._quarantine, page.bad)[1]
        late, on_time, early = _sort(differences, as_of_ms, last_ms)
        if late:
            structlog.get_logger().warning("view_rows_late", rows=len(late), settle_ms=self._settings.settle_ms)
        for changes in (late, early):
            if changes:
                self._feed.correct(changes, unstate_bad=True)
        return on_time + bad

    def _accept(self, changes: list[AccountChange], as_of_ms: int, part: int, *, complete: bool) -> None:
        entry = FeedEntry(as_of_ms=as_of_ms, part=part, complete=complete, changes=changes)
        position = {"as_of_ms": as_of_ms, "reading": self._reading}
        self._feed.accept(entry, Cursor(SOURCE, position) if complete else None, unstate_bad=True)


@dataclass
class _Pass:
    """One pass over the view. `only`: its rows, parsed, where they are few enough to keep; `twice`: the accounts that
    have rows on several pages."""

    snapshot: Snapshot
    after_ms: int
    up_to_ms: int
    as_of_ms: int
    checks_late: bool
    only: list[Page] | None = None
    twice: set[str] = field(default_factory=set)


def _reading(view: str, profile: Profile | None) -> str:
    """A text that changes whenever the view's name or its profile does."""
    stated = [view, None if profile is None else profile.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def _on_earlier_pages(page: Page, stated: StatedNumbers) -> list[str]:
    """The accounts of a page that have a row on an earlier one of the pass."""
    stated.turn_to(page.names)
    found = [number for number in page.names if stated.get(number) is not None]
    for number in page.names:
        stated.put(number, 0, None, 0)
    return found


def _sort(
    differences: Iterable[Difference], as_of_ms: int, last_ms: int
) -> tuple[list[AccountChange], list[AccountChange], list[AccountChange]]:
    """Split changes into those that should have been stated before, those of this entry, and those later than this
    entry."""
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
