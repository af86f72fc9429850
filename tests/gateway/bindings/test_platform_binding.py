"""Binding from the platform's side: micro-deposits, binding again, a user's new name or phone, the list of accounts."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from standing.gateway.bindings.attempts import BindingBounds
from standing.gateway.bindings.identity_change import NewIdentity
from standing.gateway.bindings.outcome_messages import DEPOSIT_ASKED
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.risk import VelocityRule
from standing.gateway.errors import BankNodeUnreachable
from standing.gateway.storage import schema
from standing.ledger.attestations.binding_protocol import BindingAnswer
from standing.ledger.attestations.terms import Status
from standing.ledger.service.database import Database
from tests.gateway.fake_bank import DEPOSIT_LIFETIME_MS
from tests.gateway.gateway_rig import BICS, Person, Rig, rig

HOUR_MS = 3_600_000
OTHER = {"holder_name": "司徒测试", "id_document_number": "E99999999", "phone": "+8613900139000"}


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and type word of a problem."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:standing:problem:")


def accounts_of(person: Person) -> list[dict[str, Any]]:
    answer = person.rig.platform("GET", f"/v1/users/{person.user_id}/accounts")
    assert answer.status_code == 200
    listed: list[dict[str, Any]] = answer.json()["accounts"]
    return listed


def identity(person: Person, **changes: Any) -> httpx.Response:
    body = {"reason": "The user changed it in the app", **changes}
    return person.rig.platform("PUT", f"/v1/users/{person.user_id}/identity", json=body)


# Micro-deposits.


def _waiting(a_rig: Rig, **changes: Any) -> Person:
    person = a_rig.person()
    person.bank.deposit_minor = 37
    answer = person.bind(**changes)
    person.bank.deposit_minor = None
    assert answer.status_code == 200
    assert answer.json() == {
        "outcome": "micro_deposit",
        "binding": None,
        "number_masked": None,
        "created_at_ms": None,
        "usable_since_ms": None,
        "mismatches": [],
        "matches": [],
        "hints": [],
        "message": {"en": DEPOSIT_ASKED.en, "zh": DEPOSIT_ASKED.zh},
        "micro_deposit": {"currency": "CNY", "expires_at_ms": a_rig.clock.now_ms() + DEPOSIT_LIFETIME_MS},
    }
    return person


def confirm(person: Person, amount_minor: int = 37, **changes: Any) -> httpx.Response:
    body = {"bank": person.bank.bic, "user_id": person.user_id, "request_id": f"bind-{person.user_id:0>8}"}
    return person.rig.platform("POST", "/v1/bindings:confirm", json=body | {"amount_minor": amount_minor} | changes)


def test_a_binding_by_micro_deposit_waits_is_refused_for_another_amount_and_granted_for_the_right_one(
    a_rig: Rig,
) -> None:
    person = _waiting(a_rig)
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
    granted = confirm(person)
    assert (granted.status_code, granted.json()["outcome"]) == (201, "granted")
    person.binding = granted.json()["binding"]
    assert person.decide()["outcome"] == "approve"
    again = confirm(person)  # after a lost answer
    assert (again.status_code, again.json()) == (200, granted.json())
    assert a_rig.support("GET", f"/v1/users/{person.user_id}/accounts").json()["pending"] == []


def test_a_request_that_is_made_again_while_it_waits_gets_the_same_answer(a_rig: Rig) -> None:
    person = _waiting(a_rig)
    assert person.bind().json()["outcome"] == "micro_deposit"
    assert kind_of(person.bind(user_id="u-other"))[0] == 409
    assert confirm(person).status_code == 201


def test_nobody_else_can_confirm_and_nothing_that_does_not_wait(a_rig: Rig) -> None:
    person = _waiting(a_rig)
    others: list[dict[str, Any]] = [{"user_id": "u-other"}, {"request_id": "bind-none-01"}, {"bank": BICS[1]}]
    for change in others:
        assert kind_of(confirm(person, **change)) == (404, "not-found")
    for wrong in ({"amount_minor": 0}, {"amount_minor": 101}, {"amount_minor": "37"}, {"bank": "NOBANK"}):
        assert confirm(person, **wrong).status_code == 422
    person.bank.trouble = "503"
    assert kind_of(confirm(person)) == (503, "bank-node-unreachable")
    person.bank.trouble = None
    assert confirm(person).status_code == 201


def test_a_new_name_that_comes_while_the_bank_looks_at_the_amount_counts(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = _waiting(a_rig)
    gateway = a_rig.app.state.gateway
    ask = gateway.binding_flow._nodes.confirm

    async def confirm_meanwhile(*arguments: Any) -> BindingAnswer:
        await gateway.identity_change.apply(person.user_id, NewIdentity.parse(OTHER["holder_name"], None, None))
        answer: BindingAnswer = await ask(*arguments)
        return answer

    monkeypatch.setattr(gateway.binding_flow._nodes, "confirm", confirm_meanwhile)
    person.binding = confirm(person).json()["binding"]
    assert person.decide()["reason"] == "name_changed"


def test_a_bank_that_lost_its_deposit_and_pays_another_in_is_told_the_amount_of_that_one(a_rig: Rig) -> None:
    person = _waiting(a_rig)
    person.bank.deposits.clear()
    person.bank.asked.clear()
    person.bank.deposit_minor = 58
    assert person.bind().json()["outcome"] == "micro_deposit"
    person.bank.deposit_minor = None
    assert confirm(person, 58).status_code == 201


def test_a_deposit_that_was_never_named_is_forgotten_with_the_identity(a_rig: Rig) -> None:
    person = _waiting(a_rig)
    a_rig.clock.advance(DEPOSIT_LIFETIME_MS)
    a_rig.heartbeat()
    assert kind_of(confirm(person)) == (404, "not-found")
    other = _waiting(a_rig)
    database = Database(a_rig.settings.database_url)
    with database.read() as connection:
        users = list(connection.scalars(select(schema.pending_bindings.c.user_id)))
    database.close()
    assert person.user_id not in users
    assert other.user_id in users


def test_what_the_bank_does_not_vouch_for_is_taken_from_its_first_word_and_a_change_after_that_is_seen(
    a_rig: Rig,
) -> None:
    person = _waiting(a_rig, phone="+8613900139000")  # not the phone that the bank has
    person.binding = confirm(person).json()["binding"]
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert live["terms"]["identity"] == {"name": "same", "id_document": "same", "phone": "same"}
    assert [account["health"] for account in accounts_of(person)] == ["good"]
    assert person.decide()["outcome"] == "approve"
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update={"phone": "+8613700137000"}))
    assert person.decide()["reason"] == "phone_changed"


# Binding again.


def rebind(person: Person, binding: str, **changes: Any) -> httpx.Response:
    body = {"request_id": f"again-{person.user_id:0>8}", "reason": "The user has a new name", **person.claim}
    return person.rig.support("POST", f"/v1/bindings/{binding}/rebind", json=body | changes)


def _renamed(person: Person) -> None:
    person.claim["holder_name"] = OTHER["holder_name"]
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update={"holder_name": OTHER["holder_name"]}))


def test_a_user_with_a_new_name_at_the_bank_binds_again_and_goes_on_with_the_days_limit(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_500)
    person.decide()
    _renamed(person)
    assert person.decide()["reason"] == "name_changed"
    old = person.binding
    answer = rebind(person, old)
    assert (answer.status_code, answer.json()["outcome"]) == (201, "granted")
    person.binding = answer.json()["binding"]
    assert person.binding != old
    assert person.decide(amount_minor=501)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=500)["outcome"] == "approve"
    assert person.decide(binding=old)["reason"] == "unbound"
    again = rebind(person, old)  # after a lost answer
    assert (again.status_code, again.json()["binding"]) == (200, person.binding)
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]


def test_where_the_bank_refuses_to_bind_again_the_old_binding_is_as_it_was(a_rig: Rig) -> None:
    person = a_rig.bound()
    answer = rebind(person, person.binding, holder_name=OTHER["holder_name"])
    assert (answer.status_code, answer.json()["outcome"]) == (200, "refused")
    assert person.decide()["outcome"] == "approve"


def test_binding_again_is_for_the_same_account(a_rig: Rig) -> None:
    person, other = a_rig.bound(), a_rig.person()
    answer = rebind(person, person.binding, number=other.number)
    assert (*kind_of(answer), answer.json()["errors"][0]["field"]) == (422, "invalid-value", "number")
    assert person.decide()["outcome"] == "approve"
    assert kind_of(rebind(person, "0x" + "11" * 32)) == (404, "not-found")


def test_a_bank_that_is_lost_while_binding_again_can_be_asked_again(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.trouble = "503"
    assert kind_of(rebind(person, person.binding)) == (503, "bank-node-unreachable")
    person.bank.trouble = None
    assert person.decide()["outcome"] == "approve"
    assert rebind(person, person.binding).status_code == 201


def _asked_for_an_amount_to_bind_again(it: Rig) -> Person:
    person = it.bound(daily_limit_minor=1_500)
    person.bank.deposit_minor = 37
    answer = rebind(person, person.binding)
    person.bank.deposit_minor = None
    assert (answer.status_code, answer.json()["outcome"]) == (200, "micro_deposit")
    return person


def test_where_the_bank_pays_an_amount_in_first_the_old_binding_is_good_until_it_is_named(a_rig: Rig) -> None:
    person = _asked_for_an_amount_to_bind_again(a_rig)
    old, request_id = person.binding, f"again-{person.user_id:0>8}"
    assert confirm(person, request_id=request_id, amount_minor=38).json()["outcome"] == "refused"
    assert [account["binding"] for account in accounts_of(person)] == [old]
    assert person.decide(amount_minor=1_000)["outcome"] == "approve"
    granted = confirm(person, request_id=request_id)
    assert granted.status_code == 201
    person.binding = granted.json()["binding"]
    assert person.binding != old
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]
    assert person.decide(binding=old, amount_minor=1)["reason"] == "unbound"
    assert person.decide(amount_minor=501)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=500)["outcome"] == "approve"


def test_a_gateway_that_stops_between_the_grant_and_the_old_ones_end_ends_it_when_asked_again(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = _asked_for_an_amount_to_bind_again(a_rig)
    old, request_id = person.binding, f"again-{person.user_id:0>8}"

    async def stops(_binding: bytes) -> None:
        raise BankNodeUnreachable("the gateway stops here")

    with monkeypatch.context() as patch:
        patch.setattr(a_rig.app.state.gateway.binding_flow._bindings, "end", stops)
        assert confirm(person, request_id=request_id).status_code == 503
    assert person.decide(binding=old)["reason"] == "unbound"  # at the bank it has ended in the step of the grant
    again = confirm(person, request_id=request_id)
    assert again.status_code == 200
    person.binding = again.json()["binding"]
    assert [account["binding"] for account in accounts_of(person)] == [person.binding]
    assert person.decide()["outcome"] == "approve"


def test_an_ended_binding_can_be_bound_again_too(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert rebind(person, person.binding).status_code == 201


def test_resync_brings_a_record_that_does_not_open_back(a_rig: Rig) -> None:
    person = a_rig.bound()
    raw = bytes.fromhex(person.binding[2:])
    person.bank.publish(raw, terms=b"\x55" * 32)
    assert person.decide()["reason"] == "attestation_unreadable"
    path = f"/v1/bindings/{person.binding}/resync"
    answer = a_rig.support("POST", path, json={"reason": "Ticket 4711"})
    assert (answer.status_code, answer.json()) == (200, {"queued": True})
    assert person.decide()["outcome"] == "approve"
    for wrong in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 301}, {"reason": "good", "more": 1}):
        assert a_rig.support("POST", path, json=wrong).status_code == 422
    person.bank.trouble = "too many"
    limited = a_rig.support("POST", path, json={"reason": "Ticket 4712"})
    assert kind_of(limited) == (429, "too-many-attempts")
    assert limited.headers["retry-after"] == "77"
    person.bank.trouble = None
    del person.bank.bindings[raw]
    assert kind_of(a_rig.support("POST", path, json={"reason": "Ticket 4713"})) == (404, "not-found")


# A user's new name, document or phone on the platform.


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
def test_what_changes_on_the_platform_is_what_the_bank_is_compared_with_from_then_on(
    a_rig: Rig, change: dict[str, str], reason: str
) -> None:
    person = a_rig.bound()
    assert person.decide()["outcome"] == "approve"
    answer = identity(person, **change)
    assert (answer.status_code, answer.json()) == (200, {"bindings": 1})
    assert person.decide()["reason"] == reason  # the bank does not know it yet
    live = a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()
    assert list(live["terms"]["identity"].values()).count("changed") == 1
    holder = person.bank.accounts[person.number].holder
    person.bank.change(person.number, holder=holder.model_copy(update=change))
    assert person.decide()["outcome"] == "approve"
    # And back again, by what was stated first.
    assert identity(person, **{name: person.claim[name] for name in change}).status_code == 200
    assert person.decide()["reason"] == reason


def test_all_of_a_users_bindings_change_and_nobody_elses(a_rig: Rig) -> None:
    person, other = a_rig.bound(), a_rig.bound()
    second, ended = a_rig.person(BICS[1]), a_rig.person(BICS[1])
    for each in (second, ended):
        each.user_id = person.user_id
        each.binding = each.bind(request_id=f"bind-{each.number}").json()["binding"]
    assert a_rig.platform("DELETE", f"/v1/bindings/{ended.binding}").status_code == 204
    assert identity(person, holder_name=OTHER["holder_name"]).json() == {"bindings": 2}
    assert [each.decide()["reason"] for each in (person, second, other)] == ["name_changed", "name_changed", None]


def test_a_waiting_binding_is_granted_with_what_is_new(a_rig: Rig) -> None:
    person = _waiting(a_rig)
    assert identity(person, holder_name=OTHER["holder_name"]).json() == {"bindings": 0}
    person.binding = confirm(person).json()["binding"]
    assert person.decide()["reason"] == "name_changed"


def test_a_bad_change_of_identity_is_told_where_and_why_and_changes_nothing(a_rig: Rig) -> None:
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


# Attempts that are held.


@pytest.mark.long
def test_a_user_who_is_refused_too_often_is_held_until_support_lifts_it_or_it_ends(tmp_path_factory: Any) -> None:
    bounds = BindingBounds(max_refusals=3, within_minutes=60, hold_minutes=120)
    with rig(tmp_path_factory.mktemp("held"), policy=Policy(binding=bounds)) as made:
        person, other = made.person(), made.person()

        def refused() -> httpx.Response:
            return person.bind(holder_name="另一个人")

        assert [refused().json()["outcome"] for _ in range(2)] == ["refused"] * 2
        made.clock.advance(HOUR_MS)  # those are too long ago by now
        assert [refused().json()["outcome"] for _ in range(3)] == ["refused"] * 3
        made.heartbeat()
        asked = len(person.bank.asked)
        held = person.bind()
        assert kind_of(held) == (429, "binding-held")
        assert held.headers["retry-after"] == "7200"
        assert len(person.bank.asked) == asked  # the bank was not asked
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
        assert [refused().json()["outcome"] for _ in range(3)] == ["refused"] * 3
        assert kind_of(refused()) == (429, "binding-held")
        made.clock.advance(2 * HOUR_MS)  # it ends by itself
        made.heartbeat()
        assert person.bind().status_code == 201


def test_a_bank_that_lets_nobody_ask_so_often_says_when_to_come_back(a_rig: Rig) -> None:
    person = a_rig.person()
    person.bank.trouble = "too many"
    answer = person.bind()
    assert kind_of(answer) == (429, "too-many-attempts")
    assert answer.headers["retry-after"] == "77"
    person.bank.trouble = None
    assert person.bind().status_code == 201


def test_banks_learn_that_it_is_the_same_user_and_not_who(a_rig: Rig) -> None:
    persons = [a_rig.bound() for _ in range(2)]
    asked = [request for request, _ in persons[0].bank.asked.values()]
    whose = {request.on_behalf_of for request in asked if request.request_id.endswith(persons[0].user_id)}
    assert whose != {None}
    assert all(len(name or "") == 64 and persons[0].user_id not in (name or "") for name in whose)
    second = a_rig.person()
    second.user_id = persons[0].user_id
    second.bind(request_id="bind-second-01")
    assert second.bank.asked["bind-second-01"][0].on_behalf_of in whose


# "My bound accounts".

CONDITIONS: list[tuple[dict[str, Any], str, str | None, bool, bool]] = [
    ({}, "good", None, True, True),
    ({"debit_allowed": False}, "limited", "debit_not_allowed", False, True),
    ({"credit_allowed": False}, "limited", "credit_not_allowed", True, False),
    ({"status": Status.FROZEN, "debit_allowed": False}, "limited", "account_frozen", False, True),
    ({"transaction_limit_minor": 0}, "limited", "over_transaction_limit", False, True),
    ({"daily_limit_minor": 0}, "limited", "over_daily_limit", False, True),
    (
        {"status": Status.FROZEN, "debit_allowed": False, "credit_allowed": False},
        "blocked",
        "account_frozen",
        False,
        False,
    ),
    ({"status": Status.LOST}, "blocked", "account_lost", False, False),
    ({"status": Status.DORMANT}, "blocked", "account_dormant", False, False),
    ({"status": Status.CLOSED}, "ended", "account_closed", False, False),
    ({"status": Status.UNBOUND}, "ended", "unbound", False, False),
    ({"currency": "JPY"}, "good", None, True, True),
]


@pytest.mark.long
@pytest.mark.parametrize(("change", "health", "reason", "can_pay", "can_withdraw"), CONDITIONS)
def test_how_each_account_is_in_one_word(
    a_rig: Rig, change: dict[str, Any], health: str, reason: str | None, can_pay: bool, can_withdraw: bool
) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, **change)
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"]) == (health, reason)
    assert (account["can_pay"], account["can_withdraw"]) == (can_pay, can_withdraw)
    assert account["message"]["en"].isascii()
    assert not account["message"]["zh"].isascii()
    assert (account["message"]["en"] == "Approved.") is False
    # The word is no opinion of its own: a decision says the same.
    for kind, can in (("payment", can_pay), ("withdrawal", can_withdraw)):
        decided = person.decide(kind=kind, amount_minor=1, currency=change.get("currency", "CNY"))
        assert (decided["outcome"] == "approve") is can


def test_what_is_not_known_is_said_to_be_unknown_and_the_list_is_there_all_the_same(a_rig: Rig) -> None:
    person = a_rig.bound()
    a_rig.chain.down = True
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"], account["staleness_ms"]) == ("unknown", "ledger_unreachable", None)
    a_rig.chain.down = False
    a_rig.clock.advance(300_001)
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"], account["staleness_ms"]) == ("unknown", "bank_silent", 300_001)
    a_rig.heartbeat()
    (account,) = accounts_of(person)
    assert (account["health"], account["bank_name"]) == (
        "good",
        {"en": f"Bank {person.bank.bic}", "zh": f"银行 {person.bank.bic}"},
    )


def test_a_days_limit_that_is_used_up_makes_an_account_limited_until_it_is_given_back(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_000)
    person.decide(amount_minor=1_000)
    assert [account["reason"] for account in accounts_of(person)] == ["over_daily_limit"]
    a_rig.clock.advance(HOUR_MS)  # the reservation has expired, though no decision has looked at it
    a_rig.heartbeat()
    assert [account["health"] for account in accounts_of(person)] == ["good"]


def test_a_record_that_does_not_open_blocks_and_an_account_without_one_is_unknown(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = a_rig.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]), terms=b"\x55" * 32)
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"]) == ("blocked", "attestation_unreadable")
    with monkeypatch.context() as nothing_is_published:
        nothing_is_published.setattr(person.bank, "publish", lambda *_bindings: None)
        person = a_rig.bound()
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"]) == ("unknown", "no_attestation")


@pytest.mark.long
def test_a_hold_of_the_risk_policy_is_seen_in_the_list(tmp_path_factory: Any) -> None:
    burst = VelocityRule(
        rule="velocity", name="burst", currency="CNY", over_count=2, within_minutes=10, hold_minutes=30
    )
    with rig(tmp_path_factory.mktemp("risk"), policy=Policy(risk=(burst,))) as made:
        person = made.bound()
        assert [person.decide()["outcome"] for _ in range(3)] == ["approve", "approve", "review"]
        (account,) = accounts_of(person)
        assert (account["health"], account["reason"]) == ("blocked", "risk_hold")


def test_a_user_whose_accounts_have_ended_has_an_empty_list_and_an_unknown_user_none(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert accounts_of(person) == []
    assert a_rig.platform("GET", f"/v1/users/{a_rig.person().user_id}/accounts").status_code == 404
    assert a_rig.platform("GET", "/v1/users/not%20an%20id/accounts").status_code == 422
