"""The findings of an audit."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a finding. Up to `state` they concern the ledger, from `evidence` on a gateway's decisions."""

    ADMISSION = "admission"  # a bank admitted twice, or an event of a bank that was never admitted
    NUMBER = "number"  # a publication is missing or duplicated
    WATERMARK = "watermark"  # it moved back or too far ahead of its block, or a change that it covers came later
    CONTENT = "content"  # the transaction's content, chained to the previous publication, does not hash to the digest
    SIGNATURE = "signature"  # not made by the signer in force
    SUSPENSION = "suspension"  # a publication while suspended, or a reinstatement without a suspension
    ROTATION = "rotation"  # it replaces a signer who was not in force
    STATE = "state"  # the contract's state does not match its history
    EVIDENCE = "evidence"  # a check of the evidence fails, such as repeating the decision
    TWICE = "twice"  # two decisions on one transaction
    OVERSPENT = "overspent"  # the sum of approvals exceeds a limit
    MISSING = "missing"  # evidence implies decisions that are not in the export


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `where`: a block, or a transaction's digest."""

    kind: Kind
    whose: str
    where: str
    text: str


@dataclass(slots=True)
class Audit:
    """Counts of everything examined, and all findings."""

    counted: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def count(self, label: str, more: int = 1) -> None:
        """Add to the number of examined things of one kind."""
        self.counted[label] = self.counted.get(label, 0) + more

    def found(self, kind: Kind, whose: str, where: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, whose, where, text))
