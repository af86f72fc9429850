"""Feed files as records, read one at a time, in the encoding and form that their profile states.

Each line of the file is decoded separately, so an invalid byte is reported with its line, and spoils only its own
field. A broken record costs only that record: reading resumes at the line after the one on which it began.
"""

import codecs
import csv
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from standing.node.feed.profile import Profile
from standing.node.feed.profile_values import Translator
from standing.node.feed.records import BAD_BYTES, FIELDS, flattened, trimmed

MAX_LINE = 65_536
_MAX_RECORD_LINES = 100
#: How many records show whether a delimiter follows the last cell.
_SAMPLE = 20
#: After this many broken records in a row, the file does not match its profile.
_MAX_BROKEN_RUN = 1_000
_BAD_BYTES_HANDLER = "standing-bad-bytes"
#: The byte order mark.
MARK = "\ufeff"
#: What a line between records consists of: nothing, or rules as databases' clients draw them.
_RULE = re.compile(r"[-+=|_\s]*")


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A problem of a field on a line. Never shows a value. The first line is 1; 0 is the file as a whole."""

    line: int
    field: str
    problem: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file. `number`: the line where it begins.

    `problems`: the fields that cannot be understood; these are not in `record`. A line that is not a record at all has
    an empty `record`. `fatal`: the rest of the file cannot be read either. `read_bytes`: how far the file was read.
    """

    number: int
    record: dict[str, Any]
    problems: tuple[LineProblem, ...]
    read_bytes: int
    fatal: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether the line does not have the form of a record, whatever its values."""
        return not self.record or any(problem.field == "line" for problem in self.problems)


class _TooLong(Exception):
    """A line, or a record of several lines, is longer than the bound."""


def _mark_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return BAD_BYTES, error.end


codecs.register_error(_BAD_BYTES_HANDLER, _mark_bad_bytes)


def read_lines(
    path: Path,
    file_format: Literal["csv", "jsonl"],
    profile: Profile | None = None,
    note: Callable[[Mapping[str, Any]], None] | None = None,
) -> Iterator[Line]:
    """The file's records, in order. `note` is called with each row as a profile finds it. Raises: OSError."""
    translator = None if profile is None else Translator(profile, note)
    if file_format == "jsonl":
        with _opened(path, profile) as lines:
            yield from _read_jsonl(lines, translator)
        return
    usual_spare = None
    if profile is not None:
        with _opened(path, profile) as lines:
            sample = _CsvRecords(lines, profile, translator)
            deque(islice(sample.read(), _SAMPLE), maxlen=0)
            usual_spare = _usual(sample.spare)
    with _opened(path, profile) as lines:
        yield from _CsvRecords(lines, profile, translator, usual_spare=usual_spare).read()


@contextmanager
def _opened(path: Path, profile: Profile | None) -> Iterator["_TextLines"]:
    """The lines of a file from its heading on."""
    with path.open("rb") as raw:
        lines = _TextLines(raw, "utf-8" if profile is None else profile.encoding)
        for _ in range(0 if profile is None else profile.skip_lines):
            lines.skip()
        yield lines


class _TextLines:
    """The lines of a file as text, each with its line break. `number` is that of the line read last."""

    def __init__(self, raw: BufferedReader, encoding: str) -> None:
        self._raw = raw
        self.encoding = encoding
        self._codec = _codec(raw, encoding)
        self.number = 0
        #: How far the file was read; counted, because `tell` is slow after each line.
        self.offset = 0

    def go_back(self, number: int, offset: int) -> None:
        """Read on after line `number`, which ends at `offset`."""
        self._raw.seek(offset)
        self.number, self.offset = number, offset

    def skip(self) -> None:
        """Skip a line of any length."""
        try:
            self.read()
        except _TooLong:
            return

    def read(self) -> str:
        """The next line; empty at the end of the file. Raises: _TooLong once the whole line is skipped."""
        limit = 4 * MAX_LINE
        line = self._read_bytes(limit)
        if line:
            self.number += 1
        if len(line) >= limit and not self._ended(line):
            line = b""
            while (rest := self._read_bytes(limit)) and not self._ended(rest):
                pass
            raise _TooLong
        text = line.decode(self._codec, _BAD_BYTES_HANDLER)
        if len(text) > MAX_LINE:
            raise _TooLong
        return text.removeprefix(MARK)  # several files may have been joined into one, each beginning with the mark

    def _ended(self, line: bytes) -> bool:
        if self._codec == "utf-16-le":
            return len(line) % 2 == 0 and line.endswith(b"\n\0")
        if self._codec == "utf-16-be":
            return len(line) % 2 == 0 and line.endswith(b"\0\n")
        return line.endswith(b"\n")

    def _read_bytes(self, limit: int) -> bytes:
        """A line, or an even number of bytes of one that is longer than `limit`, which is even too."""
        line = b""
        while len(line) < limit:
            piece = self._raw.readline(limit - len(line))
            # A byte 10 is a line break only as half of a unit of two bytes whose other half is 0.
            if self._codec == "utf-16-le" and (len(line) + len(piece)) % 2:
                piece += self._raw.read(1)
            self.offset += len(piece)
            line += piece
            if not piece or self._ended(line):
                return line
        return line


def _codec(raw: BufferedReader, encoding: str) -> str:
    """The codec of the lines after the byte order mark, which decides between the two forms of UTF-16."""
    if encoding != "utf-16":
        return encoding
    if raw.peek(2)[:2] == codecs.BOM_UTF16_BE:
        return "utf-16-be"
    return "utf-16-le"


class _CsvRecords:
    """Reads records of separated values."""

    def __init__(
        self, lines: _TextLines, profile: Profile | None, translator: Translator | None, usual_spare: int | None = None
    ) -> None:
        """`usual_spare`: how many empty cells follow the last one, if that is known. `spare` afterwards: on how many
        lines there were so many."""
        self._lines = lines
        self._profile = profile or Profile(columns={"number": "number"})
        self._native = profile is None
        self._translator = translator
        self._reader = csv.reader(self._record_lines(), strict=True, **_dialect(self._profile))
        self._usual_spare = usual_spare
        self.spare: Counter[int] = Counter()
        self._begin()

    def _begin(self) -> None:
        """The next line begins a record."""
        self._first = self._lines.number + 1
        self._after_first = 0
        self._characters = 0

    def _record_lines(self) -> Iterator[str]:
        while text := self._lines.read():
            if self._after_first == 0:
                self._after_first = self._lines.offset
            self._characters += len(text)
            if self._characters > MAX_LINE or self._lines.number - self._first >= _MAX_RECORD_LINES:
                raise _TooLong
            yield text

    def read(self) -> Iterator[Line]:
        heading: list[str] | None = None
        broken, is_at_end = 0, False
        while True:
            self._begin()
            try:
                cells = self._next(heading)
            except (csv.Error, _TooLong) as error:
                broken += 1
                yield self._broken(isinstance(error, _TooLong), broken >= _MAX_BROKEN_RUN or heading is None)
                if broken >= _MAX_BROKEN_RUN or heading is None:
                    return
                continue
            if cells is None:
                break
            if self._is_between(heading, cells):
                continue
            if heading is None:
                heading = [trimmed(cell) if self._profile.heading else str(at) for at, cell in enumerate(cells, 1)]
                problem = self._heading_problem(heading)
                if problem is not None:
                    yield problem
                    return
                if self._profile.heading:
                    continue
            if not is_at_end and (is_at_end := self._is_trailer(cells)):
                continue
            line = self._after_trailer() if is_at_end else self._line(heading, cells)
            broken = broken + 1 if line.is_broken else 0
            if line.fatal or broken >= _MAX_BROKEN_RUN:
                yield replace(line, fatal=True)
                return
            yield line
        if (problem := self._end_problem(heading, is_at_end)) is not None:
            yield problem

    def _end_problem(self, heading: list[str] | None, is_at_end: bool) -> Line | None:
        if heading is None and self._profile.heading:
            return self._bad("header", "missing", ", ".join(FIELDS), fatal=True)
        if self._profile.trailer and not is_at_end:
            allowed = "a last line that begins like the profile's trailer"
            return self._bad("trailer", "missing: cut short?", allowed, fatal=True)
        return None

    def _after_trailer(self) -> Line:
        return self._bad("line", "after the trailer", "nothing after the profile's trailer", fatal=True)

    def _is_trailer(self, cells: list[str]) -> bool:
        """Whether a line is the one that ends the file, with its total or the like."""
        trailer = self._profile.trailer
        return trailer != "" and self._profile.delimiter.join(map(trimmed, cells)).startswith(trailer)

    def _is_between(self, heading: list[str] | None, cells: list[str]) -> bool:
        """Whether a line is blank, has no value, or repeats the heading, as printed pages and joined files do."""
        has_none = not any(map(trimmed, cells)) if self._native else is_rule(cells)
        if has_none and not self._is_trailer(cells):
            return True
        if heading is None or not self._profile.heading or trimmed(cells[0]) != heading[0]:
            return False
        return [trimmed(cell) for cell in cells] == heading

    def _next(self, heading: list[str] | None) -> list[str] | None:
        """The cells of the next record; None at the end. Raises: csv.Error, _TooLong.

        Two stray quotes would join lines, and give one account what is said of another. A cell between quotes in the
        same column of two lines holds as many delimiters as a line; such a one is refused unless the profile allows it.
        """
        cells = next(self._reader, None)
        if heading is None or cells is None or self._profile.multiline or self._lines.number == self._first:
            return cells
        delimiters = max(1, len(heading) - 1)
        if any("\n" in cell and cell.count(self._profile.delimiter) >= delimiters for cell in cells):
            raise csv.Error("a quoted cell that holds a whole line")
        return cells

    def _broken(self, too_long: bool, fatal: bool) -> Line:
        if self._lines.number > self._first and self._after_first:
            self._lines.go_back(self._first, self._after_first)
        # A reader that ended with an error yields no more lines.
        self._reader = csv.reader(self._record_lines(), strict=True, **_dialect(self._profile))
        if too_long:
            return self._bad("line", "too long", f"a record of at most {MAX_LINE} characters", fatal=fatal)
        delimiter = self._profile.delimiter
        return self._bad("line", "not CSV: a quote in the wrong place", f"cells parted by {delimiter!r}", fatal=fatal)

    def _heading_problem(self, heading: list[str]) -> Line | None:
        if any(BAD_BYTES in name for name in heading):
            return self._bad(
                "header", f"not {self._lines.encoding}", f"a heading in {self._lines.encoding}", fatal=True
            )
        if self._translator is not None:
            missing = sorted(name for name in self._translator.columns if heading.count(name) != 1)
            if missing:
                allowed = "the columns of the profile, each once"
                return self._bad("header", f"missing, or there twice: {', '.join(missing)}", allowed, fatal=True)
        elif any(name not in FIELDS for name in heading) or "number" not in heading or len(set(heading)) < len(heading):
            return self._bad("header", "not the names of fields, each once", ", ".join(FIELDS), fatal=True)
        return None

    def _line(self, heading: list[str], cells: list[str]) -> Line:
        # A delimiter after the last cell is common and is ignored. A line with fewer cells than others has lost a
        # delimiter, for example because half a character before it swallowed it, and its later cells have moved to the
        # left. A line with more cells has a delimiter within a value, and its later cells may have moved to the right.
        spare = [] if self._native else cells[len(heading) :]
        if len(cells) - len(spare) != len(heading) or any(trimmed(cell) for cell in spare):
            return self._of_first_cell(heading, cells, str(len(heading) + (self._usual_spare or 0)))
        self.spare[len(spare)] += 1
        if self._usual_spare is not None and len(spare) != self._usual_spare:
            return self._of_first_cell(heading, cells, str(len(heading) + self._usual_spare))
        row = dict(zip(heading, cells, strict=False))
        return _line(self._first, row, self._translator, self._lines.offset)

    def _of_first_cell(self, heading: list[str], cells: list[str], expected: str) -> Line:
        """A line with a wrong number of cells. Only its first cell is certain to be in the right column."""
        row = dict.fromkeys(heading, "") | {heading[0]: cells[0]}
        line = _line(self._first, row, self._translator, self._lines.offset)
        record = {"number": line.record["number"]} if line.record.get("number") else {}
        problem = LineProblem(self._first, "line", f"{len(cells)} cells", f"{expected} cells, as on other lines")
        return replace(line, record=record, problems=(problem,))

    def _bad(self, field: str, problem: str, allowed: str, *, fatal: bool = False) -> Line:
        return Line(
            self._first, {}, (LineProblem(self._first, field, problem, allowed),), self._lines.offset, fatal=fatal
        )


def is_rule(cells: Sequence[str]) -> bool:
    """Whether a line holds no value."""
    return all(_RULE.fullmatch(trimmed(cell)) for cell in cells)


def _usual(spare: Counter[int]) -> int:
    """The number of empty cells that follow the last one on most lines. If two numbers are equally frequent, the larger
    one."""
    return max(spare, key=lambda each: (spare[each], each), default=0)


def _dialect(profile: Profile) -> dict[str, Any]:
    stated: dict[str, Any] = {"delimiter": profile.delimiter, "escapechar": profile.escape or None}
    if not profile.quote:
        return {**stated, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {**stated, "quotechar": profile.quote, "doublequote": not profile.escape}


def _read_jsonl(lines: _TextLines, translator: Translator | None) -> Iterator[Line]:
    has_any = False
    while True:
        try:
            text = lines.read()
            if not text:
                return
            if has_any and not trimmed(text):  # a file of blank lines alone was cut short
                continue
            has_any = True
            record = json.loads(text, object_pairs_hook=_distinct)
            if translator is not None and isinstance(record, dict):
                record = flattened(record)
        except _TooLong:
            problem = LineProblem(lines.number, "line", "too long", f"at most {MAX_LINE} characters")
        except (ValueError, RecursionError):  # endless nesting, and numbers without end
            allowed = f"one JSON object in {lines.encoding} on each line"
            problem = LineProblem(lines.number, "line", "not JSON, or a name occurs twice", allowed)
        else:
            if isinstance(record, dict):
                yield _line(lines.number, record, translator, lines.offset)
                continue
            problem = LineProblem(lines.number, "line", "not a JSON object", "one JSON object on each line")
        yield Line(lines.number, {}, (problem,), lines.offset)


def _line(number: int, row: dict[str, Any], translator: Translator | None, read_bytes: int) -> Line:
    if translator is None:
        return Line(number, row, (), read_bytes)
    record, problems = translator.record(row)
    located = tuple(LineProblem(number, each.field, each.problem, each.allowed) for each in problems)
    return Line(number, record, located, read_bytes)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name twice")
    return record
