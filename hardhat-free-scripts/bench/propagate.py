"""Propagation: from the feed's acknowledgement to the first decision that sees the change, through the whole network.

Node and gateway are processes with their default settings. An account is frozen and unfrozen in turn, at moments that
are spread evenly over the block, in a random order. Decisions are requested in sequence until one shows the change: the
time runs from the feed's answer to the end of that decision's answer, so it includes the duration of one decision.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

import anvil
from bench.bank import account, bind_users, core, start_bank
from bench.figures import Figure, Ratio
from localnet import LocalBank, LocalNet
from standing.ledger.clock import SystemClock

_SAMPLES_AT_ONCE = 40
_SAMPLES_IN_BLOCKS = 40
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

    def sample(self, status: str, after_s: float) -> float:
        """Milliseconds from the acknowledgement of a change to the decision that shows it.

        The change is made `after_s` from now: the previous decision has just seen a new block. Raises: TimeoutError.
        """
        time.sleep(after_s)
        expected = "account_frozen" if status == "frozen" else None
        if self.reason() == expected:
            raise RuntimeError(f"the decision shows {status} before the core said so")
        self.state(status)
        acknowledged = time.perf_counter()
        while self.reason() != expected:
            if time.perf_counter() - acknowledged > _PATIENCE_S:
                raise TimeoutError(f"no decision shows {status} after {_PATIENCE_S} s")
        return (time.perf_counter() - acknowledged) * 1000


def _moments_s(samples: int, rounds: int, within_s: float) -> list[list[float]]:
    """For each round, when to make its changes after a block: together at least `samples`, spread evenly."""
    each = -(-samples // rounds)
    moments_s = [within_s * (index + 0.5) / (each * rounds) for index in range(each * rounds)]
    random.Random(6).shuffle(moments_s)  # noqa: S311 - no secret
    return [moments_s[start : start + each] for start in range(0, len(moments_s), each)]


def _distribution(folder: Path, figure: Figure, moments_s: Sequence[float], block_time_s: float | None) -> None:
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
            for index, after_s in enumerate(moments_s):
                status = "active" if index % 2 else "frozen"
                figure.latencies_ms.append(watch.sample(status, after_s))
    finally:
        net.stop()
        process.stop()


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure propagation, each kind of chain in as many runs as there are rounds. Raises: anvil.AnvilMissing."""
    at_once = Figure("propagate", "blocks at once", "Standing, feed to decision")
    in_blocks = Figure("propagate", f"a block each {_BLOCK_S:g} s", "Standing, feed to decision")
    at_once_s = _moments_s(_SAMPLES_AT_ONCE, rounds, _ALLOWED_MS / 1000)
    in_blocks_s = _moments_s(_SAMPLES_IN_BLOCKS, rounds, _BLOCK_S)
    for number in range(rounds):
        _distribution(folder / f"at-once-{number}", at_once, at_once_s[number], None)
        _distribution(folder / f"in-blocks-{number}", in_blocks, in_blocks_s[number], _BLOCK_S)
    return [at_once, in_blocks], [
        Ratio("propagate: median ms, blocks at once", at_once.latency_ms(50), _ALLOWED_MS, False),
        Ratio(
            f"propagate: median ms, a block each {_BLOCK_S:g} s",
            in_blocks.latency_ms(50),
            _BLOCK_S * 1000 + _ALLOWED_MS,
            False,
        ),
    ]
