"""Warnings by plain rules, their outcomes, and runs on request, over the real gateway."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from standing.gateway.decisions.rules import Reason
from standing.gateway.warning.risk_facts import FEATURES, HORIZON_MS, NOT_OF_THE_BINDING
from standing.gateway.warning.risk_model import MIN_FAILURES, MIN_LEARNED
from standing.gateway.warning.risk_rules import FORETOLD, RULES, causes
from standing.gateway.warning.risk_schedule import RiskSchedule
from standing.ledger.clock import DAY_MS
from standing.ledger.service.leader import Leader, NoLock
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.gateway_rig import Person

pytestmark = pytest.mark.long

_USUAL_MINOR = 50_000
_LOW_MINOR = 10_000


@pytest.fixture
def it(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path, warning={"every_minutes": "never", "busy_percent": 100}) as made:
        yield made


def _used(it: FollowRig) -> Person:
    person = it.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    for _ in range(4):
        it.clock.advance(DAY_MS // 2)
        person.bank.publish()
        assert person.decide(amount_minor=_USUAL_MINOR)["outcome"] == "approve"
    return person


def _changed(it: FollowRig, person: Person, **changes: Any) -> None:
    person.bank.change(person.number, **changes)
    it.follow()
    it.clock.advance(1_000)
    it.heartbeat()
    it.app.state.gateway.warning.risks.run()


def _warnings(it: FollowRig, person: Person) -> list[dict[str, Any]]:
    answer = it.platform("GET", f"/v1/bindings/{person.binding}/warnings")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["warnings"]
    return found


def test_a_limit_below_the_usual_payment_warns_by_rule_and_the_warning_comes_true(it: FollowRig) -> None:
    person = _used(it)
    it.app.state.gateway.warning.risks.run()
    assert _warnings(it, person) == []
    _changed(it, person, transaction_limit_minor=_LOW_MINOR)
    (warned,) = _warnings(it, person)
    assert warned["per_mille"] is None
    assert warned["factors"][0]["code"] == "over_transaction"
    assert (warned["still_at_risk"], warned["failure"]) == (True, None)
    (account,) = it.platform("GET", f"/v1/users/{person.user_id}/check-up").json()["accounts"]
    assert account["risk"]["per_mille"] is None
    assert account["risk"]["factors"] == warned["factors"]
    it.clock.advance(5_000)
    it.heartbeat()
    declined = person.decide(amount_minor=_USUAL_MINOR)
    assert declined["reason"] == "over_transaction_limit"
    (warned,) = _warnings(it, person)
    failure = warned["failure"]
    assert failure["transaction_id"] == declined["transaction_id"]
    assert failure["factor"] == warned["factors"][0]
    assert warned["warned_at_ms"] < failure["decided_at_ms"] < warned["until_ms"]


def test_a_failure_for_another_reason_does_not_make_a_warning_true(it: FollowRig) -> None:
    person = _used(it)
    _changed(it, person, transaction_limit_minor=_LOW_MINOR)
    person.bank.change(person.number, debit_allowed=False)
    it.heartbeat()
    assert person.decide(amount_minor=_USUAL_MINOR)["reason"] == "debit_not_allowed"
    (warned,) = _warnings(it, person)
    assert (warned["failure"]["reason"], warned["failure"]["factor"]) == ("debit_not_allowed", None)
    person.bank.change(person.number, debit_allowed=True)
    it.heartbeat()
    assert person.decide(amount_minor=_USUAL_MINOR)["reason"] == "over_transaction_limit"
    (warned,) = _warnings(it, person)
    assert warned["failure"]["factor"]["code"] == "over_transaction"


def test_a_failure_after_the_horizon_does_not_make_a_warning_true(it: FollowRig) -> None:
    person = _used(it)
    _changed(it, person, transaction_limit_minor=_LOW_MINOR)
    it.clock.advance(HORIZON_MS)
    it.heartbeat()
    assert person.decide(amount_minor=_USUAL_MINOR)["outcome"] == "decline"
    assert [each["failure"] for each in _warnings(it, person)] == [None]


def test_a_risk_that_has_gone_is_cleared_and_warns_again_when_it_returns(it: FollowRig) -> None:
    person = _used(it)
    _changed(it, person, transaction_limit_minor=_LOW_MINOR)
    _changed(it, person, transaction_limit_minor=_USUAL_MINOR)
    assert [each["still_at_risk"] for each in _warnings(it, person)] == [False]
    _changed(it, person, transaction_limit_minor=_LOW_MINOR)
    assert [each["still_at_risk"] for each in _warnings(it, person)] == [True, False]


def test_scattered_amounts_below_the_limit_do_not_warn_and_one_above_it_does(it: FollowRig) -> None:
    person = _used(it)
    for amount_minor in (100, 200, 60_000, 100, 90_000, 300):
        it.heartbeat()
        assert person.decide(amount_minor=amount_minor)["outcome"] == "approve"
    _changed(it, person, transaction_limit_minor=100_000)
    assert _warnings(it, person) == []
    _changed(it, person, transaction_limit_minor=80_000)
    (warned,) = _warnings(it, person)
    assert warned["factors"][0]["code"] == "over_transaction"


def test_warnings_of_an_unknown_binding_are_not_found(it: FollowRig) -> None:
    assert it.platform("GET", f"/v1/bindings/0x{'ab' * 32}/warnings").status_code == 404


def test_every_feature_names_the_reasons_for_which_a_payment_would_fail() -> None:
    assert set(FORETOLD) == set(FEATURES)
    assert set(RULES) <= set(FEATURES)
    assert set().union(*FORETOLD.values()) == set(Reason) - NOT_OF_THE_BINDING


@pytest.mark.parametrize(("value", "warns"), [(0.49, False), (0.5, True), (1.0, True)])
def test_a_rule_warns_from_an_even_chance_upwards(value: float, warns: bool) -> None:
    found = dict.fromkeys(FEATURES, 0.0) | {"over_day": value}
    assert causes(found) == (("over_day",) if warns else ())
    assert causes(dict.fromkeys(FEATURES, 1.0)) == ("blocked", "over_transaction", "due_over_limit")


def _ended(it: FollowRig) -> dict[str, Any]:
    """The state once the requested run has ended."""
    for each in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.02)):
        with each:
            state: dict[str, Any] = it.client("support")("GET", "/v1/scoring").json()
            assert state["last"] is not None
            assert state["last"]["ended_at_ms"] is not None
    return state


def test_a_requested_run_is_made_audited_and_reported(it: FollowRig) -> None:
    person = _used(it)
    person.bank.change(person.number, transaction_limit_minor=_LOW_MINOR)
    it.follow()
    it.clock.advance(1_000)
    assert it.client("admin")("GET", "/v1/scoring").json()["last"] is None
    asked = it.admin("POST", "/v1/scoring")
    assert asked.status_code == 202
    assert asked.json()["asked_at_ms"] == it.clock.now_ms()
    state = _ended(it)
    assert (state["asked_at_ms"], state["every_minutes"]) == (None, None)
    assert state["last"]["counts"] == {"learned": 0, "scored": 1, "warned": 1, "checked_up": 0}
    assert state["last"]["began_at_ms"] == state["last"]["ended_at_ms"] == it.clock.now_ms()
    assert (state["at_risk"], state["waiting"], state["left_out"]) == (1, 1, 0)
    model = state["model"]
    assert (model["in_use"], model["learned"], model["needed"]) == (False, 0, MIN_LEARNED)
    assert (model["needed_failures"], list(model["weights"])) == (MIN_FAILURES, list(FEATURES))
    assert len(_warnings(it, person)) == 1
    assert not it.app.state.gateway.warning.schedule._is_requested()  # one request, one run
    entries = it.client("admin")("GET", "/v1/audit?subject=/v1/scoring").json()["entries"]
    assert [(each["action"], each["reason"]) for each in entries] == [("run_scoring", "Ticket 4711")]
    assert it.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert it.client("support")("GET", "/v1/scoring").json()["at_risk"] == 0, "its last score stays"


def test_a_woken_schedule_checks_at_once_and_stops_on_request(it: FollowRig) -> None:
    gateway = it.app.state.gateway
    schedule = RiskSchedule(
        gateway.warning.risks,
        gateway.storage,
        it.clock,
        Leader(NoLock(), "test"),
        every_minutes=None,
        look_every_s=3_600.0,
    )
    looked = threading.Event()
    schedule.look = looked.set  # type: ignore[method-assign]
    asyncio.run(schedule.open())
    schedule.wake()
    assert looked.wait(60)
    asyncio.run(schedule.close())
    assert schedule._thread is not None
    assert not schedule._thread.is_alive()
