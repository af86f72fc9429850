"""The follower: what it tells, in which order, and that it tells it once, whatever chain, node or process do."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from standing.gateway.following import follower as follower_module
from standing.gateway.following.followed import CursorMoved
from standing.gateway.following.follower import Follower
from standing.gateway.following.observing import Observer
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerUnreachable, StandingError
from standing.ledger.service.vault import VaultError
from tests.gateway.follower_rig import Call, FollowRig, follow_rig, kinds
from tests.gateway.gateway_rig import BICS, GUARDIAN, REGISTRAR
from tests.world import ACCOUNT, World, wait_until

_OTHER = BICS[1]


@pytest.fixture(scope="module")
def shared_follow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("follow")) as made:
        yield made


@pytest.fixture
def rig(shared_follow: FollowRig) -> Iterator[FollowRig]:
    """The module's rig, its banks heard just now, and everything so far told of."""
    shared_follow.heartbeat()
    yield shared_follow.settle()
    shared_follow.undo()


# --- what is told


def test_an_ordinary_start_of_a_binding_is_told_as_usable_and_a_change_after_it_too(rig: FollowRig) -> None:
    person = rig.bound()
    path = f"/v1/bindings/{person.binding}"
    assert rig.platform("GET", path).json()["usable_since_ms"] is None  # nobody has looked yet
    assert kinds(rig.follow(), person) == ["binding.usable"]
    since_ms = rig.clock.now_ms()
    assert rig.platform("GET", path).json()["usable_since_ms"] == since_ms
    (account,) = rig.platform("GET", f"/v1/users/{person.user_id}/accounts").json()["accounts"]
    assert account["usable_since_ms"] == since_ms
    rig.clock.advance(1)
    rig.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    (event,) = rig.follow()
    assert event["type"] == "binding.frozen"
    assert event["data"] == {
        "bank": rig.bank.bic,
        "binding": person.binding,
        "publication": rig.bank.number,
        "block_number": rig.ledger.block_number(),
        "observed_at_ms": rig.clock.now_ms(),
        "status": "frozen",
        "previous_status": "active",
        "fields": ["status", "debit_allowed"],
        "effective_at_ms": rig.clock.now_ms(),
    }


def test_a_freeze_between_the_grant_and_the_first_look_is_told(rig: FollowRig) -> None:
    person = rig.bound()
    rig.bank.change(person.number, status=Status.FROZEN)
    assert kinds(rig.follow(), person) == ["binding.usable", "binding.frozen"]


def test_a_binding_whose_first_publication_was_followed_before_it_was_stored_is_not_lost(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = rig.bank._bind

    def followed_before_the_answer(body: BindingRequest) -> BindingAnswer:
        answer = bind(body)  # its publication is in a block now, and the binding is nobody's yet
        while rig.following.follower.step():
            pass
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(rig.bank, "_bind", followed_before_the_answer)
        person = rig.bound()
    assert rig.following.follower.status.block_number == rig.ledger.block_number()
    assert kinds(rig.follow(), person) == ["binding.usable"]
    rig.bank.change(person.number, status=Status.LOST)
    assert kinds(rig.follow(), person) == ["binding.lost"]


@pytest.mark.long
def test_events_of_a_binding_come_in_the_order_of_the_chain(rig: FollowRig) -> None:
    one, two = rig.bound(), rig.bound()
    rig.follow()
    for status in (Status.FROZEN, Status.ACTIVE, Status.LOST, Status.ACTIVE, Status.CLOSED):
        rig.bank.change(one.number, status=status)
        rig.bank.change(two.number, status=status)
    events = rig.follow()
    expected = ["frozen", "cleared", "lost", "cleared", "closed"]
    for person in (one, two):
        assert kinds(events, person) == [f"binding.{word}" for word in expected]
    assert [event["position"] for event in events] == sorted(event["position"] for event in events)
    blocks = [event["data"]["block_number"] for event in events]
    assert blocks == sorted(blocks)


def test_what_changed_and_changed_back_within_one_block_is_one_state(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.LOST)
    block = rig.ledger.head()

    def in_one_block(call: Call, answer: Call) -> Call:
        """The development chain makes a block of each transaction; a real one puts both into the second."""
        if call["method"] != "eth_getLogs":
            return answer
        place = {"blockNumber": hex(block.number), "blockHash": "0x" + block.hash.hex()}
        return answer | {"result": [log | place for log in answer["result"]]}

    rig.alter = in_one_block
    (event,) = rig.follow()
    assert (event["type"], event["data"]["publication"]) == ("binding.lost", rig.bank.number)


def test_a_record_that_does_not_open_is_told_once_and_so_is_the_first_that_opens_again(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    raw = bytes.fromhex(person.binding[2:])
    rig.bank.publish(raw, terms=bytes(32))
    assert kinds(rig.follow()) == ["binding.unreadable"]
    rig.bank.publish(raw, terms=bytes(32))
    assert kinds(rig.follow()) == []
    rig.bank.publish(raw)
    assert kinds(rig.follow()) == ["binding.cleared"]


def test_the_same_word_published_again_is_not_told(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.publish(bytes.fromhex(person.binding[2:]))
    assert rig.follow() == []


def test_bindings_of_other_platforms_and_heartbeats_are_passed_over(rig: FollowRig) -> None:
    person = rig.person()
    rig.bank.bindings[b"\x07" * 32] = person.number
    rig.bank.publish(b"\x07" * 32)
    rig.heartbeat()
    assert rig.follow() == []
    assert rig.following.follower.status.block_number == rig.ledger.block_number()


def test_no_event_holds_personal_data_or_an_amount(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    holder = rig.bank.accounts[person.number].holder
    rig.bank.change(
        person.number,
        transaction_limit_minor=123_457,
        daily_limit_minor=765_433,
        holder=holder.model_copy(update={"holder_name": "司马测试", "phone": "+8613987654321"}),
    )
    assert kinds(rig.follow(), person) == ["binding.limits_changed", "binding.identity_changed"]
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        kept = repr(database.execute("SELECT * FROM events").fetchall())
        kept += repr(database.execute("SELECT * FROM binding_states").fetchall())
    database.close()
    for secret in (*person.claim.values(), "司马测试", "13987654321", "123457", "765433"):
        if len(secret) > 4 or not secret.isascii():
            assert secret not in kept


# --- banks, by the clock


def test_a_bank_that_is_silent_past_the_bound_is_told_once_and_so_is_its_return(rig: FollowRig) -> None:
    bound_ms = rig.app.state.gateway.policy.widest_staleness_ms
    watermark_ms = rig.clock.now_ms()
    rig.clock.advance(bound_ms)
    rig.banks[_OTHER].publish()
    assert rig.follow() == []  # at the bound, not past it
    rig.clock.advance(1)
    (event,) = rig.follow()
    assert (event["type"], event["data"]["bank"]) == ("bank.silent", rig.bank.bic)
    assert event["data"]["staleness_ms"] == bound_ms + 1
    assert event["data"]["watermark_ms"] == watermark_ms
    assert rig.follow() == []
    rig.bank.publish()
    (event,) = rig.follow()
    assert (event["type"], event["data"]["bank"]) == ("bank.back", rig.bank.bic)
    assert rig.follow() == []


def test_with_the_ledger_down_no_bank_is_called_silent(rig: FollowRig) -> None:
    rig.chain.down = True
    rig.clock.advance(10 * rig.app.state.gateway.policy.widest_staleness_ms)
    with pytest.raises(LedgerUnreachable):
        rig.follow()
    rig.chain.down = False
    rig.heartbeat()
    assert rig.follow() == []


def test_a_suspension_is_told_and_so_is_its_end(rig: FollowRig) -> None:
    bank = rig.banks[_OTHER]
    governance.execute(rig.ledger, governance.suspend(_OTHER), GUARDIAN)
    (event,) = rig.follow()
    assert (event["type"], event["data"]["bank"]) == ("bank.suspended", _OTHER)
    registrar = rig.ledger.bank(_OTHER).admin
    governance.execute(rig.ledger, governance.reinstate(_OTHER, bank.signer.address, registrar), REGISTRAR)
    assert kinds(rig.follow()) == ["bank.reinstated"]


# --- downtime, refusals, crashes


@pytest.mark.long
def test_after_a_downtime_everything_is_told_in_bounded_ranges(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    for index in range(8):
        rig.bank.change(person.number, status=Status.FROZEN if index % 2 == 0 else Status.ACTIVE)
        rig.heartbeat()
    rig.calls.clear()
    events = rig.follow(rig.another_follower(max_blocks=5))
    assert kinds(events, person) == ["binding.frozen", "binding.cleared"] * 4
    asked = [(int(p[0]["fromBlock"], 16), int(p[0]["toBlock"], 16)) for p in rig.asked("eth_getLogs")]
    assert all(last - first < 5 for first, last in asked)
    assert [first for first, _ in asked[1:]] == [last + 1 for _, last in asked[:-1]]  # no gap, nothing twice


@pytest.mark.long
def test_a_range_that_the_node_refuses_is_asked_for_in_smaller_ones(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    for _ in range(6):
        rig.heartbeat()
    rig.bank.change(person.number, status=Status.CLOSED)

    def too_wide(call: dict[str, Any]) -> bool:
        if call["method"] != "eth_getLogs":
            return False
        asked = call["params"][0]
        return int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) >= 3

    rig.refuse = too_wide
    follower = rig.another_follower()
    refusals = 0
    while True:
        try:
            events = rig.follow(follower)
            break
        except LedgerUnreachable:
            refusals += 1
            assert refusals < 12, "the range does not get smaller"
    assert refusals > 0
    assert kinds(events, person) == ["binding.closed"]


def test_a_node_without_the_old_state_has_what_came_between_told_as_one_change(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.LOST)
    head = hex(rig.ledger.block_number())
    rig.refuse = lambda call: call["method"] == "eth_call" and call["params"][1] not in {head, "latest"}
    assert kinds(rig.follow(), person) == ["binding.lost"]


@pytest.mark.long
@pytest.mark.parametrize("broken", ["following.followed.advance", "events.log.append"])
def test_a_crash_in_the_middle_of_a_commit_loses_nothing_and_tells_nothing_twice(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)

    def crash(*_args: object) -> None:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patch:
        patch.setattr(f"standing.gateway.{broken}", crash)
        with pytest.raises(RuntimeError):
            rig.following.follower.step()
    assert rig.new_events() == []
    assert kinds(rig.follow(rig.another_follower()), person) == ["binding.frozen"]
    assert rig.follow() == []


@pytest.mark.long
def test_a_block_of_many_bindings_is_written_in_parts_and_a_crash_between_them_loses_none(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [rig.bound() for _ in range(5)]
    rig.follow()
    for person in people:
        account = rig.bank.accounts[person.number]
        rig.bank.accounts[person.number] = type(account)(account.holder, status=Status.LOST)
    rig.bank.publish(*(bytes.fromhex(person.binding[2:]) for person in people))
    monkeypatch.setattr(follower_module, "MAX_AT_ONCE", 2)
    written = 0
    plain = Observer.write

    def crash_later(self: Observer, *args: Any) -> int:
        nonlocal written
        written += 1
        if written == 2:
            raise RuntimeError("the process ends here")
        return plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Observer, "write", crash_later)
        with pytest.raises(RuntimeError):
            rig.following.follower.step()
    first = rig.new_events()
    assert len(first) == 2
    rest = rig.follow(rig.another_follower())
    told = [event["data"]["binding"] for event in first + rest]
    assert sorted(told) == sorted(person.binding for person in people)


def test_two_followers_of_one_database_tell_everything_once(rig: FollowRig, monkeypatch: pytest.MonkeyPatch) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    other, plain = rig.another_follower(), Observer.sight

    def overtaken(self: Observer, *args: Any) -> Any:
        seen = plain(self, *args)
        monkeypatch.setattr(Observer, "sight", plain)
        while other.step():  # the other one does the same work before this one writes
            pass
        return seen

    monkeypatch.setattr(Observer, "sight", overtaken)
    with pytest.raises(CursorMoved):
        rig.following.follower.step()
    assert kinds(rig.follow(), person) == ["binding.frozen"]


# --- reorgs


def test_a_change_that_a_reorg_takes_back_is_told_as_taken_back(rig: FollowRig) -> None:
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
def test_a_change_that_a_reorg_only_moves_to_another_block_is_not_told_again(rig: FollowRig) -> None:
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


def test_a_change_that_only_the_new_chain_has_is_told(rig: FollowRig) -> None:
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


def test_a_node_that_is_only_behind_takes_nothing_back(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with rig.other_chain():
        rig.bank.change(person.number, status=Status.FROZEN)
        rig.follow()
    # The chain as a node that is behind has it: shorter, and the same as far as it goes.
    assert rig.follow() == []
    states = rig.following.follower.status
    assert states.block_number is not None
    assert states.block_number > rig.ledger.block_number()
    rig.heartbeat()  # now it is another chain for certain
    assert kinds(rig.follow(), person) == ["binding.cleared"]


def test_a_chain_of_which_nothing_is_remembered_is_taken_up_anew_and_every_binding_looked_at(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute("UPDATE followed_blocks SET hash = zeroblob(32)")
        database.execute("UPDATE follower SET block_hash = zeroblob(32)")
    database.close()
    assert kinds(rig.follow(), person) == ["binding.frozen"]


@pytest.mark.long
def test_blocks_that_are_not_deep_enough_are_not_told_of(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    for _ in range(2):  # the cursor is at the head; a deeper follower waits until it is that deep
        rig.heartbeat()
    deep = rig.another_follower(BlockRule(depth=2))
    rig.follow(deep)
    rig.bank.change(person.number, status=Status.FROZEN)
    assert rig.follow(deep) == []
    rig.bank.publish()
    assert rig.follow(deep) == []
    rig.bank.publish()
    assert kinds(rig.follow(deep), person) == ["binding.frozen"]


# --- data that makes no sense


def test_the_publications_of_a_bank_under_a_name_that_is_no_bic_are_passed_over(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.banks[_OTHER].publish()
    rig.banks[_OTHER].publish()
    other = "0x" + _OTHER.encode().ljust(32, b"\0").hex()
    foreign = "0x" + b"\xffno bic".ljust(32, b"\0").hex()

    def admitted_under_another_name(call: Call, answer: Call) -> Call:
        if call["method"] != "eth_getLogs":
            return answer
        return answer | {
            "result": [
                log | {"topics": [foreign if t == other else t for t in log["topics"]]} for log in answer["result"]
            ]
        }

    rig.alter = admitted_under_another_name
    with capture_logs() as logs:
        assert kinds(rig.follow(), person) == ["binding.frozen"]
    told = [log["bank"] for log in logs if log["event"] == "foreign_bank_passed_over"]
    assert told == [foreign[:24]]
    assert rig.following.follower.status.block_number == rig.ledger.block_number()


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "spoil"),
    [
        ("eth_getBlockByNumber", lambda block: block | {"timestamp": hex(2**64)}),
        ("eth_getBlockByNumber", lambda block: block | {"number": hex(2**64)}),
    ],
)
def test_a_number_that_no_honest_node_tells_stops_neither_the_follower_nor_what_was_told_before(
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


# --- in its thread


@pytest.mark.parametrize("error", [LedgerMismatch("odd"), VaultError("odd"), InvalidValue("odd", "odd", "even")])
def test_whatever_fails_on_purpose_is_tried_again_for_days(
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
    assert follower.status.trouble == "told to stop"


@pytest.mark.long
def test_an_unexpected_end_of_the_follower_is_logged_and_shown_and_the_gateway_stays_fit_for_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Follower) -> bool:
        raise RuntimeError("text that is not to be told")

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
def test_the_follower_outlives_a_ledger_that_is_down_and_goes_on(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    platform = a_world.start_platform(follower={"poll_ms": 10})
    binding = platform.bind(bank.bic)
    assert platform.decide(binding)["outcome"] == "approve"
    a_world.chain.down = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: platform.decide(binding)["reason"] == "ledger_unreachable")
    a_world.chain.down = False

    def told() -> list[str]:
        return [event["type"] for event in platform.get(f"/v1/events?binding={binding}").json()["events"]]

    wait_until(lambda: "binding.frozen" in told())
    assert told() in (["binding.frozen"], ["binding.usable", "binding.frozen"])  # it may first look after the freeze
