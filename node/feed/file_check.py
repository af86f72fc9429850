"""Checks a feed file line by line before any of it is taken in, against the store where there is one."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from standing.ledger.attestations.documents import stated_document
from standing.ledger.attestations.identity import canonical_number
from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.changes import AccountChange, Trouble
from standing.node.accounts.store import Account, AccountStore, apply_change, count_accounts, open_account
from standing.node.feed.comparison import rows_or_accounts
from standing.node.feed.drop_file import FileName, sha256_of, whole_problem
from standing.node.feed.file_lines import Line, LineProblem, read_lines
from standing.node.feed.file_report import MAX_PROBLEMS, FileReport
from standing.node.feed.profile import Profile
from standing.node.feed.records import (
    DOCUMENT,
    STAND_IN,
    left_empty,
    not_understood,
    number_problem,
    read_record,
    stated_number,
    value_problems,
)
from standing.node.feed.rounded_numbers import LongNumbers
from standing.node.feed.settings import ALWAYS_TAKEN, MAX_BAD_SHARE, too_many_bad
from standing.node.feed.unread_columns import UnreadColumns
from standing.node.publishing import outbox
from standing.node.storage.database import in_chunks

#: Called with how many bytes of how many were read.
Progress = Callable[[int, int], None]

_MAX_BAD_LINES = 100_000
_RETRY_AFTER_S = 5

#: Fields that have an effect once. A full file states every account each time, so there they would take effect again
#: and again.
_NOT_IN_FULL = ("unbind",)


class CheckUnavailable(Unavailable):
    """There is no room for the check's own file. Nothing was loaded."""


@dataclass
class Judged:
    """A file's report, and by line the change that a bad line leads to: None where it names no account."""

    report: FileReport
    bad: dict[int, AccountChange | None] = field(default_factory=dict)
    #: The numbers of the accounts and of the holders' documents, and whether an account of the file was known before.
    numbers: LongNumbers = field(default_factory=LongNumbers)
    documents: LongNumbers = field(default_factory=LongNumbers)
    is_any_known: bool = False


class FileCheck:
    """Checks files. Without a `database`, accounts that a changes file does not introduce are assumed to be known."""

    def __init__(
        self,
        database: Database | None,
        vault: Vault,
        *,
        page_size: int,
        max_bytes: int,
        profile: Profile | None = None,
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._page_size = page_size
        self._max_bytes = max_bytes
        self._profile = profile
        self._max_bad_share = max_bad_share

    def check(self, path: Path, name: FileName, progress: Progress) -> FileReport:
        """Check a file and report on it. Writes nothing. Raises: OSError, DatabaseUnavailable."""
        return self.judge(path, name, progress).report

    def judge(self, path: Path, name: FileName, progress: Progress) -> Judged:
        """As `check`, with the change that each bad line leads to."""
        report = FileReport(file=path.name, outcome="valid", kind=name.kind, as_of_ms=name.as_of_ms)
        judged = Judged(report)
        problem = whole_problem(path, self._max_bytes, self._profile)
        if problem is not None:
            report.reject(problem)
            return judged
        report.sha256 = sha256_of(path)
        if self._check_lines(path, name, judged, progress):
            self._check_share(judged)
        return judged

    def _check_share(self, judged: Judged) -> None:
        """Reject a file of which too much cannot be understood."""
        report = judged.report
        if report.kind == "full" and report.lines == 0:
            report.reject(LineProblem(0, "file", "no lines after the header", "at least one line"))
        elif too_many_bad(report.bad_lines, self._measure(report), self._max_bad_share) or (
            report.kind == "full" and report.bad_lines == report.lines
        ):
            problem = f"{report.bad_lines} of {report.lines} lines cannot be understood"
            report.reject(LineProblem(0, "file", problem, f"{ALWAYS_TAKEN} lines, or {self._max_bad_share:.1%} of all"))
        elif judged.documents.look_rounded or (
            report.kind == "full" and judged.numbers.look_rounded and self._is_of_others(judged)
        ):
            field_name = "id_document_number" if judged.documents.look_rounded else "number"
            problem = "rounded by a spreadsheet: zeros after the 15th digit of each"
            report.reject(LineProblem(0, field_name, problem, "numbers from a column of text"))
        elif report.lines_without_account and report.kind == "changes":
            first = next(line for line, change in judged.bad.items() if change is None)
            problem = "its account cannot be determined, so nobody knows what changed"
            report.reject(LineProblem(first, "number", problem, "in a file of changes: a number on every line"))
        report.unstated = sum(change is not None for change in judged.bad.values())

    def _is_of_others(self, judged: Judged) -> bool:
        """Whether the store has accounts, and the file has none of them."""
        if self._database is None or judged.is_any_known:
            return False
        with self._database.read() as connection:
            return count_accounts(connection) > 0

    def _measure(self, report: FileReport) -> int:
        """The number of lines or accounts that the share of bad lines is measured against."""
        if report.kind == "full" or self._database is None:
            return report.lines
        return rows_or_accounts(self._database, report.lines, report.bad_lines)

    def _check_lines(self, path: Path, name: FileName, judged: Judged, progress: Progress) -> bool:
        """Judge line by line. Returns: whether the file could be read to its end."""
        size = path.stat().st_size
        report = judged.report
        last_ms = 0
        if self._database is not None:
            with self._database.read() as connection:
                last_ms = outbox.last_as_of_ms(connection)
        unread = UnreadColumns(self._profile)
        with closing(StatedNumbers(self._vault)) as stated:
            for page in pages(read_lines(path, name.format, self._profile, unread.note), self._page_size):
                for line, change, problems in self._judge(page, name, last_ms, stated, judged):
                    report.lines += 1
                    for problem in problems:
                        report.add(problem)
                    if line.fatal:
                        report.outcome = "rejected"
                        return False
                    if problems or change is None:
                        self._add_bad(judged, line, name, problems)
                    else:
                        report.count(change)
                report.bad_lines = len(judged.bad)
                if len(judged.bad) > _MAX_BAD_LINES:
                    allowed = f"at most {_MAX_BAD_LINES}, whatever the share"
                    report.reject(LineProblem(0, "file", "too many lines cannot be understood", allowed))
                    return False
                progress(page[-1].read_bytes, size)
        report.unread_columns = unread.names[:MAX_PROBLEMS]
        if (gained := unread.problem()) is not None:
            report.reject(LineProblem(0, gained.field, gained.problem, gained.allowed))
            return False
        return True

    def _add_bad(self, judged: Judged, line: Line, name: FileName, problems: list[LineProblem]) -> None:
        number = stated_number(line.record)
        if number is None:
            judged.bad[line.number] = None
            judged.report.lines_without_account += 1
            return
        source = f"{judged.report.file}, line {line.number}"
        causes = [InvalidValue(problem.field, problem.problem, problem.allowed) for problem in problems]
        record = {
            field: value for field, value in line.record.items() if name.kind != "full" or field not in _NOT_IN_FULL
        }
        judged.bad[line.number] = not_understood(number, name.as_of_ms, record, source, causes)

    def _judge(
        self, page: list[Line], name: FileName, last_ms: int, stated: "StatedNumbers", judged: Judged
    ) -> Iterator[tuple[Line, AccountChange | None, list[LineProblem]]]:
        parsed = [(line, *_read_line(line, name)) for line in page]
        numbers = {}
        for index, (line, change, _) in enumerate(parsed):
            if change is not None:
                judged.numbers.add(change.number)
                judged.documents.add(change.id_document_number or "")
                numbers[index] = canonical_number(change.number, change.number_type or "account")
            elif name.kind == "full" and (number := stated_number(line.record)) is not None:
                numbers[index] = number
        replaced = {c.replaces for _, c, _ in parsed if c is not None and c.replaces is not None}
        wanted = {*numbers.values(), *(canonical_number(number, "account") for number in replaced)}
        known: dict[str, Account] = {}
        if self._database is not None:
            with self._database.read() as connection:
                known = self._accounts.find(connection, wanted)
        judged.is_any_known = judged.is_any_known or bool(known)
        stated.turn_to(wanted)
        for index, (line, change, problems) in enumerate(parsed):
            once = numbers.get(index) if name.kind == "full" else None
            earlier = None if once is None else stated.get(once)
            if change is not None:
                found = self._judge_change(change, numbers[index], name, last_ms, stated, known, line.number)
                problems += [_line_problem(line, problem) for problem in found]
            if once is not None:
                if earlier is not None:
                    problems.append(self._stated_twice(judged, name, once, earlier[2], line))
                elif stated.get(once) is None:
                    stated.put(once, 0, None, line.number)  # a bad line counts as well
            yield line, change, problems

    def _stated_twice(self, judged: Judged, name: FileName, number: str, first_line: int, line: Line) -> LineProblem:
        """The problem of an account's second line in a full file. The first line counts as bad too, because either may
        be right."""
        if first_line not in judged.bad:
            source = f"{judged.report.file}, lines {first_line} and {line.number}"
            trouble = Trouble(source, "number: stated twice; allowed: each account once")
            judged.bad[first_line] = AccountChange.not_understood(
                number, name.as_of_ms, AccountChange.STATE_FIELDS, trouble
            )
        return LineProblem(line.number, "number", f"stated on line {first_line} already", "each account once")

    def _judge_change(
        self,
        change: AccountChange,
        number: str,
        name: FileName,
        last_ms: int,
        stated: "StatedNumbers",
        known: dict[str, Account],
        line: int,
    ) -> list[InvalidValue]:
        """The problems of a change: of its values, or else of its place in the file, or of the change against
        the store."""
        account = known.get(number)
        before, number_type, first_line = stated.get(number) or (None, None, line)
        number_type = number_type or change.number_type
        found = []
        predecessor, replaced_ms = None, None
        if change.replaces is not None:
            replaced = canonical_number(change.replaces, "account")
            if replaced == number:
                found.append(InvalidValue("replaces", "the account itself", "the number that it had before"))
            predecessor = known.get(replaced)
            earlier = stated.get(replaced)
            if earlier is not None:
                # Only the file has the account's state so far; a successor need not repeat it.
                predecessor, replaced_ms = predecessor or STAND_IN, earlier[0]
            elif predecessor is not None:
                replaced_ms = predecessor.effective_at_ms
        misfit: InvalidValue | None = None
        applies = account is not None or (before is None and (name.kind == "full" or self._database is not None))
        if applies:
            misfit = _misfit(change, number, account, predecessor)
        # A change that fits its account has only valid values, so they are checked one by one only where it does not.
        if (misfit is not None or not applies) and (wrong := value_problems(change)):
            return wrong
        # As the feed does: a successor counts from the last statement about the account that it replaces.
        at_ms = max(change.effective_at_ms, replaced_ms or 0)
        stated.put(number, at_ms, number_type, first_line)
        if change.number_type not in {None, number_type}:
            found.append(InvalidValue("number_type", "not as on an earlier line", "one type for one number"))
        lowest = 0
        if name.kind == "changes" and (account is not None or before is not None or replaced_ms is not None):
            held = [] if account is None else [account.effective_at_ms]
            lowest = max([last_ms + 1, *held, *([] if before is None else [before])])
        if not lowest <= change.effective_at_ms <= name.as_of_ms:
            found.append(InvalidValue("effective_at_ms", "out of range", f"{lowest} to {name.as_of_ms}"))
        if misfit is not None:
            found.append(misfit)
        return found


class StatedNumbers:
    """The statements of the lines so far: when each number's state dates from, its type, and its first line.

    They are kept in a private SQLite file that disappears with the connection, so that memory stays bounded however
    long the feed file is. The numbers are hashed. Entries are read and written one page of lines at a time: a statement
    for each line would double its cost.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._file = sqlite3.connect("")
        self._file.execute(
            "CREATE TABLE stated (number BLOB PRIMARY KEY, at_ms INTEGER, number_type TEXT, line INTEGER) WITHOUT ROWID"
        )
        self._keys: dict[str, bytes] = {}
        self._page: dict[bytes, tuple[int, str | None, int]] = {}
        self._changed: set[bytes] = set()

    def close(self) -> None:
        self._file.close()

    def turn_to(self, numbers: Collection[str]) -> None:
        """Store the entries added so far, and load those of the next page's numbers."""
        rows = [(key, *self._page[key]) for key in self._changed]
        with _room():
            self._file.executemany("INSERT OR REPLACE INTO stated VALUES (?, ?, ?, ?)", rows)
        self._changed.clear()
        self._keys = {number: self._vault.lookup("number", number) for number in numbers}
        self._page = {}
        for chunk in in_chunks(list(self._keys.values())):
            query = f"SELECT * FROM stated WHERE number IN ({','.join('?' * len(chunk))})"  # noqa: S608 - marks only
            with _room():
                found = self._file.execute(query, chunk).fetchall()
            self._page.update((key, (at_ms, kind, line)) for key, at_ms, kind, line in found)

    def get(self, number: str) -> tuple[int, str | None, int] | None:
        """The last entry for a number of this page; None where no line names it."""
        return self._page.get(self._keys[number])

    def put(self, number: str, at_ms: int, number_type: str | None, line: int) -> None:
        key = self._keys[number]
        self._page[key] = (at_ms, number_type, line)
        self._changed.add(key)


@contextmanager
def _room() -> Iterator[None]:
    """Report a full disk as CheckUnavailable."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CheckUnavailable(
            f"no room for temporary data ({error.sqlite_errorname}): free some space where SQLite keeps it, "
            "SQLITE_TMPDIR, else TMPDIR, else /var/tmp",
            _RETRY_AFTER_S,
        ) from error


def _read_line(line: Line, name: FileName) -> tuple[AccountChange | None, list[LineProblem]]:
    """As `parse_line`, but the values of a change are not checked yet, except its numbers."""
    if line.record and not line.problems:
        change, _ = read_record(line.record, effective_at_ms=name.as_of_ms)
        if change is not None and number_problem(change) is None and not _other_problems(line, change, name):
            return change, []
    return parse_line(line, name)


def parse_line(line: Line, name: FileName) -> tuple[AccountChange | None, list[LineProblem]]:
    """The change that a line states, with each value checked on its own, or all problems of the line."""
    if not line.record:
        return None, list(line.problems) or [
            LineProblem(line.number, "line", "empty", "an account's number and its values")
        ]
    change, found = read_record(line.record, effective_at_ms=name.as_of_ms)
    if change is not None:
        found += [*value_problems(change), *_other_problems(line, change, name)]
    problems = list(line.problems)
    reported = {problem.field for problem in problems}
    problems += [_line_problem(line, problem) for problem in found if problem.field not in reported]
    return (None if problems else change), problems


def _misfit(
    change: AccountChange, number: str, account: Account | None, predecessor: Account | None
) -> InvalidValue | None:
    """Why a change does not fit its account, or does not open one; None where it does."""
    try:
        if account is None:
            open_account(change, number, predecessor)
        else:
            apply_change(account, change)
    except InvalidValue as error:
        return error
    return None


def _other_problems(line: Line, change: AccountChange, name: FileName) -> list[InvalidValue]:
    """The problems of a line's change whose values are each valid."""
    found = left_empty(line.record) if name.kind == "full" else []
    if change.id_document_scheme != "none":
        try:
            stated_document(*(getattr(change, field) for field in DOCUMENT))
        except InvalidValue as error:
            found.append(error)
    once = [field for field in _NOT_IN_FULL if name.kind == "full" and getattr(change, field)]
    return found + [InvalidValue(field, "not in a full file", "in a changes file") for field in once]


def pages(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """The lines, at most `size` at a time."""
    while page := list(islice(lines, size)):
        yield page


def _line_problem(line: Line, error: InvalidValue) -> LineProblem:
    return LineProblem(line.number, error.field, error.problem, error.allowed)
