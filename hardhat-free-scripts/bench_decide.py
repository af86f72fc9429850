"""Deciding over HTTP, one worker: the live ledger while a bank publishes, beside the same app on a copied snapshot."""

import asyncio
import itertools
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anvil
import tomli_w
from bench_bank import Heart, bind_users, start_bank
from figures import Figure, Ratio, rate_ratio
from http_load import drive, request
from localnet import LocalNet
from processes import Process, free_port

KINDS = ("ledger", "snapshot", "empty")
_BINDINGS = 200
_CONNECTIONS = 64
_ROUND_S = 3.0


@contextmanager
def serving(net: LocalNet, kind: str, folder: Path) -> Iterator[str]:
    """A benchmark gateway of one kind, with its own copy of the database; yields its URL."""
    port = free_port()
    config = folder / f"{kind}.toml"
    database = folder / f"{kind}.sqlite3"
    database.write_bytes((net.folder / "gateway" / "gateway.sqlite3").read_bytes())
    config.write_text(tomli_w.dumps(net.gateway_settings | {"database_url": f"sqlite:///{database}"}))
    script = Path(__file__).with_name("bench_server.py")
    command = [sys.executable, str(script), kind, str(config), "--port", str(port)]
    process = Process(kind, command, folder / f"{kind}.log")
    url = f"http://127.0.0.1:{port}"
    try:
        process.wait_for(url + "/openapi.json")
        yield url
    finally:
        process.stop()


def requests(url: str, key: str, bindings: list[str]) -> Callable[[], bytes]:
    """Payments of one minor unit, a new transaction each, over all bindings in turn."""
    run, number, turn = secrets.token_hex(4), itertools.count(), itertools.cycle(bindings)

    def make() -> bytes:
        body = {
            "transaction_id": f"{run}-{next(number)}",
            "binding": next(turn),
            "kind": "payment",
            "amount_minor": 1,
            "currency": "CNY",
        }
        return request(url + "/v1/decisions", key, json.dumps(body).encode())

    return make


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure deciding. Raises: anvil.AnvilMissing."""
    process, url = anvil.start(folder)
    net = LocalNet(folder, "jinqiao-pay", ledger_url=url)
    figures = {kind: Figure("decide", f"{_CONNECTIONS} connections", kind) for kind in KINDS}
    half = {kind: Figure("decide", "half of its capacity", kind) for kind in KINDS}
    try:
        bank = start_bank(net)
        bindings = bind_users(net, bank, _BINDINGS)
        with Heart(bank):
            for _ in range(rounds):
                for kind in KINDS:
                    with serving(net, kind, folder) as served:
                        make = requests(served, net.gateway_key, bindings)
                        asyncio.run(drive(served, make, connections=_CONNECTIONS, for_s=1.0))
                        load = asyncio.run(drive(served, make, connections=_CONNECTIONS, for_s=_ROUND_S))
                        if set(load.statuses) != {200}:
                            raise RuntimeError(f"{kind}: {load.statuses}")
                        figures[kind].rates.append(load.rate)
                        figures[kind].latencies_ms += load.latencies_ms
                        calm = drive(served, make, connections=_CONNECTIONS, for_s=_ROUND_S, per_second=load.rate / 2)
                        eased = asyncio.run(calm)
                        half[kind].rates.append(eased.rate)
                        half[kind].latencies_ms += eased.latencies_ms
    finally:
        net.stop()
        process.stop()
    return [*figures.values(), *half.values()], [
        rate_ratio("decide: live ledger / in-process snapshot", figures["ledger"], figures["snapshot"], 0.9),
    ]
