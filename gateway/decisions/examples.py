"""Examples of bodies and answers, for OpenAPI."""

from typing import Any

from standing.gateway.bindings.examples import BINDING_EXAMPLE
from standing.gateway.decisions.answers import OPEN_REVIEW

_DECISION: dict[str, Any] = {
    "transaction_id": "t-0001",
    "binding": BINDING_EXAMPLE,
    "kind": "payment",
    "amount_minor": 12_50,
    "currency": "CNY",
}

DECISION_REQUEST_EXAMPLES: dict[str, Any] = {
    "payment": {"summary": "A payment of CNY 12.50 out of the account", "value": _DECISION},
    "withdrawal": {
        "summary": "A withdrawal of CNY 300.00 to the account",
        "value": _DECISION | {"transaction_id": "t-0002", "kind": "withdrawal", "amount_minor": 300_00},
    },
}

_POLICY = "checkout-2026-03@5d2f0c1b7a9e4c83b6d1f2a3948576e0"
_READ = {"staleness_ms": 420, "block_number": 1207, "publication": 311, "watermark_ms": 1_767_225_599_580}

DECISION_EXAMPLES: dict[str, Any] = {
    "approved": {
        "summary": "Approved: the amount is reserved",
        "value": {
            **_DECISION,
            "outcome": "approve",
            "reason": None,
            "iso20022": None,
            "message": {"en": "Approved.", "zh": "已通过。"},
            **_READ,
            "remaining": {
                "transaction_limit_minor": 500_000,
                "daily_limit_minor": "none",
                "monthly_limit_minor": "none",
                "yearly_limit_minor": "none",
            },
            "reservation": {
                "state": "reserved",
                "amount_minor": 12_50,
                "day": "2026-01-01",
                "expires_at_ms": 1_767_229_200_000,
                "captured_minor": None,
                "refunded_minor": 0,
                "settled_at_ms": None,
            },
            "hold": None,
            "review": None,
            "policy": _POLICY,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
    "declined": {
        "summary": "Declined: the bank has frozen the account",
        "value": {
            **_DECISION,
            "outcome": "decline",
            "reason": "account_frozen",
            "iso20022": "AC06",
            "message": {"en": "The bank has frozen this account. …", "zh": "该账户已被银行冻结。…"},
            **_READ,
            "remaining": {
                "transaction_limit_minor": 500_000,
                "daily_limit_minor": 2_000_000,
                "monthly_limit_minor": "none",
                "yearly_limit_minor": "none",
            },
            "reservation": None,
            "hold": None,
            "review": None,
            "policy": _POLICY,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
    "review": {
        "summary": "To be reviewed: the ledger gave no answer in time",
        "value": {
            **_DECISION,
            "outcome": "review",
            "reason": "ledger_unreachable",
            "iso20022": None,
            "message": {"en": "The state of the account cannot be checked right now. …", "zh": "暂时无法查询账户状态…"},
            "staleness_ms": None,
            "block_number": None,
            "publication": None,
            "watermark_ms": None,
            "remaining": None,
            "reservation": None,
            "hold": None,
            "review": OPEN_REVIEW,
            "policy": _POLICY,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
}
