"""A hold lifted by proof: only by the bank's own fresh certificate, and nothing but the hold is lifted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from standing.gateway.decisions.habit_rules import EarlyWithdrawalRule
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.risk import NewBindingRule
from standing.gateway.storage import schema
from standing.ledger.attestations.certificate import CertificateDocument
from standing.ledger.attestations.terms import Status
from tests.gateway.fake_bank import CERTIFICATE_TROUBLES
from tests.gateway.gateway_rig import Person, Rig, rig

LIFTED = NewBindingRule(
    name="first-day", currency="CNY", rule="new_binding", over_minor=1_000, within_hours=24, lift_by_proof=True
)
BY_STAFF = EarlyWithdrawalRule(
    name="early", currency="CNY", rule="early_withdrawal", kinds=("withdrawal",), within_minutes=600
)
WHY = {"reason": "The user confirms the payment"}
_FAULTS = {
    "replayed": "other_challenge",
    "another bank's key": "not_signed_by_the_bank",
    "changed after it was signed": "not_signed_by_the_bank",
    "of another bank": "other_bank",
    "of no bank": "other_bank",
    "of another binding": "other_binding",
    "for another platform": "other_platform",
    "to another question": "other_challenge",
    "expired": "expired",
    "for ever": "lasts_too_long",
    "from the future": "from_the_future",
    "of a silent core": "core_silent",
    "of another holder": "other_holder",
}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("proof")
    with rig(folder, policy=Policy(risk=(LIFTED, BY_STAFF)), warning={"every_minutes": "never"}) as made:
        yield made


def _held(it: Rig, **changes: Any) -> tuple[Person, str]:
    person = it.bound()
    decided = person.decide(**{"amount_minor": 5_000} | changes)
    assert (decided["outcome"], decided["reason"]) == ("review", "risk_hold")
    return person, decided["hold"]["hold_id"]


def _prove(it: Rig, hold_id: str) -> httpx.Response:
    return it.platform("POST", f"/v1/holds/{hold_id}/prove", json=WHY)


def _hold(it: Rig, person: Person) -> Any:
    (hold,) = it.platform("GET", f"/v1/holds?binding={person.binding}").json()["holds"]
    return hold


def test_a_fresh_certificate_of_the_bank_lifts_a_hold_and_anyone_can_verify_it(it: Rig) -> None:
    person, hold_id = _held(it)
    answer = _prove(it, hold_id)
    assert answer.status_code == 200, answer.text
    proof = answer.json()
    assert proof["hold"]["lifted_at_ms"] == it.clock.now_ms()
    assert proof["hold"]["lifted_by"] == "(the bank's certificate)"
    certificate = CertificateDocument(**proof["certificate"]).certificate()
    assert (certificate.signer, certificate.binding.hex()) == (person.bank.signer.address, person.binding[2:])
    assert person.decide(amount_minor=5_000)["outcome"] == "approve"
    (act,) = it.client("admin")("GET", f"/v1/audit?subject={hold_id}").json()["entries"]
    assert (act["action"], act["reason"], act["outcome"]) == ("prove_hold", WHY["reason"], "done")


@pytest.mark.parametrize("over", ["lifted_at_ms", "ends_at_ms"])
def test_a_hold_that_was_lifted_or_has_ended_costs_the_bank_no_certificate(it: Rig, over: str) -> None:
    person, hold_id = _held(it)
    this = update(schema.holds).where(schema.holds.c.hold_id == hold_id)
    with it.app.state.gateway.storage.write() as connection:
        connection.execute(this.values({over: it.clock.now_ms()}))
    certified = len(person.bank.certified)
    answer = _prove(it, hold_id)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:already-lifted")
    assert len(person.bank.certified) == certified


def test_a_tag_that_the_bank_did_not_vouch_for_is_no_fault_of_its_certificate(it: Rig) -> None:
    """The user typed it, as a phone number that the bank has not stored, and the bank may state another by now."""
    person, hold_id = _held(it)
    its_own = schema.bindings.c.binding == bytes.fromhex(person.binding[2:])
    with it.app.state.gateway.storage.write() as connection:
        tags = connection.execute(select(schema.bindings.c.tags).where(its_own)).scalar_one()
        typed = update(schema.bindings).where(its_own).values(tags=tags[:6] + b"usr", unvouched="phone")
        connection.execute(typed)
    assert _prove(it, hold_id).status_code == 200


def test_a_lifted_hold_approves_nothing_that_the_ledger_does_not(it: Rig) -> None:
    person, hold_id = _held(it)
    assert _prove(it, hold_id).status_code == 200
    assert person.decide(amount_minor=2_000_001)["reason"] == "over_transaction_limit"
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    assert person.decide(amount_minor=5_000)["reason"] == "account_frozen"


def test_every_fault_of_a_certificate_is_in_the_table() -> None:
    assert _FAULTS.keys() == CERTIFICATE_TROUBLES.keys()


@pytest.mark.parametrize(("trouble", "fault"), _FAULTS.items())
def test_anything_but_the_banks_fresh_certificate_for_this_binding_lifts_nothing(
    it: Rig, trouble: str, fault: str
) -> None:
    person, hold_id = _held(it)
    person.bank.trouble = "of a silent core"
    try:
        assert _prove(it, hold_id).status_code == 502  # a certificate of this binding that could be replayed
        person.bank.trouble = trouble
        answer = _prove(it, hold_id)
    finally:
        person.bank.trouble = None
    assert (answer.status_code, answer.json()["type"]) == (502, "urn:standing:problem:certificate-not-trusted")
    assert fault in answer.json()["detail"]
    assert _hold(it, person)["lifted_at_ms"] is None
    assert person.decide(amount_minor=5_000)["reason"] == "risk_hold"


def test_an_account_that_the_bank_does_not_certify_stays_held(it: Rig) -> None:
    person, hold_id = _held(it)
    person.bank.change(person.number, status=Status.FROZEN)
    answer = _prove(it, hold_id)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:conflict")
    assert _hold(it, person)["lifted_at_ms"] is None


@pytest.mark.parametrize(
    ("trouble", "problem_type"),
    [("garbage", "bank-node-refused"), ("503", "bank-node-unreachable"), ("too many", "too-many-attempts")],
)
def test_a_failing_node_lifts_nothing(it: Rig, trouble: str, problem_type: str) -> None:
    person, hold_id = _held(it)
    person.bank.trouble = trouble
    try:
        answer = _prove(it, hold_id)
    finally:
        person.bank.trouble = None
    assert answer.json()["type"] == f"urn:standing:problem:{problem_type}"
    assert _hold(it, person)["lifted_at_ms"] is None


def test_only_holds_of_rules_that_allow_it_are_lifted_by_proof(it: Rig) -> None:
    person, hold_id = _held(it, kind="withdrawal", amount_minor=900)
    answer = _prove(it, hold_id)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:not-by-proof")
    assert _hold(it, person)["lifted_at_ms"] is None
    assert _prove(it, "h_" + "0" * 24).status_code == 404
    assert it.platform("POST", f"/v1/holds/{hold_id}/prove", json={}).status_code == 422


def test_a_rule_allows_no_proof_by_default() -> None:
    assert not BY_STAFF.lift_by_proof
