"""The follower: its events, their order, and exactly one report of each despite faults of chain, node or process."""

import sqlite3
from typing import Any

import pytest
from sqlalchemy import select, update

from standing.gateway.following import follower as follower_module
from standing.gateway.following.followed import CursorMoved
from standing.gateway.following.observing import Observer
from standing.gateway.storage import schema
from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.errors import LedgerUnreachable
from tests.gateway.follower_rig import Call, FollowRig, kinds
from tests.gateway.gateway_rig import BICS, GUARDIAN, REGISTRAR

_OTHER = BICS[1]


def test_a_new_binding_is_reported_as_usable_and_its_later_changes_too(rig: FollowRig) -> None:
    person = rig.bound()
    path = f"/v1/bindings/{person.binding}"
    assert rig.platform("GET", path).json()["usable_since_ms"] is None  # the follower has not run yet
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


def test_a_freeze_between_the_grant_and_the_first_read_is_reported(rig: FollowRig) -> None:
    person = rig.bound()
    rig.bank.change(person.number, status=Status.FROZEN)
    assert kinds(rig.follow(), person) == ["binding.usable", "binding.frozen"]


@pytest.mark.parametrize(("unvouched", "kind"), [("phone", "usable"), (None, "identity_changed")])
def test_a_field_that_the_bank_did_not_vouch_for_has_not_changed_at_the_first_read(
    rig: FollowRig, unvouched: str | None, kind: str
) -> None:
    person = rig.bound()
    table = schema.bindings
    its_own = table.c.binding == bytes.fromhex(person.binding[2:])
    with rig.app.state.gateway.storage.write() as connection:
        tags = connection.execute(select(table.c.tags).where(its_own)).scalar_one()
        another_phone = tags[:6] + b"\x01\x02\x03"
        connection.execute(update(table).where(its_own).values(tags=another_phone, unvouched=unvouched))
    assert kinds(rig.follow(), person) == [f"binding.{kind}"]


def test_a_binding_whose_first_publication_was_followed_before_it_was_stored_is_not_lost(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = rig.bank._bind

    def followed_before_the_answer(body: BindingRequest) -> BindingAnswer:
        answer = bind(body)  # its publication is in a block, but the binding is not stored yet
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
        assert kinds(events, person) == [f"binding.{kind}" for kind in expected]
    assert [event["position"] for event in events] == sorted(event["position"] for event in events)
    blocks = [event["data"]["block_number"] for event in events]
    assert blocks == sorted(blocks)


def test_two_changes_within_one_block_are_one_event(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.LOST)
    block = rig.ledger.head()

    def in_one_block(call: Call, answer: Call) -> Call:
        """The development chain puts each transaction into its own block; a real one would put both into the second."""
        if call["method"] != "eth_getLogs":
            return answer
        place = {"blockNumber": hex(block.number), "blockHash": "0x" + block.hash.hex()}
        return answer | {"result": [log | place for log in answer["result"]]}

    rig.alter = in_one_block
    (event,) = rig.follow()
    assert (event["type"], event["data"]["publication"]) == ("binding.lost", rig.bank.number)


def test_an_unreadable_record_is_reported_once_and_so_is_the_next_readable_one(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    raw = bytes.fromhex(person.binding[2:])
    rig.bank.publish(raw, terms=bytes(32))
    assert kinds(rig.follow()) == ["binding.unreadable"]
    rig.bank.publish(raw, terms=bytes(32))
    assert kinds(rig.follow()) == []
    rig.bank.publish(raw)
    assert kinds(rig.follow()) == ["binding.cleared"]


def test_an_attestation_published_again_unchanged_is_no_event(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.publish(bytes.fromhex(person.binding[2:]))
    assert rig.follow() == []


def test_bindings_of_other_platforms_and_heartbeats_are_skipped(rig: FollowRig) -> None:
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


def test_a_bank_silent_beyond_the_bound_is_reported_once_and_so_is_its_return(rig: FollowRig) -> None:
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


def test_a_suspension_and_its_end_are_reported(rig: FollowRig) -> None:
    bank = rig.banks[_OTHER]
    governance.execute(rig.ledger, governance.suspend(_OTHER), GUARDIAN)
    (event,) = rig.follow()
    assert (event["type"], event["data"]["bank"]) == ("bank.suspended", _OTHER)
    registrar = rig.ledger.bank(_OTHER).admin
    governance.execute(rig.ledger, governance.reinstate(_OTHER, bank.signer.address, registrar), REGISTRAR)
    assert kinds(rig.follow()) == ["bank.reinstated"]


@pytest.mark.long
def test_after_downtime_everything_missed_is_reported_in_bounded_ranges(rig: FollowRig) -> None:
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
    assert [first for first, _ in asked[1:]] == [last + 1 for _, last in asked[:-1]]  # no gap and no overlap


@pytest.mark.long
def test_a_range_refused_by_the_node_is_requested_in_smaller_ones(rig: FollowRig) -> None:
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


def test_without_old_state_at_the_node_missed_changes_are_reported_as_one(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.LOST)
    rig.chain.devnet.tester.mine_blocks(64)
    head = hex(rig.ledger.block_number())
    rig.refuse = lambda call: call["method"] == "eth_call" and call["params"][1] not in {head, "latest"}
    assert kinds(rig.follow(), person) == ["binding.lost"]


def test_a_failure_that_passes_hides_no_change(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.ACTIVE)
    head = hex(rig.ledger.block_number())
    rig.refuse = lambda call: call["method"] == "eth_call" and call["params"][1] not in {head, "latest"}
    with pytest.raises(LedgerUnreachable):
        rig.follow()
    rig.undo()
    assert kinds(rig.follow(), person) == ["binding.frozen", "binding.cleared"]


@pytest.mark.long
@pytest.mark.parametrize("broken", ["following.followed.advance", "events.log.append"])
def test_a_crash_during_a_commit_loses_nothing_and_reports_nothing_twice(
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
    reported = [event["data"]["binding"] for event in first + rest]
    assert sorted(reported) == sorted(person.binding for person in people)


def test_two_followers_of_one_database_report_everything_once(rig: FollowRig, monkeypatch: pytest.MonkeyPatch) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    other, plain = rig.another_follower(), Observer.sight

    def overtaken(self: Observer, *args: Any) -> Any:
        seen = plain(self, *args)
        monkeypatch.setattr(Observer, "sight", plain)
        while other.step():  # the other follower does the same work before this one writes
            pass
        return seen

    monkeypatch.setattr(Observer, "sight", overtaken)
    with pytest.raises(CursorMoved):
        rig.following.follower.step()
    assert kinds(rig.follow(), person) == ["binding.frozen"]
