"""The first records of a file of unknown form: its encoding, delimiter and quoting are guessed."""

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clevercsv

from standing.ledger.errors import InvalidValue
from standing.node.feed.drop_file import END_OF_FILE, LINE_BREAKS, LONE_RETURNS
from standing.node.feed.file_encoding import guess_encoding
from standing.node.feed.file_lines import MARK, is_rule
from standing.node.feed.headings import KNOWN, folded
from standing.node.feed.records import flattened, trimmed

_SAMPLE_BYTES = 1_048_576
_TAIL_BYTES = 65_536
_SNIFFED_LINES = 200
_MAX_RECORDS = 5_000
#: The length of a record of fixed width: a number alone is shorter.
_MIN_FIXED = 40
#: How many columns a file has before a short first record is taken for a title.
_MIN_WIDTH = 3
_OTHER_FORM = re.compile(r"\s*(?:<(?:\?xml|!|html\b|table\b|Document\b)|\[\s*[{\[\]]|:20:|\{1:F)")
#: How workbooks of spreadsheets, archives and documents begin.
_NO_TEXT = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF", b"7z\xbc\xaf", b"Rar!")
#: How the last line of a file begins that states totals and is as wide as a record.
_TOTAL = re.compile(
    r"(?:合计|总计|共计|汇总|合計|總計|共計|(?:(?:grand )?totals?|trailer|footer|trl|tlr|t|eof|end)\b)", re.IGNORECASE
)
#: What stands in place of a number.
_NOTHING = re.compile(r"\(?(?:null|none|nil|n/?a)\)?|#n/a|-+|无|無", re.IGNORECASE)
_DELIMITERS = (",", "\t", ";", "|")
#: What a guess may take for a delimiter, and is none: blanks, the sign before a phone, and that of ="0123".
_NEVER_BETWEEN = " \u00a0\u3000\r\n\f\v+="
#: The marks of files that were put into one.
_AFTER_BREAK = re.compile(f"(?<=\n){MARK}")
#: How many of its names show that a line is the heading, whatever is before it.
_KNOWN_NAMES = 2


@dataclass
class Sample:
    """The first records of a file, and how they were read. `title`: the text before the heading; `trailer`: how
    the last line begins, if it is no record."""

    form: str
    encoding: str
    encoding_why: str
    heading: list[str] | None
    rows: list[list[str]]
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    final_line_break: bool = True
    skip_lines: int = 0
    title: str = ""
    trailer: str = ""


def read_sample(path: Path) -> Sample:
    """The first records of a file. Raises: OSError, InvalidValue where none can be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
    if raw.startswith(_NO_TEXT):
        raise InvalidValue("file", "a workbook, an archive or a document", "CSV, or JSON lines: save a sheet as CSV")
    encoding, why = guess_encoding(raw, cut_off=len(raw) < size)
    text = _AFTER_BREAK.sub("", raw.decode(encoding, "replace").removeprefix(MARK))
    ended = text.rstrip(END_OF_FILE).endswith("\n") or len(raw) < size
    if len(raw) < size:
        text = text[: text.rfind("\n") + 1]
        if not text:
            raise InvalidValue("file", f"no line break in its first {_SAMPLE_BYTES} bytes", "each record on a line")
    if not text.strip():
        raise InvalidValue("file", "nothing in it", "a file with a few records")
    if "\n" not in text and text.rstrip("\r").count("\r"):
        raise InvalidValue("file", LONE_RETURNS, LINE_BREAKS)
    if _OTHER_FORM.match(text) is not None:
        raise InvalidValue("file", "XML, a JSON array or a SWIFT message", "CSV, or JSON lines")
    if text.lstrip().startswith("{"):
        return Sample("jsonl", encoding, why, *_objects(text), final_line_break=ended)
    delimiter, quote, escape = _guess_dialect(text, encoding)
    options: dict[str, Any] = {"delimiter": delimiter, "escapechar": escape or None}
    options |= {"quotechar": quote, "doublequote": not escape} if quote else {"quoting": csv.QUOTE_NONE}
    rows, lines_before = _records(text, options)
    usual = _usual_width(rows)
    skipped = _banner(rows, usual)
    heading = rows[skipped] if _is_heading(rows[skipped]) else None
    records = [row for row in rows[skipped + 1 :] if row != heading] if heading else rows[skipped:]
    is_whole = len(raw) == size and len(rows) <= _MAX_RECORDS
    last = _last_row(path, size, encoding, options) if not is_whole else records.pop() if len(records) > 1 else []
    trailer = _trailer(last, usual, delimiter) if last else ""
    if is_whole and last and not trailer:
        records.append(last)
    form = ("csv", encoding, why, heading, records, delimiter, quote, escape, ended)
    title = " ".join(cell for row in rows[:skipped] for cell in row)
    before = lines_before[skipped] if skipped else 0
    return Sample(*form, skip_lines=before, title=title, trailer=trailer)


def _records(text: str, options: dict[str, Any]) -> tuple[list[list[str]], list[int]]:
    """The first records, and for each how many lines are before it. Raises: InvalidValue where one is no record."""
    rows: list[list[str]] = []
    lines_before: list[int] = []
    reader = csv.reader(io.StringIO(text, newline="\n"), **options)  # lines as `file_lines` reads them
    before = 0
    try:
        for row in reader:
            if not is_rule(row):
                rows.append([trimmed(cell) for cell in row])
                lines_before.append(before)
            before = reader.line_num
            if len(rows) > _MAX_RECORDS:
                break
    except csv.Error as error:
        raise InvalidValue("file", f"line {reader.line_num} is not a record", "CSV, or JSON lines") from error
    return rows, lines_before


def _usual_width(rows: list[list[str]]) -> int:
    counted = Counter(map(len, rows))
    return max((width for width, times in counted.items() if times > 1), default=max(counted))


def _banner(rows: list[list[str]], usual: int) -> int:
    """How many records before the heading are a title or the like: less than half as wide as the others. A file may
    have more lines of title than records. So is a first record of its own, such as H|20260101|CORE01|81234, where the
    line after it is a heading."""
    wide = (index for index, row in enumerate(rows) if not _is_narrow(row, usual))
    first = next(wide, 0) if usual >= _MIN_WIDTH else 0
    is_before = len(rows[first]) != usual and len(rows) > first + 1 and _names_fields(rows[first + 1])
    return first + 1 if is_before else first


def _names_fields(row: Sequence[str]) -> bool:
    return _is_heading(row) and sum(folded(cell) in KNOWN for cell in row) >= _KNOWN_NAMES


def _is_narrow(row: Sequence[str], usual: int) -> bool:
    """Whether a record has so few cells that it is none."""
    return sum(map(bool, row)) * 2 < usual or len(row) * 2 <= usual


def _last_row(path: Path, size: int, encoding: str, options: dict[str, Any]) -> list[str]:
    """The last line of a file that is longer than its sample; empty where the encoding does not tell it."""
    if encoding.startswith("utf-16"):
        return []
    with path.open("rb") as file:
        file.seek(-min(_TAIL_BYTES, size), 2)
        lines = file.read().decode(encoding, "replace").split("\n")
    with suppress(csv.Error):
        rows = [row for row in csv.reader([line + "\n" for line in lines[1:]], **options) if any(map(trimmed, row))]
        return [trimmed(cell) for cell in rows[-1]] if rows else []
    return []


def _trailer(last: list[str], usual: int, delimiter: str) -> str:
    """How a file's last line begins, where it is no record but a total or the like; empty where it may be one."""
    first = last[0]
    if usual < _MIN_WIDTH or (re.search(r"\d{4}", first) if len(last) > 1 else first[:1].isdigit()):
        return ""
    # A record whose number is missing may restrict an account.
    may_be_record = len(last) > 1 and (not first or _NOTHING.fullmatch(first))
    if may_be_record or not (_is_narrow(last, usual) or _TOTAL.match(first)):
        return ""
    found = re.match(r"\D+", delimiter.join(last))
    return found[0] if found is not None else f"{first}{delimiter}"


def _is_fixed(lines: Sequence[str], encoding: str) -> bool:
    """Whether several long lines have one length, in bytes or in characters, and no usual delimiter in each."""
    written = [line for line in lines if line.strip()]
    if any(all(each in line for line in written) for each in _DELIMITERS):
        return False
    sizes = {len(line.encode(encoding, "replace")) for line in written}
    same = len(sizes) == 1 or len(set(map(len, written))) == 1
    return same and len(written) > 1 and len(written[0]) >= _MIN_FIXED


def _guess_dialect(text: str, encoding: str) -> tuple[str, str, str]:
    head = "".join(text.splitlines(keepends=True)[:_SNIFFED_LINES])
    try:
        found = clevercsv.Sniffer().sniff(head)
    except clevercsv.Error:
        found = None
    delimiter = "" if found is None else found.delimiter or ""
    is_none = delimiter != "\t" and (not delimiter.strip(_NEVER_BETWEEN) or delimiter.isalnum())
    if is_none and ((delimiter in {" ", "+"} and "  " in head) or _is_fixed(head.splitlines(), encoding)):
        raise InvalidValue("file", "columns of fixed width", "CSV, or JSON lines")
    if delimiter in {" ", "+", "="}:
        found = None  # words within its only column
    if found is None or found.delimiter is None or len(found.delimiter) != 1:
        # One column, or too little to go by.
        first = head.splitlines()[0]
        return max(_DELIMITERS, key=first.count), '"', ""
    return found.delimiter, found.quotechar or '"', found.escapechar or ""


def _objects(text: str) -> tuple[list[str], list[list[str]]]:
    heading: dict[str, None] = {}
    records = []
    for line in text.splitlines()[:_MAX_RECORDS]:
        try:
            record = json.loads(line)
            record = flattened(record) if isinstance(record, dict) else None
        except (ValueError, RecursionError):
            continue  # a draft is made from what can be read; `feed check` judges every line
        if record is not None:
            records.append(record)
            heading |= dict.fromkeys(record)
    if not records:
        raise InvalidValue("file", "not a JSON object on a line", "CSV, or JSON lines")
    names = list(heading)
    return names, [[_cell(record.get(name)) for name in names] for record in records]


def _cell(value: Any) -> str:
    return "" if value is None else trimmed(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_heading(row: Sequence[str]) -> bool:
    return bool(row) and not any(re.search(r"\d{4}", unicodedata.normalize("NFKC", cell)) for cell in row)
