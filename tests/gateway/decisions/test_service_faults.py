"""The decision service when reads are outdated, the ledger fails, or the database fails."""

import asyncio
import json
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
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.reviews import Reviews
from standing.gateway.decisions.risk import VelocityRule
from standing.gateway.decisions.rules import Outcome
from standing.gateway.decisions.usage import RESERVATION_LIFETIME_MS
from standing.gateway.errors import ReviewNotApprovable, StorageUnavailable
from standing.gateway.ledger_reading.reader import Seen
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from standing.ledger.errors import LedgerUnreachable, NotFound, Overloaded
from tests.gateway.decision_rig import DecisionRig, decision_rig

pytestmark = pytest.mark.anyio


def _floor(rig: DecisionRig) -> int:
    return int(rig.rows(schema.bindings)[0].floor)


def _reviews(rig: DecisionRig) -> Reviews:
    return Reviews(
        storage=rig.storage,
        bindings=rig.bindings,
        reader=rig.reader,
        policy=rig.decisions.policy,
        clock=rig.clock,
        reservation_lifetime_ms=RESERVATION_LIFETIME_MS,
    )


async def test_the_floor_rises_only_with_records_that_opened(tmp_path: Path) -> None:
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
        # The record of a suspended or silent bank still counts, once.
        account.publication, account.watermark_ms = 6, 1
        assert (await rig.decide(account))["reason"] == "bank_silent"
        assert _floor(rig) == 6


async def test_a_read_overtaken_by_a_later_one_is_repeated_and_is_no_rollback(tmp_path: Path) -> None:
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
        assert rig.reader.floors == [0, 0, 0, 2]  # the second read states its floor
        assert len(rig.rows(schema.decisions)) == 3


async def test_a_read_overtaken_again_and_again_is_no_rollback(tmp_path: Path) -> None:
    """Another gateway on the same database, whose node is ahead by a block, decides on the same account in between."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account)

        async def overtaken(_binding: bytes) -> Seen:
            seen = Seen(account.record(rig.clock.now_ms()), 1)
            if account.publication < 4:
                account.publication += 1
                rig.reader.script = rig._answer
                await rig.decide(account)
                rig.reader.script = overtaken
            return seen

        rig.reader.script = overtaken
        outrun = await rig.decide(account)
        assert (outrun["outcome"], outrun["reason"], outrun["publication"]) == ("approve", None, 4)
        account.publication, rig.reader.script = 3, rig._answer
        reads = rig.reader.reads
        assert (await rig.decide(account))["reason"] == "ledger_rolled_back"
        assert rig.reader.reads == reads + 2, "a ledger that went back is not read again and again"


async def test_a_record_missing_from_a_lagging_node_is_read_again(tmp_path: Path) -> None:
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


async def test_staff_are_not_refused_because_a_lagging_node_has_no_record_yet(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(status=Status.UNSTATED)
        account.publication = 3
        held = await rig.decide(account)
        assert (held["outcome"], held["reason"]) == ("review", "account_unstated")
        account.publication, account.terms = 4, {}

        async def before_the_first_attestation(_binding: bytes) -> Seen:
            rig.reader.script = rig._answer
            return Seen(account.record(rig.clock.now_ms())._replace(publication=0), 1)

        rig.reader.script = before_the_first_attestation
        closed = json.loads(await _reviews(rig).close(held["transaction_id"], Outcome.APPROVE, "support"))
        assert (closed["review"]["outcome"], closed["review"]["publication"]) == ("approve", 4)
        assert rig.reader.floors[-2:] == [0, 3]


async def test_staff_approve_nothing_on_a_ledger_that_went_back_or_for_an_ended_binding(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(status=Status.UNSTATED)
        account.publication = 3
        held = await rig.decide(account)
        account.terms = {}
        account.publication = 2
        with pytest.raises(ReviewNotApprovable, match="ledger_rolled_back"):
            await _reviews(rig).close(held["transaction_id"], Outcome.APPROVE, "support")
        account.publication = 4
        with rig.database.write() as connection:
            connection.execute(update(schema.bindings).values(ended_at_ms=rig.clock.now_ms()))
        with pytest.raises(ReviewNotApprovable, match="unbound"):
            await _reviews(rig).close(held["transaction_id"], Outcome.APPROVE, "support")
        assert rig.rows(schema.reservations) == []


async def test_staff_are_not_refused_because_of_reservations_that_have_expired(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(status=Status.UNSTATED)
        held = await rig.decide(account)
        account.terms = {}
        assert (await rig.decide(account, 5_000))["outcome"] == "approve"  # all that the day allows
        rig.clock.advance(RESERVATION_LIFETIME_MS)
        closed = json.loads(await _reviews(rig).close(held["transaction_id"], Outcome.APPROVE, "support"))
        assert closed["review"]["outcome"] == "approve"


async def test_a_payment_that_staff_declined_does_not_count_for_a_velocity_rule(tmp_path: Path) -> None:
    once = VelocityRule(rule="velocity", name="once", currency="CNY", over_count=1, within_minutes=10, hold_minutes=30)
    with decision_rig(tmp_path, policy=Policy(risk=(once,))) as rig:
        account = rig.bind(status=Status.UNSTATED)
        held = await rig.decide(account)
        await _reviews(rig).close(held["transaction_id"], Outcome.DECLINE, "support")
        account.terms = {}
        assert [(await rig.decide(account))["outcome"] for _ in range(2)] == ["approve", "review"]


async def test_requests_arriving_during_a_commit_read_the_ledger_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier read would only age and need its own call."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        written, entered, gate = rig.storage.write_all, threading.Event(), threading.Event()

        def slowly(work: Any, *, shared: bool) -> Any:
            entered.set()
            assert gate.wait(20)
            return written(work, shared=shared)

        monkeypatch.setattr(rig.storage, "write_all", slowly)
        first = asyncio.create_task(rig.decide(account))
        assert await asyncio.to_thread(entered.wait, 20)
        later = [asyncio.create_task(rig.decide(account)) for _ in range(3)]
        await asyncio.wait(later, timeout=0.05)
        assert rig.reader.reads == 1
        gate.set()
        assert {answer["outcome"] for answer in await asyncio.gather(first, *later)} == {"approve"}
        assert rig.reader.reads == 4


async def test_with_the_ledger_unreachable_a_decision_is_still_recorded(tmp_path: Path) -> None:
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


async def test_requests_beyond_the_bound_are_refused_as_overload_and_nothing_is_stored(tmp_path: Path) -> None:
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


async def test_a_failed_commit_stores_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        with rig.database.write() as connection:
            connection.execute(text("ALTER TABLE usage RENAME COLUMN used_minor TO gone_minor"))
        failed = await asyncio.gather(*(rig.decide(account, 1) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in failed] == [StorageUnavailable] * 3
        with rig.database.write() as connection:
            connection.execute(text("ALTER TABLE usage RENAME COLUMN gone_minor TO used_minor"))
            # Reservations are written after decisions: rows written before the failure are rolled back too.
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
        account, write = rig.bind(), rig.database.write_shared

        @contextmanager
        def lost_at_commit() -> Iterator[Connection]:
            with write() as connection:
                yield connection
                raise OperationalError("COMMIT", {}, Exception("the connection is lost"))

        with monkeypatch.context() as patch:
            patch.setattr(rig.database, "write_shared", lost_at_commit)
            with pytest.raises(StorageUnavailable):
                await rig.decide(account, transaction_id="t-1")
        await rig.decide(account, transaction_id="t-1")
        assert rig.decisions._meters.outcomes == {"approve": 1, "decline": 0, "review": 0}


async def test_a_transaction_that_another_process_decided_meanwhile_gets_that_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database lets two writers in at once, the second one's insert fails and it reads again."""
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


async def test_a_locked_database_is_reported_as_such(tmp_path: Path) -> None:
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
