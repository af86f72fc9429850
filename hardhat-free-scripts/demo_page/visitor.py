"""The account that a visitor of the page plays with, at a bank of its own, so that the demo's day is not disturbed."""

from typing import Any

import httpx

from demo_day import PATIENCE_S, DayWentWrong, wait_for
from localnet import LocalBank, LocalNet
from standing.ledger.clock import SystemClock

BIC = "QINGCNB0"
NAME = {"en": "Qinglan Bank (invented)", "zh": "青岚银行（虚构）"}
USER = "visitor"
LIMIT_MINOR = 500_000
LOW_LIMIT_MINOR = 10_000
PHONE = "+8613900139000"
NEW_PHONE = "+8613800138000"

#: As the core states it when the demo starts. Invented; its numbers are valid in form only.
ACCOUNT: dict[str, Any] = {
    "number": "9156037044125867",
    "number_type": "card",
    "status": "active",
    "debit_allowed": True,
    "credit_allowed": True,
    "currency": "CNY",
    "transaction_limit_minor": LIMIT_MINOR,
    "daily_limit_minor": "none",
    "holder_name": "林晓",
    "id_document_scheme": "NIDN",
    "id_document_country": "CN",
    "id_document_number": "110101199203140029",
    "phone": PHONE,
}
#: The claim that its holder enters to bind it.
CLAIM = {
    name: ACCOUNT[name]
    for name in (
        "number",
        "number_type",
        "holder_name",
        "id_document_scheme",
        "id_document_country",
        "id_document_number",
        "phone",
    )
}


def open_account(net: LocalNet, bank: LocalBank) -> str:
    """Have the core state the account, and its holder bind it. Returns: the binding. Raises: DayWentWrong."""
    clock = SystemClock()
    core = {"Authorization": f"Bearer {bank.core_key}"}

    def state(*changes: dict[str, Any]) -> None:
        as_of_ms = clock.now_ms()
        entry = {"as_of_ms": as_of_ms, "changes": [{"effective_at_ms": as_of_ms, **change} for change in changes]}
        fed = httpx.post(f"{bank.url}/v1/feed", headers=core, json=entry, timeout=PATIENCE_S)
        if not fed.is_success:
            raise DayWentWrong(f"the visitor's bank refused a feed entry: {fed.text}")

    state(ACCOUNT)
    platform = {"Authorization": f"Bearer {net.gateway_key}"}
    body = {"user_id": USER, "bank": bank.bic, "request_id": f"bind-{USER}", **CLAIM}
    with httpx.Client(base_url=net.gateway_url, headers=platform, timeout=PATIENCE_S) as gateway:
        bound = gateway.post("/v1/bindings", json=body)
        if not bound.is_success or bound.json()["binding"] is None:
            raise DayWentWrong(f"the visitor's account is not bound: {bound.text}")
        binding = str(bound.json()["binding"])

        def published() -> bool:
            state()  # a binding is published with the core's next entry
            return gateway.get(f"/v1/bindings/{binding}").json().get("publication") is not None

        wait_for(published, "the first attestation of the visitor's account")
    return binding
