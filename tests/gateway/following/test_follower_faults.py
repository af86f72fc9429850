"""The follower under reorgs, nonsense from nodes, and failures in its thread."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from standing.gateway.following.follower import Follower
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.ledger.attestations.terms import Status
from standing.ledger.chain.client import LedgerClient
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerUnreachable, StandingError
from standing.ledger.service.vault import VaultError
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.follower_rig import Call, FollowRig, follow_rig, kinds
from tests.world import ACCOUNT, World, wait_until


def test_a_change_undone_by_a_reorg_is_reported_as_undone(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with rig.other_chain():
        rig.bank.change(person.number, status=Status.FROZEN)
        assert kinds(rig.follow(), person) == ["binding.frozen"]
    rig.heartbeat()
    assert kinds(rig.follow(), person) == ["binding.cleared"]
    rig.bank.change(person.number, status=Status.LOST)
    assert kinds(rig.follow(), person) == ["binding.lost"]


@pytest.mark.long
def test_a_change_moved_to_another_block_by_a_reorg_is_not_reported_again(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with rig.other_chain():
        rig.heartbeat()
        rig.bank.change(person.number, status=Status.FROZEN)
        (event,) = rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.heartbeat()
    assert rig.follow() == []
    rig.bank.change(person.number, status=Status.ACTIVE)
    assert kinds(rig.follow(), person) == ["binding.cleared"]
    assert event["type"] == "binding.frozen"


def test_a_change_that_only_the_new_chain_has_is_reported(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with rig.other_chain():
        rig.heartbeat()
        rig.heartbeat()
        rig.follow()
    rig.bank.change(person.number, status=Status.CLOSED)
    rig.heartbeat()
    rig.heartbeat()
    assert kinds(rig.follow(), person) == ["binding.closed"]


def test_a_node_that_is_only_behind_undoes_nothing(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with rig.other_chain():
        rig.bank.change(person.number, status=Status.FROZEN)
        for _ in range(5):
            rig.bank.publish()
        rig.follow()
    # The chain as seen by a node that is behind: a prefix.
    assert rig.follow() == []
    states = rig.following.follower.status
    assert states.block_number is not None
    assert states.block_number > rig.ledger.block_number()
    rig.heartbeat()  # now the chains certainly differ, although this one is shorter still
    assert kinds(rig.follow(), person) == ["binding.cleared"]


def test_on_an_unknown_chain_the_follower_starts_over_and_reads_every_binding(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute("UPDATE followed_blocks SET hash = zeroblob(32)")
        database.execute("UPDATE follower SET block_hash = zeroblob(32)")
    database.close()
    assert kinds(rig.follow(), person) == ["binding.frozen"]


@pytest.mark.long
def test_changes_in_blocks_not_deep_enough_are_not_reported(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    for _ in range(2):  # the cursor is at the head; a follower with a depth waits for more blocks
        rig.heartbeat()
    deep = rig.another_follower(BlockRule(depth=2))
    rig.follow(deep)
    rig.bank.change(person.number, status=Status.FROZEN)
    assert rig.follow(deep) == []
    rig.bank.publish()
    assert rig.follow(deep) == []
    rig.bank.publish()
    assert kinds(rig.follow(deep), person) == ["binding.frozen"]


def test_publications_of_a_bank_without_a_valid_bic_are_skipped(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    bank = "0x" + rig.bank.bic.encode().ljust(32, b"\0").hex()
    foreign = "0x" + b"\xffno bic".ljust(32, b"\0").hex()

    def another_publishes_as_well(call: Call, answer: Call) -> Call:
        if call["method"] != "eth_getLogs":
            return answer
        foreign_logs = [
            log | {"topics": [foreign if topic == bank else topic for topic in log["topics"]]}
            for log in answer["result"]
        ]
        return answer | {"result": [*foreign_logs, *answer["result"], *foreign_logs]}

    rig.alter = another_publishes_as_well
    with capture_logs() as logs:
        assert kinds(rig.follow(), person) == ["binding.frozen"]
    banks = [log["bank"] for log in logs if log["event"] == "foreign_bank_passed_over"]
    assert banks == [foreign[:24]]
    assert rig.following.follower.status.block_number == rig.ledger.block_number()


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "spoil"),
    [
        ("eth_getBlockByNumber", lambda block: block | {"timestamp": hex(2**64)}),
        ("eth_getBlockByNumber", lambda block: block | {"number": hex(2**64)}),
        ("eth_getLogs", lambda logs: [log | {"blockNumber": hex(10**9)} for log in logs]),
        ("eth_getLogs", lambda logs: [log | {"blockNumber": hex(2**76)} for log in logs]),
    ],
)
def test_an_impossible_number_from_a_node_stops_neither_the_follower_nor_earlier_events(
    rig: FollowRig, method: str, spoil: Callable[[Any], Any]
) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.alter = lambda call, answer: (
        answer | {"result": spoil(answer["result"])} if call["method"] == method else answer
    )
    follower = rig.another_follower()
    for _ in range(3):
        with pytest.raises(LedgerUnreachable, match="is malformed"):
            follower.step()
    assert rig.new_events() == []
    rig.undo()
    assert kinds(rig.follow(follower), person) == ["binding.frozen"]


@pytest.mark.parametrize("error", [LedgerMismatch("odd"), VaultError("odd"), InvalidValue("odd", "odd", "even")])
def test_expected_failures_are_retried_for_days(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch, error: StandingError
) -> None:
    follower = rig.another_follower()
    pauses_s: list[float] = []
    monkeypatch.setattr(follower._stop, "wait", pauses_s.append)

    def step() -> bool:
        if len(pauses_s) == 3_000:  # more doublings than a float holds
            follower.stop()
            return False
        assert follower.status.trouble == (str(error) if pauses_s else None)
        raise error

    monkeypatch.setattr(follower, "step", step)
    follower.run()
    assert max(pauses_s) == 5.0
    assert follower.status.trouble == "stopped"


@pytest.mark.long
def test_a_crash_of_the_follower_is_logged_and_reported_and_the_gateway_keeps_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Follower) -> bool:
        raise RuntimeError("text that must not be shown")

    monkeypatch.setattr(Follower, "step", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    with capture_logs() as logs, follow_rig(tmp_path, follower={"enabled": True}) as rig:
        wait_until(lambda: rig.support("GET", "/v1/status").json()["worker_troubles"])
        status = rig.support("GET", "/v1/status").json()
    assert status["worker_troubles"] == [
        "follower: ended by an unexpected RuntimeError; see the log, and start the gateway again"
    ]
    assert status["ready"]
    assert {"event": "follower_ended", "error": "RuntimeError", "log_level": "critical"} in logs


@pytest.mark.long
def test_the_follower_survives_a_ledger_outage_and_continues(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    platform = a_world.start_platform(follower={"poll_ms": 10})
    binding = platform.bind(bank.bic)
    assert platform.decide(binding)["outcome"] == "approve"
    a_world.chain.down = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: platform.decide(binding)["reason"] == "ledger_unreachable")
    a_world.chain.down = False

    def types() -> list[str]:
        return [event["type"] for event in platform.get(f"/v1/events?binding={binding}").json()["events"]]

    wait_until(lambda: "binding.frozen" in types())
    assert types() in (
        ["binding.frozen"],
        ["binding.usable", "binding.frozen"],
    )  # its first read may come after the freeze


def test_a_node_behind_all_remembered_blocks_undoes_nothing(rig: FollowRig) -> None:
    """Such as a node that was restored from a snapshot. What it shows is old, and nothing was undone."""
    person = rig.bound()
    follower = rig.another_follower(remembered_blocks=2)
    rig.follow(follower)
    with rig.other_chain():
        rig.bank.change(person.number, status=Status.FROZEN)
        for _ in range(4):
            rig.heartbeat()
            rig.follow(follower)
        observed = _observations(rig)
    restarted = rig.another_follower(remembered_blocks=2)
    rig.new_events()
    assert kinds(rig.follow(restarted), person) == []
    assert _observations(rig) == observed
    assert (restarted.status.block_number or 0) > rig.ledger.block_number()
    for _ in range(6):
        rig.heartbeat()  # now the chains certainly differ; only the first block is common, too far back to follow from
    rig.calls.clear()
    assert kinds(rig.follow(restarted), person) == ["binding.cleared"]
    assert rig.asked("eth_getLogs") == []


def test_nothing_is_missed_where_a_node_that_lags_takes_over_between_two_calls(rig: FollowRig) -> None:
    """It has no logs of blocks that it does not have yet, and has caught up by the time it is asked for the last."""
    person = rig.bound()
    rig.follow()
    with proxied(rig.chain_url) as first, proxied(rig.chain_url) as second:
        follower = rig.another_follower(ledger=LedgerClient([first.url, second.url], rig.contract))
        rig.follow(follower)
        rig.bank.change(person.number, status=Status.FROZEN)
        lagged: list[Any] = []

        def fails_from_then_on(call: Call) -> Call | None:
            first.down = first.down or call["method"] == "eth_getLogs"
            error = {"code": -32000, "message": "node is syncing"}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error} if first.down else None

        def lags_once(call: Call) -> Call | None:
            if call["method"] == "eth_getLogs" and not lagged:
                lagged.append(call)
                return {"jsonrpc": "2.0", "id": call["id"], "result": []}
            return None

        first.instead, second.instead = fails_from_then_on, lags_once
        with pytest.raises(LedgerUnreachable, match="changed while"):
            rig.follow(follower)
        assert lagged
        assert kinds(rig.follow(follower), person) == ["binding.frozen"]


def test_nothing_is_missed_where_a_load_balancer_passes_the_search_for_logs_to_a_node_that_lags(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with proxied(rig.chain_url) as balancer:
        follower = rig.another_follower(ledger=LedgerClient(balancer.url, rig.contract))
        rig.follow(follower)
        lags_at = LedgerClient(rig.chain_url, rig.contract).block_number()
        rig.bank.change(person.number, status=Status.FROZEN)
        # What the node that lags answers to the request that searches; every other one reaches the node that does not.
        lagging = {"eth_blockNumber": hex(lags_at), "eth_getLogs": []}

        def balanced(call: Call) -> Call | None:
            if call["method"] not in lagging:
                return None
            return {"jsonrpc": "2.0", "id": call["id"], "result": lagging[call["method"]]}

        balancer.instead = balanced
        with pytest.raises(LedgerUnreachable, match="has no block"):
            rig.follow(follower)
        balancer.instead = None
        assert kinds(rig.follow(follower), person) == ["binding.frozen"]


def test_a_node_that_gives_the_logs_of_a_block_later_than_its_state_is_waited_for(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    followed = rig.following.follower.status.block_number
    rig.clock.advance(10)
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.alter = _without_logs_of(rig.bank.number)
    for _ in range(2):
        with pytest.raises(LedgerUnreachable, match=f"has not given all publications of {rig.bank.bic} after block"):
            rig.follow()
    assert rig.following.follower.status.block_number == followed
    rig.undo()
    assert kinds(rig.follow(), person) == ["binding.frozen"]


def test_a_publication_whose_logs_were_late_is_found_although_it_did_not_move_the_watermark(rig: FollowRig) -> None:
    """As the first ones of a large feed entry, which is published in parts."""
    person = rig.bound()
    rig.follow()
    rig.bank.accounts[person.number] = replace(rig.bank.accounts[person.number], status=Status.FROZEN)
    rig.bank.publish(bytes.fromhex(person.binding[2:]), watermark_ms=rig.ledger.bank(rig.bank.bic).watermark_ms)
    rig.alter = _without_logs_of(rig.bank.number)
    assert rig.follow() == []
    rig.heartbeat()
    with capture_logs() as logged, pytest.raises(LedgerUnreachable, match="has not given all publications"):
        rig.follow()
    assert "logs_searched_again" in [line["event"] for line in logged]
    rig.undo()
    assert kinds(rig.follow(), person) == ["binding.frozen"]
    assert rig.follow() == []


def _without_logs_of(number: int) -> Callable[[Call, Call], Call]:
    """Answers from which a publication's logs are left out."""

    def is_of(log: Call) -> bool:
        return int(log["topics"][2], 16) == number

    def alter(call: Call, answer: Call) -> Call:
        if call["method"] != "eth_getLogs":
            return answer
        return answer | {"result": [log for log in answer["result"] if not is_of(log)]}

    return alter


def _observations(rig: FollowRig) -> list[Any]:
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        rows = database.execute("SELECT * FROM observations ORDER BY binding, publication").fetchall()
    database.close()
    return rows
