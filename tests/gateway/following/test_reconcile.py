"""Reconciliation: which bindings are no longer usable, and where ledger and gateway differ."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from standing.gateway.decisions.messages import MESSAGES, NOT_SERVED
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.risk import NewBindingRule
from standing.gateway.decisions.rules import Reason
from standing.gateway.following.reconcile import GRACE_MS
from standing.gateway.following.reconcile_report import Drift
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from standing.ledger.clock import ManualClock
from tests.gateway.following.reconciling import change, raw, reconciler, rows, run
from tests.gateway.gateway_rig import BICS, Person, Rig


@pytest.mark.long
def test_a_healthy_gateway_has_no_findings(alone: Rig) -> None:
    people = [alone.bound(), alone.bound(BICS[1])]
    report = run(alone)
    assert (report.checked, report.dead_count, report.drift_count) == (2, 0, 0)
    assert report.reasons == {person.bank.bic: {"well": 1} for person in people}
    assert report.block_is_still_there
    assert [bank.bank for bank in report.banks] == sorted(BICS)
    assert not any(bank.silent or bank.suspended or bank.watermark_went_back for bank in report.banks)


@pytest.mark.long
@pytest.mark.parametrize(
    ("account", "reason", "dead"),
    [
        ({"status": Status.CLOSED}, Reason.ACCOUNT_CLOSED, True),
        ({"status": Status.UNBOUND}, Reason.UNBOUND, True),
        ({"status": Status.LOST}, Reason.ACCOUNT_LOST, False),
        ({"status": Status.FROZEN, "debit_allowed": False}, Reason.ACCOUNT_FROZEN, False),
        ({"status": Status.DORMANT}, Reason.ACCOUNT_DORMANT, False),
        ({"credit_allowed": False}, Reason.CREDIT_NOT_ALLOWED, False),
    ],
)
def test_bindings_that_can_no_longer_work_are_marked_with_the_users_remedy(
    a_rig: Rig, account: dict[str, Any], reason: Reason, dead: bool
) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, **account)
    report = run(a_rig)
    found = [each for each in report.dead if each.binding == person.binding]
    marked = [row.reason for row in rows(a_rig, schema.dead_bindings) if row.binding == raw(person)]
    if dead:
        assert [(each.reason, each.user_id) for each in found] == [(reason, person.user_id)]
        assert found[0].way_out == MESSAGES[reason]
        assert marked == [reason]
        entry = next(each for each in report.document()["dead"] if each["binding"] == person.binding)
        assert entry["way_out"] == {"en": MESSAGES[reason].en, "zh": MESSAGES[reason].zh}
    else:
        assert (found, marked) == ([], [])
        assert report.reasons[person.bank.bic][reason] >= 1


def test_a_field_that_the_bank_did_not_vouch_for_is_not_reported_as_changed(a_rig: Rig) -> None:
    person = a_rig.bound()
    (tags,) = [row.tags for row in rows(a_rig, schema.bindings) if row.binding == raw(person)]
    its_own = update(schema.bindings).where(schema.bindings.c.binding == raw(person))
    another_name = b"\x01\x02\x03" + tags[3:]
    changed = {}
    for unvouched in ("name", None):
        change(a_rig, its_own.values(tags=another_name, unvouched=unvouched))
        changed[unvouched] = run(a_rig).reasons[person.bank.bic].get(Reason.NAME_CHANGED, 0)
    assert changed[None] == changed["name"] + 1


def test_a_platform_with_risk_rules_is_reconciled_by_what_the_banks_state(a_rig: Rig) -> None:
    """Risk rules are about transactions: a binding that they would hold today works tomorrow."""
    person = a_rig.bound()
    made = reconciler(a_rig)
    rule = NewBindingRule(
        rule="new_binding", name="first-day", currency="CNY", over_minor=0, within_hours=24, kinds=("payment",)
    )
    made.use(Policy(risk=(rule,)))
    report = made.run()
    assert report is not None
    assert report.reasons[person.bank.bic]["well"] >= 1
    assert Reason.RISK_HOLD not in report.reasons[person.bank.bic]


@pytest.mark.long
def test_a_recovered_binding_is_no_longer_marked(alone: Rig) -> None:
    person = alone.bound()
    person.bank.change(person.number, status=Status.CLOSED)
    assert run(alone).dead_count == 1
    first = rows(alone, schema.dead_bindings)
    alone.clock.advance(1_000)
    assert run(alone).dead_count == 1
    assert rows(alone, schema.dead_bindings) == first  # the time of death is kept
    person.bank.change(person.number, status=Status.ACTIVE)
    assert run(alone).dead_count == 0
    assert rows(alone, schema.dead_bindings) == []


@pytest.mark.long
def test_a_binding_that_the_platform_ended_is_neither_read_nor_marked(alone: Rig) -> None:
    person = alone.bound()
    person.bank.change(person.number, status=Status.CLOSED)
    assert run(alone).dead_count == 1
    assert alone.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert run(alone).checked == 0
    assert rows(alone, schema.dead_bindings) == []


@pytest.mark.long
def test_an_unreadable_record_is_dead_at_once_and_a_missing_one_after_a_while(alone: Rig) -> None:
    unreadable, missing = alone.bound(), alone.bound()
    unreadable.bank.publish(raw(unreadable), terms=b"\x55" * 32)
    # A binding that was never published: the same row under an id unknown to the ledger.
    change(
        alone,
        update(schema.bindings).where(schema.bindings.c.binding == raw(missing)).values(binding=b"\x01" * 32),
    )
    report = run(alone)
    assert [each.reason for each in report.dead] == [Reason.ATTESTATION_UNREADABLE]
    alone.clock.advance(GRACE_MS)
    assert {each.reason for each in run(alone).dead} == {Reason.ATTESTATION_UNREADABLE, Reason.NO_ATTESTATION}


@pytest.mark.long
def test_bindings_at_a_bank_removed_from_the_settings_are_dead(alone: Rig) -> None:
    person = alone.bound()
    change(alone, update(schema.bindings).values(bank="GONECNB0"))
    report = run(alone)
    (found,) = report.dead
    assert (found.binding, found.reason, found.way_out) == (person.binding, "bank_not_served", NOT_SERVED)
    assert report.reasons == {"GONECNB0": {"bank_not_served": 1}}


@pytest.mark.long
def test_silent_banks_are_reported_and_do_not_make_bindings_dead(alone: Rig) -> None:
    alone.bound()
    alone.clock.advance(400_000)
    found = run(alone)
    assert {bank.silent for bank in found.banks} == {True}
    assert (found.dead_count, found.reasons[BICS[0]]) == (0, {"well": 1})
    # Decisions treat a clock too far ahead as silence, and so does the report.
    alone.heartbeat()
    assert {bank.silent for bank in run(alone).banks} == {False}
    behind = reconciler(alone)
    behind._clock = ManualClock(alone.clock.now_ms() - alone.settings.policy.ahead_allowance_ms - 1)
    report = behind.run()
    assert report is not None
    assert {bank.silent for bank in report.banks} == {True}


def _set_follower_state(it: Rig, person: Person, **changed: Any) -> None:
    """Set the follower's state of a binding to the ledger's state at the head, with changes."""
    head = it.ledger.head()
    record = it.ledger.read([(person.bank.bic, raw(person))]).records[0]
    values = {
        "binding": raw(person),
        "publication": record.publication,
        "tag_and_head": record.tag_and_head,
        "tail": record.tail,
        "block_number": head.number,
        "recheck": False,
    }
    change(
        it,
        delete(schema.follower),
        insert(schema.follower).values(
            id=1, block_number=head.number, block_hash=head.hash, adopted_to_ms=it.clock.now_ms() + 1
        ),
        insert(schema.binding_states).values(values | changed),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, None),
        ({"publication": 10**6}, Drift.LEDGER_WENT_BACK),
        ({"publication": 10**6, "block_number": 10**6}, None),  # the follower has seen a later block
        ({"publication": 1}, Drift.FOLLOWER_MISSED),
        ({"tail": b"\x55" * 32}, Drift.TERMS_DIFFER),
    ],
)
def test_a_ledger_that_contradicts_the_followers_state_is_drift(
    alone: Rig, changed: dict[str, Any], kind: Drift | None
) -> None:
    person = alone.bound()
    _set_follower_state(alone, person, **changed)
    report = run(alone)
    assert [(found.binding, found.kind) for found in report.drift] == ([(person.binding, kind)] if kind else [])


@pytest.mark.long
def test_a_binding_skipped_by_the_follower_is_drift(alone: Rig) -> None:
    seen, passed_over = alone.bound(), alone.bound()
    _set_follower_state(alone, seen)
    assert [(found.binding, found.kind) for found in run(alone).drift] == [(passed_over.binding, Drift.NOT_FOLLOWED)]


@pytest.mark.long
def test_a_record_below_the_floor_and_a_watermark_that_went_back_are_drift(alone: Rig) -> None:
    person = alone.bound()
    change(
        alone,
        update(schema.bindings).values(floor=10**6),
        insert(schema.bank_states).values(
            bank=person.bank.bic, watermark_ms=2**47, block_number=0, silent=False, suspended=False
        ),
    )
    report = run(alone)
    assert [(found.kind, found.believed) for found in report.drift] == [(Drift.BELOW_FLOOR, 10**6)]
    assert [bank.bank for bank in report.banks if bank.watermark_went_back] == [person.bank.bic]
