"""Several gateway processes on one database: they share a daily limit, one follows, and another takes over.

Everything runs in its own process, started by the same commands as in production. `STANDING_TEST_DATABASE` names a
PostgreSQL server for the gateways' database in place of SQLite.
"""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from localnet import LocalBank, LocalNet
from processes import Process, free_port
from standing.ledger.service.api_keys import new_key
from tests.databases import new_database
from tests.gateway.webhook_receiver import Receiver, receiver
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, wait_until

_AMOUNT_MINOR = 100
_PAYMENTS = 40
#: Room for half of the payments.
_LIMIT_MINOR = _PAYMENTS * _AMOUNT_MINOR // 2
_WEEK_MS = 7 * 24 * 3_600_000


@dataclass
class Member:
    """One of the gateways."""

    process: Process
    url: str
    key: str

    def ask(self, method: str, path: str, key: str | None = None, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", "Standing-Reason": "Ticket 4711"}
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **kwargs)

    @property
    def follows(self) -> bool:
        return 'standing_gateway_leads{what="follow"} 1.0' in self.ask("GET", "/metrics").text

    def event_types(self, binding: str) -> list[str]:
        found = self.ask("GET", "/v1/events", params={"binding": binding}).json()["events"]
        return [event["type"] for event in found]


@dataclass
class Cluster:
    """A bank and two gateways started simultaneously on an empty database."""

    bank: LocalBank
    members: list[Member]
    admin_key: str

    def feed(self, **change: Any) -> None:
        as_of_ms = time.time_ns() // 1_000_000
        answer = httpx.post(
            f"{self.bank.url}/v1/feed",
            json={"as_of_ms": as_of_ms, "changes": [{**change, "effective_at_ms": as_of_ms}]},
            headers={"Authorization": f"Bearer {self.bank.core_key}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text

    def bind(self) -> str:
        self.feed(**{**ACCOUNT, "daily_limit_minor": _LIMIT_MINOR})
        claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
        body = {"bank": self.bank.bic, "user_id": "u-001", "request_id": secrets.token_hex(8), **claim}
        answer = self.members[0].ask("POST", "/v1/bindings", json=body)
        assert answer.status_code == 201, answer.text
        binding: str = answer.json()["binding"]
        wait_until(lambda: self.members[1].ask("GET", f"/v1/bindings/{binding}").json()["publication"])
        return binding


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    net = LocalNet(tmp_path, PLATFORM)
    try:
        net.start_ledger()
        bank = net.add_bank("YUNXCNB0", "Yunxi")
        net.start_bank(bank)
        net.add_gateway(policy={"freshness": [{"up_to_minor": "any", "max_staleness_ms": _WEEK_MS}]})
        admin_key, hashed = new_key()
        settings = net.gateway_settings
        settings["database_url"] = new_database(tmp_path, "gateway")
        settings["ledger_read_timeout_ms"] = 20_000
        settings["follower"] = {"poll_ms": 50}
        settings["webhooks"] = {"poll_ms": 50, "allow_http": True, "allow_private_addresses": True}
        settings["api_keys"] = [*settings["api_keys"], {"name": "admin", "role": "admin", "sha256": hashed}]
        members = []
        for name in ("gateway-1", "gateway-2"):
            port = free_port()
            process = net.launch_gateway(name, port)
            members.append(Member(process, f"http://127.0.0.1:{port}", net.gateway_key))
        for member in members:
            member.process.wait_for(member.url + "/healthz")
        yield Cluster(bank, members, admin_key)
    finally:
        net.stop()


def _endpoint(cluster: Cluster, receiver: Receiver) -> None:
    body = {"url": receiver.url, "types": None}
    answer = cluster.members[0].ask("POST", "/v1/webhook-endpoints", key=cluster.admin_key, json=body)
    assert answer.status_code == 201, answer.text
    receiver.secrets.append(answer.json()["secret"])


@pytest.mark.long
def test_gateways_share_a_daily_limit_and_another_takes_over_when_the_leader_is_killed(cluster: Cluster) -> None:
    one, two = cluster.members
    binding = cluster.bind()
    with receiver() as hook:
        _endpoint(cluster, hook)

        def pay(index: int) -> str | None:
            body = {
                "transaction_id": f"t-{binding[2:14]}-{index}",
                "binding": binding,
                "kind": "payment",
                "amount_minor": _AMOUNT_MINOR,
                "currency": "CNY",
            }
            # Both are called, as by a platform that lost the first answer.
            answers = [member.ask("POST", "/v1/decisions", json=body) for member in (one, two)[:: 1 - 2 * (index % 2)]]
            assert answers[0].content == answers[1].content
            reason: str | None = answers[0].json()["reason"]
            return reason

        with ThreadPoolExecutor(8) as executor:
            reasons = list(executor.map(pay, range(_PAYMENTS)))
        assert (reasons.count(None), set(reasons)) == (_PAYMENTS // 2, {None, "over_daily_limit"})

        wait_until(lambda: one.follows or two.follows)
        assert not (one.follows and two.follows)
        leader, heir = (one, two) if one.follows else (two, one)
        wait_until(lambda: leader.event_types(binding) == ["binding.usable"])
        leader.process.kill()
        cluster.feed(number=ACCOUNT["number"], status="frozen", debit_allowed=False, credit_allowed=False)
        wait_until(lambda: heir.follows and heir.event_types(binding) == ["binding.usable", "binding.frozen"])
        wait_until(lambda: [event["type"] for event in hook.accepted if event["data"]["binding"] == binding])
        assert heir.ask("GET", "/v1/status").json()["follows"]
        assert not hook.broken
