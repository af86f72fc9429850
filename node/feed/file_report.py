"""The report on a feed file: line, field and rule, never a whole number or a name."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from standing.ledger.errors import StandingError
from standing.node.accounts.changes import AccountChange
from standing.node.feed.file_lines import LineProblem

MAX_PROBLEMS = 100
MAX_MISSING_SHOWN = 1_000


class MissingAccount(BaseModel):
    """An account that the store has and a full file lacks. It stays as it was. `bindings` have not ended."""

    number_masked: str
    status: str
    bindings: int


class FileReport(BaseModel):
    """What became of a file. `problems`: the first hundred. `missing_accounts`: at most a thousand.

    `bad_lines` cannot be understood: each makes its account `unstated`, or, where the file is rejected, would have.
    `lines_without_account` are those of them that name no account. In a file that is loaded, the accounts missing from
    it are unstated if there is one. `states`: how many of the other lines state each status, and `frozen_may_pay`: in
    how many of them a frozen account may be debited; both show what a profile makes of a core's words.
    `unread_columns`: the first hundred that the profile neither reads nor lists under `ignored`.
    """

    file: str
    outcome: Literal["valid", "loaded", "rejected"]
    sha256: str | None = None
    kind: str | None = None
    as_of_ms: int | None = None
    lines: int = 0
    changes: int = 0
    new_accounts: int = 0
    attestations: int = 0
    changed_since: int = 0
    bad_lines: int = 0
    lines_without_account: int = 0
    unstated: int = 0
    missing: int = 0
    states: dict[str, int] = {}
    frozen_may_pay: int = 0
    unread_columns: list[str] = []
    missing_accounts: list[MissingAccount] = []
    problems: list[LineProblem] = []

    def add(self, problem: LineProblem) -> None:
        """Note a problem, if there is room for it."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def count(self, change: AccountChange) -> None:
        """Count what a valid line states."""
        self.changes += 1
        if change.status is not None:
            self.states[change.status] = self.states.get(change.status, 0) + 1
        self.frozen_may_pay += change.status == "frozen" and change.debit_allowed is True

    def reject(self, problem: LineProblem) -> None:
        """Reject the file for this problem, which is listed before its others."""
        self.outcome = "rejected"
        self.problems = [problem, *self.problems][:MAX_PROBLEMS]


class FileRejected(StandingError):
    """A file was rejected, and none of it was taken in. `report` says why, line by line."""

    def __init__(self, report: FileReport) -> None:
        first = report.problems[0]
        where = f"line {first.line}, {first.field}" if first.line else first.field
        more = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
        super().__init__(f"{report.file}: {where}: {first.problem}; allowed: {first.allowed}{more}")
        self.report = report


def masked(number: str) -> str:
    """A number as it may be shown: its last four characters."""
    return "*" * (len(number) - 4) + number[-4:]


def write_report(report: FileReport, path: Path) -> None:
    """Write a report, whole or not at all. Raises: OSError."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)
