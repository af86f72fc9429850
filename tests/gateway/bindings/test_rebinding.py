"""Binding an account again, from the platform's side."""

from typing import Any

import httpx
import pytest

from standing.gateway.errors import BankNodeUnreachable
from tests.gateway.answers import kind_of
from tests.gateway.bindings.requests import OTHER, accounts_of, confirm
from tests.gateway.gateway_rig import Person, Rig


def rebind(person: Person, binding: str, **changes: Any) -> httpx.Response:
    body = {"request_id": f"again-{person.user_id:0>8}", "reason": "The user has a new name", **person.claim}
    return person.rig.support("POST", f"/v1/bindings/{binding}/rebind", json=body | changes)


def _renamed(person: Person) -> None:
    person.claim["holder_name"] = OTHER["holder_name"]
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update={"holder_name": OTHER["holder_name"]}))


def test_a_user_with_a_new_name_at_the_bank_rebinds_and_keeps_the_daily_usage(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_500)
    person.decide()
    _renamed(person)
    assert person.decide()["reason"] == "name_changed"
    old = person.binding
    answer = rebind(person, old)
    assert (answer.status_code, answer.json()["outcome"]) == (201, "granted")
    person.binding = answer.json()["binding"]
    assert person.binding != old
    assert person.decide(amount_minor=501)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=500)["outcome"] == "approve"
    assert person.decide(binding=old)["reason"] == "unbound"
    again = rebind(person, old)  # after a lost answer
    assert (again.status_code, again.json()["binding"]) == (200, person.binding)
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]


def test_a_refused_rebinding_leaves_the_old_binding_unchanged(a_rig: Rig) -> None:
    person = a_rig.bound()
    answer = rebind(person, person.binding, holder_name=OTHER["holder_name"])
    assert (answer.status_code, answer.json()["outcome"]) == (200, "refused")
    assert person.decide()["outcome"] == "approve"


def test_rebinding_is_for_the_same_account_only(a_rig: Rig) -> None:
    person, other = a_rig.bound(), a_rig.person()
    answer = rebind(person, person.binding, number=other.number)
    assert (*kind_of(answer), answer.json()["errors"][0]["field"]) == (422, "invalid-value", "number")
    assert person.decide()["outcome"] == "approve"
    assert kind_of(rebind(person, "0x" + "11" * 32)) == (404, "not-found")


def test_a_rebinding_interrupted_by_a_lost_bank_can_be_repeated(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.trouble = "503"
    assert kind_of(rebind(person, person.binding)) == (503, "bank-node-unreachable")
    person.bank.trouble = None
    assert person.decide()["outcome"] == "approve"
    assert rebind(person, person.binding).status_code == 201


def _pending_rebinding(it: Rig) -> Person:
    person = it.bound(daily_limit_minor=1_500)
    person.bank.deposit_minor = 37
    answer = rebind(person, person.binding)
    person.bank.deposit_minor = None
    assert (answer.status_code, answer.json()["outcome"]) == (200, "micro_deposit")
    return person


def test_a_rebinding_by_micro_deposit_keeps_the_old_binding_until_it_is_confirmed(a_rig: Rig) -> None:
    person = _pending_rebinding(a_rig)
    old, request_id = person.binding, f"again-{person.user_id:0>8}"
    assert confirm(person, request_id=request_id, amount_minor=38).json()["outcome"] == "refused"
    assert [account["binding"] for account in accounts_of(person)] == [old]
    assert person.decide(amount_minor=1_000)["outcome"] == "approve"
    granted = confirm(person, request_id=request_id)
    assert granted.status_code == 201
    person.binding = granted.json()["binding"]
    assert person.binding != old
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]
    assert person.decide(binding=old, amount_minor=1)["reason"] == "unbound"
    assert person.decide(amount_minor=501)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=500)["outcome"] == "approve"


def test_a_gateway_stopped_between_the_grant_and_the_end_of_the_old_binding_ends_it_on_the_repeat(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = _pending_rebinding(a_rig)
    old, request_id = person.binding, f"again-{person.user_id:0>8}"

    async def stops(_binding: bytes) -> None:
        raise BankNodeUnreachable("the gateway stops here")

    with monkeypatch.context() as patch:
        patch.setattr(a_rig.app.state.gateway.binding_flow._bindings, "end", stops)
        assert confirm(person, request_id=request_id).status_code == 503
    assert person.decide(binding=old)["reason"] == "unbound"  # the bank ended it in the same step as the grant
    again = confirm(person, request_id=request_id)
    assert again.status_code == 200
    person.binding = again.json()["binding"]
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]
    assert person.decide()["outcome"] == "approve"


def test_an_ended_binding_can_be_bound_again_too(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert rebind(person, person.binding).status_code == 201


def test_resync_restores_a_record_that_does_not_open(a_rig: Rig) -> None:
    person = a_rig.bound()
    raw = bytes.fromhex(person.binding[2:])
    person.bank.publish(raw, terms=b"\x55" * 32)
    assert person.decide()["reason"] == "attestation_unreadable"
    path = f"/v1/bindings/{person.binding}/resync"
    answer = a_rig.support("POST", path, json={"reason": "Ticket 4711"})
    assert (answer.status_code, answer.json()) == (200, {"queued": True})
    assert person.decide()["outcome"] == "approve"
    for wrong in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 301}, {"reason": "good", "more": 1}):
        assert a_rig.support("POST", path, json=wrong).status_code == 422
    person.bank.trouble = "too many"
    limited = a_rig.support("POST", path, json={"reason": "Ticket 4712"})
    assert kind_of(limited) == (429, "too-many-attempts")
    assert limited.headers["retry-after"] == "77"
    person.bank.trouble = None
    del person.bank.bindings[raw]
    assert kind_of(a_rig.support("POST", path, json={"reason": "Ticket 4713"})) == (404, "not-found")
