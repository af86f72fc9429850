"""Lists of decisions: exactly the matching ones, in pages that neither repeat nor skip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.decisions.schemas import DecisionList
from standing.gateway.decisions.search import DecisionFilter, _matching
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from tests.gateway.answers import kind_of
from tests.gateway.gateway_rig import Person, Rig, rig


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("search")) as made:
        yield made


def _names(rig: Rig, **asked: Any) -> list[str]:
    answer = rig.support("GET", "/v1/decisions", params=asked)
    assert answer.status_code == 200, answer.text
    assert DecisionList.model_validate(answer.json()).model_dump(mode="json") == answer.json()
    return [each["transaction_id"] for each in answer.json()["decisions"]]


def _decide(person: Person, name: str, **changes: Any) -> str:
    person.rig.clock.advance(1)
    return str(person.decide(transaction_id=f"{person.user_id}.{name}", **changes)["transaction_id"])


def test_each_filter_finds_exactly_its_decisions(shared: Rig) -> None:
    person, other = shared.bound(), shared.bound()
    paid = _decide(person, "paid")
    dollars = _decide(person, "dollars", currency="USD")
    theirs = _decide(other, "paid")
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    frozen = _decide(person, "frozen")
    frozen_ms = shared.clock.now_ms()
    shared.clock.advance(300_001)
    silent = _decide(person, "silent")
    shared.heartbeat()

    mine = {"user_id": person.user_id}
    assert _names(shared, **mine) == [silent, frozen, dollars, paid]
    assert _names(shared, binding=other.binding) == [theirs]
    assert _names(shared, **mine, outcome="approve") == [paid]
    assert _names(shared, **mine, outcome="decline") == [frozen, dollars]
    assert _names(shared, **mine, outcome="review") == [silent]
    assert _names(shared, **mine, reason="account_frozen") == [frozen]
    assert _names(shared, **mine, since_ms=frozen_ms) == [silent, frozen]
    assert _names(shared, **mine, until_ms=frozen_ms) == [dollars, paid]
    assert _names(shared, user_id=other.user_id, binding=person.binding) == []
    assert _names(shared)[:5] == [silent, frozen, theirs, dollars, paid]


def test_an_account_is_found_through_any_of_its_bindings(shared: Rig) -> None:
    person = shared.bound()
    old, first = person.binding, _decide(person, "first")
    _decide(shared.bound(), "theirs")
    answer = shared.platform(
        "POST",
        f"/v1/bindings/{old}/rebind",
        json={**person.claim, "request_id": f"again-{person.user_id:0>8}", "reason": "A new phone"},
    )
    assert answer.status_code == 201, answer.text
    person.binding = answer.json()["binding"]
    second = _decide(person, "second")
    for binding in (old, person.binding):
        assert _names(shared, account_of=binding) == [second, first]
    assert (_names(shared, binding=old), _names(shared, binding=person.binding)) == ([first], [second])


def test_pages_neither_repeat_nor_skip_while_decisions_are_added(shared: Rig) -> None:
    person = shared.bound()
    # Three per millisecond: the time alone does not order them.
    made = []
    for index in range(9):
        shared.clock.advance(1 if index % 3 == 0 else 0)
        made.append(person.decide(transaction_id=f"{person.user_id}.{index}", amount_minor=1)["transaction_id"])
    found: list[str] = []
    asked: dict[str, Any] = {"user_id": person.user_id, "limit": 3}
    while True:
        page = shared.platform("GET", "/v1/decisions", params=asked).json()
        found += [each["transaction_id"] for each in page["decisions"]]
        assert page["decisions"], "a full last page names no next one"
        if page["next"] is None:
            break
        _decide(person, f"meanwhile-{len(found)}", amount_minor=1)
        asked["cursor"] = page["next"]
    assert found == made[::-1]


def test_a_list_shows_the_current_state_of_reservations(shared: Rig) -> None:
    person = shared.bound()
    name = _decide(person, "kept")
    shared.platform("POST", f"/v1/decisions/{name}/capture", json={"amount_minor": 1})
    (listed,) = shared.support("GET", f"/v1/decisions?user_id={person.user_id}").json()["decisions"]
    assert listed == shared.support("GET", f"/v1/decisions/{name}").json()
    assert listed["reservation"]["captured_minor"] == 1


def test_unknown_users_and_bindings_are_not_found_rather_than_empty(shared: Rig) -> None:
    unknown = "0x" + "11" * 32
    for path in (
        "/v1/decisions?user_id=u-none",
        "/v1/reviews?user_id=u-none",
        "/v1/holds?user_id=u-none",
        "/v1/bindings?user_id=u-none",
        "/v1/users/u-none/accounts",
        f"/v1/decisions?binding={unknown}",
        f"/v1/decisions?account_of={unknown}",
    ):
        assert kind_of(shared.support("GET", path)) == (404, "not-found"), path
    refused = shared.person()
    assert refused.bind(holder_name="另一个人名").json()["outcome"] == "refused"
    assert _names(shared, user_id=refused.user_id) == []  # known, without decisions
    assert shared.support("GET", f"/v1/users/{refused.user_id}/accounts").json() == {"accounts": [], "pending": []}


@pytest.mark.parametrize(
    "query",
    [
        "cursor=1",
        "cursor=~t",
        "cursor=1~",
        "cursor=a~t",
        "limit=0",
        "limit=201",
        "outcome=maybe",
        "reason=x",
        "since_ms=-1",
    ],
)
def test_an_invalid_query_is_reported_by_field(shared: Rig, query: str) -> None:
    answer = shared.support("GET", f"/v1/decisions?{query}")
    assert kind_of(answer) == (422, "malformed-request")
    assert [error["field"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("wanted", "open_reviews", "index"),
    [
        (DecisionFilter(), False, "ix_decisions_decided"),
        (DecisionFilter(user_id="u"), False, "ix_decisions_binding_decided"),
        (DecisionFilter(binding=b"b"), False, "ix_decisions_binding_decided"),
        (DecisionFilter(account_of=b"b"), False, "ix_decisions_binding_decided"),
        (DecisionFilter(reason=Reason.ACCOUNT_FROZEN), False, "ix_decisions_reason"),
        (DecisionFilter(outcome=Outcome.DECLINE), False, "ix_decisions_decided"),
        (DecisionFilter(), True, "ix_decisions_open_review"),
    ],
)
def test_every_list_is_served_by_an_index(
    tmp_path: Path, shared: Rig, wanted: DecisionFilter, open_reviews: bool, index: str
) -> None:
    query = _matching(wanted)
    if open_reviews:
        query = query.where(schema.REVIEW_IS_OPEN)
    order = (schema.decisions.c.decided_at_ms, schema.decisions.c.transaction_id)
    query = query.order_by(*(order if open_reviews else (each.desc() for each in order))).limit(50)
    storage = shared.app.state.gateway.storage
    with storage.read() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("PostgreSQL chooses by statistics that a test's few rows do not give")
        compiled = query.compile(connection, compile_kwargs={"render_postcompile": True})
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple(compiled.params.values())).all()
        assert index in str(plan), plan
        assert connection.scalar(text("SELECT 1")) == 1
