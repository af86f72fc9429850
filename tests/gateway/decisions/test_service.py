"""The decision service: limits under concurrency, idempotency, settlement and periods."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from standing.gateway.decisions.holds import Holds
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.risk import NewBindingRule, VelocityRule
from standing.gateway.decisions.usage import State
from standing.gateway.errors import AlreadySettled, BankNotServed, NothingReserved
from standing.gateway.ledger_reading.reader import Seen
from standing.gateway.storage import schema
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import IdentityTags
from standing.ledger.clock import ManualClock
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from tests.databases import new_database
from tests.gateway.decision_rig import NOON_MS, TAGS, Account, decision_rig

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
        # Every transaction is sent to both.
        first, second = await asyncio.gather(
            *(asyncio.gather(*(rig.decide(account, 100, transaction_id=name) for name in ids)) for rig in (one, other))
        )
        assert first == second
        assert sum(answer["outcome"] == "approve" for answer in first) == 50
        assert one.used() == [("2026-01-01", "CNY", 5_000)]


async def test_the_same_transaction_gets_the_same_answer_regardless_of_later_changes(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        first = await rig.decide(account, transaction_id="t-1")
        account.terms["debit_allowed"] = False
        rig.clock.advance(DAY_MS)
        assert await rig.decide(account, transaction_id="t-1") == first
        assert rig.used() == [("2026-01-01", "CNY", 1_000)]


async def test_the_same_transaction_gets_the_same_answer_after_its_bank_was_removed_from_the_settings(
    tmp_path: Path,
) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        asked = Transaction("t-1", account.binding, Kind.PAYMENT, 1_000, "CNY")
        first = await rig.decisions.decide(asked)
    with decision_rig(tmp_path, banks=()) as rig:
        assert await rig.decisions.decide(asked) == first
        other, fresh = replace(asked, amount_minor=1), replace(asked, transaction_id="t-2")
        with pytest.raises(Conflict, match="decided before with another body"):
            await rig.decisions.decide(other)
        with pytest.raises(BankNotServed):
            await rig.decisions.decide(fresh)
        batch = await rig.decisions.decide_all([fresh, asked, other])
        assert [type(each) for each in batch] == [BankNotServed, bytes, Conflict]
        assert batch[1] == first


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


async def test_a_transaction_twice_in_one_batch_is_decided_once(tmp_path: Path) -> None:
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
        # A voided amount is released on the day it was reserved, not today.
        await rig.settle(last["transaction_id"], State.VOIDED)
        assert [(used_day, used) for used_day, _, used in rig.used()] == [
            (day, 0),
            (fresh["reservation"]["day"], 5_000),
        ]


async def test_capture_keeps_the_usage_and_void_releases_it_and_both_are_idempotent(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        kept, released = [(await rig.decide(account, 2_500))["transaction_id"] for _ in range(2)]
        for _ in range(2):
            assert (await rig.settle(kept, State.CAPTURED))["state"] == "captured"
            assert (await rig.settle(released, State.VOIDED))["state"] == "voided"
            assert rig.used() == [("2026-01-01", "CNY", 2_500)]
        with pytest.raises(AlreadySettled):
            await rig.settle(kept, State.VOIDED)
        with pytest.raises(AlreadySettled):
            await rig.settle(released, State.CAPTURED)
        assert rig.used() == [("2026-01-01", "CNY", 2_500)]
        assert (await rig.decide(account, 2_501))["reason"] == "over_daily_limit"
        assert (await rig.decide(account, 2_500))["outcome"] == "approve"
        found = await rig.decisions.find(released)
        assert b'"state":"voided"' in found
        assert b'"state":"reserved"' in await rig.decisions.decide(
            Transaction(released, account.binding, Kind.PAYMENT, 2_500, "CNY")
        )


async def test_concurrent_voids_and_captures_settle_each_reservation_once(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        decided = await asyncio.gather(*(rig.decide(account, 100) for _ in range(40)))
        requests = [
            (answer["transaction_id"], state)
            for answer in decided
            for state in (State.VOIDED, State.VOIDED, State.CAPTURED)
        ]
        outcomes = await asyncio.gather(*(rig.settle(*request) for request in requests), return_exceptions=True)
        # The first request of each wins, regardless of its batch.
        assert [type(outcome) for outcome in outcomes] == [dict, dict, AlreadySettled] * 40
        assert rig.used() == [("2026-01-01", "CNY", 0)]


async def test_without_a_reservation_nothing_can_be_settled(tmp_path: Path) -> None:
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


async def test_without_a_stated_limit_a_day_is_bounded_by_the_counters_range(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(transaction_limit_minor=NO_LIMIT, daily_limit_minor=NO_LIMIT)
        first = await rig.decide(account, MAX_AMOUNT_MINOR)
        assert first["remaining"] == dict.fromkeys(first["remaining"], "none")
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"
        await rig.settle(first["transaction_id"], State.VOIDED)
        assert (await rig.decide(account, 1))["outcome"] == "approve"


async def test_withdrawals_that_exhaust_the_counter_do_not_fail_others_in_the_same_commit(tmp_path: Path) -> None:
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


async def test_usage_is_counted_separately_per_currency(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account, 5_000)
        account.terms["currency"] = 840
        assert (await rig.decide(account, 5_000, currency="USD"))["outcome"] == "approve"
        assert rig.used() == [("2026-01-01", "CNY", 5_000), ("2026-01-01", "USD", 5_000)]
        with pytest.raises(InvalidValue):
            await rig.decide(account, currency="XQX")


async def test_two_codes_of_one_currency_use_up_one_limit(tmp_path: Path) -> None:
    """ANG and XCG have one number (532), and the bank's limit is on that: the other code must not open it again."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind(currency=532)
        assert (await rig.decide(account, 4_000, currency="XCG"))["outcome"] == "approve"
        assert (await rig.decide(account, 1_001, currency="ANG"))["reason"] == "over_daily_limit"
        old = await rig.decide(account, 1_000, currency="ANG")
        assert (old["outcome"], old["currency"], old["remaining"]["daily_limit_minor"]) == ("approve", "ANG", 0)
        assert rig.used() == [("2026-01-01", "XCG", 5_000)]
        await rig.settle(old["transaction_id"], State.VOIDED)
        assert rig.used() == [("2026-01-01", "XCG", 4_000)]


async def test_a_new_binding_of_an_account_continues_its_daily_usage(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        await rig.decide(rig.bind("9156"), 4_000)
        assert (await rig.decide(rig.bind("9156"), 1_001))["reason"] == "over_daily_limit"
        assert (await rig.decide(rig.bind("9157"), 1_001))["outcome"] == "approve"


async def test_rebinding_an_account_escapes_neither_a_velocity_hold_nor_its_tally(tmp_path: Path) -> None:
    burst = VelocityRule(
        rule="velocity", name="burst", currency="CNY", over_count=2, within_minutes=10, hold_minutes=30
    )
    with decision_rig(tmp_path, policy=Policy(risk=(burst,))) as rig:
        first = rig.bind("9156")
        for _ in range(2):
            assert (await rig.decide(first, 1))["outcome"] == "approve"
        held = await rig.decide(rig.bind("9156"), 1)  # the tally continues
        assert (held["reason"], held["hold"]["rule"]) == ("risk_hold", "burst")
        again = rig.bind("9156")
        assert (await rig.decide(again, 1))["hold"] == held["hold"]  # and so does the hold
        assert (await rig.decide(rig.bind("9157"), 1))["outcome"] == "approve"
        holds = Holds(rig.storage, rig.clock)
        assert [each.hold_id for each in await holds.listed(binding=again.binding)] == [held["hold"]["hold_id"]]
        await holds.lift(held["hold"]["hold_id"], "support")
        assert (await rig.decide(again, 1))["outcome"] == "approve"


async def test_a_new_binding_hold_applies_to_that_binding_only(tmp_path: Path) -> None:
    young = NewBindingRule(rule="new_binding", name="young", currency="CNY", over_minor=10, within_hours=24)
    with decision_rig(tmp_path, policy=Policy(risk=(young,)), clock=ManualClock(1)) as rig:
        first, second = rig.bind("9156"), rig.bind("9156")
        one, other = await rig.decide(first, 11), await rig.decide(second, 11)
        assert (one["reason"], other["reason"]) == ("risk_hold", "risk_hold")
        assert one["hold"]["hold_id"] != other["hold"]["hold_id"]
        again = await rig.decide(second, 12)  # under the same hold: support has one to lift
        assert again["hold"] == other["hold"]
        (only,) = await Holds(rig.storage, rig.clock).listed(binding=second.binding)
        assert only.hold_id == other["hold"]["hold_id"]


async def test_a_velocity_rule_counts_its_own_kind_and_currency_only(tmp_path: Path) -> None:
    often = VelocityRule(
        rule="velocity",
        name="often",
        currency="CNY",
        kinds=("payment",),
        over_count=1,
        within_minutes=10,
        hold_minutes=30,
    )
    with decision_rig(tmp_path, policy=Policy(risk=(often,))) as rig:
        account = rig.bind()
        decided = [await rig.decide(account, 1, kind=kind) for kind in (Kind.WITHDRAWAL, Kind.PAYMENT, Kind.PAYMENT)]
        assert [each["outcome"] for each in decided] == ["approve", "approve", "review"]


async def test_an_ended_binding_declines_although_its_key_is_still_cached(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        assert (await rig.decide(account))["outcome"] == "approve"
        with rig.database.write() as connection:
            connection.execute(update(schema.bindings).values(ended_at_ms=NOON_MS))
        assert (await rig.decide(account))["reason"] == "unbound"
        with pytest.raises(NotFound):
            await rig.decide(Account(bytes(32), bytes(32)))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"publication": 3}, "ledger_rolled_back", id="an older state of the ledger"),
        pytest.param({"suspended": True}, "bank_suspended", id="a suspended bank"),
        pytest.param({"watermark_ms": 1}, "bank_silent", id="a silent bank"),
    ],
)
async def test_tags_the_bank_did_not_vouch_for_are_learned_from_a_current_record_only(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(tags=replace(TAGS, phone=b"new"))
        account.publication = 6
        first = replace(TAGS, phone=b"usr").pack()
        with rig.database.write() as connection:
            connection.execute(update(schema.bindings).values(unvouched="phone", floor=5, tags=first))

        async def bad(binding: bytes) -> Seen:
            other = replace(
                account, terms={"tags": replace(TAGS, phone=b"bad")}, publication=changed.get("publication", 7)
            )
            record = other.record(rig.clock.now_ms())
            return Seen(record._replace(**changed), 1)

        usual, rig.reader.script = rig.reader.script, bad
        assert (await rig.decide(account))["reason"] == reason
        assert rig.rows(schema.bindings)[0].tags == first
        rig.reader.script = usual
        account.publication = 8
        assert (await rig.decide(account))["outcome"] == "approve"
        (row,) = rig.rows(schema.bindings)
        assert (IdentityTags.unpack(row.tags).phone, row.unvouched) == (b"new", None)
