"""The list of a user's accounts."""

from typing import Any

import pytest
from sqlalchemy import update

from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.risk import VelocityRule
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from tests.gateway.bindings.requests import HOUR_MS, accounts_of
from tests.gateway.gateway_rig import Rig, rig

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
def test_each_account_is_listed_with_its_health(
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
    # The health agrees with a decision.
    for kind, can in (("payment", can_pay), ("withdrawal", can_withdraw)):
        decided = person.decide(kind=kind, amount_minor=1, currency=change.get("currency", "CNY"))
        assert (decided["outcome"] == "approve") is can


def test_unknown_health_is_listed_as_unknown_and_the_list_is_still_complete(a_rig: Rig) -> None:
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


def test_an_account_that_is_in_another_name_by_now_is_not_listed_as_good(a_rig: Rig) -> None:
    person, table = a_rig.bound(), schema.bindings
    its_own = table.c.binding == bytes.fromhex(person.binding[2:])
    with a_rig.app.state.gateway.storage.write() as connection:
        connection.execute(update(table).where(its_own).values(tags=b"\x01" * 9))
    (account,) = accounts_of(person)
    assert (account["health"], account["reason"]) == ("blocked", "name_changed")


def test_accounts_are_listed_newest_first(a_rig: Rig) -> None:
    older, newer = a_rig.bound(), a_rig.bound()
    table = schema.bindings
    with a_rig.app.state.gateway.storage.write() as connection:
        for each, changed in ((newer, {"user_id": older.user_id}), (older, {"created_at_ms": 1})):
            its_own = table.c.binding == bytes.fromhex(each.binding[2:])
            connection.execute(update(table).where(its_own).values(changed))
    assert [account["binding"] for account in accounts_of(older)] == [newer.binding, older.binding]


def test_an_account_with_an_exhausted_daily_limit_is_limited_until_the_amount_is_released(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_000)
    person.decide(amount_minor=1_000)
    assert [account["reason"] for account in accounts_of(person)] == ["over_daily_limit"]
    a_rig.clock.advance(HOUR_MS)  # the reservation has expired, although no decision has processed that
    a_rig.heartbeat()
    assert [account["health"] for account in accounts_of(person)] == ["good"]


def test_an_unreadable_record_is_blocked_and_a_missing_one_is_unknown(
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
def test_a_risk_hold_is_shown_in_the_list(tmp_path_factory: Any) -> None:
    burst = VelocityRule(
        rule="velocity", name="burst", currency="CNY", over_count=2, within_minutes=10, hold_minutes=30
    )
    with rig(tmp_path_factory.mktemp("risk"), policy=Policy(risk=(burst,))) as made:
        person = made.bound()
        assert [person.decide()["outcome"] for _ in range(3)] == ["approve", "approve", "review"]
        (account,) = accounts_of(person)
        assert (account["health"], account["reason"]) == ("blocked", "risk_hold")


def test_a_user_whose_accounts_all_ended_has_an_empty_list_and_an_unknown_user_is_not_found(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    assert accounts_of(person) == []
    assert a_rig.platform("GET", f"/v1/users/{a_rig.person().user_id}/accounts").status_code == 404
    assert a_rig.platform("GET", "/v1/users/not%20an%20id/accounts").status_code == 422
