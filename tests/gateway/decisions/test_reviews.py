"""Reviews: from a decision that was sent to review, through the queue, to the approval or decline by staff."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from standing.gateway.decisions.policy import IdentityOutcomes, Policy
from standing.gateway.decisions.risk import NewBindingRule, VelocityRule
from standing.gateway.decisions.schemas import DecisionDocument
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import IdentityTags, Status
from tests.gateway.answers import kind_of
from tests.gateway.follower_rig import FollowRig, follow_rig, unlike
from tests.gateway.gateway_rig import BICS, Person

LARGE = 5_001
POLICY = Policy(
    risk=(
        NewBindingRule(rule="new_binding", name="first-day", currency="CNY", over_minor=LARGE - 1, within_hours=24),
        VelocityRule(
            rule="velocity", name="burst", currency="CNY", over_minor=15_000, within_minutes=10, hold_minutes=30
        ),
    ),
    identity=IdentityOutcomes(phone="review", name="review"),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("reviews"), policy=POLICY) as made:
        yield made


@pytest.fixture
def a_rig(shared: FollowRig) -> Iterator[FollowRig]:
    shared.heartbeat()
    shared.settle()
    yield shared
    shared.chain.down = False


def _held(person: Person, **changes: Any) -> str:
    """The id of a payment that the risk policy sends to review."""
    decided = person.decide(**({"amount_minor": LARGE} | changes))
    assert (decided["outcome"], decided["reason"]) == ("review", "risk_hold")
    return str(decided["transaction_id"])


def _close(rig: FollowRig, transaction_id: str, outcome: str = "approve") -> httpx.Response:
    body = {"outcome": outcome, "reason": "The user was called back, ticket 4711"}
    return rig.support("POST", f"/v1/decisions/{transaction_id}/review", json=body)


def _queue(rig: FollowRig, person: Person) -> list[str]:
    found = rig.support("GET", f"/v1/reviews?user_id={person.user_id}").json()["decisions"]
    return [each["transaction_id"] for each in found]


def test_an_approved_review_reserves_its_amount_and_sends_an_event(a_rig: FollowRig) -> None:
    person = a_rig.bound(daily_limit_minor=10_000)
    a_rig.settle()
    held = _held(person)
    assert _queue(a_rig, person) == [held]
    before = a_rig.support("GET", f"/v1/decisions/{held}").json()
    assert (before["review"]["state"], before["review"]["outcome"], before["reservation"]) == ("open", None, None)

    closed = _close(a_rig, held)
    assert closed.status_code == 200, closed.text
    document = closed.json()
    assert DecisionDocument.model_validate(document).model_dump(mode="json") == document
    assert document["outcome"] == "review"  # the original decision is unchanged
    assert (document["review"]["state"], document["review"]["outcome"]) == ("closed", "approve")
    assert document["review"]["closed_at_ms"] == a_rig.clock.now_ms()
    assert document["review"]["publication"] == person.bank.number
    assert "approved" in document["review"]["message"]["en"]
    assert "已通过" in document["review"]["message"]["zh"]
    assert (document["reservation"]["state"], document["reservation"]["amount_minor"]) == ("reserved", LARGE)

    assert _queue(a_rig, person) == []
    assert a_rig.platform("GET", f"/v1/decisions/{held}").json() == document
    (event,) = a_rig.new_events()
    assert event["type"] == "decision.reviewed"
    assert event["data"] | {"block_number": 0, "observed_at_ms": 0} == {
        "bank": person.bank.bic,
        "binding": person.binding,
        "publication": person.bank.number,
        "block_number": 0,
        "observed_at_ms": 0,
        "transaction_id": held,
        "outcome": "approve",
        "reason": "risk_hold",
    }
    # It counts toward the daily limit and is captured like any other payment.
    assert person.decide(amount_minor=5_000)["reason"] == "over_daily_limit"
    assert a_rig.platform("POST", f"/v1/decisions/{held}/capture").json()["reservation"]["state"] == "captured"
    (entry,) = a_rig.admin("GET", f"/v1/audit?subject={held}").json()["entries"]
    assert (entry["action"], entry["caller"], entry["outcome"]) == ("close_review", "support", "done")
    assert entry["reason"] == "The user was called back, ticket 4711"


def test_a_declined_review_reserves_nothing_and_needs_no_ledger(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    a_rig.settle()
    held = _held(person)
    a_rig.chain.down = True
    document = _close(a_rig, held, "decline").json()
    a_rig.chain.down = False
    assert (document["review"]["outcome"], document["reservation"]) == ("decline", None)
    assert document["review"]["block_number"] is None
    (event,) = a_rig.new_events()
    assert (event["data"]["outcome"], event["data"]["block_number"]) == ("decline", None)
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{held}/capture")) == (409, "nothing-reserved")


def test_a_review_is_closed_only_once(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    approved, declined = _held(person), _held(person)
    first = _close(a_rig, approved).json()
    assert _close(a_rig, approved).json() == first
    assert kind_of(_close(a_rig, approved, "decline")) == (409, "already-reviewed")
    assert _close(a_rig, declined, "decline").status_code == 200
    assert kind_of(_close(a_rig, declined)) == (409, "already-reviewed")
    assert len([e for e in a_rig.new_events() if e["type"] == "decision.reviewed"]) == 2


def test_whether_a_review_is_closed_already_is_told_without_the_ledger(a_rig: FollowRig) -> None:
    """A colleague's decline, and the answer to an approval that was lost on its way."""
    person = a_rig.bound()
    a_rig.settle()
    declined, approved = _held(person), _held(person)
    assert _close(a_rig, declined, "decline").status_code == 200
    first = _close(a_rig, approved)
    assert first.status_code == 200
    a_rig.chain.down = True
    assert kind_of(_close(a_rig, declined)) == (409, "already-reviewed")
    again = _close(a_rig, approved)
    assert (again.status_code, again.json()) == (200, first.json())


def test_only_decisions_sent_to_review_can_be_closed(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    approved = person.decide()["transaction_id"]
    for outcome in ("approve", "decline"):
        assert kind_of(_close(a_rig, approved, outcome)) == (409, "not-in-review")
        assert kind_of(_close(a_rig, "t-none", outcome)) == (404, "not-found")
    body = {"outcome": "review", "reason": "a third way"}
    answer = a_rig.support("POST", f"/v1/decisions/{approved}/review", json=body)
    assert [error["field"] for error in answer.json()["errors"]] == ["outcome"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": Status.FROZEN, "debit_allowed": False}, "account_frozen"),
        ({"daily_limit_minor": LARGE - 1}, "over_daily_limit"),
        ({"currency": "USD"}, "currency_not_allowed"),
    ],
)
def test_staff_cannot_overrule_the_bank(a_rig: FollowRig, change: dict[str, Any], reason: str) -> None:
    person = a_rig.bound()
    held = _held(person)
    person.bank.change(person.number, **change)
    refused = _close(a_rig, held)
    assert kind_of(refused) == (409, "review-not-approvable")
    assert reason in refused.json()["detail"]
    assert _queue(a_rig, person) == [held]
    assert a_rig.support("GET", f"/v1/decisions/{held}").json()["reservation"] is None
    entries = a_rig.admin("GET", f"/v1/audit?subject={held}").json()["entries"]
    assert [entry["outcome"] for entry in entries] == ["ReviewNotApprovable"]
    assert _close(a_rig, held, "decline").status_code == 200


def test_staff_cannot_approve_while_the_bank_is_silent(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    a_rig.clock.advance(301_000)
    silent = person.decide()
    assert (silent["outcome"], silent["reason"]) == ("review", "bank_silent")
    assert kind_of(_close(a_rig, silent["transaction_id"])) == (409, "review-not-approvable")
    a_rig.chain.down = True
    unreachable = person.decide()
    assert kind_of(_close(a_rig, unreachable["transaction_id"])) == (503, "ledger-unreachable")
    a_rig.chain.down = False
    a_rig.heartbeat()
    for each in (silent, unreachable):
        assert _close(a_rig, each["transaction_id"]).json()["reservation"]["state"] == "reserved"


def test_an_approval_learns_the_tags_that_the_bank_did_not_vouch_for(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    this = schema.bindings.c.binding == bytes.fromhex(person.binding[2:])
    storage = a_rig.app.state.gateway.storage
    with storage.write() as connection:
        as_bound = connection.execute(select(schema.bindings.c.tags).where(this)).scalar_one()
        typed = replace(IdentityTags.unpack(as_bound), phone=b"usr").pack()
        connection.execute(update(schema.bindings).where(this).values(unvouched="phone", tags=typed))
    a_rig.chain.down = True
    unreachable = person.decide()
    a_rig.chain.down = False
    a_rig.heartbeat()
    assert (unreachable["reason"], _close(a_rig, unreachable["transaction_id"]).status_code) == (
        "ledger_unreachable",
        200,
    )
    with storage.read() as connection:
        row = connection.execute(select(schema.bindings).where(this)).one()
    assert (row.unvouched, row.tags) == (None, as_bound)


def test_staff_may_pass_an_identity_check_left_to_them_and_no_other(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    person.bank.accounts[person.number] = unlike(person, phone="+8613900139000")
    person.bank.change(person.number)
    changed = person.decide()
    assert (changed["outcome"], changed["reason"]) == ("review", "phone_changed")
    # Staff have checked the phone, but not the name, which changed since.
    holder = person.bank.accounts[person.number]
    person.bank.accounts[person.number] = unlike(person, holder_name="王小明")
    person.bank.change(person.number)
    refused = _close(a_rig, changed["transaction_id"])
    assert kind_of(refused) == (409, "review-not-approvable")
    assert "name_changed" in refused.json()["detail"]
    person.bank.accounts[person.number] = holder
    person.bank.change(person.number)
    assert _close(a_rig, changed["transaction_id"]).json()["review"]["outcome"] == "approve"
    # Only this transaction passed: the next one goes to review as well.
    assert person.decide()["reason"] == "phone_changed"


def test_payments_approved_by_staff_count_for_the_velocity_rule(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    for _ in range(2):
        assert _close(a_rig, _held(person)).status_code == 200
    assert person.decide(amount_minor=4_998)["outcome"] == "approve"  # 15,000 in all
    assert person.decide(amount_minor=1)["hold"]["rule"] == "burst"


def test_a_withdrawal_that_staff_approve_counts_until_it_is_voided(a_rig: FollowRig) -> None:
    person = a_rig.bound()
    document = _close(a_rig, _held(person, kind="withdrawal")).json()
    assert document["review"]["outcome"] == "approve"
    assert (document["reservation"]["state"], document["reservation"]["expires_at_ms"]) == ("reserved", None)


def test_approvals_at_the_same_moment_never_overspend_the_day(a_rig: FollowRig) -> None:
    person = a_rig.bound(daily_limit_minor=3 * LARGE)
    held = [_held(person) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: _close(a_rig, each), [*held, *held]))
    approved = {answer.json()["transaction_id"] for answer in answers if answer.status_code == 200}
    assert len(approved) == 3
    assert {kind_of(answer) for answer in answers if answer.status_code != 200} == {(409, "review-not-approvable")}
    assert set(_queue(a_rig, person)) == set(held) - approved


def test_the_queue_is_oldest_first_and_continues_where_a_page_ended(a_rig: FollowRig) -> None:
    person = a_rig.bound(BICS[0])
    held = []
    for _ in range(5):
        a_rig.clock.advance(1)
        held.append(_held(person))
    pages, cursor = [], ""
    while True:
        page = a_rig.support("GET", f"/v1/reviews?binding={person.binding}&limit=2{cursor}").json()
        pages.append([each["transaction_id"] for each in page["decisions"]])
        if page["next"] is None:
            break
        _close(a_rig, pages[-1][-1], "decline")  # the last item of a page may be gone by the next
        cursor = f"&cursor={page['next']}"
    assert pages == [held[:2], held[2:4], held[4:]]
