"""A platform's requests about bindings."""

from typing import Any

import httpx

from standing.gateway.bindings.outcome_messages import DEPOSIT_ASKED
from tests.gateway.fake_bank import DEPOSIT_LIFETIME_MS
from tests.gateway.gateway_rig import Person, Rig

HOUR_MS = 3_600_000
OTHER = {"holder_name": "司徒测试", "id_document_number": "E99999999", "phone": "+8613900139000"}


def accounts_of(person: Person) -> list[dict[str, Any]]:
    answer = person.rig.platform("GET", f"/v1/users/{person.user_id}/accounts")
    assert answer.status_code == 200
    listed: list[dict[str, Any]] = answer.json()["accounts"]
    return listed


def waiting(a_rig: Rig, **changes: Any) -> Person:
    person = a_rig.person()
    person.bank.deposit_minor = 37
    answer = person.bind(**changes)
    person.bank.deposit_minor = None
    assert answer.status_code == 200
    assert answer.json() == {
        "outcome": "micro_deposit",
        "binding": None,
        "number_masked": None,
        "created_at_ms": None,
        "usable_since_ms": None,
        "mismatches": [],
        "matches": [],
        "hints": [],
        "message": {"en": DEPOSIT_ASKED.en, "zh": DEPOSIT_ASKED.zh},
        "micro_deposit": {"currency": "CNY", "expires_at_ms": a_rig.clock.now_ms() + DEPOSIT_LIFETIME_MS},
        "tries_left": None,
    }
    return person


def confirm(person: Person, amount_minor: int = 37, **changes: Any) -> httpx.Response:
    body = {"bank": person.bank.bic, "user_id": person.user_id, "request_id": f"bind-{person.user_id:0>8}"}
    return person.rig.platform("POST", "/v1/bindings:confirm", json=body | {"amount_minor": amount_minor} | changes)
