"""Deciding over HTTP, one worker: the live ledger while a bank publishes, compared with the same app on a copied
snapshot.

Two limits are measured as well: an empty route of the framework, and the same durable work without Standing
(`bench.same_work`). Each server has a core to itself (`bench.cores`). Rates come with processor seconds for a thousand
decisions, which depend far less on the machine's other load.
"""

import asyncio
import itertools
import json
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

import tomli_w

import anvil
from bench import read as bench_read
from bench.bank import BIC, Heartbeats, bind_users, start_bank
from bench.cores import beside_server, for_server
from bench.figures import Figure, Ratio, rate_ratio
from bench.http_load import drive, request
from bench.same_work import durable_commits_per_second
from localnet import LocalNet
from processes import Process, free_port
from standing.ledger.attestations.bic import bic_to_bytes11

KINDS = {
    "ledger": "live ledger",
    "snapshot": "in-process snapshot",
    "redis": "snapshot in Redis",
    "empty": "empty FastAPI route",
    "same": "same durable work without Standing",
}
_CPU = "processor_s_per_1000"
_NODE_CPU = "node_processor_s_per_1000"
_COMMITS_FOR_S = 1.0
_BINDINGS = 200
_CONNECTIONS = 64
_BATCH = 100
_BATCH_CONNECTIONS = 4
_ROUND_S = 3.0
_WARM_S = 1.0


class RedisMissing(Exception):
    """There is no Redis server to compare with."""


def check_installed() -> None:
    """Raises: RedisMissing, which says in one line what is missing."""
    if shutil.which("redis-server") is None:
        raise RedisMissing("redis-server is missing: apt-get install redis-server")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server of its own, in memory only; yields its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = Process("redis", [*command, "--dir", str(folder)], folder / "redis.log")
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.stop()


@contextmanager
def serving(net: LocalNet, kind: str, folder: Path, redis_url: str = "") -> Iterator[tuple[str, Process]]:
    """A benchmark gateway of one kind, with its own copy of the database; yields its URL and its process."""
    port = free_port()
    config = folder / f"{kind}.toml"
    database = folder / f"{kind}.sqlite3"
    _copy_database(net.folder / "gateway" / "gateway.sqlite3", database)
    config.write_text(tomli_w.dumps(net.gateway_settings | {"database_url": f"sqlite:///{database}"}))
    command = [sys.executable, "-m", "bench.server", kind, str(config), "--port", str(port), "--redis", redis_url]
    with for_server():
        process = Process(kind, command, folder / f"{kind}.log")
    url = f"http://127.0.0.1:{port}"
    try:
        process.wait_for(url + "/openapi.json")
        yield url, process
    finally:
        process.stop()


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that has no writer now. Also remove a write-ahead log that an earlier round may have left beside
    `target`: SQLite would apply it to the new file, and find that malformed."""
    for name in (target, target.with_name(target.name + "-wal"), target.with_name(target.name + "-shm")):
        name.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)


def requests(url: str, key: str, bindings: list[str], batch: int | None = None) -> Callable[[], bytes]:
    """Payments of one minor unit, a new transaction each, over all bindings in turn; one a request, or `batch`."""
    run, number, turn = secrets.token_hex(4), itertools.count(), itertools.cycle(bindings)

    def payment() -> dict[str, object]:
        return {
            "transaction_id": f"{run}-{next(number)}",
            "binding": next(turn),
            "kind": "payment",
            "amount_minor": 1,
            "currency": "CNY",
        }

    def one() -> bytes:
        return request(url + "/v1/decisions", key, json.dumps(payment()).encode())

    def many() -> bytes:
        body = {"decisions": [payment() for _ in range(batch or 0)]}
        return request(url + "/v1/decisions:batch", key, json.dumps(body).encode())

    return one if batch is None else many


class Measured:
    """The figures of one section, filled round by round."""

    def __init__(self, node: Process) -> None:
        self._node = node
        self._cpu: dict[int, list[tuple[float, float]]] = {}
        self.full, self.half, self.batch = (
            {kind: Figure("decide", load, name, ours=kind == "ledger") for kind, name in KINDS.items()}
            for load in (f"{_CONNECTIONS} connections", "half of the live ledger's capacity", f"batches of {_BATCH}")
        )
        self.raw = Figure("decide", "alone", "one raw eth_call")
        self.commit = Figure("decide", "alone", "one durable commit (SQLite)")

    @property
    def all(self) -> list[Figure]:
        """Every figure that was measured."""
        figures = [*self.full.values(), *self.half.values(), *self.batch.values(), self.raw, self.commit]
        return [figure for figure in figures if figure.rates]

    def ratios(self) -> list[Ratio]:
        bound_ms = 2 * self.half["snapshot"].latency_ms(99) + self.raw.latency_ms(50)
        p99 = Ratio(
            "decide: p99 at half load / (2 × the snapshot's + one raw eth_call)",
            self.half["ledger"].latency_ms(99) / bound_ms,
            1.0,
            at_least=False,
        )
        live = "decide: {}, live ledger / in-process snapshot"
        same = "decide: {}, live ledger / same work without Standing"
        sum_ms = self.half["empty"].latency_ms(50) + self.raw.latency_ms(50) + 1000 / self.commit.rate
        half = "decide: {} at half load / (empty route + one raw eth_call + one durable commit)"
        return [
            rate_ratio("decide: one each, live ledger / empty route", self.full["ledger"], self.full["empty"], 0.5),
            rate_ratio(same.format("one each"), self.full["ledger"], self.full["same"], 0.7),
            rate_ratio(same.format("batches of 100"), self.batch["ledger"], self.batch["same"], 0.7),
            _cpu_ratio(
                "decide: processor seconds, empty route / live ledger", self.full["empty"], self.full["ledger"], 0.5
            ),
            _cpu_ratio(
                "decide: processor seconds, same work without Standing / live ledger",
                self.full["same"],
                self.full["ledger"],
                0.7,
            ),
            _cpu_ratio(
                "decide: processor seconds in batches of 100, same work without Standing / live ledger",
                self.batch["same"],
                self.batch["ledger"],
                0.7,
            ),
            Ratio(half.format("median"), self.half["ledger"].latency_ms(50) / sum_ms, 3.0, at_least=False),
            Ratio(half.format("p99"), self.half["ledger"].latency_ms(99) / sum_ms, 10.0, at_least=False),
            rate_ratio(live.format("one each"), self.full["ledger"], self.full["snapshot"], 0.95),
            rate_ratio(live.format("batches of 100"), self.batch["ledger"], self.batch["snapshot"], 0.95),
            p99,
        ]

    def measure(
        self, kind: str, served: tuple[str, Process], key: str, bindings: list[str], half_rate: float | None
    ) -> float:
        """One round of one kind. `half_rate`: the load at which latency is measured; half of its own rate if None.

        Returns: decisions per second.
        """
        url, process = served
        make = requests(url, key, bindings)
        _checked(url, make, _CONNECTIONS, _WARM_S)
        with self._counting(process, self.full[kind]):
            rate = _checked(url, make, _CONNECTIONS, _ROUND_S, self.full[kind])
        _checked(url, make, _CONNECTIONS, _ROUND_S, self.half[kind], per_second=half_rate or rate / 2)
        if kind != "empty":  # it has no batch route
            batches = requests(url, key, bindings, _BATCH)
            with self._counting(process, self.batch[kind], each=_BATCH):
                _checked(url, batches, _BATCH_CONNECTIONS, _ROUND_S, self.batch[kind], each=_BATCH)
        return rate

    @contextmanager
    def _counting(self, process: Process, figure: Figure, each: int = 1) -> Iterator[None]:
        """Record the processor seconds of the server and of the ledger's node for the decisions made in the block: the
        median of the rounds so far."""
        answered = len(figure.latencies_ms)
        before = process.processor_s(), self._node.processor_s()
        yield
        thousands = (len(figure.latencies_ms) - answered) * each / 1000
        spent = (process.processor_s() - before[0]) / thousands, (self._node.processor_s() - before[1]) / thousands
        rounds = self._cpu.setdefault(id(figure), [])
        rounds.append(spent)
        figure.extra[_CPU] = median(own for own, _ in rounds)
        figure.extra[_NODE_CPU] = median(node for _, node in rounds)


def _cpu_ratio(name: str, limit: Figure, ours: Figure, aim: float) -> Ratio:
    """The limit's cost of a decision as a share of ours: 1 means that we are as cheap as the limit."""
    return Ratio(name, limit.extra[_CPU] / ours.extra[_CPU], aim)


def _checked(
    url: str,
    make: Callable[[], bytes],
    connections: int,
    for_s: float,
    figure: Figure | None = None,
    *,
    per_second: float | None = None,
    each: int = 1,
) -> float:
    load = asyncio.run(drive(url, make, connections=connections, for_s=for_s, per_second=per_second))
    if set(load.statuses) != {200}:
        raise RuntimeError(f"not every answer is 200: {load.statuses}")
    if figure is not None:
        figure.rates.append(load.rate * each)
        figure.latencies_ms += load.latencies_ms
    return load.rate * each


@beside_server()
def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure deciding. Raises: anvil.AnvilMissing."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(redis_server(folder))
        process, url = anvil.start(folder)
        stack.callback(process.stop)
        measured = Measured(process)
        net = LocalNet(folder, "jinqiao-pay", ledger_url=url)
        stack.callback(net.stop)
        bank = start_bank(net)
        bindings = bind_users(net, bank, _BINDINGS)
        there = [bytes.fromhex(binding.removeprefix("0x")) for binding in bindings]
        setup = bench_read.Setup(url, net.contract, bic_to_bytes11(BIC), there)
        with Heartbeats(bank):
            for _ in range(rounds):
                half_rate = None
                for kind in KINDS:
                    with serving(net, kind, folder, redis_url) as served:
                        rate = measured.measure(kind, served, net.gateway_key, bindings, half_rate)
                        half_rate = half_rate or rate / 2
                measured.commit.rates.append(
                    durable_commits_per_second(str(folder / "commits.sqlite3"), _COMMITS_FOR_S)
                )
                bench_read.run_loop(bench_read.raw(setup, measured.raw, 1))
    return measured.all, measured.ratios()
