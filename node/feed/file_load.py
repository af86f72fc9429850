"""Loads a feed file: all of it is checked first, so that a bad line leaves no trace, then fed in parts of one entry.

After a crash the same file continues where it stopped. A changes file has a cursor that moves with each part. A full
file needs none: what was loaded already no longer differs.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, select

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import Conflict, InvalidValue, Overloaded
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.changes import AccountChange, FeedEntry, Trouble
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import Account, AccountStore
from standing.node.feed import cursors
from standing.node.feed.comparison import Comparison, compare_states, missing_from, news
from standing.node.feed.cursors import Cursor
from standing.node.feed.drop_file import FileName, sha256_of
from standing.node.feed.file_check import FileCheck, Judged, Progress, pages, parse_line
from standing.node.feed.file_lines import Line, LineProblem, read_lines
from standing.node.feed.file_report import MAX_MISSING_SHOWN, FileRejected, FileReport, MissingAccount, masked
from standing.node.feed.missing import mark, missing_accounts, newest
from standing.node.feed.profile import Profile
from standing.node.feed.records import read_record
from standing.node.feed.service import Feed
from standing.node.feed.settings import MAX_BAD_SHARE, MAX_FILE_BYTES
from standing.node.storage import schema

SOURCE = "file"

_T = TypeVar("_T")


class Stopped(Exception):
    """The node is stopping. The file continues at the next start."""


@dataclass
class _Work:
    """A file that is being loaded. `part`: the number of the next part; `line`: the last line loaded."""

    path: Path
    name: FileName
    report: FileReport
    last_ms: int
    part: int
    progress: Progress
    stop: threading.Event
    judged: Judged
    line: int = 0
    seen: bytearray = field(default_factory=bytearray)
    held: list[AccountChange] = field(default_factory=list)
    held_line: int = 0


class FileLoader:
    """Takes files in. Used by one thread at a time."""

    def __init__(
        self,
        feed: Feed,
        database: Database,
        vault: Vault,
        *,
        page_size: int = 1_000,
        max_bytes: int = MAX_FILE_BYTES,
        profile: Profile | None = None,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        self._feed = feed
        self._database = database
        self._accounts = AccountStore(vault)
        self._check = FileCheck(
            database, vault, page_size=page_size, max_bytes=max_bytes, profile=profile, max_bad_share=max_bad_share
        )
        self._quarantine = Quarantine(vault)
        self._page_size = page_size
        self._profile = profile

    def load(
        self, path: Path, name: FileName, progress: Progress, stop: threading.Event, *, reconcile: bool = False
    ) -> FileReport:
        """Load a file, completely or not at all. A file that was loaded before gets the same report.

        `reconcile`: a full file beside another source: it promises nothing and moves no watermark. Raises:
        FileRejected, Stopped, OSError, DatabaseUnavailable.
        """
        sha256 = sha256_of(path)
        position = self._position(path.name, sha256)
        if position is not None and "report" in position:
            return self._finished(position["report"])
        if position is None:
            report = FileReport(
                file=path.name, outcome="rejected", sha256=sha256, kind=name.kind, as_of_ms=name.as_of_ms
            )
            self._check_time(report, name, reconcile)
            if report.problems:
                raise FileRejected(report)
        judged = self._check.judge(path, name, progress)
        if position is None and judged.report.outcome == "rejected":
            raise FileRejected(judged.report)
        report = judged.report
        if position is not None:
            # The part that is loaded already has changed the store, so it must not be checked against it again.
            report = FileReport.model_validate(position["judged"])
        report.outcome, report.changes = "loaded", 0
        judged.report = report.model_copy(deep=True)
        report.lines = 0
        work = _Work(
            path=path,
            name=name,
            report=report,
            last_ms=self._feed.last_as_of_ms(),
            part=self._feed.next_part(name.as_of_ms),
            progress=progress,
            stop=stop,
            judged=judged,
            line=0 if position is None else int(position["line"]),
        )
        if name.kind == "changes":
            self._load_changes(work)
        elif reconcile:
            self._reconcile(work)
        else:
            self._load_full(work)
        return work.report

    def _position(self, file: str, sha256: str) -> dict[str, Any] | None:
        with self._database.read() as connection:
            position = cursors.load(connection, SOURCE)
        return position if position is not None and (position["file"], position["sha256"]) == (file, sha256) else None

    def _finished(self, stored: dict[str, Any]) -> FileReport:
        """The report of a file that is loaded already. The effect of its last part was not known when the report was
        stored."""
        report = FileReport.model_validate(stored)
        table = schema.feed_entries
        with self._database.read() as connection:
            query = select(table.c.attestations).where(table.c.as_of_ms == report.as_of_ms)
            report.attestations = int(connection.execute(query).scalar_one())
        return report

    def _check_time(self, report: FileReport, name: FileName, reconcile: bool) -> None:
        last_ms = self._feed.last_as_of_ms()
        if reconcile and name.kind != "full":
            report.add(LineProblem(0, "file name", "a file of changes as a safety net", "full files only"))
        elif not reconcile and name.as_of_ms <= last_ms:
            problem = "its time is not after that of the last feed entry"
            report.add(LineProblem(0, "file name", problem, f"later than {last_ms} ms"))
        latest_ms = self._feed.latest_ms()
        if name.as_of_ms > latest_ms:
            problem = "its time, which is in UTC, is ahead of this node's clock"
            report.add(LineProblem(0, "file name", problem, f"up to {latest_ms} ms"))

    def _load_changes(self, work: _Work) -> None:
        for page in self._pages(work):
            changes = []
            for line in page:
                work.report.lines += 1
                if line.number > work.line:
                    change = work.judged.bad.get(line.number)
                    changes.append(_parsed(line, work.name) if change is None else change)
            work.report.changes += len(changes)
            self._hold(work, changes, page[-1].number)
        self._complete(work)

    def _load_full(self, work: _Work) -> None:
        with self._database.read() as connection:
            newest_id = newest(connection)
        for page, comparison, changes in self._compared(work):
            for difference in comparison.differences:
                known = difference.known
                lowest = work.last_ms + 1 if known is None else max(work.last_ms + 1, known.effective_at_ms)
                if lowest > work.name.as_of_ms:
                    work.report.changed_since += 1
                    continue
                stated_ms = difference.change.effective_at_ms
                in_time = lowest <= stated_ms <= work.name.as_of_ms
                effective_at_ms = stated_ms if in_time else work.name.as_of_ms
                changes.append(difference.change.counting_from(effective_at_ms))
                work.report.new_accounts += known is None
            work.report.changes += len(changes)
            self._hold(work, changes, page[-1].number)
        for changes in self._missing(work, newest_id):
            self._hold(work, changes, 0)
        self._complete(work)

    def _reconcile(self, work: _Work) -> None:
        with self._database.read() as connection:
            newest_id = newest(connection)
        for _, comparison, changes in self._compared(work):
            for difference in comparison.differences:
                known = difference.known
                if known is not None and known.effective_at_ms > work.name.as_of_ms:
                    work.report.changed_since += 1
                    continue
                changes.append(difference.change)
                work.report.new_accounts += known is None
            if changes:
                # The other source continues in the meantime, and nothing that it has stated since may be undone.
                correct = partial(self._feed.correct, changes, source_ms=work.name.as_of_ms)
                done = self._patiently(work, correct)
                work.report.changes += len(changes) - done.changed_since
                work.report.changed_since += done.changed_since
                work.report.attestations += done.attestations
        for changes in self._missing(work, newest_id):
            done = self._patiently(work, partial(self._feed.correct, changes, source_ms=work.name.as_of_ms))
            work.report.attestations += done.attestations

    def _compared(self, work: _Work) -> Iterator[tuple[list[Line], Comparison, list[AccountChange]]]:
        """Compare the file with the store page by page, and note which accounts it states.

        The changes are those of accounts with a line that cannot be understood.
        """
        for page in self._pages(work):
            work.report.lines += len(page)
            states = [_parsed(line, work.name) for line in page if line.number not in work.judged.bad]
            bad = [change for line in page if (change := work.judged.bad.get(line.number)) is not None]
            with self._database.read() as connection:
                comparison = compare_states(connection, self._accounts, states)
                found, bad = news(connection, self._accounts, self._quarantine, bad)
            for account_id in (*comparison.seen, *found):
                mark(work.seen, account_id)
            yield page, comparison, bad

    def _pages(self, work: _Work) -> Iterator[list[Line]]:
        size = work.path.stat().st_size
        for page in pages(read_lines(work.path, work.name.format, self._profile), self._page_size):
            if work.stop.is_set():
                raise Stopped
            yield page
            work.progress(page[-1].read_bytes, size)

    def _hold(self, work: _Work, changes: list[AccountChange], line: int) -> None:
        """Keep a page's changes until it is known whether they are the last part of the entry."""
        if not changes:
            return
        if work.held:
            self._accept(work, complete=False)
            work.part += 1
        work.held, work.held_line = changes, line

    def _complete(self, work: _Work) -> None:
        self._accept(work, complete=True)

    def _accept(self, work: _Work, *, complete: bool) -> None:
        position: dict[str, Any] = {"file": work.path.name, "sha256": work.report.sha256, "line": work.held_line}
        position["judged"] = work.judged.report.model_dump(mode="json")
        if complete:
            self._sum_up(work)
            position["report"] = work.report.model_dump(mode="json")
        entry = FeedEntry(as_of_ms=work.name.as_of_ms, part=work.part, complete=complete, changes=work.held)
        # Only a changes file continues from a line; what a full file has fed already no longer differs.
        cursor = Cursor(SOURCE, position) if complete or work.name.kind == "changes" else None
        work.report.attestations += self._patiently(work, lambda: self._feed.accept(entry, cursor).attestations)

    def _sum_up(self, work: _Work) -> None:
        """Add the parts of the same entry that earlier runs loaded before a crash."""
        table = schema.feed_entries
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.as_of_ms == work.name.as_of_ms)).one_or_none()
        if row is not None:
            work.report.changes = row.changes + len(work.held)
            work.report.attestations = row.attestations

    def _patiently(self, work: _Work, take: Callable[[], _T]) -> _T:
        """Feed a part once the outbox has room. Raises: Stopped, FileRejected."""
        while True:
            try:
                return take()
            except Overloaded as error:
                if work.stop.wait(error.retry_after_s):
                    raise Stopped from error
            except (InvalidValue, Conflict) as error:
                # The file was checked before, so the fault is the entry's time, or another source fed in between.
                problem = error.problem if isinstance(error, InvalidValue) else str(error)
                work.report.add(
                    LineProblem(0, "feed", problem, "files of one source only, in the order of their times")
                )
                work.report.outcome = "rejected"
                raise FileRejected(work.report) from error

    def _missing(self, work: _Work, newest_id: int) -> Iterator[list[AccountChange]]:
        """Note the accounts up to `newest_id` that the file does not state. Closed accounts may be missing.

        Where a line names no account, it can only be about one of these: the changes make them unstated.
        """
        trouble = None
        if work.report.lines_without_account:
            why = f"missing from a file in which {work.report.lines_without_account} lines name no account"
            trouble = Trouble(work.report.file, why)
        for accounts in missing_accounts(self._database, self._accounts, work.seen, newest_id, self._page_size):
            work.report.missing += len(accounts)
            for account in accounts[: MAX_MISSING_SHOWN - len(work.report.missing_accounts)]:
                status = account.status if trouble is None and not account.unstated else Status.UNSTATED
                work.report.missing_accounts.append(
                    MissingAccount(
                        number_masked=masked(account.number), status=status.word, bindings=self._bound(account)
                    )
                )
            if trouble is not None:
                work.report.unstated += len(accounts)
                changes = [missing_from(account, work.name.as_of_ms, trouble) for account in accounts]
                with self._database.read() as connection:
                    yield news(connection, self._accounts, self._quarantine, changes)[1]

    def _bound(self, account: Account) -> int:
        """How many bindings of an account have not ended."""
        bindings = schema.bindings
        query = select(func.count()).where(bindings.c.account_id == account.id, bindings.c.ended_at_ms.is_(None))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())


def _parsed(line: Line, name: FileName) -> AccountChange:
    """The change of a line that was checked before. Its values were checked then, and the feed checks them again."""
    change, _ = read_record(line.record, effective_at_ms=name.as_of_ms)
    if change is None or line.problems:  # the file has changed since: report the problem
        _, problems = parse_line(line, name)
        raise InvalidValue(f"line {line.number}", problems[0].problem, problems[0].allowed)
    return change
