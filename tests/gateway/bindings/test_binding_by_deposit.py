"""Binding by micro-deposit, from the platform's side."""

from typing import Any

import pytest
from sqlalchemy import select

from standing.gateway.bindings.identity_change import NewIdentity
from standing.gateway.storage import schema
from standing.ledger.attestations.binding_protocol import BindingAnswer
from tests.console_browser import Browser
from tests.gateway.answers import kind_of
from tests.gateway.bindings.requests import OTHER, accounts_of, confirm, waiting
from tests.gateway.fake_bank import DEPOSIT_LIFETIME_MS
from tests.gateway.gateway_rig import BICS, Rig
from tests.world import wait_until


def test_a_micro_deposit_binding_is_pending_until_the_right_amount_and_refused_for_a_wrong_one(
    a_rig: Rig,
) -> None:
    person = waiting(a_rig)
    listed = a_rig.support("GET", f"/v1/users/{person.user_id}/accounts").json()
    assert listed["accounts"] == []
    assert [(each["request_id"], each["currency"]) for each in listed["pending"]] == [
        (f"bind-{person.user_id:0>8}", "CNY")
    ]
    wrong = confirm(person, 38)
    assert (wrong.status_code, wrong.json()["outcome"], wrong.json()["mismatches"][0]["field"]) == (
        200,
        "refused",
        "amount",
    )
    assert wrong.json()["tries_left"] == 2
    granted = confirm(person)
    assert (granted.status_code, granted.json()["outcome"]) == (201, "granted")
    person.binding = granted.json()["binding"]
    assert person.decide()["outcome"] == "approve"
    again = confirm(person)  # after a lost answer
    seen = {"usable_since_ms": None}  # whether the follower saw the record in the meantime is open
    assert (again.status_code, again.json() | seen) == (200, granted.json() | seen)
    assert a_rig.support("GET", f"/v1/users/{person.user_id}/accounts").json()["pending"] == []


def test_support_sees_at_the_user_that_the_amount_was_wrong_and_when_no_tries_are_left(a_rig: Rig) -> None:
    person, staff = waiting(a_rig), Browser(a_rig.url)
    staff.sign_in(a_rig.keys["support"])
    for amount, left in ((38, 2), (39, 1), (40, 0)):
        assert confirm(person, amount).json()["tries_left"] == left
        text = staff.submit("/console/find", q=person.user_id)
        assert "micro-deposit: not the amount that the bank paid in" in text
        assert ("no tries are left: start again" in text) is (left == 0)
    staff.http.close()


def test_a_request_repeated_while_pending_gets_the_same_answer(a_rig: Rig) -> None:
    person = waiting(a_rig)
    assert person.bind().json()["outcome"] == "micro_deposit"
    assert kind_of(person.bind(user_id="u-other"))[0] == 409
    assert confirm(person).status_code == 201


def test_nobody_else_can_confirm_and_only_a_pending_binding_can_be_confirmed(a_rig: Rig) -> None:
    person = waiting(a_rig)
    others: list[dict[str, Any]] = [{"user_id": "u-other"}, {"request_id": "bind-none-01"}, {"bank": BICS[1]}]
    for change in others:
        assert kind_of(confirm(person, **change)) == (404, "not-found")
    for wrong in ({"amount_minor": 0}, {"amount_minor": 101}, {"amount_minor": "37"}, {"bank": "NOBANK"}):
        assert confirm(person, **wrong).status_code == 422
    person.bank.trouble = "503"
    assert kind_of(confirm(person)) == (503, "bank-node-unreachable")
    person.bank.trouble = None
    assert confirm(person).status_code == 201


def test_a_name_changed_while_the_bank_checks_the_amount_counts(a_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    person = waiting(a_rig)
    gateway = a_rig.app.state.gateway
    ask = gateway.binding_flow._nodes.confirm

    async def confirm_meanwhile(*arguments: Any) -> BindingAnswer:
        await gateway.identity_change.apply(person.user_id, NewIdentity.parse(OTHER["holder_name"], None, None))
        answer: BindingAnswer = await ask(*arguments)
        return answer

    monkeypatch.setattr(gateway.binding_flow._nodes, "confirm", confirm_meanwhile)
    person.binding = confirm(person).json()["binding"]
    assert person.decide()["reason"] == "name_changed"


@pytest.mark.parametrize(("answered_after_ms", "status"), [(60_000, 201), (3_600_000, 404)])
def test_an_amount_stated_in_time_counts_although_the_bank_answers_after_the_deposit_has_expired(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch, answered_after_ms: int, status: int
) -> None:
    person = waiting(a_rig)
    flow = a_rig.app.state.gateway.binding_flow
    ask = flow._nodes.confirm

    async def answer_late(*arguments: Any) -> BindingAnswer:
        answer: BindingAnswer = await ask(*arguments)
        a_rig.clock.advance(DEPOSIT_LIFETIME_MS + answered_after_ms)
        flow.forget_expired()  # as another user's request for a deposit does
        return answer

    monkeypatch.setattr(flow._nodes, "confirm", answer_late)
    assert confirm(person).status_code == status


def test_a_bank_that_lost_its_deposit_and_pays_another_is_sent_the_amount_of_the_new_one(a_rig: Rig) -> None:
    person = waiting(a_rig)
    person.bank.deposits.clear()
    person.bank.asked.clear()
    person.bank.deposit_minor = 58
    assert person.bind().json()["outcome"] == "micro_deposit"
    person.bank.deposit_minor = None
    assert confirm(person, 58).status_code == 201


def test_a_confirmation_repeated_after_its_binding_has_ended_does_not_call_it_granted(a_rig: Rig) -> None:
    person = waiting(a_rig)
    binding = confirm(person).json()["binding"]
    assert a_rig.platform("DELETE", f"/v1/bindings/{binding}").status_code == 204
    assert kind_of(confirm(person)) == kind_of(person.bind()) == (409, "conflict")


@pytest.mark.parametrize("next_one", ["deposit", "binding"])
def test_a_deposit_never_confirmed_is_forgotten_with_its_identity(a_rig: Rig, next_one: str) -> None:
    person = waiting(a_rig)
    a_rig.clock.advance(DEPOSIT_LIFETIME_MS)
    a_rig.heartbeat()
    assert kind_of(confirm(person)) == (404, "not-found")
    a_rig.clock.advance(3_600_000)  # kept so long for a confirmation that is at the bank
    a_rig.heartbeat()
    if next_one == "deposit":
        other = waiting(a_rig)
    else:
        other = a_rig.person()
        assert other.bind().status_code == 201
    with a_rig.app.state.gateway.storage.read() as connection:
        users = connection.scalars(select(schema.pending_bindings.c.user_id)).all()
    assert person.user_id not in users
    assert (other.user_id in users) is (next_one == "deposit")


def test_a_confirmed_deposit_keeps_no_identity(a_rig: Rig) -> None:
    person = waiting(a_rig)
    assert confirm(person).status_code == 201
    table = schema.pending_bindings.c
    with a_rig.app.state.gateway.storage.read() as connection:
        kept = connection.scalars(select(table.identity_sealed).where(table.user_id == person.user_id)).all()
    assert kept == [None]


def test_a_phone_the_bank_does_not_vouch_for_is_taken_from_its_first_attestation_and_later_changes_are_seen(
    a_rig: Rig,
) -> None:
    person = waiting(a_rig, phone="+8613900139000")  # not the phone that the bank has
    person.binding = confirm(person).json()["binding"]
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert live["terms"]["identity"] == {"name": "same", "id_document": "same", "phone": "same"}
    assert [account["health"] for account in accounts_of(person)] == ["good"]
    assert person.decide()["outcome"] == "approve"
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update={"phone": "+8613700137000"}))
    assert person.decide()["reason"] == "phone_changed"


def test_a_change_before_the_first_decision_is_a_change_also_of_a_field_the_bank_did_not_vouch_for(
    a_rig: Rig,
) -> None:
    """It must not pass for the user's own phone because nothing was decided on the first attestation."""
    person = waiting(a_rig, phone="+8613900139000")  # not the phone that the bank has
    person.binding = confirm(person).json()["binding"]
    path = f"/v1/bindings/{person.binding}"
    wait_until(lambda: a_rig.platform("GET", path).json()["usable_since_ms"] is not None)
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update={"phone": "+8613700137000"}))
    assert person.decide()["reason"] == "phone_changed"
    person.bank.change(person.number, holder=holder)
    assert person.decide()["outcome"] == "approve"
