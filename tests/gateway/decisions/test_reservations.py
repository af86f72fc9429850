"""Reservations: captured, released, expired and refunded."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from standing.gateway.decisions.caps import Caps, Used
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.reservations import used_now
from standing.gateway.decisions.service import MAX_BATCH
from standing.gateway.decisions.usage import AccountDay, State
from standing.gateway.errors import AlreadySettled, NothingReserved, ReservationExpired
from standing.gateway.storage import schema
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from tests.gateway.decision_rig import NOON_MS, decision_rig
from tests.gateway.decisions.reserved import HOUR_MS, reserve, used_minor


@pytest.mark.anyio
async def test_a_partial_capture_releases_the_rest(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 5_000)
        for _ in range(2):
            captured = await rig.settle(name, State.CAPTURED, 3_200)
            assert (captured["state"], captured["amount_minor"], captured["captured_minor"]) == (
                "captured",
                5_000,
                3_200,
            )
            assert used_minor(rig) == 3_200
        for other in (3_201, 3_199, None):
            with pytest.raises(AlreadySettled):
                await rig.settle(name, State.CAPTURED, other)
        with pytest.raises(AlreadySettled):
            await rig.settle(name, State.VOIDED)
        assert (await rig.decide(account, 1_800))["outcome"] == "approve"
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"


@pytest.mark.anyio
async def test_no_more_than_the_reserved_amount_can_be_captured(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 1_000)
        with pytest.raises(InvalidValue) as caught:
            await rig.settle(name, State.CAPTURED, 1_001)
        assert caught.value.allowed == "1 to 1000"
        assert used_minor(rig) == 1_000
        assert (await rig.settle(name, State.CAPTURED, 1_000))["captured_minor"] == 1_000
        assert (await rig.settle(name, State.CAPTURED))["captured_minor"] == 1_000  # the full amount


@pytest.mark.anyio
async def test_a_reservation_that_is_not_captured_in_time_expires_by_the_clock_alone(tmp_path: Path) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 5_000)
        rig.clock.advance(HOUR_MS - 1)
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"
        assert b'"state":"reserved"' in await rig.decisions.find(name)
        rig.clock.advance(1)
        # Nothing has run: it has expired by the clock alone.
        assert b'"state":"expired"' in await rig.decisions.find(name)
        assert (await rig.decide(account, 5_000))["outcome"] == "approve"
        assert used_minor(rig) == 5_000
        with pytest.raises(ReservationExpired):
            await rig.settle(name, State.CAPTURED)
        assert (await rig.settle(name, State.VOIDED))["state"] == "expired"  # nothing to void is not an error
        assert used_minor(rig) == 5_000


@pytest.mark.anyio
@pytest.mark.parametrize("state", [State.CAPTURED, State.VOIDED])
async def test_an_expiry_found_by_a_settlement_releases_once(tmp_path: Path, state: State) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 5_000)
        rig.clock.advance(HOUR_MS)
        for _ in range(2):
            outcome = await asyncio.gather(rig.settle(name, state), return_exceptions=True)
            assert isinstance(outcome[0], dict if state is State.VOIDED else ReservationExpired)
            assert used_minor(rig) == 0
        await rig.decide(account, 1)
        assert used_minor(rig) == 1


@pytest.mark.anyio
async def test_captured_and_voided_reservations_do_not_expire(tmp_path: Path) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind()
        kept, gone = await reserve(rig, account, 2_000), await reserve(rig, account, 1_000)
        await rig.settle(kept, State.CAPTURED)
        await rig.settle(gone, State.VOIDED)
        rig.clock.advance(2 * HOUR_MS)
        await rig.decide(account, 1)
        assert used_minor(rig) == 2_001
        assert (await rig.settle(kept, State.CAPTURED))["state"] == "captured"
        assert (await rig.settle(gone, State.VOIDED))["state"] == "voided"


@pytest.mark.anyio
async def test_a_reservation_states_when_it_was_settled_first(tmp_path: Path) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind()
        kept, gone, late = [await reserve(rig, account, 1_000) for _ in range(3)]
        assert json.loads(await rig.decisions.find(kept))["reservation"]["settled_at_ms"] is None
        rig.clock.advance(1)
        for _ in range(2):  # the repeat, a second later, changes nothing
            assert (await rig.settle(kept, State.CAPTURED))["settled_at_ms"] == NOON_MS + 1
            assert (await rig.settle(gone, State.VOIDED))["settled_at_ms"] == NOON_MS + 1
            rig.clock.advance(1_000)
        refunded = json.loads(await rig.decisions.refund(kept, "r-1", 400))["reservation"]
        assert (refunded["refunded_minor"], refunded["settled_at_ms"]) == (400, NOON_MS + 1)
        rig.clock.advance(2 * HOUR_MS)
        for _ in range(2):  # by the clock alone, and once a decision has written it
            expired = json.loads(await rig.decisions.find(late))["reservation"]
            assert (expired["state"], expired["settled_at_ms"]) == ("expired", NOON_MS + HOUR_MS)
            await rig.decide(account, 1)


@pytest.mark.long
@pytest.mark.anyio
async def test_a_decision_releases_every_expired_reservation_of_its_account(tmp_path: Path) -> None:
    """Also where there are more than one statement takes: a rest would refuse what the bank allows."""
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind(daily_limit_minor=1_200)
        await asyncio.gather(*(rig.decide(account, 1) for _ in range(1_200)))
        assert used_minor(rig) == 1_200
        rig.clock.advance(HOUR_MS)
        assert (await rig.decide(account, 1_200))["outcome"] == "approve"
        assert used_minor(rig) == 1_200


@pytest.mark.long
@pytest.mark.anyio
async def test_no_account_of_a_batch_is_refused_for_the_expired_reservations_of_others(tmp_path: Path) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        accounts = [rig.bind() for _ in range(MAX_BATCH // 2)]  # one commit

        async def outcomes(name: str, amount_minor: int) -> set[str]:
            batch = [
                Transaction(f"{name}-{index}", account.binding, Kind.PAYMENT, amount_minor, "CNY")
                for index, account in enumerate(accounts)
            ]
            answers = await rig.decisions.decide_all(batch)
            return {json.loads(answer)["outcome"] for answer in answers if isinstance(answer, bytes)}

        for index in range(5):
            assert await outcomes(f"before-{index}", 1_000) == {"approve"}
        rig.clock.advance(HOUR_MS)
        assert await outcomes("after", 5_000) == {"approve"}


@pytest.mark.anyio
async def test_reading_remaining_limits_accounts_for_expired_reservations(tmp_path: Path) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind()
        kept = await reserve(rig, account, 1_000)
        await rig.settle(kept, State.CAPTURED)
        await reserve(rig, account, 2_000)
        (row,) = rig.rows(schema.usage)
        day = AccountDay(row.account, date(2026, 1, 1), "CNY", Kind.PAYMENT)
        other = AccountDay(row.account, date(2026, 1, 2), "CNY", Kind.PAYMENT)
        caps = {day: Caps(0, 0, NO_LIMIT, 0), other: Caps(0, 0, 0, NO_LIMIT)}
        asked: list[str] = []
        event.listen(rig.database.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
        for now_ms, used in ((NOON_MS + HOUR_MS - 1, 3_000), (NOON_MS + HOUR_MS, 1_000)):
            with rig.database.read() as connection:
                found = used_now(connection, caps, now_ms)
                assert found == {day: Used(used, None, used), other: Used(0, used, None)}
        selects = [statement for statement in asked if statement.startswith("SELECT")]
        assert len(selects) == 4, "two per lookup, regardless of the number of days"


@pytest.mark.anyio
async def test_refunds_release_up_to_the_captured_amount(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 5_000)
        await rig.settle(name, State.CAPTURED, 4_000)
        for _ in range(2):  # the repeat changes nothing
            assert b'"refunded_minor":1500' in await rig.decisions.refund(name, "r-1", 1_500)
            assert used_minor(rig) == 2_500
        with pytest.raises(Conflict):
            await rig.decisions.refund(name, "r-1", 1_501)
        with pytest.raises(InvalidValue) as caught:
            await rig.decisions.refund(name, "r-2", 2_501)
        assert caught.value.allowed == "at most 2500"
        assert b'"refunded_minor":4000' in await rig.decisions.refund(name, "r-2", 2_500)
        assert used_minor(rig) == 0
        with pytest.raises(InvalidValue):
            await rig.decisions.refund(name, "r-3", 1)
        assert (await rig.settle(name, State.CAPTURED, 4_000))["refunded_minor"] == 4_000


@pytest.mark.anyio
async def test_a_refund_on_another_day_frees_the_day_of_the_payment_and_no_other(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 5_000)
        await rig.settle(name, State.CAPTURED)
        rig.clock.advance(24 * HOUR_MS)
        await reserve(rig, account, 5_000)
        await rig.decisions.refund(name, "r-1", 5_000)
        assert rig.used() == [("2026-01-01", "CNY", 0), ("2026-01-02", "CNY", 5_000)]
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"


@pytest.mark.anyio
async def test_only_captured_payments_can_be_refunded(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        reserved, voided = await reserve(rig, account, 10), await reserve(rig, account, 10)
        await rig.settle(voided, State.VOIDED)
        withdrawal = (await rig.decide(account, 10, kind=Kind.WITHDRAWAL))["transaction_id"]
        for name in (reserved, voided, withdrawal):
            with pytest.raises(NothingReserved):
                await rig.decisions.refund(name, "r-1", 1)
        with pytest.raises(NotFound):
            await rig.decisions.refund("t-none", "r-1", 1)
        assert used_minor(rig) == 20


@pytest.mark.anyio
async def test_a_withdrawal_counts_from_approval_never_expires_and_is_released_when_voided(
    tmp_path: Path,
) -> None:
    with decision_rig(tmp_path, reservation_lifetime_ms=HOUR_MS) as rig:
        account = rig.bind(daily_credit_limit_minor=1_000, yearly_credit_limit_minor=1_500)

        async def withdraw(amount_minor: int) -> dict[str, Any]:
            return await rig.decide(account, amount_minor, kind=Kind.WITHDRAWAL)

        first = await withdraw(800)
        assert first["reservation"]["expires_at_ms"] is None
        assert first["remaining"]["daily_limit_minor"] == 200
        assert (await rig.decide(account, 1_000))["outcome"] == "approve", "a payment uses another limit"
        assert (await withdraw(201))["reason"] == "over_daily_limit"
        rig.clock.advance(2 * HOUR_MS)
        assert (await withdraw(201))["reason"] == "over_daily_limit", "two hours later it still counts"
        await rig.settle(first["transaction_id"], State.VOIDED)
        second = await withdraw(1_000)
        assert second["outcome"] == "approve"
        await rig.settle(second["transaction_id"], State.CAPTURED, 900)
        rig.clock.advance(24 * HOUR_MS)
        assert (await withdraw(601))["reason"] == "over_yearly_limit"
        assert (await withdraw(600))["outcome"] == "approve"
