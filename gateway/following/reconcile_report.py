"""The result of a reconciliation, as JSON and as one self-contained page."""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.messages import MESSAGES, NOT_SERVED
from standing.gateway.decisions.rules import Reason
from standing.ledger.service.times import iso, seconds

#: The word for a binding at a bank that is no longer in the settings. No decision has a reason for that.
BANK_NOT_SERVED = "bank_not_served"


class Drift(StrEnum):
    """How the ledger and this gateway's state differ."""

    BELOW_FLOOR = "below_floor"  # older than a record that a decision has seen: decisions say ledger_rolled_back
    NOT_FOLLOWED = "not_followed"
    FOLLOWER_MISSED = "follower_missed"
    LEDGER_WENT_BACK = "ledger_went_back"
    TERMS_DIFFER = "terms_differ"


@dataclass(frozen=True, slots=True)
class BankFinding:
    """A bank at the pinned block. `watermark_went_back`: it is below the one that the follower has seen before."""

    bank: str
    watermark_ms: int | None
    staleness_ms: int | None
    suspended: bool
    silent: bool
    watermark_went_back: bool


@dataclass(frozen=True, slots=True)
class DeadFinding:
    """A binding that is no longer usable. `reason` is a decision's, or BANK_NOT_SERVED."""

    binding: str
    bank: str
    user_id: str
    reason: str

    @property
    def way_out(self) -> Localized:
        """The remedy, for its user."""
        return NOT_SERVED if self.reason == BANK_NOT_SERVED else MESSAGES[Reason(self.reason)]


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """A binding whose record differs from this gateway's state: publication numbers; 0 and None where there is none."""

    binding: str
    bank: str
    kind: Drift
    on_ledger: int
    believed: int | None


@dataclass(slots=True)
class Report:
    """One run; times in ms. The lists are bounded, the counts are not. `reasons`: bindings by bank and reason, which
    is `well` where nothing prevents their use."""

    started_at_ms: int
    block_number: int
    block_hash: str
    block_time_ms: int
    ended_at_ms: int = 0
    block_is_still_there: bool = False
    checked: int = 0
    dead_count: int = 0
    drift_count: int = 0
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    banks: list[BankFinding] = field(default_factory=list)
    dead: list[DeadFinding] = field(default_factory=list)
    drift: list[DriftFinding] = field(default_factory=list)

    def count(self, bank: str, reason: str) -> None:
        """Count one binding."""
        counts = self.reasons.setdefault(bank, {})
        counts[reason] = counts.get(reason, 0) + 1

    def document(self) -> dict[str, Any]:
        """The report as plain values, each dead binding with its user's remedy in both languages."""
        document = asdict(self)
        for entry, finding in zip(document["dead"], self.dead, strict=True):
            entry["way_out"] = {"en": finding.way_out.en, "zh": finding.way_out.zh}
        return document

    def to_json(self) -> str:
        return json.dumps(self.document(), ensure_ascii=False)

    def to_html(self) -> str:
        """The report as one page that loads nothing: no script, no font, no image."""
        return to_html(self.document())


def to_html(document: dict[str, Any]) -> str:
    """The page of a report that was stored as JSON. Every value is escaped."""
    return _template().render(report=document)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"iso": iso, "seconds": seconds}
    page = files("standing.gateway.following") / "templates" / "reconcile.html"
    return environment.from_string(page.read_text(encoding="utf-8"))
