"""Clocks that are ahead or behind: the node's, or the core's too. The ledger refuses publications far ahead of its
blocks."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import httpx
import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.clock import ManualClock
from standing.node.publishing import outbox
from standing.node.storage import schema
from tests.node.node_tools import account, grant_of, status_on_ledger, terms_on_ledger
from tests.world import PLATFORM, Bank, World, wait_until

_HOUR_MS = 3_600_000
_ALLOWANCE_MS = 10_000


@pytest.fixture
def ahead(a_world: World) -> Iterator[Bank]:
    """A bank whose node's clock is an hour ahead of the ledger's."""
    with ExitStack() as stack:
        bank = a_world.make_bank()
        bank.clock = ManualClock(a_world.clock.now_ms() + _HOUR_MS)
        bank.start(stack)
        yield bank


def _feed(bank: Bank, as_of_ms: int, *changes: Mapping[str, Any]) -> None:
    stated = [{"effective_at_ms": as_of_ms, **change} for change in changes]
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": as_of_ms, "changes": stated})
    assert answer.status_code == 200, answer.text


def _unbind(bank: Bank, grant: Mapping[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {bank.platform_key}"}
    answer = httpx.delete(f"{bank.url}/v1/bindings/{grant['binding']}", headers=headers, timeout=30)
    assert answer.status_code == 204, answer.text


def _effective_ms(bank: Bank, grant: Mapping[str, Any]) -> int:
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    return terms.effective_at_ms


def test_a_node_clock_that_is_ahead_delays_neither_an_unbinding_nor_later_changes(a_world: World, ahead: Bank) -> None:
    _feed(ahead, a_world.clock.now_ms(), account(1), account(2))
    leaving, staying = grant_of(ahead.bind(account(1))), grant_of(ahead.bind(account(2)))
    wait_until(lambda: status_on_ledger(ahead, staying) == Status.ACTIVE)
    _unbind(ahead, leaving)
    wait_until(lambda: status_on_ledger(ahead, leaving) == Status.UNBOUND)
    ledger_ms = ahead.client.head().time_s * 1000
    assert ledger_ms <= _effective_ms(ahead, leaving) <= ledger_ms + _ALLOWANCE_MS
    frozen_at_ms = a_world.clock.advance(10)
    _feed(ahead, frozen_at_ms, {"number": account(2)["number"], "status": "frozen"})
    wait_until(lambda: status_on_ledger(ahead, staying) == Status.FROZEN)
    assert _effective_ms(ahead, staying) == frozen_at_ms, "the core's clock is right"
    assert ahead.client.bank(ahead.bic).watermark_ms == frozen_at_ms


@pytest.mark.long
def test_a_core_ahead_with_its_node_is_published_in_ledger_time_and_its_watermark_advances(
    a_world: World, ahead: Bank
) -> None:
    with capture_logs() as logs:
        _feed(ahead, ahead.clock.now_ms(), account(1))
        grant = grant_of(ahead.bind(account(1)))
        wait_until(lambda: status_on_ledger(ahead, grant) == Status.ACTIVE)
    assert [line["event"] for line in logs].count("clock_ahead_of_ledger") == 1
    seen_ms = []
    for status in (Status.FROZEN, Status.ACTIVE):
        a_world.clock.advance(5_000)
        ahead.clock.advance(5_000)
        _feed(ahead, ahead.clock.now_ms(), {"number": account(1)["number"], "status": status.name.lower()})
        wait_until(lambda status=status: status_on_ledger(ahead, grant) == status)  # type: ignore[misc]
        state, ledger_ms = ahead.client.bank(ahead.bic), ahead.client.head().time_s * 1000
        effective_ms = _effective_ms(ahead, grant)
        assert ledger_ms <= effective_ms <= ledger_ms + _ALLOWANCE_MS
        # A change of the same moment may follow, and the watermark must not have passed it.
        assert ledger_ms <= state.watermark_ms < effective_ms
        seen_ms.append(state.watermark_ms)
    assert seen_ms == sorted(set(seen_ms))


def test_a_ledger_whose_clock_is_behind_is_a_warning_of_readyz_until_it_has_caught_up(
    a_world: World, ahead: Bank
) -> None:
    """The node works, but its watermark falls behind real time, and platforms call the bank silent."""
    _feed(ahead, ahead.clock.now_ms(), account(1))
    wait_until(lambda: ahead.client.bank(ahead.bic).watermark_ms)
    seconds = (_HOUR_MS - _ALLOWANCE_MS) // 1000
    (warning,) = ahead.get("/readyz").json()["warnings"]
    assert f"{seconds} s behind this machine's clock" in warning
    in_chinese = httpx.get(ahead.url + "/readyz", headers={"Accept-Language": "zh-CN"}).json()["warnings"]
    assert in_chinese[0].startswith(f"账本可接受的最晚时间比本机时钟落后 {seconds} 秒")
    a_world.clock.advance(_HOUR_MS)
    ahead.heartbeat()
    assert ahead.get("/readyz").json()["warnings"] == []


@pytest.mark.long
def test_a_silent_core_that_was_ahead_does_not_look_alive_as_ledger_time_passes(a_world: World, ahead: Bank) -> None:
    """The last entry covers the time of its arrival, however far ahead its own time; nothing vouches for later time."""
    _feed(ahead, ahead.clock.now_ms(), account(1))
    wait_until(lambda: ahead.client.bank(ahead.bic).watermark_ms)
    ahead.wait_until_published()
    said_ms = ahead.client.bank(ahead.bic).watermark_ms
    for _ in range(3):
        a_world.clock.advance(60_000)
        ahead.clock.advance(60_000)
        # A grant is published at once and would carry the watermark along.
        grant = grant_of(ahead.bind(account(1)))
        wait_until(lambda grant=grant: status_on_ledger(ahead, grant) == Status.ACTIVE)  # type: ignore[misc]
        _unbind(ahead, grant)
        wait_until(lambda grant=grant: status_on_ledger(ahead, grant) == Status.UNBOUND)  # type: ignore[misc]
        assert ahead.client.bank(ahead.bic).watermark_ms == said_ms


def test_a_node_whose_clock_was_set_back_does_not_vouch_for_the_time_in_between(a_world: World, ahead: Bank) -> None:
    with ahead.node.database.write() as connection:
        at_ms = a_world.clock.now_ms()
        connection.execute(
            insert(schema.feed_entries).values(
                as_of_ms=at_ms + _HOUR_MS,
                digest=b"",
                received_at_ms=at_ms + _HOUR_MS,
                changes=0,
                attestations=0,
                complete=True,
                parts=1,
            )
        )
        reach = partial(outbox.reachable_watermark_ms, connection, 0, 7, latest_ms=at_ms + _ALLOWANCE_MS)
        assert reach(now_ms=at_ms) == 7
        assert reach(now_ms=at_ms + _HOUR_MS) == at_ms + _ALLOWANCE_MS - 1


def test_a_change_arriving_during_a_ledger_call_still_carries_its_watermark(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = a_world.start_bank()
    bank.change(account(1))
    grant = grant_of(bank.bind(account(1)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    said_ms: list[int] = []
    publisher = bank.node.publisher
    ask = publisher._latest_allowed_ms
    one_entry_at_a_time = Lock()  # the core's entries are ordered, and the publisher may ask at any time

    def asked() -> int:
        with one_entry_at_a_time:
            if not said_ms:
                said_ms.append(bank.feed({"number": account(1)["number"], "status": "frozen"}))
        return ask()

    with one_entry_at_a_time:
        monkeypatch.setattr(publisher, "_latest_allowed_ms", asked)
        bank.clock.advance(bank.settings.publisher.heartbeat_ms)  # makes a heartbeat due, so the ledger is called
        bank.feed()
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert bank.client.bank(bank.bic).watermark_ms == said_ms[0]


def test_a_binding_never_goes_back_behind_the_ledger_whatever_the_nodes_clock_says(
    ahead: Bank,
) -> None:
    terms = Terms(
        status=Status.ACTIVE,
        debit_allowed=True,
        credit_allowed=True,
        currency=156,
        effective_at_ms=0,
        limits=NO_LIMITS,
        tags=IdentityTags(*[b"\x01" * 3] * 3),
    )
    drafts = [outbox.Draft(bytes(32), PLATFORM, replace(terms, effective_at_ms=ms), floor_ms=9) for ms in (5, 12, 8)]
    with ahead.node.database.read() as connection:
        placed = outbox.in_bounds(connection, drafts, 7)
        assert [draft.terms.effective_at_ms for draft in placed] == [9, 9, 9]
        assert [draft.terms.effective_at_ms for draft in outbox.in_bounds(connection, drafts, 20)] == [9, 12, 12]


def test_a_clock_behind_the_cores_is_a_warning_of_readyz_until_an_entry_is_accepted(a_world: World) -> None:
    """The core's entries are refused, so platforms take the bank for silent; the core alone would know why."""
    bank = a_world.start_bank()
    now_ms = a_world.clock.now_ms()
    _feed(bank, now_ms, account(1))
    ahead = {"as_of_ms": now_ms + 300_000, "changes": []}
    with capture_logs() as logs:
        for _ in range(2):
            assert bank.post("/v1/feed", bank.core_key, json=ahead).status_code == 422
        (warning,) = bank.get("/readyz").json()["warnings"]
        assert warning.startswith("the core's last entry was refused: its time is 300 s ahead of this machine's clock")
    assert [line["event"] for line in logs].count("core_ahead_of_clock") == 1
    a_world.clock.advance(300_000)
    _feed(bank, now_ms + 300_000)
    assert bank.get("/readyz").json()["warnings"] == []


def test_a_clock_that_was_ahead_and_was_set_back_is_not_said_to_be_ahead(
    ahead: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing need be signed in between, because the core's entries are refused by then."""
    _feed(ahead, ahead.clock.now_ms(), account(1))
    wait_until(lambda: ahead.get("/readyz").json()["warnings"])
    monkeypatch.setattr(ahead.clock, "_now_ms", ahead.clock.now_ms() - 2 * _HOUR_MS)
    assert ahead.get("/readyz").json()["warnings"] == []
