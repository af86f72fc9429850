"""The feed: the core's one client."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.world import ACCOUNT, Bank, World, wait_until


def _entry(bank: Bank, *changes: Mapping[str, Any], as_of_ms: int | None = None) -> dict[str, Any]:
    at = bank.clock.advance(10) if as_of_ms is None else as_of_ms
    return {"as_of_ms": at, "changes": [{"effective_at_ms": at, **change} for change in changes]}


def _state(bank: Bank) -> dict[str, Any]:
    status: dict[str, Any] = bank.get("/v1/status").json()
    return {key: status[key] for key in ("core_as_of_ms", "waiting")}


def test_a_repeated_entry_gets_the_same_answer_and_changes_nothing(bank: Bank) -> None:
    entry = _entry(bank, ACCOUNT)
    first = bank.post("/v1/feed", bank.core_key, json=entry)
    bank.clock.advance(5_000)
    again = bank.post("/v1/feed", bank.core_key, json=entry)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()


def test_a_repeated_old_entry_gets_its_old_answer_after_later_ones(bank: Bank) -> None:
    entry = _entry(bank, ACCOUNT)
    first = bank.post("/v1/feed", bank.core_key, json=entry)
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    assert bank.post("/v1/feed", bank.core_key, json=entry).json() == first.json()


def test_an_entry_with_a_used_time_and_other_content_is_refused(bank: Bank) -> None:
    entry = _entry(bank, ACCOUNT)
    bank.post("/v1/feed", bank.core_key, json=entry)
    answer = bank.post("/v1/feed", bank.core_key, json={**entry, "changes": []})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:standing:problem:entry-differs"


def test_an_entry_older_than_the_last_is_refused(bank: Bank) -> None:
    last = bank.feed(ACCOUNT)
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": last - 1, "changes": []})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:standing:problem:feed-out-of-order"
    assert str(last) in answer.json()["detail"]


def test_an_entry_from_the_future_is_refused_since_the_watermark_could_not_be_published(bank: Bank) -> None:
    now = bank.clock.now_ms()
    for ahead_ms, status in ((5_001, 422), (5_000, 200)):
        answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": now + ahead_ms, "changes": []})
        assert answer.status_code == status, answer.text


BAD_CHANGES = [
    pytest.param({"number": "a b"}, "changes[1].number", id="not a number"),
    pytest.param({"currency": "CNX"}, "changes[1].currency", id="unknown currency"),
    pytest.param({"transaction_limit_minor": -1}, "changes[1].transaction_limit_minor", id="a negative limit"),
    pytest.param({"daily_limit_minor": 2**63}, "changes[1].daily_limit_minor", id="a limit out of range"),
    pytest.param({"daily_limit_minor": "unlimited"}, "changes[1].daily_limit_minor", id="a limit that is not a number"),
    pytest.param(
        {"transaction_limit_minor": 1.5}, "changes[1].transaction_limit_minor", id="a limit that is not an integer"
    ),
    pytest.param({"status": "asleep"}, "changes[1].status", id="an unknown status"),
    pytest.param({"debit_allowed": "yes"}, "changes[1].debit_allowed", id="a permission that is not a boolean"),
    pytest.param({"id_document_country": None}, "changes[1].id_document_country", id="a new account without a country"),
    pytest.param({"phone": "1" * 65}, "changes[1].phone", id="a phone number too long"),
    pytest.param({"holder_name": "··"}, "changes[1].holder_name", id="a name without letters"),
    pytest.param({"effective_at_ms": 2**48}, "changes[1].effective_at_ms", id="a time the ledger cannot hold"),
    pytest.param({"colour": "red"}, "changes[1].colour", id="an unknown field"),
]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "field"), BAD_CHANGES)
def test_a_bad_change_is_named_and_its_whole_entry_is_rolled_back(
    bank: Bank, wrong: Mapping[str, Any], field: str
) -> None:
    before = _state(bank)
    good = {**ACCOUNT, "number": "9156026831789191"}
    entry = _entry(bank, good, {**ACCOUNT, **wrong})
    answer = bank.post("/v1/feed", bank.core_key, json=entry)
    assert answer.status_code == 422
    assert any(found["field"].startswith(field) for found in answer.json()["errors"]), answer.text
    assert ACCOUNT["holder_name"] not in answer.text
    assert _state(bank) == before
    # The good change of the same entry is not applied either: its account is still unknown.
    again = bank.post("/v1/feed", bank.core_key, json=_entry(bank, {"number": good["number"], "status": "frozen"}))
    assert again.status_code == 422


@pytest.mark.long
@pytest.mark.parametrize(("earlier_ms", "status"), [(0, 422), (1, 200)])
def test_a_change_dated_before_the_last_entry_is_refused(bank: Bank, earlier_ms: int, status: int) -> None:
    """The watermark promised that all changes up to `last` are known: a change effective then would break that."""
    last = bank.feed(ACCOUNT)
    change = {"number": ACCOUNT["number"], "status": "frozen", "effective_at_ms": last + earlier_ms}
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": bank.clock.advance(10), "changes": [change]})
    assert answer.status_code == status, answer.text


def test_a_change_dated_after_its_own_entry_is_refused(bank: Bank) -> None:
    bank.feed(ACCOUNT)
    at = bank.clock.advance(10)
    change = {"number": ACCOUNT["number"], "status": "frozen", "effective_at_ms": at + 1}
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": at, "changes": [change]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "changes[0].effective_at_ms"


def test_two_changes_of_one_account_in_an_entry_are_applied_in_order(bank: Bank) -> None:
    bank.feed(ACCOUNT)
    assert bank.bind().json()["outcome"] == "granted"
    number = ACCOUNT["number"]
    as_of_ms = bank.change({"number": number, "status": "frozen"}, {"number": number, "status": "active"})
    trail = bank.get(f"/v1/feed/{as_of_ms}").json()
    assert trail["attestations"] == 2
    backwards = [
        {"number": number, "status": "frozen", "effective_at_ms": bank.clock.advance(10)},
        {"number": number, "status": "active", "effective_at_ms": bank.clock.now_ms() - 1},
    ]
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": bank.clock.now_ms(), "changes": backwards})
    assert answer.status_code == 422


def test_the_watermark_on_the_ledger_is_the_cores_own_time_and_not_the_nodes_clock(bank: Bank) -> None:
    as_of_ms = bank.feed(ACCOUNT)
    bank.clock.advance(60_000)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms)
    # A publication signed while the clock moved may cover less; the next heartbeat covers everything, and no more.
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms >= as_of_ms)
    assert bank.client.bank(bank.bic).watermark_ms == as_of_ms


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "status", "problem"),
    [(None, 401, "missing-key"), ("sk_wrong", 401, "missing-key"), ("platform", 403, "wrong-role")],
)
def test_only_the_core_may_feed(bank: Bank, key: str | None, status: int, problem: str) -> None:
    answer = bank.post("/v1/feed", bank.platform_key if key == "platform" else key, json=_entry(bank, ACCOUNT))
    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:standing:problem:{problem}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert _state(bank)["core_as_of_ms"] == 0


def test_an_oversized_body_is_refused_whether_or_not_it_declares_its_length(bank: Bank) -> None:
    big = b" " * (bank.settings.max_body_bytes + 1)
    for content in (big, (big[start : start + 65536] for start in range(0, len(big), 65536))):
        answer = bank.post("/v1/feed", bank.core_key, content=content)
        assert answer.status_code == 413
        assert answer.json()["max_bytes"] == bank.settings.max_body_bytes
    assert _state(bank)["core_as_of_ms"] == 0


def test_an_entry_without_changes_is_on_the_ledger_once_the_watermark_has_reached_it(bank: Bank) -> None:
    bank.heartbeat()
    as_of_ms = bank.feed()
    assert not bank.get(f"/v1/feed/{as_of_ms}").json()["on_ledger"]
    bank.make_heartbeat_due()
    wait_until(lambda: bank.get(f"/v1/feed/{as_of_ms}").json()["on_ledger"])
    assert bank.client.bank(bank.bic).watermark_ms >= as_of_ms


def test_an_entry_during_a_full_outbox_gets_503_and_changes_nothing(a_world: World) -> None:
    bank = a_world.start_bank(max_waiting=1)
    bank.feed(ACCOUNT)
    a_world.chain.down = True
    bank.wait_until_nothing_is_signed()
    assert bank.bind().json()["outcome"] == "granted"
    answer = bank.post("/v1/feed", bank.core_key, json=_entry(bank, {**ACCOUNT, "status": "frozen"}))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    # A heartbeat adds nothing to the queue, so it is still accepted.
    assert bank.post("/v1/feed", bank.core_key, json=_entry(bank)).status_code == 200
