"""Runs over the real gateway: learning, one warning per risk, opt-out, and no effect on any decision."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import func, select

import standing.gateway.decisions
from standing.gateway.decisions.policy import Policy
from standing.gateway.errors import StorageUnavailable
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import risk_run, risk_store
from standing.gateway.warning.risk_facts import FEATURES, HORIZON_MS
from standing.gateway.warning.risk_model import MIN_FAILURES, MIN_LEARNED, RiskModel
from standing.gateway.warning.risk_reads import on_record
from standing.gateway.warning.risk_run import Run
from standing.gateway.warning.risk_schedule import RiskSchedule
from standing.gateway.warning.settings import WarningSettings
from standing.ledger.clock import DAY_MS, ManualClock
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import Leader, NoLock
from tests.databases import new_database
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.gateway_rig import Person
from tests.world import wait_until

pytestmark = pytest.mark.long

LEARNED = {"learned": MIN_LEARNED, "failures": MIN_FAILURES}


@pytest.fixture
def it(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path, warning={"every_minutes": "never", "busy_percent": 100}) as made:
        yield made


def _gateway(it: FollowRig) -> Any:
    return it.app.state.gateway


def _run(it: FollowRig) -> Run:
    made: Run = _gateway(it).warning.risks.run()
    return made


def _model(it: FollowRig, model: RiskModel) -> None:
    with _gateway(it).storage.write() as connection:
        risk_store.save_model(connection, model, it.clock.now_ms())


def _usable_model(blocked: float = 8.0, intercept: float = -4.6) -> RiskModel:
    return RiskModel(dict.fromkeys(FEATURES, 0.0) | {"blocked": blocked}, intercept, **LEARNED)


def _count(it: FollowRig, table: Any) -> int:
    with _gateway(it).storage.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _used(it: FollowRig, uses: int = 7) -> Person:
    person = it.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    for _ in range(uses):
        it.clock.advance(DAY_MS // 2)
        person.bank.publish()
        assert person.decide()["outcome"] == "approve"
    it.clock.advance(1_000)
    it.new_events()
    return person


def _check_up(it: FollowRig, person: Person) -> Any:
    answer = it.platform("GET", f"/v1/users/{person.user_id}/check-up")
    assert answer.status_code == 200
    return answer.json()


def test_a_binding_at_risk_is_reported_once_with_reasons_and_the_users_remedy(it: FollowRig) -> None:
    _model(it, _usable_model())
    person = _used(it)
    assert (_run(it).scored, it.new_events()) == (1, [])
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    it.clock.advance(1_000)
    it.new_events()
    assert _run(it).warned == 1
    (event,) = it.new_events()
    assert (event["type"], event["data"]["binding"]) == ("binding.at_risk", person.binding)
    data = event["data"]
    assert (data["cause"], data["horizon_ms"]) == ("blocked", HORIZON_MS)
    assert 300 <= data["per_mille"] <= 1_000
    (factor,) = data["factors"]
    assert factor["code"] == "blocked"
    assert all(factor[part][language] for part in ("what", "to_do") for language in ("en", "zh"))
    personal = [
        person.user_id,
        *(person.claim[name] for name in ("number", "holder_name", "id_document_number", "phone")),
    ]
    assert not [value for value in personal if value in str(event)]
    assert (_run(it).warned, it.new_events()) == (0, [])
    (account,) = _check_up(it, person)["accounts"]
    assert account["risk"]["per_mille"] == data["per_mille"]
    assert account["risk"]["factors"] == [factor]
    person.bank.change(person.number, debit_allowed=True)
    it.follow()
    assert _run(it).warned == 0
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    it.clock.advance(1_000)
    assert _run(it).warned == 1  # the risk had gone, so it warns again


def test_a_user_who_already_had_the_failure_is_not_warned_of_it(it: FollowRig) -> None:
    _model(it, _usable_model())
    person = _used(it)
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    it.heartbeat()
    assert person.decide()["reason"] == "debit_not_allowed"
    it.clock.advance(1_000)
    assert _run(it).warned == 0


def test_a_model_that_has_learned_too_little_gives_no_warning(it: FollowRig) -> None:
    model = _usable_model(intercept=5.0)
    model.learned -= 1
    _model(it, model)
    person = _used(it)
    assert _run(it).warned == 0
    assert _check_up(it, person)["accounts"][0]["risk"] is None


def test_scores_are_learned_from_once_their_horizon_has_passed_and_once_only(it: FollowRig) -> None:
    good, bad = _used(it), _used(it)
    _run(it)
    bad.bank.change(bad.number, debit_allowed=False)
    it.heartbeat()
    assert bad.decide()["reason"] == "debit_not_allowed"
    assert good.decide()["outcome"] == "approve"
    it.clock.advance(HORIZON_MS - 1)
    assert _run(it).learned == 0
    it.clock.advance(1)
    assert _run(it).learned == 2
    with _gateway(it).storage.read() as connection:
        model = risk_store.load_model(connection)
    assert (model.learned, model.failures) == (2, 1)
    assert _run(it).learned == 0


def test_the_model_and_the_learned_marks_are_written_in_one_transaction(
    it: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _used(it)
    _run(it)
    it.clock.advance(HORIZON_MS)

    def dies(*_: object) -> None:
        raise SystemError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(risk_store, "save_model", dies)
        with pytest.raises(SystemError):
            _run(it)
    assert _run(it).learned == 1


def test_a_user_can_be_left_out_of_learning_scoring_and_events(it: FollowRig) -> None:
    _model(it, _usable_model())
    person = _used(it)
    _run(it)
    assert (_count(it, schema.risk_samples), _count(it, schema.binding_risks)) == (1, 1)
    path = f"/v1/users/{person.user_id}/prediction"
    assert it.platform("PUT", path, json={"predicted": False}).status_code == 422
    left = it.platform("PUT", path, json={"predicted": False, "reason": "The user asked"}).json()
    assert left == {"predicted": False, "left_out_at_ms": it.clock.now_ms()}
    assert (_count(it, schema.risk_samples), _count(it, schema.binding_risks)) == (0, 0)
    it.clock.advance(1_000)
    again = it.platform("PUT", path, json={"predicted": False, "reason": "And again"}).json()
    assert again == left
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    it.new_events()
    run = _run(it)
    assert (run.scored, run.warned, it.new_events()) == (0, 0, [])
    document = _check_up(it, person)
    assert document["predicted"] is False
    assert document["accounts"][0]["risk"] is None
    assert document["accounts"][0]["signs"][0]["code"] == "not_usable_now"
    back = it.platform("PUT", path, json={"predicted": True, "reason": "The user asked"}).json()
    assert back == {"predicted": True, "left_out_at_ms": None}
    assert _run(it).warned == 1
    assert (
        it.platform("PUT", "/v1/users/nobody/prediction", json={"predicted": False, "reason": "Why"}).status_code == 404
    )
    acts = it.client("admin")("GET", f"/v1/audit?subject={person.user_id}").json()["entries"]
    assert [(act["action"], act["reason"], act["outcome"]) for act in acts] == [
        ("set_prediction", reason, "done") for reason in ("The user asked", "And again", "The user asked")
    ]


def test_a_user_who_opts_out_during_a_run_is_left_out_of_it_and_nobody_else_is(
    it: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, other = _used(it, uses=1), _used(it, uses=1)
    _run(it)
    it.clock.advance(DAY_MS)

    def opting_out(*args: Any) -> Any:
        found = on_record(*args)
        if found:  # not again after the last batch, which would hide what the run had stored
            with _gateway(it).storage.write() as connection:
                risk_store.set_opted_out(connection, person.user_id, True, it.clock.now_ms())
        return found

    monkeypatch.setattr(risk_run, "on_record", opting_out)
    assert _run(it).scored == 2, "read before the user opted out"
    with _gateway(it).storage.read() as connection:
        stored = [
            ["0x" + kept.hex() for kept in connection.scalars(select(table.c.binding))]
            for table in (schema.binding_risks, schema.risk_samples)
        ]
    assert stored == [[other.binding], [other.binding] * 2], "one sample of each day"


def test_a_binding_with_signs_is_reported_once_a_month_as_in_the_check_up(it: FollowRig) -> None:
    _model(it, _usable_model())
    person, calm = _used(it), _used(it)
    _run(it)
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    it.heartbeat()
    for each in (person, calm):
        each.decide()
    it.clock.advance(30 * DAY_MS - 1)
    it.new_events()
    assert _run(it).checked_up == 0
    it.clock.advance(1)
    assert _run(it).checked_up == 1
    (event,) = [each for each in it.new_events() if each["type"] == "binding.check_up"]
    assert event["data"]["binding"] == person.binding
    it.heartbeat()
    signs = _check_up(it, person)["accounts"][0]["signs"]
    assert event["data"]["signs"] == [sign for sign in signs if not sign["code"].startswith("bank_")]
    assert event["data"]["signs"][0]["code"] == "not_usable_now"
    assert _run(it).checked_up == 0


@pytest.mark.parametrize("intercept", [-50.0, 50.0])
def test_no_score_changes_a_decision(it: FollowRig, intercept: float) -> None:
    """Every decision and reason is the same whether the model predicts no failure or certain failure."""
    _model(it, _usable_model(0.0, intercept))
    person = it.bound(daily_limit_minor=10_000)
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    decisions = []
    for changes in ({}, {"debit_allowed": False}, {"debit_allowed": True}):
        if changes:
            person.bank.change(person.number, **changes)
        it.follow()
        it.clock.advance(1_000)
        assert _run(it).scored == 1
        it.heartbeat()
        made = [person.decide(amount_minor=amount) for amount in (100, 20_000)]
        decisions.append([(each["outcome"], each["reason"]) for each in made])
    it.clock.advance(DAY_MS)
    decisions.append([(made["outcome"], made["reason"]) for made in [person.decide()]])
    assert decisions == [
        [("approve", None), ("decline", "over_daily_limit")],
        [("decline", "debit_not_allowed")] * 2,
        [("approve", None), ("decline", "over_daily_limit")],
        [("review", "bank_silent")],
    ]


def test_the_deciding_code_references_nothing_of_warnings() -> None:
    """It could not import any either: the layers forbid it (`lint-imports`)."""
    package = Path(next(iter(standing.gateway.decisions.__path__)))
    sources = {file.name: file.read_text() for file in package.glob("*.py")}
    assert "rules.py" in sources
    for name, text in sources.items():
        assert not re.search(r"gateway\.warning|risk_model|binding_risks|risk_samples|risk_opt_outs|per_mille", text), (
            name
        )


def test_a_stored_model_of_another_version_starts_over(it: FollowRig) -> None:
    _model(it, _usable_model())
    with _gateway(it).storage.write() as connection:
        connection.execute(schema.risk_model.update().values(model='{"form": 0}'))
    person = _used(it)
    assert _run(it).scored == 1
    assert _check_up(it, person)["accounts"][0]["risk"] is None


def test_a_scheduled_run_is_made_when_it_is_due_and_by_the_leader_alone(tmp_path: Path) -> None:
    with follow_rig(tmp_path, warning={"every_minutes": 60, "busy_percent": 100}) as it:
        schedule = _gateway(it).warning.schedule
        schedule.look()
        assert _gateway(it).warning.risks.last is None
        it.clock.advance(15 * 60_000)
        schedule.look()  # or the gateway's own thread has just done it
        wait_until(lambda: _gateway(it).warning.risks.last is not None)
        first = _gateway(it).warning.risks.last
        it.clock.advance(59 * 60_000)
        schedule.look()
        assert _gateway(it).warning.risks.last is first
        it.clock.advance(60_000)
        schedule.look()
        wait_until(lambda: _gateway(it).warning.risks.last is not first)


def test_the_schedule_makes_a_run_when_it_is_due(it: FollowRig) -> None:
    gateway = _gateway(it)
    schedule = RiskSchedule(
        gateway.warning.risks, gateway.storage, it.clock, Leader(NoLock(), "warning"), every_minutes=60
    )

    def last_run_ms() -> int | None:
        with gateway.storage.read() as connection:
            return risk_store.ran_at_ms(connection)

    began = []
    for minutes in (14, 1, 59, 1):
        it.clock.advance(minutes * 60_000)
        schedule.look()
        began.append(last_run_ms() == it.clock.now_ms())
    assert began == [False, True, False, True]


@pytest.mark.parametrize("failure", [StorageUnavailable("gone for a moment", 1), None], ids=["failed", "stopped"])
def test_a_run_that_did_not_reach_its_end_is_made_again_and_not_only_a_day_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    database, clock = Database(new_database(tmp_path, "gateway")), ManualClock(1_800_000_000_000)
    migrate(database, "standing.gateway.storage")
    with closing(Storage(database)) as storage:
        nothing, none = cast(Any, None), cast(Any, ())
        runner = risk_run.RiskRunner(
            storage=storage,
            vault=nothing,
            banks=none,
            policy=Policy(),
            clock=clock,
            settings=WarningSettings(),
            wake=lambda: None,
        )
        schedule = RiskSchedule(runner, storage, clock, Leader(NoLock(), "warning"), every_minutes=1_440)

        def cut_short(*_: object) -> None:
            if failure is not None:
                raise failure
            schedule._stop.set()

        def ended() -> bool | None:
            with storage.read() as connection:
                last = risk_store.last_run(connection)
            return None if last is None else last.ended_at_ms is not None

        clock.advance(15 * 60_000)
        with monkeypatch.context() as patched:
            patched.setattr(runner, "_learn", cut_short)
            schedule.look()
        schedule._stop.clear()  # as in the process that goes on
        found = [ended()]
        for wait_ms in (59_999, 1) if failure is not None else (0,):
            clock.advance(wait_ms)
            schedule.look()
            found.append(ended())
        assert found == ([False, False, True] if failure is not None else [False, True])
        began_ms = clock.now_ms()
        clock.advance(60_000)
        schedule.look()
        with storage.read() as connection:
            assert risk_store.ran_at_ms(connection) == began_ms, "once"
