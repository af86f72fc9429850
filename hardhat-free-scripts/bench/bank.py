"""A bank for benchmarks: its node as a real process, many invented accounts, all bound at one platform."""

import threading
import time
from typing import Any

import httpx
from stdnum import luhn
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from localnet import LocalBank, LocalNet
from standing.ledger.clock import SystemClock

BIC = "YUNXCNB0"
_HEARTBEAT_S = 0.2


def account(index: int) -> dict[str, Any]:
    """The invented account number `index`; all of one holder."""
    body = f"91560{index:010d}"
    return {
        "number": body + luhn.calc_check_digit(body),
        "number_type": "card",
        "status": "active",
        "debit_allowed": True,
        "credit_allowed": True,
        "currency": "CNY",
        "transaction_limit_minor": "none",
        "daily_limit_minor": "none",
        "holder_name": "诸葛松芳",
        "id_document_scheme": "NIDN",
        "id_document_country": "CN",
        "id_document_number": "310101197606149886",
        "phone": "+8615351432867",
    }


def core(bank: LocalBank) -> httpx.Client:
    """The core's client of a bank's node."""
    return httpx.Client(base_url=bank.url, headers={"Authorization": f"Bearer {bank.core_key}"}, timeout=60)


def start_bank(net: LocalNet, **publisher: int) -> LocalBank:
    """Deploy the contract and start a bank's node; `publisher` changes its publisher's settings."""
    net.deploy()
    bank = net.add_bank(BIC, "Benchmark bank", publisher=publisher or {"heartbeat_ms": 200, "poll_ms": 10})
    net.start_bank(bank)
    return bank


def bind_users(net: LocalNet, bank: LocalBank, count: int) -> list[str]:
    """Have the core state `count` accounts and the platform bind them all, with a gateway started for that alone.

    Returns: the bindings, all on the ledger.
    """
    now_ms = SystemClock().now_ms()
    changes = [{"effective_at_ms": now_ms, **account(index)} for index in range(count)]
    with core(bank) as door:
        door.post("/v1/feed", json={"as_of_ms": now_ms, "changes": changes}).raise_for_status()
    net.add_gateway(policy={"freshness": [{"up_to_minor": "any", "max_staleness_ms": 86_400_000}]})
    gateway = net.start_gateway()
    bindings = []
    with httpx.Client(
        base_url=net.gateway_url, headers={"Authorization": f"Bearer {net.gateway_key}"}, timeout=60
    ) as door:
        for index in range(count):
            claim = {
                name: value
                for name, value in account(index).items()
                if name in {"number", "number_type", "holder_name", "phone"} or name.startswith("id_document")
            }
            body = {"bank": BIC, "user_id": f"u-{index}", "request_id": f"bind-{index:08d}", **claim}
            answer = door.post("/v1/bindings", json=body).raise_for_status().json()
            bindings.append(answer["binding"])
        look = Retrying(retry=retry_if_result(lambda seen: not seen), wait=wait_fixed(0.05), stop=stop_after_delay(60))
        look(lambda: door.get(f"/v1/bindings/{bindings[-1]}").json()["publication"])
    gateway.stop()
    return bindings


class Heartbeats:
    """A context manager: within it, a bank's core sends heartbeats without changes."""

    def __init__(self, bank: LocalBank) -> None:
        self._bank = bank
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeats":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        with core(self._bank) as door:
            while not self._stop.wait(_HEARTBEAT_S):
                door.post("/v1/feed", json={"as_of_ms": time.time_ns() // 1_000_000, "changes": []})
