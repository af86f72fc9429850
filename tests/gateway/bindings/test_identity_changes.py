"""A user's name, document or phone changes on the platform; attempts that are held."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from standing.gateway.bindings.attempts import BindingBounds
from standing.gateway.decisions.policy import Policy
from standing.gateway.storage import schema
from standing.ledger.clock import MINUTE_MS
from tests.gateway.answers import kind_of
from tests.gateway.bindings.requests import HOUR_MS, OTHER, confirm, waiting
from tests.gateway.gateway_rig import BICS, Person, Rig, rig


def identity(person: Person, **changes: Any) -> httpx.Response:
    body = {"reason": "The user changed it in the app", **changes}
    return person.rig.platform("PUT", f"/v1/users/{person.user_id}/identity", json=body)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"holder_name": OTHER["holder_name"]}, "name_changed"),
        (
            {
                "id_document_scheme": "CCPT",
                "id_document_country": "CN",
                "id_document_number": OTHER["id_document_number"],
            },
            "id_document_changed",
        ),
        ({"phone": OTHER["phone"]}, "phone_changed"),
    ],
)
def test_an_identity_changed_on_the_platform_is_compared_with_the_banks_from_then_on(
    a_rig: Rig, change: dict[str, str], reason: str
) -> None:
    person = a_rig.bound()
    assert person.decide()["outcome"] == "approve"
    answer = identity(person, **change)
    assert (answer.status_code, answer.json()) == (200, {"bindings": 1})
    assert person.decide()["reason"] == reason  # the bank does not have it yet
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert list(live["terms"]["identity"].values()).count("changed") == 1
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update=change))
    assert person.decide()["outcome"] == "approve"
    # And back to the identity stated first.
    assert identity(person, **{name: person.claim[name] for name in change}).status_code == 200
    assert person.decide()["reason"] == reason


def test_an_identity_change_applies_to_all_bindings_of_the_user_and_to_nobody_elses(a_rig: Rig) -> None:
    person, other = a_rig.bound(), a_rig.bound()
    second, ended = a_rig.person(BICS[1]), a_rig.person(BICS[1])
    for each in (second, ended):
        each.user_id = person.user_id
        each.binding = each.bind(request_id=f"bind-{each.number}").json()["binding"]
    assert a_rig.platform("DELETE", f"/v1/bindings/{ended.binding}").status_code == 204
    assert identity(person, holder_name=OTHER["holder_name"]).json() == {"bindings": 2}
    assert [each.decide()["reason"] for each in (person, second, other)] == ["name_changed", "name_changed", None]


def test_a_pending_binding_is_granted_with_the_new_identity(a_rig: Rig) -> None:
    person = waiting(a_rig)
    assert identity(person, holder_name=OTHER["holder_name"]).json() == {"bindings": 0}
    person.binding = confirm(person).json()["binding"]
    assert person.decide()["reason"] == "name_changed"


def test_a_phone_that_the_platform_states_later_counts_and_is_not_learned_from_the_bank(a_rig: Rig) -> None:
    person = waiting(a_rig, phone="+8613900139000")  # not the phone that the bank has
    person.binding = confirm(person).json()["binding"]
    assert identity(person, phone="+8613800138000").status_code == 200
    assert person.decide()["reason"] == "phone_changed"


def test_an_invalid_identity_change_is_reported_by_field_and_changes_nothing(a_rig: Rig) -> None:
    person = a_rig.bound()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "identity"),
        ({"holder_name": "···"}, "holder_name"),
        ({"phone": "unknown"}, "phone"),
        ({"id_document_number": "E99999999"}, "id_document"),
        ({"phone": OTHER["phone"], "reason": "x"}, "reason"),
        ({"phone": OTHER["phone"], "sex": "f"}, "sex"),
    ]
    for change, field in wrong:
        answer = identity(person, **change)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
        for stated in change.values():
            assert len(stated) < 4 or stated not in answer.text
    assert person.decide()["outcome"] == "approve"
    nobody = a_rig.person()
    assert kind_of(identity(nobody, phone=OTHER["phone"])) == (404, "not-found")


@pytest.mark.long
def test_a_user_refused_too_often_is_held_until_support_lifts_the_hold_or_it_ends(tmp_path_factory: Any) -> None:
    bounds = BindingBounds(max_refusals=3, within_minutes=60, hold_minutes=120)
    with rig(tmp_path_factory.mktemp("held"), policy=Policy(binding=bounds)) as made:
        person, other = made.person(), made.person()

        def refused() -> httpx.Response:
            return person.bind(holder_name="另一个人")

        assert [refused().json()["outcome"] for _ in range(2)] == ["refused"] * 2
        made.clock.advance(HOUR_MS)  # the earlier refusals are out of the window now
        assert [refused().json()["outcome"] for _ in range(3)] == ["refused"] * 3
        made.heartbeat()
        asked = len(person.bank.asked)
        held = person.bind()
        assert kind_of(held) == (429, "binding-held")
        assert held.headers["retry-after"] == "7200"
        assert len(person.bank.asked) == asked  # the bank was not called
        assert other.bind().status_code == 201
        (hold,) = made.support("GET", f"/v1/holds?user_id={person.user_id}").json()["holds"]
        assert hold["hold_id"] in held.json()["detail"]
        assert (hold["rule"], hold["binding"], hold["ends_at_ms"] - hold["began_at_ms"]) == (
            "BINDING_ATTEMPTS",
            None,
            2 * HOUR_MS,
        )
        assert "3 attempts" in hold["why"]["en"]
        assert "3 次绑定" in hold["why"]["zh"]
        path = f"/v1/holds/{hold['hold_id']}/lift"
        assert made.platform("POST", path, json={"reason": "The user called"}).status_code == 403
        lifted = made.support("POST", path, json={"reason": "The user called"})
        assert (lifted.status_code, lifted.json()["lifted_by"]) == (200, "support")
        assert kind_of(made.support("POST", path, json={"reason": "The user called"})) == (409, "already-lifted")
        made.clock.advance(1)
        assert [refused().json()["outcome"] for _ in range(3)] == ["refused"] * 3
        assert kind_of(refused()) == (429, "binding-held")
        made.clock.advance(2 * HOUR_MS)  # it expires
        ended = made.support("GET", f"/v1/holds?user_id={person.user_id}").json()["holds"][0]["hold_id"]
        late = made.support("POST", f"/v1/holds/{ended}/lift", json={"reason": "The user called"})
        assert (kind_of(late), late.json()["detail"]) == (
            (409, "already-lifted"),
            "the hold has ended; there is nothing to lift",
        )
        made.heartbeat()
        assert person.bind().status_code == 201


def test_refusals_that_no_longer_count_are_forgotten_also_of_users_who_never_come_back(a_rig: Rig) -> None:
    gone, other = a_rig.person(), a_rig.person()
    for person in (gone, other):
        assert person.bind(holder_name="另一个人").json()["outcome"] == "refused"
        a_rig.clock.advance(Policy().binding.within_minutes * MINUTE_MS)
    table = schema.binding_refusals.c
    with a_rig.app.state.gateway.storage.read() as connection:
        counted = connection.scalars(
            select(table.user_id).where(table.user_id.in_([gone.user_id, other.user_id]))
        ).all()
    assert counted == [other.user_id]


def test_attempts_at_the_same_moment_get_no_more_refusals_than_one_after_another(tmp_path: Path) -> None:
    with rig(tmp_path, policy=Policy(binding=BindingBounds(max_refusals=3))) as made:
        person = made.person()
        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(lambda _: person.bind(holder_name="另一个人"), range(12)))
        # 200 is the bank's refusal; 429 did not reach it
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 9
        assert len(made.support("GET", f"/v1/holds?user_id={person.user_id}").json()["holds"]) == 1


def test_a_banks_rate_limit_is_passed_on_with_retry_after(a_rig: Rig) -> None:
    person = a_rig.person()
    person.bank.trouble = "too many"
    answer = person.bind()
    assert kind_of(answer) == (429, "too-many-attempts")
    assert answer.headers["retry-after"] == "77"
    person.bank.trouble = None
    assert person.bind().status_code == 201


def test_banks_learn_that_it_is_the_same_user_and_not_which(a_rig: Rig) -> None:
    persons = [a_rig.bound() for _ in range(2)]
    asked = [request for request, _ in persons[0].bank.asked.values()]
    (name,) = [request.on_behalf_of for request in asked if request.request_id.endswith(persons[0].user_id)]
    assert name is not None
    assert len(name) == 64
    assert persons[0].user_id not in name
    second = a_rig.person()
    second.user_id = persons[0].user_id
    second.bind(request_id="bind-second-01")
    assert second.bank.asked["bind-second-01"][0].on_behalf_of == name
    # Two banks cannot find out together that a user is a customer of both.
    elsewhere = a_rig.person(BICS[1])
    elsewhere.user_id = persons[0].user_id
    elsewhere.bind(request_id="bind-elsewhere-01")
    assert elsewhere.bank.asked["bind-elsewhere-01"][0].on_behalf_of not in {None, name}
