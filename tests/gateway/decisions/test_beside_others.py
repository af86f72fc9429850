"""Decisions of several processes on one database: on PostgreSQL their commits overlap, and only accounts wait."""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from standing.gateway.decisions import records
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.usage import State
from standing.gateway.errors import AlreadySettled
from standing.gateway.storage import schema
from standing.ledger.clock import ManualClock
from standing.ledger.errors import Conflict
from tests.databases import new_database
from tests.gateway.decision_rig import NOON_MS, Account, DecisionRig, decision_rig

pytestmark = pytest.mark.anyio

_LIMIT_MINOR = 5_000
_LIFETIME_MS = 60_000
_VELOCITY = {
    "rule": "velocity",
    "name": "many",
    "currency": "CNY",
    "over_count": 4,
    "within_minutes": 60,
    "hold_minutes": 60,
}


@contextmanager
def _services(folder: Path, count: int, **options: Any) -> Iterator[list[DecisionRig]]:
    """Services on one database and clock, as in separate processes. They know the same accounts."""
    with ExitStack() as stack:
        url, clock = new_database(folder, "gateway"), ManualClock(NOON_MS)
        found = [stack.enter_context(decision_rig(folder, clock, database_url=url, **options)) for _ in range(count)]
        for rig in found:
            rig.accounts = found[0].accounts
        yield found


def _transaction(account: Account, amount_minor: int, transaction_id: str) -> Transaction:
    return Transaction(transaction_id, account.binding, Kind.PAYMENT, amount_minor, "CNY")


async def _outcome(rig: DecisionRig, account: Account, amount_minor: int, name: str) -> str:
    answer = json.loads(await rig.decisions.decide(_transaction(account, amount_minor, name)))
    return str(answer["reason"] or answer["outcome"])


@pytest.mark.postgresql
async def test_decisions_and_settlements_wait_only_for_those_on_the_same_account(tmp_path: Path) -> None:
    with _services(tmp_path, 2) as (one, two):
        first, second, other = one.bind("6222"), one.bind("6222"), one.bind("6223")
        assert await _outcome(one, first, 1_000, "t-0") == "approve"
        with one.storage.write(shared=True) as connection:
            records.lock_accounts(connection, {first.binding: one.vault.lookup("account", "6222")})
            assert await asyncio.wait_for(_outcome(two, other, 1_000, "t-other"), 20) == "approve"
            assert (await asyncio.wait_for(two.settle("t-other", State.VOIDED), 20))["state"] == "voided"
            settling = asyncio.create_task(two.settle("t-0", State.VOIDED))
            assert await asyncio.wait([settling], timeout=0.3) == (set(), {settling})
        assert (await settling)["state"] == "voided"
        with one.storage.write(shared=True) as connection:
            records.lock_accounts(connection, {first.binding: one.vault.lookup("account", "6222")})
            deciding = asyncio.create_task(_outcome(two, second, _LIMIT_MINOR, "t-same"))
            assert await asyncio.wait([deciding], timeout=0.3) == (set(), {deciding})
        assert await deciding == "approve"
        assert await _outcome(one, first, 1, "t-late") == "over_daily_limit"


@pytest.mark.postgresql
async def test_every_other_writer_waits_for_a_decision_and_the_other_way_round(tmp_path: Path) -> None:
    with _services(tmp_path, 2) as (one, two):
        account = one.bind("6222")

        def bind() -> Account:
            return two.bind("6223")

        with one.storage.write(shared=True):
            binding = asyncio.create_task(asyncio.to_thread(bind))
            assert await asyncio.wait([binding], timeout=0.3) == (set(), {binding})
        await binding
        with one.storage.write():
            deciding = asyncio.create_task(_outcome(two, account, 1, "t-1"))
            assert await asyncio.wait([deciding], timeout=0.3) == (set(), {deciding})
        assert await deciding == "approve"


@pytest.mark.parametrize("seed", range(3))
async def test_services_at_once_never_overspend_an_account_that_is_bound_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with _services(tmp_path, 3, reservation_lifetime_ms=_LIFETIME_MS) as rigs:
        numbers = [f"62220000{index}" for index in range(5)]
        bound = [rigs[0].bind(number) for number in numbers for _ in range(2)]
        names = [f"t-{index}" for index in range(120)]
        for part in range(3):

            async def life(rig: DecisionRig, name: str, account: Account, amount_minor: int, end: State | None) -> None:
                found = await _outcome(rig, account, amount_minor, name)
                assert found in {"approve", "over_daily_limit"}
                if found == "approve" and end is not None:
                    await rig.settle(name, end)

            mine = names[part::3]
            ends = [State.CAPTURED, State.VOIDED, None]
            await asyncio.gather(
                *(
                    life(rig, name, chance.choice(bound), chance.randint(300, 1_500), chance.choice(ends))
                    for rig, name in zip(cycle(rigs), mine, strict=False)
                )
            )
            _check_sums(rigs[0])
            rigs[0].clock.advance(_LIFETIME_MS)  # the next decisions of an account expire what was left
        for account in bound:
            await _outcome(rigs[0], account, _LIMIT_MINOR + 1, f"t-{account.binding.hex()[:20]}")
        _check_sums(rigs[0])
        assert not [row for row in rigs[0].rows(schema.reservations) if row.state == State.RESERVED.value]


def _check_sums(rig: DecisionRig) -> None:
    """Each account's row is the sum of what is reserved and captured, and within the limit."""
    held = schema.reservations.c
    counted = held.state.in_([State.RESERVED.value, State.CAPTURED.value])
    with rig.database.read() as connection:
        sums = dict(
            connection.execute(
                select(held.account, func.sum(held.amount_minor)).where(counted).group_by(held.account)
            ).all()
        )
        used = dict(connection.execute(select(schema.usage.c.account, schema.usage.c.used_minor)).all())
    assert {account: int(minor) for account, minor in sums.items()} == {a: minor for a, minor in used.items() if minor}
    assert all(0 <= minor <= _LIMIT_MINOR for minor in used.values())


async def test_services_at_once_count_all_bindings_of_an_account_for_its_velocity(tmp_path: Path) -> None:
    policy = Policy.model_validate({"risk": [_VELOCITY]})
    with _services(tmp_path, 3, policy=policy) as rigs:
        bound = [rigs[0].bind("6222") for _ in range(3)]
        outcomes = await asyncio.gather(
            *(
                _outcome(rig, account, 1, f"t-{index}")
                for index, (rig, account) in enumerate(zip(cycle(rigs), bound * 4, strict=False))
            )
        )
        assert sorted(outcomes) == ["approve"] * 4 + ["risk_hold"] * 8
        assert len(rigs[0].rows(schema.holds)) == 1


async def test_one_id_at_two_services_is_decided_once_even_with_different_accounts(tmp_path: Path) -> None:
    with _services(tmp_path, 2) as (one, two):
        first, second = one.bind(), one.bind()
        for turn in range(20):
            names = [f"t-{turn}-{index}" for index in range(100)]
            answers = await asyncio.gather(
                one.decisions.decide_all([_transaction(first, 1, name) for name in names]),
                two.decisions.decide_all([_transaction(second, 1, name) for name in reversed(names)]),
            )
            pairs = list(zip(answers[0], reversed(answers[1]), strict=True))
            assert all({type(a), type(b)} == {bytes, Conflict} for a, b in pairs)
        assert len(one.rows(schema.decisions)) == 2_000


async def test_one_reservation_settled_at_two_services_ends_once(tmp_path: Path) -> None:
    with _services(tmp_path, 2) as (one, two):
        account = one.bind()
        for index in range(20):
            name = f"t-{index}"
            assert await _outcome(one, account, 100, name) == "approve"
            ends = await asyncio.gather(
                one.settle(name, State.CAPTURED, 60), two.settle(name, State.VOIDED), return_exceptions=True
            )
            assert [type(end) for end in ends if not isinstance(end, dict)] == [AlreadySettled]
        row = one.rows(schema.usage)[0]
        captured = sum(60 for each in one.rows(schema.reservations) if each.state == State.CAPTURED.value)
        assert row.used_minor == captured
