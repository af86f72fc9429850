"""The inputs of a decision, and the signer of its evidence."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Question
from standing.gateway.decisions.rules import Decision
from standing.gateway.ledger_reading.reader import Seen


@dataclass(frozen=True, slots=True)
class Basis:
    """The inputs of `gateway.decisions.rules.decide` other than the question and the binding.

    `day`: the bank's day to which the usage in `used` belongs.
    """

    seen: Seen | None
    ended: bool
    floor: int
    used: Used
    day: date
    policy: Policy
    decided_at_ms: int


class SignsEvidence(Protocol):
    """Signs the evidence of a decision; `gateway.evidence.signing.EvidenceSigner` is the implementation."""

    def sign(
        self, transaction_id: str, question: Question, currency: str, bound: Bound, decision: Decision, basis: Basis
    ) -> str:
        """The compact JWS of one decision."""
        ...
