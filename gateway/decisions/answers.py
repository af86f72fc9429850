"""The answer to a transaction as JSON: written once, with the decision, and repeated unchanged."""

from dataclasses import asdict
from typing import Any

import orjson

from standing.gateway.decisions.messages import REVIEWED, of_decision
from standing.gateway.decisions.question import Transaction
from standing.gateway.decisions.risk import Hold
from standing.gateway.decisions.rules import Decision, Outcome
from standing.gateway.decisions.usage import Reservation
from standing.ledger.attestations.money import limit_word


def to_json(document: dict[str, Any]) -> str:
    """Compact JSON with unescaped text."""
    return orjson.dumps(document).decode()


def reservation_document(reservation: Reservation | None) -> dict[str, Any] | None:
    """A reservation as the API writes it."""
    if reservation is None:
        return None
    return {
        "state": reservation.state.value,
        "amount_minor": reservation.amount_minor,
        "day": reservation.day.isoformat(),
        "expires_at_ms": reservation.expires_at_ms,
        "captured_minor": reservation.captured_minor,
        "refunded_minor": reservation.refunded_minor,
        "settled_at_ms": reservation.settled_at_ms,
    }


def _hold_document(hold: Hold | None) -> dict[str, Any] | None:
    if hold is None:
        return None
    return {"hold_id": hold.hold_id, "rule": hold.rule, "why": asdict(hold.why), "ends_at_ms": hold.ends_at_ms}


#: The review of a decision that waits for staff.
OPEN_REVIEW: dict[str, Any] = {
    "state": "open",
    "outcome": None,
    "message": None,
    "closed_at_ms": None,
    "staleness_ms": None,
    "block_number": None,
    "publication": None,
}


def closed_review_document(
    outcome: Outcome,
    *,
    closed_at_ms: int,
    staleness_ms: int | None,
    block_number: int | None,
    publication: int | None,
) -> dict[str, Any]:
    """A review that has ended, as the API writes it. The read fields are None if it was declined."""
    message = REVIEWED[outcome]
    return {
        "state": "closed",
        "outcome": outcome.value,
        "message": {"en": message.en, "zh": message.zh},
        "closed_at_ms": closed_at_ms,
        "staleness_ms": staleness_ms,
        "block_number": block_number,
        "publication": publication,
    }


def decision_json(
    transaction: Transaction,
    decision: Decision,
    *,
    reservation: Reservation | None,
    block_number: int | None,
    policy_version: str,
    decided_at_ms: int,
    evidence: str,
) -> str:
    """The answer; its fields are described in `gateway.decisions.schemas.DecisionDocument`."""
    remaining = decision.remaining
    message = of_decision(decision.reason, decision.outcome, remaining)
    return to_json(
        {
            "transaction_id": transaction.transaction_id,
            "binding": "0x" + transaction.binding.hex(),
            "kind": transaction.kind.value,
            "amount_minor": transaction.amount_minor,
            "currency": transaction.currency,
            "outcome": decision.outcome.value,
            "reason": decision.reason.value if decision.reason is not None else None,
            "iso20022": decision.iso20022,
            "message": {"en": message.en, "zh": message.zh},
            "staleness_ms": decision.staleness_ms,
            "block_number": block_number,
            "publication": decision.publication,
            "watermark_ms": decision.watermark_ms,
            "remaining": {
                "transaction_limit_minor": limit_word(remaining.transaction_limit_minor),
                "daily_limit_minor": limit_word(remaining.daily_limit_minor),
                "monthly_limit_minor": limit_word(remaining.monthly_limit_minor),
                "yearly_limit_minor": limit_word(remaining.yearly_limit_minor),
            }
            if remaining is not None
            else None,
            "reservation": reservation_document(reservation),
            "hold": _hold_document(decision.hold),
            "review": OPEN_REVIEW if decision.outcome is Outcome.REVIEW else None,
            "policy": policy_version,
            "decided_at_ms": decided_at_ms,
            "evidence": evidence,
        }
    )
