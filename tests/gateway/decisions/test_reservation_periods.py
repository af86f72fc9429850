"""Reservations: periods, concurrency, upgrades, and the HTTP routes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select

from standing.gateway import storage
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.reservations import MAX_REFUNDS
from standing.gateway.decisions.usage import State
from standing.gateway.errors import AlreadySettled
from standing.gateway.storage import schema
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.clock import ManualClock
from standing.ledger.errors import Conflict, InvalidValue
from standing.ledger.service.database import Database, migrate
from tests.gateway.decision_rig import NOON_MS, decision_rig
from tests.gateway.decisions.reserved import HOUR_MS, reserve, used_minor
from tests.gateway.gateway_rig import Rig


@pytest.mark.anyio
async def test_monthly_and_yearly_usage_resets_in_the_banks_time_zone(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind(monthly_limit_minor=2_000, yearly_limit_minor=5_000)
        # The rig's clock is at noon of 2026-01-01 in Shanghai.
        days = {0: 2_000, 30: None, 31: 2_000, 59: 1_000, 364: None, 365: 2_000}
        at_day = 0
        for day, amount_minor in days.items():
            rig.clock.advance((day - at_day) * 24 * HOUR_MS)
            at_day = day
            if amount_minor is None:
                reason = "over_monthly_limit" if day == 30 else "over_yearly_limit"
                assert (await rig.decide(account, 1))["reason"] == reason
                continue
            made = await rig.decide(account, amount_minor)
            assert made["outcome"] == "approve", (day, made["reason"])
            await rig.settle(made["transaction_id"], State.CAPTURED)


_PERIODS = [
    ("daily_limit_minor", Kind.PAYMENT, "over_daily_limit"),
    ("monthly_limit_minor", Kind.PAYMENT, "over_monthly_limit"),
    ("yearly_limit_minor", Kind.PAYMENT, "over_yearly_limit"),
    ("daily_credit_limit_minor", Kind.WITHDRAWAL, "over_daily_limit"),
    ("yearly_credit_limit_minor", Kind.WITHDRAWAL, "over_yearly_limit"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("limit", "kind", "reason"), _PERIODS)
async def test_two_hundred_concurrent_payments_never_overspend_a_period(
    tmp_path: Path, limit: str, kind: Kind, reason: str
) -> None:
    with decision_rig(tmp_path) as rig:
        limits: dict[str, Any] = {"transaction_limit_minor": NO_LIMIT, "daily_limit_minor": NO_LIMIT, limit: 1_000}
        account = rig.bind(**limits)
        answers = await asyncio.gather(*(rig.decide(account, 7, kind=kind) for _ in range(200)))
        approved = [answer for answer in answers if answer["outcome"] == "approve"]
        assert len(approved) == 1_000 // 7
        assert {answer["reason"] for answer in answers} == {None, reason}
        assert used_minor(rig) == 7 * len(approved)


@pytest.mark.anyio
async def test_the_number_of_refunds_of_one_payment_is_bounded(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        name = await reserve(rig, rig.bind(), 5_000)
        await rig.settle(name, State.CAPTURED)
        await asyncio.gather(*(rig.decisions.refund(name, f"r-{index}", 1) for index in range(MAX_REFUNDS)))
        with pytest.raises(Conflict):
            await rig.decisions.refund(name, "r-more", 1)
        assert used_minor(rig) == 5_000 - MAX_REFUNDS


@pytest.mark.anyio
async def test_contradicting_settlements_in_one_batch_apply_in_their_order(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 1_000)
        outcomes: list[Any] = await asyncio.gather(
            rig.settle(name, State.CAPTURED, 600),
            rig.decisions.refund(name, "r-1", 100),
            rig.decisions.refund(name, "r-1", 100),
            rig.settle(name, State.VOIDED),
            rig.decisions.refund(name, "r-2", 501),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [dict, bytes, bytes, AlreadySettled, InvalidValue]
        assert used_minor(rig) == 500
        assert len(rig.rows(schema.refunds)) == 1


@pytest.mark.anyio
async def test_old_reservations_of_payments_do_not_expire_at_once_and_those_of_withdrawals_never(
    tmp_path: Path,
) -> None:
    """A database of the previous revision is filled and migrated."""
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite3")
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql(
            "INSERT INTO bindings (binding, bank, user_id, number_masked, number_type, account, key_sealed, tags, "
            "granted_at_ms, grant_signature, created_at_ms, floor) "
            "VALUES (x'01', 'YUNXCNB0', 'u', '*', 'card', x'02', x'03', x'04', 1, x'05', 1, 0)"
        )
        for name, kind, state in (
            ("t-open", "payment", "reserved"),
            ("t-kept", "payment", "captured"),
            ("t-paid-out", "withdrawal", "reserved"),
        ):
            connection.exec_driver_sql(
                "INSERT INTO decisions VALUES (?, x'01', ?, 5, 'CNY', 'approve', NULL, ?, '{}')",
                (name, kind, NOON_MS),
            )
            connection.exec_driver_sql(
                "INSERT INTO reservations VALUES (?, x'02', '2026-01-01', 'CNY', ?, 5, ?, NULL)", (name, kind, state)
            )
    migrate(database, "standing.gateway.storage")
    with database.read() as connection:
        rows = {row.transaction_id: row for row in connection.execute(select(schema.reservations))}
    database.close()
    assert rows["t-open"].expires_at_ms == NOON_MS + 24 * HOUR_MS
    assert (rows["t-open"].captured_minor, rows["t-open"].refunded_minor) == (None, 0)
    assert rows["t-kept"].captured_minor == 5
    assert rows["t-paid-out"].expires_at_ms is None, (
        "a withdrawal may have been paid out, and counts until it is voided"
    )


@pytest.mark.anyio
async def test_two_gateways_settle_one_reservation_once(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS)
    with decision_rig(tmp_path, clock) as one, decision_rig(tmp_path, clock) as other:
        account = one.bind()
        other.accounts = one.accounts
        names = [await reserve(one, account, 100) for _ in range(20)]
        requests = [
            rig.settle(name, state, amount)
            for name in names
            for rig, state, amount in ((one, State.CAPTURED, 60), (other, State.VOIDED, None))
        ]
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        for captured, voided in zip(outcomes[::2], outcomes[1::2], strict=True):
            assert [isinstance(outcome, AlreadySettled) for outcome in (captured, voided)].count(True) == 1
        states = [row.state for row in one.rows(schema.reservations)]
        assert used_minor(one) == 60 * states.count("captured")


@pytest.mark.anyio
async def test_a_limit_lowered_below_the_usage_approves_nothing_until_enough_is_released(
    tmp_path: Path,
) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        name = await reserve(rig, account, 4_000)
        account.terms["daily_limit_minor"] = 3_000
        answer = await rig.decide(account, 1)
        assert (answer["reason"], answer["remaining"]["daily_limit_minor"]) == ("over_daily_limit", 0)
        await rig.settle(name, State.CAPTURED, 2_999)
        assert (await rig.decide(account, 1))["outcome"] == "approve"
        assert (await rig.decide(account, 1))["reason"] == "over_daily_limit"


def test_a_payment_is_partly_captured_and_refunded_over_http(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=2_000)
    decided = person.decide(amount_minor=2_000)
    path = f"/v1/decisions/{decided['transaction_id']}"
    assert decided["reservation"] == {
        "state": "reserved",
        "amount_minor": 2_000,
        "day": decided["reservation"]["day"],
        "expires_at_ms": a_rig.clock.now_ms() + HOUR_MS,
        "captured_minor": None,
        "refunded_minor": 0,
        "settled_at_ms": None,
    }
    captured = a_rig.platform("POST", f"{path}/capture", json={"amount_minor": 1_500})
    assert captured.json()["reservation"]["captured_minor"] == 1_500
    refunded = a_rig.platform("POST", f"{path}/refunds", json={"refund_id": "r-1", "amount_minor": 500})
    assert (refunded.status_code, refunded.json()["reservation"]["refunded_minor"]) == (200, 500)
    assert person.decide(amount_minor=1_001)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=1_000)["outcome"] == "approve"
    not_amounts: list[dict[str, Any]] = [{"amount_minor": 0}, {"amount_minor": "1"}, {"amount": 1}]
    for wrong in not_amounts:
        assert a_rig.platform("POST", f"{path}/capture", json=wrong).status_code == 422
    not_refunds: list[dict[str, Any]] = [
        {"refund_id": "r 1", "amount_minor": 1},
        {"refund_id": "r-2"},
        {"refund_id": "r-2", "amount_minor": 0},
    ]
    for wrong in not_refunds:
        assert a_rig.platform("POST", f"{path}/refunds", json=wrong).status_code == 422
    too_much = a_rig.platform("POST", f"{path}/refunds", json={"refund_id": "r-2", "amount_minor": 1_001})
    assert (too_much.status_code, too_much.json()["errors"][0]["field"]) == (422, "amount_minor")


def test_an_expired_reservation_cannot_be_captured_over_http(a_rig: Rig) -> None:
    person = a_rig.bound()
    name = person.decide()["transaction_id"]
    a_rig.clock.advance(HOUR_MS)
    refused = a_rig.platform("POST", f"/v1/decisions/{name}/capture")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:standing:problem:reservation-expired")
    assert a_rig.platform("GET", f"/v1/decisions/{name}").json()["reservation"]["state"] == "expired"
