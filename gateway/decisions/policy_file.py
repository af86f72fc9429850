"""A policy in its own TOML file: read and checked as a whole, each fault reported by file, line and field.

The standard library's parser keeps no positions, so a second pass over headers and keys finds the lines. It is used for
messages only; the content comes from the parser.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from standing.gateway.decisions.policy import Policy
from standing.ledger.service.settings import SettingsError, parse_toml

_MAX_BYTES = 256 * 1024
_MAX_ERRORS = 50
#: Parts of a pydantic location that are not in the file: the kind of rule or value that it tried.
_KINDS_OF_RULES = frozenset(
    {"new_binding", "velocity", "unusual_amount", "identity_change", "binding_burst", "early_withdrawal"}
)
_NOT_IN_FILES = _KINDS_OF_RULES | {"int", "constrained-int", "literal['any']", "[key]"}
_KEY = r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'"
_PATH = rf"(?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*"
_LIST_HEADER = re.compile(rf"\s*\[\[\s*({_PATH})\s*\]\]")
_HEADER = re.compile(rf"\s*\[\s*({_PATH})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_PATH})\s*=")

_Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in a policy file. `line` counts from 1; None for the whole file."""

    line: int | None
    field: str
    problem: str


class PolicyFileWrong(SettingsError):
    """A policy file is invalid; `faults` lists all faults."""

    def __init__(self, file: Path, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__("; ".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """Each fault as `file:line: field: problem`."""
        return [
            ":".join([str(self.file), *([str(fault.line)] if fault.line is not None else [])])
            + ": "
            + (f"{fault.field}: " if fault.field else "")
            + fault.problem
            for fault in self.faults
        ]


def load_policy(file: Path) -> Policy:
    """The policy of a file. It must state its name. Raises: PolicyFileWrong."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise PolicyFileWrong(file, [Fault(None, "", error.strerror or "cannot be read")]) from error
    if len(raw) > _MAX_BYTES:
        raise PolicyFileWrong(file, [Fault(None, "", f"larger than {_MAX_BYTES} bytes")])
    try:
        text = raw.decode("utf-8-sig")  # some editors write a byte order mark
        stated = parse_toml(text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PolicyFileWrong(file, [Fault(line, "", "not UTF-8")]) from error
    except ValueError as error:
        raise PolicyFileWrong(file, [_syntax_fault(error, text)]) from error
    if "name" not in stated:
        raise PolicyFileWrong(file, [Fault(1, "name", 'not stated; allowed: such as name = "checkout-2026-03"')])
    try:
        return Policy.model_validate(stated)
    except ValidationError as error:
        raise PolicyFileWrong(file, _faults(error, _places(text))) from error


def _syntax_fault(error: ValueError, text: str) -> Fault:
    found = re.search(r"\(at line (\d+)", str(error))
    line = int(found.group(1)) if found is not None else text.count("\n") + 1
    return Fault(line, "", re.sub(r"\s*\(at .*\)$", "", str(error)))


def _faults(error: ValidationError, places: dict[_Place, int]) -> list[Fault]:
    """Pydantic's errors as faults, one per field, in the order of the file."""
    items = error.errors()
    found: dict[tuple[int, str], list[str]] = {}
    for item in items:
        location = item["loc"]
        if any(len(other["loc"]) > len(location) and other["loc"][: len(location)] == location for other in items):
            continue  # pydantic also reports a list with invalid items as too short
        problem = item["msg"].removeprefix("Value error, ")
        found.setdefault(_placed(location, places), []).append(problem)
    faults = [Fault(line, field, ", or: ".join(problems)) for (line, field), problems in sorted(found.items())]
    return faults[:_MAX_ERRORS]


def _placed(location: Sequence[str | int], places: dict[_Place, int]) -> tuple[int, str]:
    """The line and the dotted name of a pydantic location."""
    known: _Place = ()
    missing = None
    for part in location:
        if any(place[: len(known) + 1] == (*known, part) for place in places):
            known, missing = (*known, part), None
        elif part not in _NOT_IN_FILES:
            missing = missing or part
    line = min(number for place, number in places.items() if place[: len(known)] == known)
    return line, ".".join(str(part) for part in (*known, missing) if part is not None)


def _places(text: str) -> dict[_Place, int]:
    """The line of each header and key, by its path in the document."""
    places: dict[_Place, int] = {(): 1}
    counts: dict[_Place, int] = {}
    table: _Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _LIST_HEADER.match(line):
            path = _inside(_parts(found.group(1)), counts)
            counts[path] = counts.get(path, 0) + 1
            table = (*path, counts[path] - 1)
        elif found := _HEADER.match(line):
            table = _inside(_parts(found.group(1)), counts)
        elif found := _ASSIGNMENT.match(line):
            places.setdefault((*table, *_parts(found.group(1))), number)
            continue
        else:
            continue
        places.setdefault(table, number)
    return places


def _parts(path: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_KEY, path)]


def _inside(parts: Sequence[str], counts: dict[_Place, int]) -> _Place:
    """The path of a header: inside a list of tables it belongs to the latest one."""
    place: _Place = ()
    for index, part in enumerate(parts):
        place = (*place, part)
        if index < len(parts) - 1 and place in counts:
            place = (*place, counts[place] - 1)
    return place
