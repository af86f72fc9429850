"""The output of `standing-node feed` for people: a file's report as tables."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from standing.ledger.service.command_language import in_language, label
from standing.node.accounts.quarantine import Unstated
from standing.node.feed.file_report import FileReport, masked

_OUTCOMES = {
    "valid": "can be imported",
    "loaded": "imported",
    "rejected": "rejected: nothing was imported",
}
#: How many columns that a profile does not name are shown; the report lists more.
_MAX_COLUMNS = 10


def show_report(report: FileReport, console: Console) -> None:
    """Print a report: first what happens to the file, then its problems line by line."""
    summary = Table(show_header=False, box=None, pad_edge=False)
    summary.add_column(style="bold")
    summary.add_column(overflow="fold")
    for name, value in _summary(report):
        summary.add_row(label(name), Text(value))
    console.print(summary)
    if report.problems:
        console.print(_problems(report))
    if report.missing_accounts:
        console.print(_missing(report))


def _summary(report: FileReport) -> list[tuple[str, str]]:
    rows = [("file", report.file), ("outcome", label(_OUTCOMES[report.outcome]))]
    if report.kind is not None:
        rows.append(("kind", report.kind))
    if report.as_of_ms is not None:
        rows.append(("as of", f"{datetime.fromtimestamp(report.as_of_ms / 1000, UTC).isoformat()} ({report.as_of_ms})"))
    for name, value in (
        ("lines", report.lines),
        ("changes", report.changes),
        ("… frozen accounts that may pay", report.frozen_may_pay),
        ("new accounts", report.new_accounts),
        ("attestations", report.attestations),
        ("changed since", report.changed_since),
        ("invalid lines", report.bad_lines),
        ("… that identify no account", report.lines_without_account),
        ("accounts made unstated", report.unstated),
        ("missing accounts", report.missing),
    ):
        if value or name in {"lines", "changes"}:
            rows.append((name, f"{value:,}"))
        if name == "changes" and report.states:
            rows.append(("states", ", ".join(f"{state} {count:,}" for state, count in sorted(report.states.items()))))
    if report.unread_columns:
        more = "" if len(report.unread_columns) <= _MAX_COLUMNS else " …"
        rows.append(("columns not in the profile", ", ".join(report.unread_columns[:_MAX_COLUMNS]) + more))
    return rows


def _problems(report: FileReport) -> Table:
    table = Table(title=label("Invalid data"), title_justify="left")
    table.add_column(label("line"), justify="right")
    table.add_column(label("field"), no_wrap=True)  # a name broken over two lines could not be searched for
    for name in ("problem", "allowed"):
        table.add_column(label(name), overflow="fold")
    for problem in report.problems:
        line = str(problem.line) if problem.line else "–"
        told = [Text(in_language(text)) for text in (problem.problem, problem.allowed)]
        table.add_row(line, Text(problem.field), *told)
    return table


def _missing(report: FileReport) -> Table:
    table = Table(title=label("Accounts that the file does not state"), title_justify="left")
    for name in ("account", "status", "bindings"):
        table.add_column(label(name))
    for account in report.missing_accounts:
        table.add_row(account.number_masked, account.status, str(account.bindings))
    return table


def show_unstated(listed: Sequence[Unstated], number: int, console: Console) -> None:
    """Print the accounts that are unstated, their numbers masked."""
    table = Table(title=in_language(f"{number:,} accounts are unstated"), title_justify="left")
    for name in ("account", "since", "stated in", "problem"):
        table.add_column(label(name), overflow="fold")
    for account in listed:
        since = datetime.fromtimestamp(account.since_ms / 1000, UTC).isoformat(timespec="seconds")
        table.add_row(
            masked(account.number), since, Text(in_language(account.source)), Text(in_language(account.problem))
        )
    console.print(table)
