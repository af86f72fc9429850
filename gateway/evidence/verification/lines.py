"""The result of a verification: one line for each check."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of one check, or of all."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Line:
    """One check, by the numbers of `gateway.evidence.verification`, and its result."""

    number: int
    check: str
    verdict: Verdict
    text: str


#: The checks by their numbers.
CHECKS = {
    1: "signature",
    2: "ledger",
    3: "block",
    4: "record",
    5: "publication",
    6: "bank signature",
    7: "hash chain",
    8: "watermark",
    9: "grant",
    10: "terms",
    11: "policy",
    12: "decision",
    13: "cause",
}


class Lines:
    """Collects the lines of one verification."""

    def __init__(self) -> None:
        self.all: list[Line] = []

    def holds(self, number: int, text: str) -> None:
        """Add a check that was made and holds; `number` names the check."""
        self.all.append(Line(number, CHECKS[number], Verdict.HOLDS, text))

    def fails(self, number: int, text: str) -> None:
        """Add a check that was made and fails."""
        self.all.append(Line(number, CHECKS[number], Verdict.FAILS, text))

    def unknown(self, number: int, text: str) -> None:
        """Add a check that could not be made."""
        self.all.append(Line(number, CHECKS[number], Verdict.UNKNOWN, text))

    def add(self, number: int, holds: bool, text: str) -> None:
        """Add a check that was made, with its result."""
        (self.holds if holds else self.fails)(number, text)

    def failed(self, numbers: Collection[int]) -> bool:
        """Whether any of these checks fails."""
        return any(line.number in numbers and line.verdict is Verdict.FAILS for line in self.all)

    @property
    def verdict(self) -> Verdict:
        """FAILS where any check fails; otherwise UNKNOWN where any could not be made; HOLDS where all hold."""
        verdicts = {line.verdict for line in self.all}
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts or not verdicts else Verdict.HOLDS
