"""Rejected files of the node's own sources, for status, `/readyz`, metrics and `doctor`."""

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from standing.ledger.service.times import when
from standing.node.feed.drop_folder import REJECTED
from standing.node.feed.file_report import FileRejected, FileReport
from standing.node.feed.settings import DropFolderSettings

REPORT = ".report.json"
_SHOWN = 3
_MAX_REPORT_BYTES = 1024 * 1024


class Rejected(NamedTuple):
    """The files that were rejected and are still in the folder `rejected`: how many, and a line on the latest."""

    files: int
    lines: tuple[str, ...]


def rejected_files(settings: DropFolderSettings | None) -> Rejected:
    """Look into the folder of rejected files. An operator who has fixed a file takes the old one out of it.

    A folder that cannot be read has no files here; the worker's own trouble reports that.
    """
    if settings is None:
        return Rejected(0, ())
    try:
        reports = sorted(
            (settings.path / REJECTED).glob(f"*{REPORT}"),
            key=lambda report: report.stat().st_mtime_ns,
            reverse=True,
        )
    except OSError:
        return Rejected(0, ())
    return Rejected(len(reports), tuple(_summary(report) for report in reports[:_SHOWN]))


def _summary(report: Path) -> str:
    name = report.name.removesuffix(REPORT)
    try:
        with report.open("rb") as file:
            found = FileReport.model_validate_json(file.read(_MAX_REPORT_BYTES))
        at = when(report.stat().st_mtime_ns // 1_000_000)
    except (OSError, ValidationError):
        return f"the feed file {name} was rejected; its report beside it says why"
    why = f" ({FileRejected(found)})" if found.problems else ""
    # Not before: of a file of changes, the node would go on without what it states.
    return (
        f"the feed file {name} was rejected at {at}{why}; supply a corrected one, and only once that is loaded "
        f"take the old one out of {REJECTED}/"
    )
