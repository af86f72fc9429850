"""Binding with a real bank node behind it: micro-deposit, a new name at the bank, resync. Both sides, over HTTP."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.world import ACCOUNT, CLAIM_FIELDS, Bank, Platform, World, wait_until

_CLAIM = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
_NUMBER = ACCOUNT["number"]
_REQUEST = "bind-u-001-0001"
_OTHER_PHONE = "+8613800138000"


def _bank(a_world: World, policy: str, folder: Path) -> Bank:
    folder.mkdir()
    bank = a_world.start_bank(micro_deposit={"policy": policy, "payout_folder": folder})
    bank.change(ACCOUNT)
    return bank


def _paid(folder: Path) -> int:
    """The amount that the bank's payment system is instructed to pay in."""
    wait_until(lambda: list(folder.glob("payouts-*.jsonl")))
    (line,) = [line for file in folder.glob("payouts-*.jsonl") for line in file.read_text().splitlines()]
    amount_minor: int = json.loads(line)["amount_minor"]
    return amount_minor


def _confirm(platform: Platform, bank: Bank, amount_minor: int) -> httpx.Response:
    body = {"bank": bank.bic, "user_id": "u-001", "request_id": _REQUEST, "amount_minor": amount_minor}
    return platform.post("/v1/bindings:confirm", json=body)


def _readable(platform: Platform, binding: str) -> str:
    wait_until(lambda: platform.get(f"/v1/bindings/{binding}").json()["publication"])
    return binding


@pytest.mark.long
@pytest.mark.parametrize(("policy", "phone"), [("always", ACCOUNT["phone"]), ("phone_differs", _OTHER_PHONE)])
def test_a_micro_deposit_from_the_request_to_the_first_payment(
    a_world: World, tmp_path: Path, policy: str, phone: str
) -> None:
    payouts = tmp_path / "payouts"
    bank = _bank(a_world, policy, payouts)
    platform = a_world.start_platform()
    asked = platform.ask_to_bind(bank.bic, request_id=_REQUEST, phone=phone)
    assert (asked.status_code, asked.json()["outcome"]) == (200, "micro_deposit")
    amount_minor = _paid(payouts)
    wrong = _confirm(platform, bank, amount_minor % 100 + 1).json()
    assert (wrong["outcome"], wrong["mismatches"][0]["field"]) == ("refused", "amount")
    granted = _confirm(platform, bank, amount_minor)
    assert (granted.status_code, granted.json()["outcome"]) == (201, "granted")
    binding = _readable(platform, granted.json()["binding"])
    assert platform.decide(binding)["outcome"] == "approve"
    # A change of the phone is seen from the first attestation on, regardless of the phone stated.
    bank.change({"number": _NUMBER, "phone": "+8613700137000"})
    assert platform.decide(binding)["reason"] == "phone_changed"


@pytest.mark.long
def test_a_user_with_a_new_name_at_the_bank_binds_again_and_keeps_the_daily_usage(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change({**ACCOUNT, "daily_limit_minor": 1_000})
    platform = a_world.start_platform()
    old = platform.bind(bank.bic)
    assert platform.decide(old, 600)["outcome"] == "approve"
    bank.change({"number": _NUMBER, "holder_name": "诸葛松"})
    assert platform.decide(old)["reason"] == "name_changed"
    body: dict[str, Any] = {"request_id": "rebind-u-001-01", "reason": "New name, ticket 4711", **_CLAIM}
    refused = platform.post(f"/v1/bindings/{old}/rebind", json=body)
    assert (refused.json()["outcome"], refused.json()["mismatches"][0]["field"]) == ("refused", "name")
    granted = platform.post(f"/v1/bindings/{old}/rebind", json=body | {"holder_name": "诸葛松"})
    assert granted.status_code == 201, granted.text
    new = _readable(platform, granted.json()["binding"])
    assert platform.decide(new, 401)["reason"] == "over_daily_limit"
    assert platform.decide(new, 400)["outcome"] == "approve"
    assert platform.decide(old, 1)["reason"] == "unbound"


@pytest.mark.long
def test_a_new_name_on_the_platform_is_compared_with_the_banks_from_then_on(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    platform = a_world.start_platform()
    binding = platform.bind(bank.bic)
    bank.change({"number": _NUMBER, "holder_name": "诸葛松"})
    assert platform.decide(binding)["reason"] == "name_changed"
    headers = {"Authorization": f"Bearer {platform.key}"}
    body = {"holder_name": "诸葛 松", "reason": "Changed in the app"}
    answer = httpx.put(f"{platform.url}/v1/users/u-001/identity", json=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"bindings": 1})
    assert platform.decide(binding)["outcome"] == "approve"


@pytest.mark.long
def test_resync_makes_the_bank_publish_again(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    platform = a_world.start_platform()
    binding = platform.bind(bank.bic)
    before = platform.get(f"/v1/bindings/{binding}").json()["publication"]
    # Until the node has seen it in a block, the newest attestation is still in flight and a resync adds nothing.
    bank.wait_until_published()
    answer = platform.post(f"/v1/bindings/{binding}/resync", json={"reason": "Ticket 4711"})
    assert (answer.status_code, answer.json()) == (200, {"queued": True})
    wait_until(lambda: platform.get(f"/v1/bindings/{binding}").json()["publication"] > before)
    assert platform.decide(binding)["outcome"] == "approve"
