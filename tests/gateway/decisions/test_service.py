"""The decision service: idempotency, daily limits under concurrency, reservations, floors, and failed commits."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import OperationalError

from standing.gateway.decisions import records
from standing.gateway.decisions.holds import Holds
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.risk import NewBindingRule, VelocityRule
from standing.gateway.decisions.usage import State
from standing.gateway.errors import AlreadySettled, NothingReserved, StorageUnavailable
from standing.gateway.ledger_reading.reader import Seen
from standing.gateway.storage import schema
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.clock import ManualClock
from standing.ledger.errors import Conflict, InvalidValue, LedgerUnreachable, NotFound, Overloaded
from tests.databases import new_database
from tests.gateway.decision_rig import NOON_MS, Account, DecisionRig, decision_rig

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3600 * 1000


async def test_concurrent_payments_never_overspend_the_daily_limit(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        answers = await asyncio.gather(*(rig.decide(account, 100) for _ in range(200)))
        approved = [answer for answer in answers if answer["outcome"] == "approve"]
        assert len(approved) == 50
        assert {answer["reason"] for answer in answers} == {None, "over_daily_limit"}
        assert sorted(answer["remaining"]["daily_limit_minor"] for answer in approved) == list(range(0, 5_000, 100))
        assert rig.used() == [("2026-01-01", "CNY", 5_000)]
        assert len(rig.rows(schema.decisions)) == 200
        assert len(rig.rows(schema.reservations)) == 50


async def test_two_gateways_on_one_database_never_overspend_either(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS)
    with decision_rig(tmp_path, clock) as one, decision_rig(tmp_path, clock) as other:
        account = one.bind()
        other.accounts = one.accounts
        ids = [f"t-{index}" for index in range(60)]
        # Both are asked about every transaction.
        first, second = await asyncio.gather(
            *(asyncio.gather(*(rig.decide(account, 100, transaction_id=name) for name in ids)) for rig in (one, other))
        )
        assert first == second
        assert sum(answer["outcome"] == "approve" for answer in first) == 50
        assert one.used() == [("2026-01-01", "CNY", 5_000)]


async def test_the_same_transaction_gets_the_same_answer_whatever_has_changed(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        first = await rig.decide(account, transaction_id="t-1")
        account.terms["debit_allowed"] = False
        rig.clock.advance(DAY_MS)
        assert await rig.decide(account, transaction_id="t-1") == first
        assert rig.used() == [("2026-01-01", "CNY", 1_000)]


@pytest.mark.parametrize(
    "change", [{"amount_minor": 1_001}, {"kind": Kind.WITHDRAWAL}, {"currency": "USD"}, {"binding": "other"}]
)
async def test_one_id_with_two_bodies_is_a_conflict(tmp_path: Path, change: dict[str, Any]) -> None:
    with decision_rig(tmp_path) as rig:
        account, other = rig.bind(), rig.bind()
        if "binding" in change:
            change = {"binding": other.binding}
        first = await rig.decide(account, transaction_id="t-1")
        with pytest.raises(Conflict):
            await rig.decide(account, **{"transaction_id": "t-1"} | change)
        assert rig.used() == [("2026-01-01", "CNY", 1_000)]
        assert await rig.decide(account, transaction_id="t-1") == first


async def test_idempotency_within_one_batch(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decisions.decide(Transaction("warm-up", account.binding, Kind.PAYMENT, 1, "CNY"))
        asked = ({"amount_minor": 1_000}, {"amount_minor": 1_000}, {"amount_minor": 2_000})
        answers: list[Any] = await asyncio.gather(
            *(rig.decide(account, transaction_id="t-1", **each) for each in asked), return_exceptions=True
        )
        assert answers[0] == answers[1]
        assert isinstance(answers[2], Conflict)
        assert rig.used() == [("2026-01-01", "CNY", 1_001)]


async def test_two_transactions_of_one_batch_see_each_other(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account, 1)
        answers = await asyncio.gather(rig.decide(account, 3_000), rig.decide(account, 3_000))
        assert [answer["reason"] for answer in answers] == [None, "over_daily_limit"]


@pytest.mark.parametrize(
    ("time_zone", "first_ms", "day"),
    [
        ("Asia/Shanghai", 1_767_283_199_999, "2026-01-01"),  # 23:59:59.999 at UTC+8
        ("Asia/Kathmandu", 1_767_291_299_999, "2026-01-01"),  # UTC+5:45
        ("Pacific/Kiritimati", 1_767_261_599_999, "2026-01-01"),  # UTC+14
        # The day on which New York's clocks go forward ends an hour of absolute time early: 2026-03-08, 23 hours.
        ("America/New_York", 1_773_028_799_999, "2026-03-08"),
    ],
)
async def test_a_day_ends_at_midnight_in_the_banks_time_zone(
    tmp_path: Path, time_zone: str, first_ms: int, day: str
) -> None:
    with decision_rig(tmp_path, ManualClock(first_ms), time_zone=time_zone) as rig:
        account = rig.bind()
        last = await rig.decide(account, 5_000)
        assert last["reservation"].items() >= {"state": "reserved", "amount_minor": 5_000, "day": day}.items()
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"
        rig.clock.advance(1)
        fresh = await rig.decide(account, 5_000)
        assert fresh["outcome"] == "approve"
        assert fresh["reservation"]["day"] > day
        # What is voided goes back to the day on which it was reserved, not to today.
        await rig.settle(last["transaction_id"], State.VOIDED)
        assert [(used_day, used) for used_day, _, used in rig.used()] == [
            (day, 0),
            (fresh["reservation"]["day"], 5_000),
        ]


async def test_capture_keeps_and_void_gives_back_and_both_may_be_asked_again(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        kept, given_back = [(await rig.decide(account, 2_500))["transaction_id"] for _ in range(2)]
        for _ in range(2):
            assert (await rig.settle(kept, State.CAPTURED))["state"] == "captured"
            assert (await rig.settle(given_back, State.VOIDED))["state"] == "voided"
            assert rig.used() == [("2026-01-01", "CNY", 2_500)]
        with pytest.raises(AlreadySettled):
            await rig.settle(kept, State.VOIDED)
        with pytest.raises(AlreadySettled):
            await rig.settle(given_back, State.CAPTURED)
        assert rig.used() == [("2026-01-01", "CNY", 2_500)]
        assert (await rig.decide(account, 2_501))["reason"] == "over_daily_limit"
        assert (await rig.decide(account, 2_500))["outcome"] == "approve"
        found = await rig.decisions.find(given_back)
        assert b'"state":"voided"' in found
        assert b'"state":"reserved"' in await rig.decisions.decide(
            Transaction(given_back, account.binding, Kind.PAYMENT, 2_500, "CNY")
        )


async def test_many_voids_and_captures_at_once_settle_each_reservation_once(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        decided = await asyncio.gather(*(rig.decide(account, 100) for _ in range(40)))
        requests = [
            (answer["transaction_id"], state)
            for answer in decided
            for state in (State.VOIDED, State.VOIDED, State.CAPTURED)
        ]
        outcomes = await asyncio.gather(*(rig.settle(*request) for request in requests), return_exceptions=True)
        # The first request of each wins, whichever batch it came in.
        assert [type(outcome) for outcome in outcomes] == [dict, dict, AlreadySettled] * 40
        assert rig.used() == [("2026-01-01", "CNY", 0)]


async def test_where_nothing_is_reserved_nothing_can_be_settled(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        declined = await rig.decide(account, 5_001)
        assert declined["reservation"] is None
        for state in (State.CAPTURED, State.VOIDED):
            with pytest.raises(NothingReserved):
                await rig.settle(declined["transaction_id"], state)
        with pytest.raises(NotFound):
            await rig.settle("t-unknown", State.CAPTURED)
        with pytest.raises(NotFound):
            await rig.decisions.find("t-unknown")
        assert rig.used() == []


async def test_without_a_stated_limit_a_day_holds_what_can_be_counted_and_no_more(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(transaction_limit_minor=NO_LIMIT, daily_limit_minor=NO_LIMIT)
        first = await rig.decide(account, MAX_AMOUNT_MINOR)
        assert first["remaining"] == dict.fromkeys(first["remaining"], "none")
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"
        await rig.settle(first["transaction_id"], State.VOIDED)
        assert (await rig.decide(account, 1))["outcome"] == "approve"


async def test_withdrawals_of_all_that_can_be_counted_do_not_stop_who_shares_a_commit_with_them(tmp_path: Path) -> None:
    burst = VelocityRule(
        rule="velocity",
        name="burst",
        currency="CNY",
        over_minor=MAX_AMOUNT_MINOR,
        within_minutes=10,
        hold_minutes=30,
    )
    payments = burst.model_copy(update={"kinds": ("payment",)})
    url = new_database(tmp_path, "gateway")
    with decision_rig(tmp_path, policy=Policy(risk=(payments,)), database_url=url) as rig:
        large, other = rig.bind(), rig.bind()
        for reason in (None, "over_daily_limit"):  # a day holds no more than can be counted
            assert (await rig.decide(large, MAX_AMOUNT_MINOR, kind=Kind.WITHDRAWAL))["reason"] == reason
        both = await asyncio.gather(rig.decide(large), rig.decide(other))
        assert [answer["outcome"] for answer in both] == ["approve", "approve"]
    with decision_rig(tmp_path, policy=Policy(risk=(burst,)), database_url=url) as later:
        later.accounts[large.binding] = large
        held = await later.decide(large, 1)
        assert (held["reason"], held["hold"]["rule"]) == ("risk_hold", "burst")


async def test_currencies_are_counted_apart(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account, 5_000)
        account.terms["currency"] = 840
        assert (await rig.decide(account, 5_000, currency="USD"))["outcome"] == "approve"
        assert rig.used() == [("2026-01-01", "CNY", 5_000), ("2026-01-01", "USD", 5_000)]
        with pytest.raises(InvalidValue):
            await rig.decide(account, currency="XQX")


async def test_a_new_binding_of_an_account_goes_on_with_its_daily_limit(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        await rig.decide(rig.bind("9156"), 4_000)
        assert (await rig.decide(rig.bind("9156"), 1_001))["reason"] == "over_daily_limit"
        assert (await rig.decide(rig.bind("9157"), 1_001))["outcome"] == "approve"


async def test_a_new_binding_of_an_account_leaves_neither_a_velocity_hold_nor_its_tally_behind(tmp_path: Path) -> None:
    burst = VelocityRule(
        rule="velocity", name="burst", currency="CNY", over_count=2, within_minutes=10, hold_minutes=30
    )
    with decision_rig(tmp_path, policy=Policy(risk=(burst,))) as rig:
        first = rig.bind("9156")
        for _ in range(2):
            assert (await rig.decide(first, 1))["outcome"] == "approve"
        held = await rig.decide(rig.bind("9156"), 1)  # the tally goes on
        assert (held["reason"], held["hold"]["rule"]) == ("risk_hold", "burst")
        again = rig.bind("9156")
        assert (await rig.decide(again, 1))["hold"] == held["hold"]  # and so does the hold
        assert (await rig.decide(rig.bind("9157"), 1))["outcome"] == "approve"
        holds = Holds(rig.storage, rig.clock)
        assert [each.hold_id for each in await holds.listed(binding=again.binding)] == [held["hold"]["hold_id"]]
        await holds.lift(held["hold"]["hold_id"], "support")
        assert (await rig.decide(again, 1))["outcome"] == "approve"


async def test_a_hold_that_looks_at_each_transaction_of_a_young_binding_is_that_bindings_alone(tmp_path: Path) -> None:
    young = NewBindingRule(rule="new_binding", name="young", currency="CNY", over_minor=10, within_hours=24)
    with decision_rig(tmp_path, policy=Policy(risk=(young,)), clock=ManualClock(1)) as rig:
        first, second = rig.bind("9156"), rig.bind("9156")
        one, other = await rig.decide(first, 11), await rig.decide(second, 11)
        assert (one["reason"], other["reason"]) == ("risk_hold", "risk_hold")
        assert one["hold"]["hold_id"] != other["hold"]["hold_id"]
        (only,) = await Holds(rig.storage, rig.clock).listed(binding=second.binding)
        assert only.hold_id == other["hold"]["hold_id"]


async def test_an_ended_binding_declines_though_its_key_is_in_memory(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        assert (await rig.decide(account))["outcome"] == "approve"
        with rig.database.write() as connection:
            connection.execute(update(schema.bindings).values(ended_at_ms=NOON_MS))
        assert (await rig.decide(account))["reason"] == "unbound"
        with pytest.raises(NotFound):
            await rig.decide(Account(bytes(32), bytes(32)))


def _floor(rig: DecisionRig) -> int:
    return int(rig.rows(schema.bindings)[0].floor)


async def test_the_floor_rises_with_what_opened_and_with_nothing_else(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        account.publication = 5
        await rig.decide(account)
        assert _floor(rig) == 5
        # A record that does not open proves nothing about its number: a node that lies must not poison the floor.
        account.publication, right_key, account.key = 2**48 - 1, account.key, bytes(32)
        assert (await rig.decide(account))["reason"] == "attestation_unreadable"
        assert _floor(rig) == 5
        account.publication, account.key = 4, right_key
        assert (await rig.decide(account))["reason"] == "ledger_rolled_back"
        # A suspended or silent bank's record is still its word, once.
        account.publication, account.watermark_ms = 6, 1
        assert (await rig.decide(account))["reason"] == "bank_silent"
        assert _floor(rig) == 6


async def test_a_read_that_was_outrun_by_a_later_one_is_read_again_and_no_rollback(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account)
        held, reached = asyncio.Event(), asyncio.Event()

        async def old_but_slow(_binding: bytes) -> Seen:
            seen = Seen(account.record(rig.clock.now_ms()), 1)
            rig.reader.script = rig._answer
            reached.set()
            await held.wait()
            return seen

        rig.reader.script = old_but_slow
        slow = asyncio.create_task(rig.decide(account))
        await reached.wait()
        account.publication = 2
        assert (await rig.decide(account))["publication"] == 2
        reads = rig.reader.reads
        held.set()
        outrun = await slow
        assert (outrun["outcome"], outrun["publication"], rig.reader.reads) == ("approve", 2, reads + 1)
        assert rig.reader.floors == [0, 0, 0, 2]  # the second read says what it must reach
        assert len(rig.rows(schema.decisions)) == 3


async def test_a_record_that_is_gone_from_a_node_that_lags_is_asked_for_again(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        account.publication = 3
        assert (await rig.decide(account))["outcome"] == "approve"

        async def before_the_first_attestation(_binding: bytes) -> Seen:
            rig.reader.script = rig._answer
            return Seen(account.record(rig.clock.now_ms())._replace(publication=0), 1)

        rig.reader.script = before_the_first_attestation
        assert (await rig.decide(account))["outcome"] == "approve"
        assert rig.reader.floors[-1] == 3


async def test_what_comes_while_decisions_are_written_reads_the_ledger_once_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read before that would only grow old, and be a call of its own."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        written, entered, gate = rig.storage.write_all, threading.Event(), threading.Event()

        def slowly(work: Any) -> Any:
            entered.set()
            assert gate.wait(20)
            return written(work)

        monkeypatch.setattr(rig.storage, "write_all", slowly)
        first = asyncio.create_task(rig.decide(account))
        assert await asyncio.to_thread(entered.wait, 20)
        later = [asyncio.create_task(rig.decide(account)) for _ in range(3)]
        await asyncio.wait(later, timeout=0.05)
        assert rig.reader.reads == 1
        gate.set()
        assert {answer["outcome"] for answer in await asyncio.gather(first, *later)} == {"approve"}
        assert rig.reader.reads == 4


async def test_with_the_ledger_out_of_reach_a_decision_is_recorded_as_any_other(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()

        async def unreachable(_binding: bytes) -> Seen:
            raise LedgerUnreachable("no answer")

        rig.reader.script = unreachable
        answer = await rig.decide(account, transaction_id="t-1")
        assert (answer["outcome"], answer["reason"], answer["staleness_ms"]) == ("review", "ledger_unreachable", None)
        rig.reader.script = rig._answer
        assert await rig.decide(account, transaction_id="t-1") == answer
        assert (await rig.decide(account))["outcome"] == "approve"


async def test_past_the_bound_it_is_overloaded_and_nothing_is_stored(tmp_path: Path) -> None:
    with decision_rig(tmp_path, max_waiting=5) as rig:
        account = rig.bind()
        held = asyncio.Event()

        async def slow(binding: bytes) -> Seen:
            await held.wait()
            return await rig._answer(binding)

        rig.reader.script = slow
        waiting = [asyncio.create_task(rig.decide(account, 1)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await rig.decide(account, transaction_id="t-shed")
        held.set()
        await asyncio.gather(*waiting)
        with pytest.raises(NotFound):
            await rig.decisions.find("t-shed")
        assert (await rig.decide(account, transaction_id="t-shed"))["outcome"] == "approve"


async def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        with rig.database.write() as connection:
            connection.execute(text("ALTER TABLE usage RENAME COLUMN used_minor TO gone_minor"))
        failed = await asyncio.gather(*(rig.decide(account, 1) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in failed] == [StorageUnavailable] * 3
        with rig.database.write() as connection:
            connection.execute(text("ALTER TABLE usage RENAME COLUMN gone_minor TO used_minor"))
            # Reservations are written after decisions: what was written before the failure is rolled back too.
            connection.execute(
                text(
                    "CREATE TRIGGER fails BEFORE INSERT ON usage WHEN NEW.used_minor > 10 "
                    "BEGIN SELECT RAISE(FAIL, 'disk'); END"
                )
            )
        with pytest.raises(Exception, match="disk"):
            await rig.decide(account, 11, transaction_id="t-1")
        assert rig.rows(schema.decisions) == rig.rows(schema.reservations) == rig.rows(schema.usage) == []
        assert (await rig.decide(account, 9, transaction_id="t-1"))["outcome"] == "approve"


async def test_decisions_whose_commit_fails_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with decision_rig(tmp_path) as rig:
        account, write = rig.bind(), rig.database.write

        @contextmanager
        def lost_at_commit() -> Iterator[Connection]:
            with write() as connection:
                yield connection
                raise OperationalError("COMMIT", {}, Exception("the connection is lost"))

        with monkeypatch.context() as patch:
            patch.setattr(rig.database, "write", lost_at_commit)
            with pytest.raises(StorageUnavailable):
                await rig.decide(account, transaction_id="t-1")
        await rig.decide(account, transaction_id="t-1")
        assert rig.decisions._meters.outcomes == {"approve": 1, "decline": 0, "review": 0}


async def test_a_transaction_that_another_process_decided_meanwhile_gets_that_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database lets two writers in at once, the second one's insert fails, and it looks again."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        first = await rig.decide(account, transaction_id="t-1")
        look, looks = records.decided_before, []

        def blind_once(connection: Any, ids: list[str]) -> Any:
            looks.append(ids)
            return {} if len(looks) == 1 else look(connection, ids)

        monkeypatch.setattr(records, "decided_before", blind_once)
        assert await rig.decide(account, transaction_id="t-1") == first
        assert len(looks) == 2
        assert rig.used() == [("2026-01-01", "CNY", 1_000)]


async def test_a_locked_database_is_said_so(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account)
        connection = rig.database.engine.raw_connection()
        connection.execute("PRAGMA busy_timeout = 50")  # of the pooled connection that the service takes next
        connection.close()
        other = sqlite3.connect(tmp_path / "gateway.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            await rig.decide(account, transaction_id="t-1")
        other.execute("ROLLBACK")
        other.close()
        assert (await rig.decide(account, transaction_id="t-1"))["outcome"] == "approve"
