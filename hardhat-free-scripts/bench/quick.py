"""The cost of a decision, in under three minutes: does a change make it cost more than `benchmarks.json` says?

Two kinds of figures. Counts are exact on every machine: commits, SQL statements of a commit, bytes of an answer.
Processor seconds are multiples of the cost of an empty FastAPI route in the same run, each the lowest of a few rounds:
other work on the machine only adds to them. The check fails if a figure is more than a tenth worse, after up to three
times as many rounds again; a count of commits or statements must not be worse at all.

The ledger is the development chain, so that only packages from PyPI are needed, and it makes no blocks meanwhile: the
cost of following a chain depends on its blocks, not on decisions. Only the gateway's own processor time counts.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.bank import bind_users, start_bank
from bench.decide import requests, serving
from bench.http_load import Load, drive
from bench.run import RESULTS, machine
from localnet import LocalNet
from processes import Process

#: The name in benchmarks.json, beside its sections.
QUICK = "quick"
_BINDINGS = 40
_BATCH = 100
_COUNTED = 10
_ROUND_S = 2.0
_WARM_S = 0.5
_TOLERATED = 1.1
_AGAIN = 3


@dataclass(frozen=True)
class Cost:
    """One figure; less is better. `exact`: it must not be worse at all, otherwise by no more than a tenth."""

    name: str
    value: float
    exact: bool = False

    def worse_than(self, before: float) -> bool:
        """Whether it is worse than tolerated."""
        return self.value > (before if self.exact else before * _TOLERATED)


async def _send(url: str, key: str, bindings: list[str], *, batch: int | None, count: int) -> Load:
    """Send `count` requests in sequence."""
    make = requests(url, key, bindings, batch)
    left = iter(range(count))
    return await drive(url, lambda: make() if next(left, None) is not None else None, connections=1, for_s=60)


def _load(url: str, key: str, bindings: list[str], *, batch: int | None, connections: int, for_s: float) -> int:
    """Load it as fast as answers come. Returns: the number of transactions decided."""
    load = asyncio.run(drive(url, requests(url, key, bindings, batch), connections=connections, for_s=for_s))
    if set(load.statuses) != {200}:
        raise RuntimeError(f"not every answer is 200: {load.statuses}")
    return len(load.latencies_ms) * (batch or 1)


def counts(net: LocalNet, folder: Path, bindings: list[str]) -> list[Cost]:
    """The exact figures: of one decision alone, and of a batch."""
    costs = []
    with serving(net, "counted", folder) as (url, _), httpx.Client(base_url=url) as client:
        for name, batch in (("one alone", None), (f"a batch of {_BATCH}", _BATCH)):
            asyncio.run(_send(url, net.gateway_key, bindings, batch=batch, count=_BINDINGS))  # the first of each
            before = client.get("/counts").json()
            asyncio.run(_send(url, net.gateway_key, bindings, batch=batch, count=_COUNTED))
            after = client.get("/counts").json()
            commits = after["commits"] - before["commits"]
            decisions = after["decisions"] - before["decisions"]
            if decisions != _COUNTED * (batch or 1):
                raise RuntimeError(f"{decisions} decisions were made, {_COUNTED * (batch or 1)} were asked for")
            statements = after["statements"] - before["statements"]
            costs.append(Cost(f"{name}: commits for a request", commits / _COUNTED, exact=True))
            costs.append(Cost(f"{name}: SQL statements of a commit", statements / commits, exact=True))
            costs.append(Cost(f"{name}: bytes of an answer", (after["bytes"] - before["bytes"]) / decisions))
    return costs


def _processor_s(process: Process, url: str, key: str, bindings: list[str], batch: int | None) -> float:
    """Processor seconds for a thousand decisions."""
    connections = 64 if batch is None else 4
    _load(url, key, bindings, batch=batch, connections=connections, for_s=_WARM_S)
    began_s = process.processor_s()
    decided = _load(url, key, bindings, batch=batch, connections=connections, for_s=_ROUND_S)
    return (process.processor_s() - began_s) / decided * 1000


def processor(net: LocalNet, folder: Path, bindings: list[str], rounds: int, lowest: dict[str, float]) -> list[Cost]:
    """Processor seconds as multiples of the empty route's. `lowest`: the seconds themselves, of all rounds so far."""

    def note(name: str, value: float) -> None:
        lowest[name] = min(value, lowest.get(name, value))

    for _ in range(rounds):
        for kind in ("empty", "ledger"):
            with serving(net, kind, folder) as (url, process):
                note(kind, _processor_s(process, url, net.gateway_key, bindings, None))
                if kind == "ledger":
                    note("batch", _processor_s(process, url, net.gateway_key, bindings, _BATCH))
    return [
        Cost("one each, 64 connections: processor time / empty route's", lowest["ledger"] / lowest["empty"]),
        Cost(f"batches of {_BATCH}: processor time / empty route's", lowest["batch"] / lowest["empty"]),
    ]


def worse(costs: Sequence[Cost], before: Mapping[str, float]) -> list[Cost]:
    """The figures that are worse than tolerated, compared with the earlier ones."""
    return [cost for cost in costs if cost.name in before and cost.worse_than(before[cost.name])]


def measure(rounds: int, before: Mapping[str, float]) -> tuple[list[Cost], dict[str, float]]:
    """All figures, and the processor seconds for a thousand decisions behind the ratios."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        net = LocalNet(folder, "jinqiao-pay")
        stack.callback(net.stop)
        net.start_ledger()
        bank = start_bank(net)
        bindings = bind_users(net, bank, _BINDINGS)
        exact = counts(net, folder, bindings)
        costs = processor(net, folder, bindings, rounds, seconds)
        for _ in range(_AGAIN):
            if not worse(costs, before):
                break
            # The code, or other work on the machine? The lowest of more rounds decides.
            costs = processor(net, folder, bindings, rounds, seconds)
    return exact + costs, seconds


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often processor time is measured")
    parser.add_argument("--write", action="store_true", help="let benchmarks.json hold these figures from now on")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    results = json.loads(RESULTS.read_text())
    before: dict[str, float] = results.get(QUICK, {}).get("costs", {})
    costs, seconds = measure(given.rounds, {} if given.write else before)
    table = Table(title="What a decision costs")
    for heading in ("figure", "now", "benchmarks.json"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for cost in costs:
        known = f"{before[cost.name]:,.2f}" if cost.name in before else "not there yet"
        table.add_row(cost.name, f"{cost.value:,.2f}", known)
    console.print(table)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in seconds.items())
    console.print(f"processor seconds for a thousand decisions, lowest of {given.rounds} rounds: {shown}", markup=False)
    if given.write:
        stated = {"machine": machine(), "costs": {cost.name: round(cost.value, 3) for cost in costs}}
        results[QUICK] = stated | {"processor_s_per_1000": {name: round(value, 4) for name, value in seconds.items()}}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        return 0
    found = worse(costs, before)
    for cost in found:
        console.print(f"bench-quick: {cost.name}: {cost.value:.2f}, was {before[cost.name]:.2f}", markup=False)
    missing = [cost.name for cost in costs if cost.name not in before]
    if missing:
        console.print(
            f"bench-quick: not in benchmarks.json: {'; '.join(missing)} (--write puts them there)", markup=False
        )
    return 1 if found or missing else 0


if __name__ == "__main__":
    sys.exit(main())
