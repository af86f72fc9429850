"""Propagation: from the feed's acknowledgement to the first decision that sees the change, through the whole network.

Node and gateway are processes with their default settings. An account is frozen and unfrozen in turn, at a random
moment of the block, and decisions are requested in sequence until one shows it: the time runs from the feed's
answer to the end of that decision's answer, so it includes the duration of one decision.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import anvil
from bench.bank import account, bind_users, core, start_bank
from bench.figures import Figure, Ratio
from localnet import LocalBank, LocalNet
from standing.ledger.clock import SystemClock

_SAMPLES_AT_ONCE = 40
_SAMPLES_IN_BLOCKS = 20
_BLOCK_S = 1.0
_ALLOWED_MS = 50
_PATIENCE_S = 30.0


@dataclass
class _Watch:
    """One bound account: the clients of its core and its platform."""

    bank: LocalBank
    core: httpx.Client
    platform: httpx.Client
    binding: str
    asked: int = 0
    phases: random.Random = field(default_factory=lambda: random.Random(6))  # noqa: S311 - no secret

    def state(self, status: str) -> None:
        """Let the core state the account's status from now on."""
        now_ms = SystemClock().now_ms()
        change = {"number": account(0)["number"], "effective_at_ms": now_ms, "status": status}
        # A frozen account that keeps both permissions would not be declined.
        change |= {"debit_allowed": status == "active", "credit_allowed": status == "active"}
        self.core.post("/v1/feed", json={"as_of_ms": now_ms, "changes": [change]}).raise_for_status()

    def reason(self) -> str | None:
        """The reason of a decision made now."""
        self.asked += 1
        body = {"transaction_id": f"propagate-{self.asked}", "binding": self.binding, "kind": "payment"}
        answer = self.platform.post("/v1/decisions", json=body | {"amount_minor": 1, "currency": "CNY"})
        reason: str | None = answer.raise_for_status().json()["reason"]
        return reason

    def sample(self, status: str, within_s: float) -> float:
        """Milliseconds from the acknowledgement of a change to the decision that shows it. Raises: TimeoutError."""
        time.sleep(self.phases.uniform(0, within_s))
        expected = "account_frozen" if status == "frozen" else None
        if self.reason() == expected:
            raise RuntimeError(f"the decision shows {status} before the core said so")
        self.state(status)
        acknowledged = time.perf_counter()
        while self.reason() != expected:
            if time.perf_counter() - acknowledged > _PATIENCE_S:
                raise TimeoutError(f"no decision shows {status} after {_PATIENCE_S} s")
        return (time.perf_counter() - acknowledged) * 1000


def _distribution(folder: Path, figure: Figure, samples: int, block_time_s: float | None) -> None:
    folder.mkdir(exist_ok=True)
    process, url = anvil.start(folder, block_time_s=block_time_s)
    net = LocalNet(folder, "jinqiao-pay", ledger_url=url)
    try:
        bank = start_bank(net, heartbeat_ms=1_000)
        binding = bind_users(net, bank, 1)[0]
        net.start_gateway()
        platform = httpx.Client(
            base_url=net.gateway_url, headers={"Authorization": f"Bearer {net.gateway_key}"}, timeout=_PATIENCE_S
        )
        with core(bank) as door, platform:
            watch = _Watch(bank, door, platform, binding)
            for index in range(samples):
                status = "active" if index % 2 else "frozen"
                figure.latencies_ms.append(watch.sample(status, block_time_s or _ALLOWED_MS / 1000))
    finally:
        net.stop()
        process.stop()


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure propagation, each kind of chain in as many runs as there are rounds. Raises: anvil.AnvilMissing."""
    at_once = Figure("propagate", "blocks at once", "Standing, feed to decision")
    in_blocks = Figure("propagate", f"a block each {_BLOCK_S:g} s", "Standing, feed to decision")
    for number in range(rounds):
        _distribution(folder / f"at-once-{number}", at_once, -(-_SAMPLES_AT_ONCE // rounds), None)
        _distribution(folder / f"in-blocks-{number}", in_blocks, -(-_SAMPLES_IN_BLOCKS // rounds), _BLOCK_S)
    return [at_once, in_blocks], [
        Ratio("propagate: median ms, blocks at once", at_once.latency_ms(50), _ALLOWED_MS, False),
        Ratio(
            f"propagate: median ms, a block each {_BLOCK_S:g} s",
            in_blocks.latency_ms(50),
            _BLOCK_S * 1000 + _ALLOWED_MS,
            False,
        ),
    ]
