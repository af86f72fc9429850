"""The promises of `examples/README.md` about the invented day, its changes and transactions.

The trace is read as an outsider would read it; of the generator only the order of its decision model is checked.
"""

import importlib
from collections import Counter
from typing import Any

import phonenumbers
import pytest
from stdnum.cn import ric

from tests.examples.invented_files import (
    ACCOUNTS,
    BANK_TWO,
    BY_NUMBER,
    EXAMPLES,
    IDENTITY_FIELDS,
    MATCHING,
    TRACE,
    TRANSACTIONS,
    Row,
    bank_of,
    number_of,
    transactions_with_state,
)

PRECEDENCE = [
    "bank_silent",
    "unbound",
    "account_closed",
    "account_lost",
    "account_frozen",
    "account_dormant",
    "debit_not_allowed",
    "credit_not_allowed",
    "name_changed",
    "id_document_changed",
    "phone_changed",
    "currency_not_allowed",
    "over_transaction_limit",
    "over_daily_limit",
    "over_monthly_limit",
    "over_yearly_limit",
]
WHATS = {
    *("frozen", "unfrozen", "lost", "closed", "dormant", "limit_lowered", "limit_raised", "credit_forbidden"),
    "credit_allowed",
    *("debit_forbidden", "name_changed", "phone_changed", "id_document_changed", "unbound"),
}
CHANGES = [event for event in TRACE if event["kind"] == "change"]


def _seconds(event: Row) -> int:
    hours, minutes, seconds = map(int, event["at"].split(":"))
    return hours * 3600 + minutes * 60 + seconds


def test_events_are_numbered_chronologically_one_per_second() -> None:
    assert [event["seq"] for event in TRACE] == list(range(1, len(TRACE) + 1))
    times = [_seconds(event) for event in TRACE]
    assert times == sorted(set(times))
    assert [event["id"] for event in TRANSACTIONS] == [f"t-{n:04d}" for n in range(1, len(TRANSACTIONS) + 1)]


def test_the_day_is_long_enough_and_mostly_ordinary() -> None:
    assert len(TRANSACTIONS) >= 420
    assert len(CHANGES) >= 44
    approved = sum(event["expect"]["outcome"] == "approve" for event in TRANSACTIONS)
    assert approved > 0.7 * len(TRANSACTIONS)
    assert {event["user_id"] for event in TRANSACTIONS} == {user["user_id"] for user in MATCHING}


@pytest.mark.parametrize("reason", PRECEDENCE)
def test_every_reason_occurs_at_least_three_times(reason: str) -> None:
    outcomes = [event["expect"]["outcome"] for event in TRANSACTIONS if event["expect"]["reason"] == reason]
    assert len(outcomes) >= 3
    assert set(outcomes) == {"review" if reason in {"bank_silent", "phone_changed"} else "decline"}


def test_only_approvals_have_no_reason() -> None:
    for event in TRANSACTIONS:
        assert (event["expect"]["outcome"] == "approve") == (event["expect"]["reason"] is None)


def test_the_bank_would_accept_exactly_what_is_approved_while_it_is_not_silent() -> None:
    for event, _, _, silent in transactions_with_state():
        if not silent:
            assert (event["bank_would"] == "accept") == (event["expect"]["outcome"] == "approve"), event


def test_the_silence_holds_for_all_of_bank_two_and_hides_both_kinds_of_truth() -> None:
    silences = [(event["bank"], event["state"]) for event in TRACE if event["kind"] == "silence"]
    assert silences == [(BANK_TWO, "begin"), (BANK_TWO, "end")]
    for event, _, _, silent in transactions_with_state():
        assert silent == (event["expect"]["reason"] == "bank_silent"), event
    hidden = {event["bank_would"] for event, _, _, silent in transactions_with_state() if silent}
    assert hidden == {"accept", "refuse"}


def test_nothing_happens_too_close_to_the_silence_or_to_a_change_of_the_account() -> None:
    begin, end = (_seconds(event) for event in TRACE if event["kind"] == "silence")
    last_change: dict[str, int] = {}
    for event in TRACE:
        at = _seconds(event)
        if event["kind"] == "change":
            last_change |= {change["number"]: at for change in event["changes"]}
        elif event["kind"] == "transaction":
            assert at - last_change.get(number_of(event), 0) >= 20, event
            if bank_of(event) == BANK_TWO:
                assert not begin <= at < begin + 300, event
                assert not end <= at < end + 120, event


def test_changes_list_only_fields_that_change() -> None:
    now = {number: dict(account) for number, account in BY_NUMBER.items()}
    for event in CHANGES:
        for change in event["changes"]:
            assert change["number"] in {account["number"] for account in ACCOUNTS[event["bank"]]}
            fields = {name: value for name, value in change.items() if name not in {"number", "unbind"}}
            if event["what"] == "unbound":
                assert change == {"number": change["number"], "unbind": ["jinqiao-pay"]}
            else:
                assert fields
            for name, value in fields.items():
                assert value != now[change["number"]][name], event
                if name.endswith("_limit_minor"):
                    assert value == "none" or type(value) is int, event
                else:
                    assert type(value) is type(BY_NUMBER[change["number"]][name]), event
            now[change["number"]] |= fields


def test_all_kinds_of_change_occur_on_bound_and_on_unbound_accounts() -> None:
    bound = {user["number"] for user in MATCHING}
    assert {event["what"] for event in CHANGES} == WHATS
    on_bound = [event for event in CHANGES if bound & {change["number"] for change in event["changes"]}]
    assert len(CHANGES) / 2 < len(on_bound) < len(CHANGES)
    late = [event for event in CHANGES if "delivered" in event]
    assert [(event["what"], event["bank"], event["delivered"]) for event in late] == [
        ("frozen", BANK_TWO, "after_silence"),
        ("unfrozen", BANK_TWO, "after_silence"),
    ]


def test_a_change_of_identity_applies_to_all_accounts_of_the_holder() -> None:
    identity = {name for fields in IDENTITY_FIELDS.values() for name in fields}
    together = 0
    for event in CHANGES:
        if event["what"] in {"name_changed", "phone_changed", "id_document_changed"}:
            documents = {BY_NUMBER[change["number"]]["id_document_number"] for change in event["changes"]}
            accounts = [a["number"] for a in ACCOUNTS[event["bank"]] if a["id_document_number"] in documents]
            assert sorted(accounts) == sorted(change["number"] for change in event["changes"])
            assert all(change.keys() - {"number"} <= identity for change in event["changes"])
            together += len(accounts) > 1
    assert together >= 2


def test_changed_documents_and_phones_are_valid() -> None:
    for event in CHANGES:
        for change in event["changes"]:
            if "phone" in change:
                assert phonenumbers.is_valid_number(phonenumbers.parse(change["phone"]))
            if "id_document_number" in change:
                passport = BY_NUMBER[change["number"]]["id_document_scheme"] == "CCPT"
                assert passport or ric.is_valid(change["id_document_number"])


def test_approved_payments_never_exceed_a_limit_and_some_reach_one_exactly() -> None:
    met: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for event, account, used, _ in transactions_with_state():
        if event["transaction"] != "payment":
            continue
        for limit, amount in (("transaction", event["amount_minor"]), ("daily", used + event["amount_minor"])):
            allowed = account[f"{limit}_limit_minor"]
            if allowed == "none":
                continue
            if event["expect"]["outcome"] == "approve":
                assert amount <= allowed, event
                met[limit] += amount == allowed
            elif event["expect"]["reason"] == f"over_{limit}_limit":
                assert amount > allowed, event
                missed[limit] += amount == allowed + 1
    assert min(met["transaction"], met["daily"], missed["transaction"], missed["daily"]) >= 3, (met, missed)


def test_a_payment_that_fits_the_rest_of_the_day_passes_after_a_larger_one_did_not() -> None:
    refused: set[str] = set()
    passed = 0
    limits: dict[str, Any] = {}
    for event, account, _, _ in transactions_with_state():
        number = number_of(event)
        if event["transaction"] == "payment" and event["expect"]["reason"] == "over_daily_limit":
            refused.add(number)
            limits[number] = account["daily_limit_minor"]
        elif event["transaction"] == "payment" and event["expect"]["outcome"] == "approve" and number in refused:
            passed += account["daily_limit_minor"] == limits[number]
    assert passed >= 3


def test_a_frozen_account_that_allows_credits_still_receives_withdrawals() -> None:
    received = {
        number_of(event)
        for event, account, _, _ in transactions_with_state()
        if account["status"] == "frozen" and event["expect"]["outcome"] == "approve"
    }
    assert len(received) >= 2
    for event, account, _, _ in transactions_with_state():
        if account["status"] == "frozen" and event["expect"]["outcome"] == "approve":
            assert event["transaction"] == "withdrawal"


def test_a_snapshot_of_the_days_start_would_err_in_both_directions() -> None:
    def permitted(account: Row, event: Row) -> bool:
        return bool(account["debit_allowed" if event["transaction"] == "payment" else "credit_allowed"])

    too_trusting = [
        e
        for e, now, _, _ in transactions_with_state()
        if permitted(BY_NUMBER[now["number"]], e) and not permitted(now, e)
    ]
    too_strict = [
        e
        for e, now, _, _ in transactions_with_state()
        if permitted(now, e) and not permitted(BY_NUMBER[now["number"]], e)
    ]
    assert {event["bank_would"] for event in too_trusting} == {"refuse"}
    assert {event["bank_would"] for event in too_strict} == {"accept"}


def test_the_models_reasons_are_in_the_order_of_the_designs_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    truth = importlib.import_module("generator.truth")
    assert [verdict.reason for verdict, _ in truth.CHECKS] == PRECEDENCE
