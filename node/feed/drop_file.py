"""Files of the feed: what their names say, and their lines as records, read one at a time.

The name says what a file is and as of when: `full-20260101T020000Z.csv`, `changes-20260101T020000.250Z-branch7.jsonl`.
`full` states every account as it was at that time, `changes` what changed since the entry before. The time is the
core's own, UTC.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, Literal

from standing.ledger.errors import InvalidValue
from standing.node.feed.records import FIELDS

_NAME = re.compile(
    r"(?P<kind>full|changes)-(?P<time>\d{8}T\d{6})(?:\.(?P<ms>\d{3}))?Z(?:-[A-Za-z0-9_-]{1,64})?\.(?P<format>csv|jsonl)"
)
_NAME_ALLOWED = (
    "full-YYYYMMDDTHHMMSSZ.csv or changes-YYYYMMDDTHHMMSS.mmmZ.jsonl, UTC, with -LABEL before the dot or not"
)
_MAX_LINE = 65_536

Kind = Literal["full", "changes"]


@dataclass(frozen=True, slots=True)
class FileName:
    """The meaning of a file's name. `as_of_ms` is the core's own time."""

    kind: Kind
    as_of_ms: int
    format: Literal["csv", "jsonl"]


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a field on a line (the file's first line is 1). Never shows a value."""

    line: int
    field: str
    problem: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file, or the reason why a line is not one. `read_bytes`: how far the file was read."""

    number: int
    record: dict[str, Any]
    problem: LineProblem | None
    read_bytes: int


def parse_name(name: str) -> FileName:
    """The meaning of a file's name. Raises: InvalidValue."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidValue("file name", "not the name of a feed file", _NAME_ALLOWED)
    try:
        time = datetime.strptime(match["time"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidValue("file name", "no such time", _NAME_ALLOWED) from error
    as_of_ms = int(time.timestamp()) * 1000 + int(match["ms"] or 0)
    return FileName("full" if match["kind"] == "full" else "changes", as_of_ms, _format(match["format"]))


def _format(suffix: str) -> Literal["csv", "jsonl"]:
    return "csv" if suffix == "csv" else "jsonl"


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal. Raises: OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def whole_problem(path: Path, max_bytes: int) -> LineProblem | None:
    """What is wrong with the file as a whole: empty, too large, or cut short. Raises: OSError."""
    size = path.stat().st_size
    if not 0 < size <= max_bytes:
        return LineProblem(0, "file", f"{size} bytes", f"1 to {max_bytes} bytes")
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            return LineProblem(0, "file", "the last line has no end: cut short?", "a line break after every line")
    return None


def read_lines(path: Path, file_format: Literal["csv", "jsonl"]) -> Iterator[Line]:
    """The file's records, in order. A line that is no record comes with its problem. Raises: OSError."""
    with path.open("rb") as raw:
        if file_format == "jsonl":
            yield from _read_jsonl(raw)
            return
        with TextIOWrapper(raw, "utf-8-sig", newline="") as decoded:
            yield from _read_csv(raw, decoded)


class _RecordTooLong(Exception):
    """A record of a CSV file is longer than any record needs to be."""


class _RecordLines:
    """Passes the lines of a CSV file to its reader, which would otherwise gather an endless record in memory."""

    def __init__(self, decoded: TextIOWrapper) -> None:
        self._decoded = decoded
        self._left = _MAX_LINE

    def begin(self) -> None:
        """The next line begins a record."""
        self._left = _MAX_LINE

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._decoded.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise _RecordTooLong
        return line


def _read_csv(raw: BufferedReader, decoded: TextIOWrapper) -> Iterator[Line]:
    lines = _RecordLines(decoded)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        lines.begin()
        try:
            cells = next(reader, None)
        except _RecordTooLong:
            yield _bad(reader.line_num + 1, "line", "too long", f"at most {_MAX_LINE} characters", raw)
            return
        except (csv.Error, UnicodeDecodeError) as error:
            problem = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not CSV"
            yield _bad(reader.line_num + 1, "line", problem, "CSV in UTF-8 (RFC 4180)", raw)
            return
        if cells is None:
            break
        if header is None:
            header = cells
            unknown = [name for name in header if name not in FIELDS]
            if unknown or "number" not in header or len(set(header)) < len(header):
                yield _bad(1, "header", "not the names of fields, each once", ", ".join(FIELDS), raw)
                return
        elif len(cells) != len(header):
            yield _bad(reader.line_num, "line", f"{len(cells)} cells", f"{len(header)} cells, as in the header", raw)
        else:
            yield Line(reader.line_num, dict(zip(header, cells, strict=True)), None, raw.tell())
    if header is None:
        yield _bad(1, "header", "missing", ", ".join(FIELDS), raw)


def _read_jsonl(raw: BufferedReader) -> Iterator[Line]:
    number = 0
    while text := raw.readline(_MAX_LINE + 1):
        number += 1
        if len(text) > _MAX_LINE:
            yield _bad(number, "line", "too long", f"at most {_MAX_LINE} bytes", raw)
            return
        try:
            record = json.loads(text, object_pairs_hook=_distinct)
        except (ValueError, RecursionError):  # bytes that are not UTF-8 end here too, and endless nesting
            yield _bad(number, "line", "not JSON, or a name twice", "one JSON object in UTF-8 on each line", raw)
            continue
        if isinstance(record, dict):
            yield Line(number, record, None, raw.tell())
        else:
            yield _bad(number, "line", "no JSON object", "one JSON object on each line", raw)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name twice")
    return record


def _bad(number: int, field: str, problem: str, allowed: str, raw: BufferedReader) -> Line:
    return Line(number, {}, LineProblem(number, field, problem, allowed), raw.tell())
