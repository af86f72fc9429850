"""What an audit finds."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong. Of the ledger: up to `state`; of a gateway's decisions: from `evidence` on."""

    ADMISSION = "admission"  # of a bank that is admitted already, or an event of one that never was
    NUMBER = "number"  # a publication is missing or duplicated
    WATERMARK = "watermark"  # it went back, or too far ahead of its block; or a change came after it that it covered
    CONTENT = "content"  # what the transaction holds, after the publication before, does not hash to the digest
    SIGNATURE = "signature"  # not by the signer in force
    SUSPENSION = "suspension"  # a publication while suspended; an end of a suspension that never began
    ROTATION = "rotation"  # it replaces a signer who was not in force
    STATE = "state"  # the contract's state does not match its history
    EVIDENCE = "evidence"  # a check of the evidence fails, such as the decision made again
    TWICE = "twice"  # two decisions on one transaction
    OVERSPENT = "overspent"  # approvals that, added up, are above a limit
    MISSING = "missing"  # evidence counts on decisions that are not in the export


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `where`: a block, or a transaction's digest."""

    kind: Kind
    whose: str
    where: str
    text: str


@dataclass(slots=True)
class Audit:
    """What was looked at, how much of it, and all that was found."""

    counted: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def count(self, what: str, more: int = 1) -> None:
        self.counted[what] = self.counted.get(what, 0) + more

    def found(self, kind: Kind, whose: str, where: str, text: str) -> None:
        self.findings.append(Finding(kind, whose, where, text))
