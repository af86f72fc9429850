"""Entries in parts: the changes of each part count at once, the watermark moves with the last."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from standing.ledger.attestations.terms import Status
from tests.node.node_tools import account, core_as_of_ms, grant_of, status_on_ledger, writes
from tests.world import ACCOUNT, Bank, wait_until


def _send(bank: Bank, as_of_ms: int, part: int, *changes: Mapping[str, Any], complete: bool = False) -> httpx.Response:
    stated = [{"effective_at_ms": as_of_ms, **change} for change in changes]
    body = {"as_of_ms": as_of_ms, "part": part, "complete": complete, "changes": stated}
    return bank.post("/v1/feed", bank.core_key, json=body)


def _wait_for_watermark(bank: Bank, at: int) -> None:
    bank.clock.advance(
        bank.settings.publisher.heartbeat_ms + 1
    )  # the change is already published, so a heartbeat carries the watermark
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == at)


_FREEZE = {"number": ACCOUNT["number"], "status": "frozen"}


@pytest.mark.long
def test_a_part_is_published_at_once_without_moving_the_watermark(bank: Bank) -> None:
    before_ms = bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    at = bank.clock.advance(1_000)
    assert _send(bank, at, 1, _FREEZE).json()["complete"] is False
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert bank.client.bank(bank.bic).watermark_ms == before_ms
    assert bank.get(f"/v1/feed/{at}").json()["complete"] is False
    assert _send(bank, at, 2, account(1), complete=True).status_code == 200
    _wait_for_watermark(bank, at)
    trail = bank.get(f"/v1/feed/{at}").json()
    assert (trail["complete"], trail["changes"], trail["attestations"]) == (True, 2, 1)


def test_a_repeated_part_gets_its_own_answer_and_changes_nothing(bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    at = bank.clock.advance(1_000)
    parts = [(1, (_FREEZE,), False), (2, (account(1),), False), (3, (), True)]
    first = [_send(bank, at, part, *changes, complete=complete).json() for part, changes, complete in parts]
    again = [_send(bank, at, part, *changes, complete=complete).json() for part, changes, complete in parts]
    assert first == again
    assert [receipt["changes"] for receipt in first] == [1, 1, 0]
    bank.heartbeat()
    assert writes(bank, grant) == 2


@pytest.mark.long
def test_an_entry_without_parts_is_a_complete_entry(bank: Bank) -> None:
    at = bank.clock.advance(10)
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": at, "changes": []})
    assert answer.json() == _send(bank, at, 1, complete=True).json()
    assert answer.json() | {"part": 1, "complete": True} == answer.json()


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "complete", "changes", "problem"),
    [
        pytest.param(3, False, (), "feed-out-of-order", id="a gap"),
        pytest.param(1, False, (), "entry-differs", id="a part with other content"),
        pytest.param(1, True, (), "entry-differs", id="the whole entry under the same time"),
    ],
)
def test_a_part_out_of_order_is_refused(
    bank: Bank, part: int, complete: bool, changes: tuple[Any, ...], problem: str
) -> None:
    at = bank.clock.advance(10)
    assert _send(bank, at, 1, ACCOUNT).status_code == 200
    answer = _send(bank, at, part, *changes, complete=complete)
    assert answer.status_code == 409
    assert answer.json()["type"] == f"urn:standing:problem:{problem}"
    assert core_as_of_ms(bank) == 0


def test_a_part_after_the_last_one_is_refused(bank: Bank) -> None:
    at = bank.clock.advance(10)
    _send(bank, at, 1)
    _send(bank, at, 2, complete=True)
    for part in (2, 3):
        assert _send(bank, at, part, ACCOUNT, complete=True).status_code == 409


def test_an_entry_must_begin_with_its_first_part(bank: Bank) -> None:
    assert _send(bank, bank.clock.advance(10), 2).status_code == 409


def test_a_later_entry_supersedes_one_that_was_never_completed(bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    open_ms = bank.clock.advance(1_000)
    _send(bank, open_ms, 1, _FREEZE)
    later_ms = bank.feed(account(1))
    _wait_for_watermark(bank, later_ms)
    assert status_on_ledger(bank, grant) == Status.FROZEN
    assert bank.get(f"/v1/feed/{open_ms}").json()["complete"] is True
    answer = _send(bank, open_ms, 2, complete=True)
    assert answer.json()["type"] == "urn:standing:problem:feed-out-of-order"


def test_a_bad_change_rejects_only_its_own_part(bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    at = bank.clock.advance(1_000)
    _send(bank, at, 1, _FREEZE)
    wrong = _send(bank, at, 2, {**account(1), "currency": "CNX"}, complete=True)
    assert wrong.status_code == 422
    assert _send(bank, at, 2, account(1), complete=True).status_code == 200
    _wait_for_watermark(bank, at)
    assert status_on_ledger(bank, grant) == Status.FROZEN


@pytest.mark.long
@pytest.mark.parametrize("part", [0, -1, 100_001, "1", 1.5])
def test_a_part_number_out_of_range_is_refused(bank: Bank, part: Any) -> None:
    assert _send(bank, bank.clock.advance(10), part).status_code == 422
