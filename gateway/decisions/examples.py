"""Examples of bodies and answers, for OpenAPI."""

from typing import Any

BINDING_EXAMPLE = "0x4f2d8a6c1be09d73a5c4e8f7061b2d3c9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b"

CLAIM_EXAMPLE: dict[str, Any] = {
    "bank": "BKCHCNBJ",
    "user_id": "u-001",
    "request_id": "bind-u-001-0001",
    "number": "6216 6100 0000 0000 00",
    "number_type": "card",
    "holder_name": "张伟",
    "id_document_scheme": "NIDN",
    "id_document_country": "CN",
    "id_document_number": "11010519491231002X",
    "phone": "+86 138 0013 8000",
}

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
            "remaining": {"transaction_limit_minor": 500_000, "daily_limit_minor": "none"},
            "reservation": {
                "state": "reserved",
                "amount_minor": 12_50,
                "day": "2026-01-01",
                "expires_at_ms": 1_767_229_200_000,
                "captured_minor": None,
                "refunded_minor": 0,
            },
            "hold": None,
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
            "remaining": {"transaction_limit_minor": 500_000, "daily_limit_minor": 2_000_000},
            "reservation": None,
            "hold": None,
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
            "policy": _POLICY,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
}


BIND_EXAMPLES: dict[str, Any] = {
    "granted": {
        "summary": "Granted",
        "value": {
            "outcome": "granted",
            "binding": BINDING_EXAMPLE,
            "number_masked": "621661********0000",
            "created_at_ms": 1_767_225_000_000,
            "mismatches": [],
            "micro_deposit": None,
        },
    },
    "micro_deposit": {
        "summary": "The bank pays a small amount in, and the user is to name it",
        "value": {
            "outcome": "micro_deposit",
            "binding": None,
            "number_masked": None,
            "created_at_ms": None,
            "mismatches": [],
            "micro_deposit": {"currency": "CNY", "expires_at_ms": 1_767_829_800_000},
        },
    },
    "refused": {
        "summary": "Refused by the bank: the name is another",
        "value": {
            "outcome": "refused",
            "binding": None,
            "number_masked": None,
            "created_at_ms": None,
            "mismatches": [{"field": "name", "problem": "not what the bank has", "iso_reason": "PN01"}],
            "micro_deposit": None,
        },
    },
}
