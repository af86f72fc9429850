"""Examples of binding bodies and answers, for OpenAPI."""

from typing import Any

from standing.gateway.bindings.outcome_messages import DEPOSIT_ASKED, GRANTED, LOOKS_MISTYPED, refusal
from standing.ledger.attestations.binding_protocol import Mismatch

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


_OTHER_NAME = Mismatch(field="name", problem="not what the bank has", iso_reason="PN01")

BIND_EXAMPLES: dict[str, Any] = {
    "granted": {
        "summary": "Granted",
        "value": {
            "outcome": "granted",
            "binding": BINDING_EXAMPLE,
            "number_masked": "621661********0000",
            "created_at_ms": 1_767_225_000_000,
            "usable_since_ms": None,
            "mismatches": [],
            "message": {"en": GRANTED.en, "zh": GRANTED.zh},
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
            "usable_since_ms": None,
            "mismatches": [],
            "message": {"en": DEPOSIT_ASKED.en, "zh": DEPOSIT_ASKED.zh},
            "micro_deposit": {"currency": "CNY", "expires_at_ms": 1_767_829_800_000},
        },
    },
    "looks_mistyped": {
        "summary": "Something looks mistyped; the bank was not asked",
        "value": {
            "outcome": "looks_mistyped",
            "binding": None,
            "number_masked": None,
            "created_at_ms": None,
            "usable_since_ms": None,
            "mismatches": [],
            "message": {"en": LOOKS_MISTYPED.en, "zh": LOOKS_MISTYPED.zh},
            "matches": [],
            "hints": [
                {
                    "field": "number",
                    "hint": "check_digit",
                    "message": {
                        "en": "A character of the card or account number may be mistyped: its check digit does not "
                        "match. Please check it; if it is correct, send it as written.",
                        "zh": "卡号或账号的校验位不符，可能有一位输错。请核对；如确认无误，可按原内容提交。",
                    },
                }
            ],
            "micro_deposit": None,
        },
    },
    "refused": {
        "summary": "Refused by the bank: the name is another",
        "value": {
            "outcome": "refused",
            "binding": None,
            "number_masked": None,
            "created_at_ms": None,
            "usable_since_ms": None,
            "mismatches": [_OTHER_NAME.model_dump()],
            "message": {"en": refusal([_OTHER_NAME]).en, "zh": refusal([_OTHER_NAME]).zh},
            "micro_deposit": None,
        },
    },
}
