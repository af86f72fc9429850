"""Files of the feed: the meaning of their names, and problems of a file as a whole.

The name states a file's kind and time: `full-20260101T020000Z.csv`, `changes-20260101T020000.250Z-branch7.jsonl`.
`full` states every account as it was at that time, `changes` what changed since the entry before. The time is the
core's own, UTC.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import Literal

from standing.ledger.errors import InvalidValue
from standing.node.feed.file_lines import LineProblem
from standing.node.feed.profile import Profile

_NAME = re.compile(
    r"(?P<kind>full|changes)-(?P<time>\d{8}T\d{6})(?:\.(?P<ms>\d{3}))?Z(?:-[A-Za-z0-9_-]{1,64})?\.(?P<format>csv|jsonl|tsv|txt|dat)"
)
_NAME_ALLOWED = (
    "full-YYYYMMDDTHHMMSSZ.csv or changes-YYYYMMDDTHHMMSS.mmmZ.jsonl, UTC, with -LABEL before the dot or not"
)

#: The problem of a file whose lines end with CR, as on old systems, and what is allowed.
LONE_RETURNS = "its lines end with CR alone"
LINE_BREAKS = "LF or CR LF after every line"
#: What old systems write behind the last line.
END_OF_FILE = "\x1a"
_LOOKED_AT = 65_536
_HAN = re.compile("[\u3400-\u9fff]")
#: How many Chinese characters tell UTF-8: one may be three bytes of GB18030 by chance, two hardly ever.
_TELLING = 2

Kind = Literal["full", "changes"]


@dataclass(frozen=True, slots=True)
class FileName:
    """The meaning of a file's name. `as_of_ms` is the core's own time."""

    kind: Kind
    as_of_ms: int
    format: Literal["csv", "jsonl"]


def parse_name(name: str, profile: Profile | None = None) -> FileName:
    """The meaning of a file's name; `profile` decides its form, whatever its ending. Raises: InvalidValue."""
    match = _NAME.fullmatch(name)
    if match is None or (profile is None and match["format"] not in {"csv", "jsonl"}):
        raise InvalidValue("file name", "not the name of a feed file", _NAME_ALLOWED)
    try:
        time = datetime.strptime(match["time"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidValue("file name", "no such time", _NAME_ALLOWED) from error
    as_of_ms = int(time.timestamp()) * 1000 + int(match["ms"] or 0)
    file_format: Literal["csv", "jsonl"] = "jsonl" if match["format"] == "jsonl" else "csv"
    kind: Kind = "full" if match["kind"] == "full" else "changes"
    return FileName(kind, as_of_ms, file_format if profile is None else profile.format)


def parse_as_of(text: str) -> int:
    """A core's time as an operator writes it, in milliseconds: ISO 8601 with its zone. Raises: InvalidValue."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue("--as-of", "not a time", "ISO 8601 with its zone: 2026-01-01T02:00:00+08:00") from error
    if moment.tzinfo is None:
        raise InvalidValue("--as-of", "a time without its zone", "ISO 8601 with its zone: 2026-01-01T02:00:00+08:00")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal. Raises: OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def whole_problem(path: Path, max_bytes: int, profile: Profile | None) -> LineProblem | None:
    """The problem of the file as a whole: empty, too large, in another encoding, or cut short. Raises: OSError."""
    ends_well = profile is None or profile.final_line_break
    # The line break of UTF-16, little-endian, ends with a zero.
    wide = profile is not None and profile.encoding.startswith("utf-16")
    size = path.stat().st_size
    if not 0 < size <= max_bytes:
        return LineProblem(0, "file", f"{size} bytes", f"1 to {max_bytes} bytes")
    with path.open("rb") as file:
        if not wide and file.read(2) in {BOM_UTF16_LE, BOM_UTF16_BE}:
            return LineProblem(0, "file", "written in UTF-16", "UTF-8, or a profile with that encoding (feed learn)")
        file.seek(0)
        if profile is not None and profile.encoding == "gb18030" and _is_utf8(file):
            return LineProblem(0, "file", "written in UTF-8", "GB18030, or a profile with that encoding (feed learn)")
        file.seek(0)
        first = file.read(_LOOKED_AT)
        if b"\n" not in first and b"\r" in first.rstrip(b"\r\0"):
            return LineProblem(0, "file", LONE_RETURNS, LINE_BREAKS)
        file.seek(-min(size, 2), 2)
        end = file.read().removesuffix(END_OF_FILE.encode())
        if ends_well and not (end in {b"\n\0", b"\0\n"} if wide else end.endswith(b"\n")):
            return LineProblem(0, "file", "the last line has no end: cut short?", "a line break after every line")
    return None


def _is_utf8(file: BufferedReader) -> bool:
    """Whether all of a file is UTF-8, with Chinese in it. Read as GB18030, most of its names would be other names."""
    decoder = getincrementaldecoder("utf-8")()
    found = 0
    try:
        while piece := file.read(_LOOKED_AT):
            text = decoder.decode(piece)
            found += 0 if text.isascii() else len(_HAN.findall(text))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return found >= _TELLING
