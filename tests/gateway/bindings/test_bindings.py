"""Binding at a bank's node: storage, refusals, and the end of a binding."""

from typing import get_args

import pytest
from sqlalchemy import select

from standing.gateway.bindings.outcome_messages import GRANTED, refusal
from standing.gateway.bindings.service import mask
from standing.gateway.storage import schema
from standing.ledger.attestations.binding_protocol import Mismatch
from standing.ledger.chain import governance
from standing.ledger.service.database import Database
from tests.gateway.gateway_rig import BICS, GUARDIAN, REGISTRAR, Person, Rig


def stored(rig: Rig, person: Person) -> list[str]:
    """The user's bindings as the gateway lists them; empty for an unknown user."""
    listed = rig.support("GET", f"/v1/bindings?user_id={person.user_id}")
    if listed.status_code == 404:
        assert listed.json()["type"] == problem("not-found")
        return []
    assert listed.status_code == 200
    return [binding["binding"] for binding in listed.json()["bindings"]]


def problem(answer_type: str) -> str:
    return f"urn:standing:problem:{answer_type}"


def test_an_account_is_bound_looked_up_and_read(a_rig: Rig) -> None:
    person = a_rig.person(transaction_limit_minor=700, daily_limit_minor=2**64 - 1, credit_allowed=False)
    answer = person.bind()
    assert answer.status_code == 201
    granted = answer.json()
    number = person.number
    assert granted == {
        "outcome": "granted",
        "binding": granted["binding"],
        "number_masked": number[:6] + "******" + number[-4:],
        "created_at_ms": a_rig.clock.now_ms(),
        "usable_since_ms": None,
        "mismatches": [],
        "matches": [],
        "hints": [],
        "message": {"en": GRANTED.en, "zh": GRANTED.zh},
        "micro_deposit": None,
        "tries_left": None,
    }
    assert stored(a_rig, person) == [granted["binding"]]
    live = a_rig.support("GET", f"/v1/bindings/{granted['binding']}").json()
    assert live["terms"] == {
        "status": "active",
        "debit_allowed": True,
        "credit_allowed": False,
        "currency": "CNY",
        "transaction_limit_minor": 700,
        "daily_limit_minor": "none",
        "monthly_limit_minor": "none",
        "yearly_limit_minor": "none",
        "daily_credit_limit_minor": "none",
        "yearly_credit_limit_minor": "none",
        "account_class": None,
        "holder": "person",
        "identity": {"name": "same", "id_document": "same", "phone": "same"},
    }
    assert (live["problem"], live["bank_suspended"], live["ended_at_ms"]) == (None, False, None)
    assert live["publication"] == person.bank.number
    assert live["watermark_ms"] == live["effective_at_ms"] == a_rig.clock.now_ms()


def test_reading_a_binding_shows_the_current_state_of_the_ledger(a_rig: Rig) -> None:
    person = a_rig.bound()
    holder = person.bank.accounts[person.number].holder.model_copy(update={"holder_name": "别人"})
    person.bank.change(person.number, debit_allowed=False, holder=holder)
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert live["terms"]["debit_allowed"] is False
    assert live["terms"]["identity"] == {"name": "changed", "id_document": "same", "phone": "same"}
    a_rig.chain.down = True
    assert a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()["type"] == problem("ledger-unreachable")


def test_a_record_that_does_not_open_is_reported_as_unreadable(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]), terms=b"\x55" * 32)
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert (live["problem"], live["terms"]) == ("attestation_unreadable", None)
    assert person.decide()["reason"] == "attestation_unreadable"


def test_a_request_repeated_after_a_lost_answer_gets_the_same_binding(a_rig: Rig) -> None:
    person = a_rig.person()
    first, again = person.bind(), person.bind()
    assert (first.status_code, again.status_code) == (201, 200)
    # The bank's first attestation may have arrived in between.
    assert first.json() | {"usable_since_ms": None} == again.json() | {"usable_since_ms": None}
    assert len(stored(a_rig, person)) == 1


def test_a_request_id_with_another_claim_or_user_is_a_conflict(a_rig: Rig) -> None:
    person = a_rig.bound()
    for change in ({"user_id": "u-other"}, {"phone": "+8613900000000"}):
        answer = person.bind(**change)
        assert (answer.status_code, answer.json()["type"]) == (409, problem("conflict"))
    assert stored(a_rig, person) == [person.binding]


def test_mismatches_are_reported_by_field_and_nothing_is_stored(a_rig: Rig) -> None:
    person = a_rig.person()
    answer = person.bind(holder_name="另一个人")
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "refused"
    assert answer.json()["mismatches"] == [{"field": "name", "problem": "differs", "iso_reason": None}]
    assert stored(a_rig, person) == []


def test_binding_an_account_twice_is_refused(a_rig: Rig) -> None:
    person = a_rig.bound()
    answer = person.bind(request_id="another-request")
    assert (answer.status_code, answer.json()["type"]) == (409, problem("already-bound"))
    assert stored(a_rig, person) == [person.binding]


@pytest.mark.parametrize("trouble", ["wrong signer", "wrong bank", "wrong platform", "wrong key"])
def test_an_invalid_grant_is_not_stored(a_rig: Rig, trouble: str) -> None:
    person = a_rig.person()
    person.bank.trouble = trouble
    answer = person.bind()
    assert (answer.status_code, answer.json()["type"]) == (502, problem("grant-not-trusted"))
    assert stored(a_rig, person) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("trouble", "status", "problem_type"),
    [
        ("500", 503, "bank-node-unreachable"),
        ("503", 503, "bank-node-unreachable"),
        ("429", 503, "bank-node-unreachable"),
        ("401", 502, "bank-node-refused"),
        ("403", 502, "bank-node-refused"),
        ("404", 502, "bank-node-refused"),
        ("301", 502, "bank-node-refused"),
        ("422", 422, "invalid-value"),
        ("409", 409, "conflict"),
        ("garbage", 502, "bank-node-refused"),
        ("flood", 502, "bank-node-refused"),
    ],
)
def test_trouble_at_the_banks_node_is_reported_and_nothing_is_stored(
    a_rig: Rig, trouble: str, status: int, problem_type: str
) -> None:
    person = a_rig.person()
    person.bank.trouble = trouble
    answer = person.bind()
    assert (answer.status_code, answer.json()["type"]) == (status, problem(problem_type))
    assert stored(a_rig, person) == []
    person.bank.trouble = None
    assert person.bind().status_code == 201


def test_a_bank_suspended_on_the_ledger_refuses_bindings_and_declines_payments(a_rig: Rig) -> None:
    person, late = a_rig.bound(BICS[1]), a_rig.person(BICS[1])
    governance.execute(a_rig.ledger, governance.suspend(BICS[1]), GUARDIAN)
    answer = late.bind()
    assert (answer.status_code, answer.json()["type"]) == (409, problem("bank-not-usable"))
    assert person.decide()["reason"] == "bank_suspended"
    assert a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()["bank_suspended"] is True
    banks = {bank["bic"]: bank["suspended"] for bank in a_rig.platform("GET", "/v1/banks").json()["banks"]}
    assert banks == {BICS[0]: False, BICS[1]: True}
    reinstated = governance.reinstate(BICS[1], person.bank.signer.address, person.bank.signer.address)
    governance.execute(a_rig.ledger, reinstated, REGISTRAR)
    assert late.bind().status_code == 201


def test_with_the_ledger_down_the_bank_is_not_called(a_rig: Rig) -> None:
    person = a_rig.person()
    a_rig.chain.down = True
    answer = person.bind()
    assert (answer.status_code, answer.json()["type"]) == (503, problem("ledger-unreachable"))
    assert not any(number == person.number for number in person.bank.bindings.values())
    a_rig.chain.down = False
    assert person.bind().status_code == 201


def test_ending_a_binding_takes_effect_here_at_once_and_at_the_bank(a_rig: Rig) -> None:
    person = a_rig.bound()
    for _ in range(2):
        assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert person.decide()["reason"] == "unbound"
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert live["terms"]["status"] == "unbound"
    assert live["ended_at_ms"] == live["bank_notified_at_ms"] == a_rig.clock.now_ms()
    assert person.bind().json()["type"] == problem("conflict")  # the old request's binding has ended
    assert person.bind(request_id="bind-again-1").status_code == 201


def test_an_end_that_cannot_reach_the_bank_takes_effect_here_and_can_be_repeated(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.trouble = "503"
    answer = a_rig.platform("DELETE", f"/v1/bindings/{person.binding}")
    assert (answer.status_code, answer.json()["type"]) == (503, problem("bank-node-unreachable"))
    assert person.decide()["reason"] == "unbound"  # although the bank's attestation is still active
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert (live["terms"]["status"], live["bank_notified_at_ms"]) == ("active", None)
    ended_at_ms = live["ended_at_ms"]
    person.bank.trouble = None
    a_rig.clock.advance(5)
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert (live["ended_at_ms"], live["bank_notified_at_ms"]) == (ended_at_ms, ended_at_ms + 5)


def test_a_binding_the_bank_has_forgotten_can_still_be_ended(a_rig: Rig) -> None:
    person = a_rig.bound()
    del person.bank.bindings[bytes.fromhex(person.binding[2:])]
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert person.decide()["reason"] == "unbound"


def test_a_stored_binding_holds_no_personal_data_in_clear(a_rig: Rig) -> None:
    person = a_rig.bound()
    database = Database(a_rig.settings.database_url)
    with database.read() as connection:
        row = connection.execute(
            select(schema.bindings).where(schema.bindings.c.binding == bytes.fromhex(person.binding[2:]))
        ).one()
    database.close()
    key = person.bank.key(row.binding)
    assert key not in row.key_sealed
    assert len(row.tags) == 9
    assert person.number.encode() not in row.account


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("9156023807855775", "915602******5775"),
        ("9156010708800389733", "915601*********9733"),
        ("123456789012345", "123456*****2345"),
        ("12345678901234", "**********1234"),
        ("123456789", "*****6789"),
        ("12345678", "********"),
        ("1234", "****"),
    ],
)
def test_an_account_number_shows_at_most_its_first_6_and_last_4_digits(number: str, masked: str) -> None:
    assert mask(number) == masked


def test_a_refused_user_reads_the_mismatch_in_both_languages(a_rig: Rig) -> None:
    person = a_rig.person()
    answer = person.bind(holder_name="另一个人名", phone="+8613900139000").json()
    assert [each["field"] for each in answer["mismatches"]] == ["name", "phone"]
    assert answer["message"]["en"].count("is not the one that the bank has") == 2
    assert answer["message"]["zh"].startswith("姓名与银行登记的户名不一致。")
    assert "手机号与银行预留的不一致" in answer["message"]["zh"]


def test_every_field_a_bank_may_refuse_has_a_message() -> None:
    fields = get_args(Mismatch.model_fields["field"].annotation)
    messages = {refusal([Mismatch(field=field, problem="differs")]).zh for field in fields}
    assert len(messages) == len(fields)
    assert refusal([]).zh not in messages


def test_a_bank_that_grants_another_banks_binding_is_not_trusted(a_rig: Rig) -> None:
    """It can read the id on the ledger. Its user would be told that the other account is the one that was bound."""
    person, other = a_rig.bound(), a_rig.person(BICS[1])
    other.bank.next_binding = bytes.fromhex(person.binding[2:])
    refused = other.bind(user_id=person.user_id)
    assert (refused.status_code, refused.json()["type"]) == (502, problem("grant-not-trusted"))
    assert stored(a_rig, person) == [person.binding]
