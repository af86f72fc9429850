"""A demo that runs for an hour: a real chain, node and gateway on one clock, which a test moves.

A chain that gives each block a second of its own runs ahead when banks publish several times a second; then evidence
fails its own verification, and the trail has negative ages.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.service.api_keys import new_key
from tests.world import ACCOUNT, Bank, Platform, World, wait_until

_MINUTE_MS = 60_000
_HOUR_MINUTES = 60
#: Blocks in a minute, of this bank and of others: a chain of a second a block is a quarter of an hour ahead at the end.
_PUBLICATIONS_A_MINUTE = 3
_OTHERS_A_MINUTE = 75
_FROZEN = {"number": ACCOUNT["number"], "status": "frozen", "debit_allowed": False, "credit_allowed": False}
_ACTIVE = {"number": ACCOUNT["number"], "status": "active", "debit_allowed": True, "credit_allowed": True}
#: Money from one account of the development chain to another: a block of somebody else's.
_TRANSFER = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "eth_sendTransaction",
    "params": [
        {
            "from": LocalSigner(DEVNET_KEYS[-1]).address,
            "to": LocalSigner(DEVNET_KEYS[-2]).address,
            "value": "0x1",
            "gas": "0x5208",
        }
    ],
}


class Hour:
    """The world of the demo, and the decisions made in it."""

    def __init__(self, a_world: World) -> None:
        self.world = a_world
        self.bank: Bank = a_world.start_bank()
        self.bank.change(ACCOUNT)
        roles = ("admin", "support", "checkout")
        keys = {role: new_key() for role in roles}
        stated = [
            {"name": role, "role": "platform" if role == "checkout" else role, "sha256": hashed}
            for role, (_, hashed) in keys.items()
        ]
        self.platform: Platform = a_world.start_platform(follower={"poll_ms": 10}, api_keys=stated)
        self.admin, self.support, self.platform.key = (keys[role][0] for role in roles)
        self.binding = self.platform.bind(self.bank.bic)
        self.decided: list[dict[str, Any]] = []

    def minute(self) -> None:
        """A minute in which the bank publishes several times within a second, and others more often."""
        for _ in range(_OTHERS_A_MINUTE):
            assert "result" in self.world.chain.devnet.call(_TRANSFER)
        for _ in range(_PUBLICATIONS_A_MINUTE):
            self.bank.heartbeat()
        self.decided.append(self.platform.decide(self.binding))
        assert self.ahead_ms() <= 1_000, f"after {len(self.decided)} decisions"
        self.world.clock.advance(_MINUTE_MS - _PUBLICATIONS_A_MINUTE * 61 - 61)
        self.bank.heartbeat()

    def state(self, fields: dict[str, Any], reason: str | None) -> None:
        """The bank states a change, and the next decision reflects it."""
        self.bank.change(fields)
        self.decided.append(self.platform.decide(self.binding))
        assert self.decided[-1]["reason"] == reason

    def trail(self) -> dict[str, Any]:
        """The trail as support sees it, once the gateway has seen the newest change."""
        own, self.platform.key = self.platform.key, self.support
        try:

            def seen() -> dict[str, Any] | None:
                found: dict[str, Any] = self.platform.get(f"/v1/bindings/{self.binding}/trail").json()
                return found if found["changes"][0]["hops"][-1]["state"] == "done" else None

            return wait_until(seen) or {}
        finally:
            self.platform.key = own

    def verified(self, decision: dict[str, Any], folder: Path, *where: str) -> dict[int, str]:
        """The verdict on each check of a decision's evidence, exported now."""
        case = folder / f"{decision['transaction_id']}-{len(where)}.json"
        export = ["evidence", "export", decision["transaction_id"], "--url", self.platform.url, "--output", str(case)]
        environment = {"STANDING_GATEWAY_KEY": self.admin}
        made = CliRunner().invoke(app, [*export, "--reason", "A test", "--with-key", "--yes"], env=environment)
        assert made.exit_code == 0, made.output
        key = json.dumps(self.platform.get("/v1/evidence-key").json())
        command = ["verify", str(case), "--contract", self.world.contract, "--gateway-key", key, "--json", *where]
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 0, ended.output
        return {line["number"]: line["verdict"] for line in json.loads(ended.stdout)["checks"]}

    def header(self, block_number: int, folder: Path) -> Path:
        """A block's header as a node returns it."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [hex(block_number), False]}
        file = folder / f"header-{block_number}.json"
        file.write_text(json.dumps(self.world.chain.devnet.call(asked)))
        return file

    def ahead_ms(self) -> int:
        """How far the newest block is ahead of the clock."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        block = self.world.chain.devnet.call(asked)["result"]
        return int(block["timestamp"], 16) * 1_000 - self.world.clock.now_ms()


def _ages(trail: dict[str, Any]) -> Iterator[int]:
    for change in trail["changes"]:
        for hop in change["hops"]:
            if hop["took_ms"] is not None:
                yield hop["took_ms"]


@pytest.mark.long
def test_after_an_hour_evidence_passes_every_check_and_no_age_is_negative(a_world: World, tmp_path: Path) -> None:
    hour = Hour(a_world)
    began_ms = a_world.clock.now_ms()
    for minute in range(_HOUR_MINUTES):
        hour.minute()
        if minute % 20 == 10:
            hour.state(_FROZEN, "account_frozen")
            hour.state(_ACTIVE, None)
    hour.state(_FROZEN, "account_frozen")
    assert a_world.clock.now_ms() - began_ms >= _HOUR_MINUTES * _MINUTE_MS
    assert all(decision["staleness_ms"] >= 0 for decision in hour.decided)

    trail = hour.trail()
    ages = list(_ages(trail))
    assert len(ages) > 20
    assert min(ages) >= 0
    for change in trail["changes"]:
        times = [hop["at_ms"] for hop in change["hops"] if hop["at_ms"] is not None]
        assert max(times) <= a_world.clock.now_ms()
    assert "−" not in "\n".join(trail["plain"]["en"] + trail["plain"]["zh"])
    assert trail["stalled"] is None

    first, last = hour.decided[0], hour.decided[-1]
    declined = next(decision for decision in hour.decided if decision["outcome"] == "decline")
    for decision in (first, declined, last):
        online = hour.verified(decision, tmp_path, "--ledger", a_world.chain.url)
        header = hour.header(decision["block_number"], tmp_path)
        offline = hour.verified(decision, tmp_path, "--offline", "--header", str(header))
        assert set(online.values()) == {"holds"}, online
        assert set(offline.values()) == {"holds"}, offline
