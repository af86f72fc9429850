"""A folder that the core puts files into. Each is claimed, taken in, and moved away with a report beside it.

    FOLDER/             files to take in, by their time; a name that begins with a dot or ends in .part is ignored
    FOLDER/working/     the one that is being taken in; after a crash work resumes here
    FOLDER/done/        taken in, each with FILE.report.json
    FOLDER/rejected/    rejected as a whole; the report names line and field

A rejected file of changes stops the folder at its time: a later file would let the bank promise that these changes are
on the ledger. Loading resumes with a corrected file of the same time, a full file of that time or later, or once
somebody removes the rejected file.

A file that waits for its checksum holds back later files of changes likewise.

A claim is a rename, so a file is never taken up twice. A file is to be put here by a rename as well: written under
another name, or in another folder of the same file system, first.
"""

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from standing.ledger.clock import has_passed
from standing.ledger.errors import InvalidValue, Unavailable
from standing.node.fault_points import Faults, no_faults
from standing.node.feed.drop_file import parse_name, sha256_of
from standing.node.feed.file_lines import LineProblem
from standing.node.feed.file_load import FileLoader, Stopped
from standing.node.feed.file_report import FileRejected, FileReport, write_report
from standing.node.feed.profile import Profile
from standing.node.feed.service import Feed
from standing.node.feed.settings import DropFolderSettings

WORKING, DONE, REJECTED = "working", "done", "rejected"
CHECKSUM = ".sha256"
_UNFINISHED = (".part", ".tmp", ".filepart")
_RETRY_AFTER_S = 5
_MAX_SAME_NAME = 1_000
_CHECKSUM_WITHIN_MS = 60_000
_MAX_NAME_BYTES = 180
#: What `_free_name` adds to a name that occurs again.
_AGAIN = re.compile(r"\.\d{1,3}$")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class FolderUnavailable(Unavailable):
    """The drop folder cannot be used. No file is lost."""


class _Rejected(NamedTuple):
    as_of_ms: int
    name: str


class _Waiting(NamedTuple):
    """A file in the folder. `as_of_ms`: 0 where its name is wrong; it is rejected at once."""

    as_of_ms: int
    name: str
    kind: str | None


class DropFolder:
    """Takes in the files of one folder. One thread runs it."""

    def __init__(
        self,
        settings: DropFolderSettings,
        loader: FileLoader,
        feed: Feed,
        faults: Faults = no_faults,
        profile: Profile | None = None,
    ) -> None:
        self._settings = settings
        self._folder = settings.path
        self._loader = loader
        self._feed = feed
        self._faults = faults
        self._profile = profile
        # The first file in line that waits for its checksum, and since when.
        self._unsigned: tuple[str, int] | None = None

    def step(self, stop: threading.Event) -> None:
        """Take in every file whose turn it is, oldest first.

        Raises: FolderUnavailable, DatabaseUnavailable, InvalidValue where a rejected file of changes, or a missing
        checksum, stops the folder.
        """
        try:
            for name in (WORKING, DONE, REJECTED):
                (self._folder / name).mkdir(exist_ok=True)
            while not stop.is_set():
                stopped = self._stopped_by()
                path = self._claimed() or self._claim_next(stopped)
                if path is None and stopped is not None:
                    raise InvalidValue(
                        "drop_folder",
                        f"{stopped.name} was rejected, so nothing after its time is loaded",
                        "a corrected file of the same time, or a full file; "
                        "removing the rejected one loses its changes",
                    )
                if path is None:
                    return
                self._take(path, stop)
        except Stopped:
            return
        except OSError as error:
            raise FolderUnavailable(f"{error.filename or self._folder}: {error.strerror}", _RETRY_AFTER_S) from error

    def _claimed(self) -> Path | None:
        """The file that was being taken in when the node stopped, with its checksum file if it had one."""
        path = next((path for path in _files(self._folder / WORKING) if path.suffix != CHECKSUM), None)
        if path is not None and not _checksum_file(path).exists():
            # The checksum moves first: otherwise, after a crash, the file would be loaded without being checked.
            for name in (DONE, REJECTED):
                moved = _checksum_file(_free_name(self._folder / name, path.name))
                if moved.exists():
                    moved.rename(_checksum_file(path))
                    break
        return path

    def _stopped_by(self) -> "_Rejected | None":
        """The earliest rejected file of changes that no later entry of the feed has made up for."""
        if self._settings.role == "reconcile":
            return None
        rejected = []
        for path in _files(self._folder / REJECTED):
            with suppress(InvalidValue):  # not a file of the feed, or a report
                name = parse_name(_AGAIN.sub("", path.name), self._profile)
                if name.kind == "changes":
                    rejected.append(_Rejected(name.as_of_ms, path.name))
        last_ms = self._feed.last_as_of_ms() if rejected else 0
        return min((each for each in rejected if each.as_of_ms > last_ms), default=None)

    def _claim_next(self, stopped: "_Rejected | None") -> Path | None:
        """Claim the oldest file whose turn it is. Raises: InvalidValue where a checksum has been missing for long."""
        waiting, unsigned = [], []
        for path in _files(self._folder):
            if path.suffix == CHECKSUM:
                continue
            try:
                parsed = parse_name(path.name, self._profile)
            except InvalidValue:
                file = _Waiting(0, path.name, None)
            else:
                file = _Waiting(parsed.as_of_ms, path.name, parsed.kind)
            if self._is_signed(path):
                waiting.append(file)
            elif file.kind is not None:
                unsigned.append(file)
        if stopped is not None:
            waiting = [file for file in waiting if file.kind != "changes" or file.as_of_ms <= stopped.as_of_ms]
        last_ms = self._feed.last_as_of_ms()
        if self._settings.role == "reconcile":
            # A reconciliation waits until the other source has reported up to the file's time; before that it would
            # find differences that are still on their way. A file of a future time is refused: once its time came, it
            # would undo what the other source has stated until then.
            latest_ms = self._feed.latest_ms()
            waiting = [file for file in waiting if not last_ms < file.as_of_ms <= latest_ms]
        else:
            unsigned = [file for file in unsigned if file.as_of_ms > last_ms]
            if unsigned:
                # Later files would vouch for the changes in the file that still waits for its checksum.
                first_ms = min(unsigned).as_of_ms
                waiting = [file for file in waiting if file.kind != "changes" or file.as_of_ms <= first_ms]
        self._check_unsigned(unsigned, waiting)
        if not waiting:
            return None
        path = self._folder / min(waiting).name
        claimed = self._folder / WORKING / _kept_name(path.name)
        path.rename(claimed)
        self._faults("file_claimed")
        return claimed

    def _is_signed(self, path: Path) -> bool:
        """Whether the file's checksum is there or none is expected. An empty checksum file is about to be written."""
        try:
            # `Path.exists` raises for a name that is too long.
            return os.stat(_checksum_file(path)).st_size > 0
        except OSError:
            return not self._settings.require_checksum

    def _check_unsigned(self, unsigned: list[_Waiting], waiting: list[_Waiting]) -> None:
        """Check that no checksum has been missing for long while there was nothing else to load."""
        if waiting or not unsigned:
            self._unsigned = None
            return
        name, now_ms = min(unsigned).name, self._feed.latest_ms()
        if self._unsigned is None or self._unsigned[0] != name:
            self._unsigned = (name, now_ms)
        if has_passed(now_ms, self._unsigned[1], _CHECKSUM_WITHIN_MS):
            raise InvalidValue(
                "drop_folder",
                f"{name} waits for its checksum, and so do the changes after its time",
                f"the file {name}{CHECKSUM}, as sha256sum writes it; removing {name} loses what it states",
            )

    def _take(self, path: Path, stop: threading.Event) -> None:
        log = structlog.get_logger().bind(file=path.name)
        try:
            report = self._load(path, stop)
            self._faults("file_loaded")
            target = self._folder / DONE
            counts = {"lines": report.lines, "changes": report.changes, "missing": report.missing}
            counts |= {"bad_lines": report.bad_lines, "unstated": report.unstated}
            log.info("feed_file_loaded", **counts, unread_columns=len(report.unread_columns))
        except FileRejected as error:
            report = error.report
            target = self._folder / REJECTED
            log.error("feed_file_rejected", reason=str(error))
        final = _free_name(target, path.name)
        write_report(report, final.with_name(f"{final.name}.report.json"))
        self._faults("file_reported")
        if _checksum_file(path).exists():
            _checksum_file(path).rename(_checksum_file(final))
            self._faults("file_checksum_moved")
        path.rename(final)
        self._faults("file_moved")

    def _load(self, path: Path, stop: threading.Event) -> FileReport:
        report = FileReport(file=path.name, outcome="rejected")
        try:
            name = parse_name(path.name, self._profile)
        except InvalidValue as error:
            report.add(LineProblem(0, error.field, error.problem, error.allowed))
            raise FileRejected(report) from error
        waiting = _checksum_file(self._folder / path.name)
        if waiting.exists():
            waiting.rename(_checksum_file(path))
        problem = self._checksum_problem(path)
        if problem is not None:
            report.add(problem)
            raise FileRejected(report)
        return self._loader.load(path, name, _no_progress, stop, reconcile=self._settings.role == "reconcile")

    def _checksum_problem(self, path: Path) -> LineProblem | None:
        """The file's mismatch with its checksum file, which is as `sha256sum` writes it."""
        beside = _checksum_file(path)
        if not beside.exists():
            needed = self._settings.require_checksum
            return LineProblem(0, "checksum", "missing", f"its checksum in {beside.name}") if needed else None
        with beside.open("rb") as file:
            stated = file.read(64).decode("ascii", "replace")
        if not _SHA256.fullmatch(stated):
            return LineProblem(0, "checksum", "not a SHA-256 in hexadecimal", "a line as sha256sum writes it")
        if stated.lower() != sha256_of(path):
            return LineProblem(
                0,
                "checksum",
                "not the checksum of this file, which may have been changed or cut short",
                "the file's own",
            )
        return None


def _no_progress(_done: int, _total: int) -> None:
    """No progress is shown."""


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and not path.name.endswith(_UNFINISHED)
        and path.is_file()
        and not path.is_symlink()
    )


def _kept_name(name: str) -> str:
    """The name under which a file is kept: its own, unless that is not UTF-8 or leaves no room for `.report.json`."""
    return os.fsencode(name)[:_MAX_NAME_BYTES].decode("utf-8", "replace")


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + CHECKSUM)


def _free_name(folder: Path, name: str) -> Path:
    """An unused name in `folder`. The file's report may be there already, from before a crash."""
    for number in range(1, _MAX_SAME_NAME):
        path = folder / (name if number == 1 else f"{name}.{number}")
        if not path.exists():
            return path
    raise FolderUnavailable(f"{folder}: more than {_MAX_SAME_NAME} files of one name", _RETRY_AFTER_S)
