"""Dry runs of a policy: what its rules would have held among recorded decisions, and how that ended."""

import json
import secrets
from datetime import date
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter
from sqlalchemy import insert, update
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.decisions.habit_rules import AnyRule
from standing.gateway.decisions.policy_try import RuleDryRun, dry_run
from standing.gateway.storage import schema
from tests.gateway.decision_rig import Account, DecisionRig, decision_rig
from tests.gateway.follower_rig import follow_rig

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_AT_MS = 1_800_000_000_000

_RULES = [
    {"rule": "unusual_amount", "name": "far", "currency": "CNY", "over_minor": 1_000, "min_past": 3},
    {"rule": "identity_change", "name": "changed", "currency": "CNY", "within_hours": 48},
    {"rule": "early_withdrawal", "name": "early", "currency": "CNY", "within_minutes": 60},
]


def _rule(**stated: Any) -> Any:
    return TypeAdapter(AnyRule).validate_python(stated)


def _approved(rig: DecisionRig, account: Account, name: str, at_ms: int, currency: str) -> None:
    values: dict[str, Any] = {
        "transaction_id": name,
        "binding": account.binding,
        "kind": "payment",
        "amount_minor": 100,
    }
    values |= {"outcome": "approve", "decided_at_ms": at_ms, "currency": currency, "answer": "{}"}
    with rig.database.write() as connection:
        connection.execute(insert(schema.decisions).values(**values))


def _happened(rig: DecisionRig, account: Account, kind: str, at_ms: int) -> None:
    values: dict[str, Any] = {"id": secrets.token_hex(18), "type": kind, "bank": "YUNXCNB0", "data": "{}"}
    values |= {"binding": account.binding, "block_number": 1, "happened_at_ms": at_ms, "observed_at_ms": at_ms}
    with rig.database.write() as connection:
        connection.execute(insert(schema.events).values(**values))


def _tried(rig: DecisionRig, since_ms: int, **stated: Any) -> tuple[int, RuleDryRun, list[str]]:
    with rig.database.read() as connection:
        run = dry_run(connection, [_rule(name="it", **stated)], since_ms)
    return run.approved, run.rules["it"], run.examples["it"]


def test_what_came_before_the_time_is_a_past_and_is_not_tried(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        for name, at_ms in (("t-before", _AT_MS - 1), ("t-at", _AT_MS)):
            _approved(rig, account, name, at_ms, "CNY")
        rule = {"rule": "velocity", "currency": "CNY", "over_count": 1, "within_minutes": 60, "hold_minutes": 30}
        approved, _, held = _tried(rig, _AT_MS, **rule)
    assert (approved, held) == (1, ["t-at"])


def test_a_period_ends_and_so_does_the_hold_that_it_caused(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account, other = rig.bind(), rig.bind()
        times = {"t-1": 0, "t-an-hour-later": _HOUR_MS, "t-within-it": 2 * _HOUR_MS - 1}
        times |= {"t-during-the-hold": 4 * _HOUR_MS - 2, "t-next-day": _DAY_MS}
        for name, after_ms in times.items():
            _approved(rig, account, name, _AT_MS + after_ms, "CNY")
        _approved(rig, other, "t-other-account", _AT_MS + 2 * _HOUR_MS, "CNY")
        _approved(rig, account, "t-other-currency", _AT_MS + _DAY_MS - 1, "USD")
        rule = {"rule": "velocity", "currency": "CNY", "within_minutes": 60, "hold_minutes": 120}
        for bound in ({"over_count": 1}, {"over_minor": 150}):
            approved, tried, held = _tried(rig, _AT_MS, **rule, **bound)
            assert (approved, held) == (7, ["t-within-it", "t-during-the-hold"])
            assert (tried.held, tried.sum_minor) == (2, {"CNY": 200})


def test_only_what_had_happened_by_then_holds_a_transaction(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        changed, bound = rig.bind(), [rig.bind("6222"), rig.bind("6222")]
        for at_ms in (_AT_MS - 9, _AT_MS):
            _happened(rig, changed, "binding.identity_changed", at_ms)
        for name, at_ms in (("t-before", -10), ("t-first", -9), ("t-second", 0), ("t-once-more", 1), ("t-approved", 2)):
            _approved(rig, changed, name, _AT_MS + at_ms, "CNY")
        for account, at_ms in zip(bound, (_AT_MS, _AT_MS + 5), strict=True):
            with rig.database.write() as connection:
                own = schema.bindings.c.binding == account.binding
                connection.execute(update(schema.bindings).where(own).values(created_at_ms=at_ms))
        for name, at_ms in (("t-one-bound", _AT_MS + 4), ("t-two-bound", _AT_MS + 5)):
            _approved(rig, bound[0], name, at_ms, "USD")
        rule = {"rule": "identity_change", "currency": "CNY", "within_hours": 48}
        assert _tried(rig, 0, **rule)[2] == ["t-first", "t-second", "t-once-more"]
        rule = {"rule": "binding_burst", "currency": "USD", "over_count": 1, "within_hours": 24}
        assert _tried(rig, 0, **rule)[2] == ["t-two-bound"]


def test_trouble_within_seven_days_and_refunds_are_counted(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        for name, frozen_ms in (("t-at-once", 0), ("t-in-a-week", 7 * _DAY_MS), ("t-later", 7 * _DAY_MS + 1)):
            account = rig.bind()
            _approved(rig, account, name, _AT_MS, "CNY")
            _happened(rig, account, "binding.frozen", _AT_MS + frozen_ms)
        refunded: dict[str, Any] = {"transaction_id": "t-later", "account": b"a", "day": date(2027, 1, 15)}
        refunded |= {"state": "captured", "currency": "CNY", "kind": "payment"}
        refunded |= {"amount_minor": 100, "refunded_minor": 5}
        with rig.database.write() as connection:
            connection.execute(insert(schema.reservations).values(**refunded))
        rule = {"rule": "velocity", "currency": "CNY", "over_minor": 99, "within_minutes": 60, "hold_minutes": 30}
        _, tried, held = _tried(rig, 0, **rule)
    assert sorted(held) == ["t-at-once", "t-in-a-week", "t-later"]
    assert (tried.trouble_soon, tried.refunded, tried.ends) == (1, 1, {"none": 2, "captured": 1})


def test_a_dry_run_shows_would_be_holds_and_their_actual_outcomes(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as it:
        person = it.bound()
        person.bank.publish(bytes.fromhex(person.binding[2:]))
        it.follow()
        for index in range(4):
            it.clock.advance(1_000)
            person.decide(amount_minor=500, transaction_id=f"t-usual-{index}")
        person.decide(amount_minor=40_000, transaction_id="t-far")
        it.platform("POST", "/v1/decisions/t-far/capture", json={"amount_minor": 40_000})
        it.clock.advance(1_000)
        person.decide(amount_minor=600, transaction_id="t-usual-again")
        person.bank.change(person.number, debit_allowed=False)
        person.decide(amount_minor=90_000, transaction_id="t-refused")
        config, policy = tmp_path / "gateway.toml", tmp_path / "policy.toml"
        config.write_text(tomli_w.dumps(json.loads(it.settings.model_dump_json(exclude_none=True))))
        policy.write_text(tomli_w.dumps({"name": "tried", "risk": _RULES}))
        arguments = ["policy", "try", str(policy), "--config", str(config)]
        done = CliRunner().invoke(app, [*arguments, "--since", "2020-01-01", "--json"])
        assert done.exit_code == 0, done.output
        run = json.loads(done.output)
        assert run["approved"] == 6
        assert run["examples"] == {"far": ["t-far"], "changed": [], "early": []}
        assert run["rules"]["far"] == {
            "held": 1,
            "sum_minor": {"CNY": 40_000},
            "ends": {"captured": 1},
            "refunded": 0,
            "trouble_soon": 0,
        }
        later = json.loads(CliRunner().invoke(app, [*arguments, "--since", "2099-01-01", "--json"]).output)
        assert (later["approved"], later["rules"]["far"]["held"]) == (0, 0)
        assert CliRunner().invoke(app, [*arguments, "--since", "yesterday"]).exit_code == 1
        assert "1 of 6" in CliRunner().invoke(app, [*arguments, "--since", "2020-01-01"]).output


def test_a_dry_run_counts_what_staff_approved_as_the_rules_do(tmp_path: Path) -> None:
    rules = [
        {"rule": "new_binding", "name": "first-day", "currency": "CNY", "over_minor": 5_000, "within_hours": 24},
        {"rule": "velocity", "name": "burst", "currency": "CNY", "over_count": 2, "within_minutes": 60},
    ]
    with follow_rig(tmp_path, policy={"name": "live", "risk": rules[:1]}) as it:
        person = it.bound()
        person.bank.publish(bytes.fromhex(person.binding[2:]))
        it.follow()
        large = person.decide(amount_minor=6_000)["transaction_id"]
        body = {"outcome": "approve", "reason": "The user was called back"}
        assert it.support("POST", f"/v1/decisions/{large}/review", json=body).status_code == 200
        for name in ("t-second", "t-third"):
            it.clock.advance(1_000)
            assert person.decide(amount_minor=500, transaction_id=name)["outcome"] == "approve"
        tried = [_rule(**rules[1], hold_minutes=30)]
        with it.app.state.gateway.storage.read() as connection:
            run = dry_run(connection, tried, 0)
    assert (run.approved, run.examples) == (2, {"burst": ["t-third"]})
