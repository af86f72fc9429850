"""The gateway is killed during two hundred concurrent payments: nothing is reserved twice, nothing is lost.

Everything runs in its own process, started by the same commands as in production: chain, bank node, gateway.
`STANDING_TEST_DATABASE` names a PostgreSQL server for the gateway's database in place of SQLite.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from sqlalchemy import select

from localnet import LocalBank, LocalNet
from processes import Process
from standing.gateway.storage import schema
from standing.ledger.service.database import Database
from tests.databases import new_database
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, wait_until

WAYS = 200
#: Several per connection, in sequence: all concurrent ones may reach the disk in one commit.
PAYMENTS = 3 * WAYS
AMOUNT_MINOR = 100
#: Half of the requested total.
LIMIT_MINOR = PAYMENTS * AMOUNT_MINOR // 2
_PATIENCE_S = 30.0
_WEEK_MS = 7 * 24 * 3_600_000


@pytest.fixture
def net(tmp_path: Path) -> Iterator[LocalNet]:
    made = LocalNet(tmp_path, PLATFORM)
    try:
        made.start_ledger()
        made.start_bank(made.add_bank("YUNXCNB0", "Yunxi"))
        made.add_gateway(policy={"freshness": [{"up_to_minor": "any", "max_staleness_ms": _WEEK_MS}]})
        made.gateway_settings["database_url"] = new_database(tmp_path, "gateway")
        # Two hundred at once may wait long on a small machine; timeouts are not under test.
        made.gateway_settings["ledger_read_timeout_ms"] = 20_000
        yield made
    finally:
        made.stop()


def _ask(net: LocalNet, method: str, path: str, **kwargs: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {net.gateway_key}"}
    return httpx.request(method, net.gateway_url + path, headers=headers, timeout=30, **kwargs)


def _bind(net: LocalNet, bank: LocalBank) -> str:
    """An account with a daily limit, bound, and its first attestation on the ledger. Returns: the binding."""
    as_of_ms = time.time_ns() // 1_000_000
    change = {**ACCOUNT, "daily_limit_minor": LIMIT_MINOR, "effective_at_ms": as_of_ms}
    fed = httpx.post(
        f"{bank.url}/v1/feed",
        json={"as_of_ms": as_of_ms, "changes": [change]},
        headers={"Authorization": f"Bearer {bank.core_key}"},
        timeout=30,
    )
    assert fed.status_code == 200, fed.text
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
    body = {"bank": bank.bic, "user_id": "u-001", "request_id": secrets.token_hex(8), **claim}
    answer = _ask(net, "POST", "/v1/bindings", json=body)
    assert answer.status_code == 201, answer.text
    binding: str = answer.json()["binding"]
    wait_until(lambda: _ask(net, "GET", f"/v1/bindings/{binding}").json()["publication"])
    return binding


def _bodies(binding: str) -> list[dict[str, Any]]:
    common = {"binding": binding, "kind": "payment", "amount_minor": AMOUNT_MINOR, "currency": "CNY"}
    prefix = secrets.token_hex(6)
    return [{"transaction_id": f"t-{prefix}-{index}", **common} for index in range(PAYMENTS)]


async def _pay(net: LocalNet, bodies: list[dict[str, Any]], *, may_die: bool = False) -> dict[str, dict[str, Any]]:
    """Send all, WAYS at once. Returns: the answers received, by id."""
    answers: dict[str, dict[str, Any]] = {}

    async def pay(client: aiohttp.ClientSession, one_way: list[dict[str, Any]]) -> None:
        for body in one_way:
            try:
                async with client.post("/v1/decisions", json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    answers[body["transaction_id"]] = await answer.json()
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                assert may_die
                return

    # Not httpx: each request scans every connection, which for two hundred costs more than a decision.
    async with aiohttp.ClientSession(
        net.gateway_url,
        headers={"Authorization": f"Bearer {net.gateway_key}"},
        connector=aiohttp.TCPConnector(limit=WAYS),
        timeout=aiohttp.ClientTimeout(total=60),
    ) as client:
        await asyncio.gather(*(pay(client, bodies[way::WAYS]) for way in range(WAYS)))
    return answers


def _decided(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(schema.decisions.c.transaction_id)))


def _kill_in_the_middle(gateway: Process, database: Database) -> None:
    """Kill the gateway (SIGKILL: no chance to tidy up) as soon as the first decisions are on disk."""
    before = len(_decided(database))
    deadline = time.monotonic() + _PATIENCE_S
    while len(_decided(database)) == before:  # without a pause: the middle is short
        assert time.monotonic() < deadline, "no payment was decided"
    gateway.kill()


@pytest.mark.long
def test_a_gateway_killed_during_two_hundred_payments_neither_loses_nor_repeats_one(net: LocalNet) -> None:
    gateway = net.start_gateway()
    binding = _bind(net, net.banks["YUNXCNB0"])
    bodies = _bodies(binding)
    database = Database(net.gateway_settings["database_url"])
    names = {body["transaction_id"] for body in bodies}
    with ThreadPoolExecutor(1) as executor:
        killing = executor.submit(_kill_in_the_middle, gateway, database)
        before = asyncio.run(_pay(net, bodies, may_die=True))
        killing.result()
    on_disk = names.intersection(_decided(database))
    assert 0 < len(on_disk) < PAYMENTS, "the kill did not hit the middle of the payments"
    assert before.keys() <= on_disk, "an answer was given before it was on disk"

    net.start_gateway()
    after = asyncio.run(_pay(net, bodies))
    assert len(after) == PAYMENTS
    # Answers given before the kill are repeated identically, to the last byte of the evidence.
    assert {name: after[name] for name in before} == before
    approved = {name for name, answer in after.items() if answer["outcome"] == "approve"}
    declined = {answer["reason"] for name, answer in after.items() if name not in approved}
    assert (len(approved), declined) == (LIMIT_MINOR // AMOUNT_MINOR, {"over_daily_limit"})
    assert asyncio.run(_pay(net, bodies)) == after

    with database.read() as connection:
        held = connection.execute(
            select(schema.reservations).where(schema.reservations.c.transaction_id.in_(names))
        ).all()
        (used,) = connection.scalars(
            select(schema.usage.c.used_minor).where(schema.usage.c.account == held[0].account)
        ).all()
    decided = [name for name in _decided(database) if name in names]
    database.close()
    assert {row.transaction_id for row in held} == approved
    assert used == sum(row.amount_minor for row in held) == LIMIT_MINOR
    assert sorted(decided) == sorted(names)
