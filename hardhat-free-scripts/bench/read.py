"""Reading: Standing's coalescing reader, compared with web3.py, one raw call a read, and bare bytes in calls of 500."""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from eth_utils import to_checksum_address
from web3 import AsyncHTTPProvider, AsyncWeb3

import anvil
from bench.figures import Figure, Ratio, rate_ratio
from standing.gateway.ledger_reading.reader import Reader
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.codec import decode_read, encode_query, encode_read
from standing.ledger.chain.contract import artifact
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.clock import SystemClock
from standing.ledger.devnet.chain import DEVNET_KEYS

_BIC = "YUNXCNB0"
_BINDINGS = 1_000
_LOADS = (1, 64, 1_000)
_ROUND_S = 1.5
_BUDGET_MS = 60_000
_CEILING_QUERIES = 500
#: Threads for web3's synchronous client: more would only queue in Python.
_THREADS = 64


@dataclass(frozen=True)
class Setup:
    """A ledger with bindings on it."""

    url: str
    contract: str
    bank: bytes
    bindings: Sequence[bytes]


def publish_bindings(url: str, count: int) -> Setup:
    """Deploy a contract, admit a bank, and publish `count` bindings with random content."""
    key, signer = DEVNET_KEYS[0], LocalSigner(secrets.token_bytes(32))
    address = LocalSigner(key).address
    contract = governance.deploy(url, key, governor=address, registrar=address, guardian=address)
    client = LedgerClient(url, contract)
    governance.execute(client, governance.admit(_BIC, signer.address, address), key)
    sender = Sender(client, key)
    bindings = [secrets.token_bytes(32) for _ in range(count)]
    for start in range(0, count, client.max_attestations):
        batch = bindings[start : start + client.max_attestations]
        state, now_ms = client.bank(_BIC), SystemClock().now_ms()
        attestations = tuple(
            Attestation(binding, secrets.token_bytes(26), secrets.token_bytes(32)) for binding in batch
        )
        publication = Publication(client.domain, _BIC, state.publication + 1, state.head, now_ms, attestations)
        data = client.publish_calldata(publication, signer.sign(publication.digest))
        prepared = sender.prepare(data, gas=publication_gas(len(batch)))
        sender.transmit(prepared)
        sender.wait(prepared, timeout_s=60)
    return Setup(url, contract, bic_to_bytes11(_BIC), bindings)


async def _measure(figure: Figure, workers: int, read: Callable[[bytes], Awaitable[Any]], setup: Setup) -> None:
    """Let `workers` read bindings in turn for a while."""
    turn = itertools.cycle(setup.bindings)
    ends_at = time.perf_counter() + _ROUND_S
    done = 0

    async def work() -> None:
        nonlocal done
        while (started := time.perf_counter()) < ends_at:
            await read(next(turn))
            figure.latencies_ms.append((time.perf_counter() - started) * 1000)
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    figure.rates.append(done / (time.perf_counter() - started))


def _raw_body(setup: Setup, bindings: Sequence[bytes]) -> bytes:
    data = encode_read([encode_query(setup.bank, binding) for binding in bindings])
    call = [{"to": setup.contract, "data": "0x" + data.hex()}, "latest"]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": call}).encode()


async def standing(setup: Setup, figure: Figure, workers: int) -> None:
    """Standing's reader alone."""
    reader = Reader(setup.url, setup.contract, budget_ms=_BUDGET_MS, max_waiting=10_000)
    await reader.open()
    await _measure(figure, workers, lambda binding: reader.read(setup.bank, binding), setup)
    await reader.close()


async def raw(setup: Setup, figure: Figure, workers: int) -> None:
    """One `eth_call` for each read over a keep-alive connection, decoded."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=workers), headers={"Content-Type": "application/json"}
    ) as session:

        async def read(binding: bytes) -> None:
            async with session.post(setup.url, data=_raw_body(setup, [binding])) as answer:
                decode_read(bytes.fromhex((await answer.json())["result"][2:]), 1)

        await _measure(figure, workers, read, setup)


async def _web3_async(setup: Setup, figure: Figure, workers: int) -> None:
    w3 = AsyncWeb3(AsyncHTTPProvider(setup.url))
    contract = w3.eth.contract(address=to_checksum_address(setup.contract), abi=artifact()["abi"])
    await _measure(figure, workers, lambda b: contract.functions.read([(setup.bank, b)]).call(), setup)
    await w3.provider.disconnect()


async def _web3_sync(setup: Setup, figure: Figure, workers: int) -> None:
    client = LedgerClient(setup.url, setup.contract)
    contract = client.w3.eth.contract(address=client.address, abi=artifact()["abi"])
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(min(workers, _THREADS)) as pool:

        def read(binding: bytes) -> Awaitable[Any]:
            return loop.run_in_executor(pool, contract.functions.read([(setup.bank, binding)]).call)

        await _measure(figure, workers, read, setup)


async def _bare(setup: Setup, figure: Figure) -> None:
    """The ceiling: calls of 500 queries in sequence, without decoding the bytes."""
    body = _raw_body(setup, setup.bindings[:_CEILING_QUERIES])
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        ends_at = time.perf_counter() + _ROUND_S
        started, calls = time.perf_counter(), 0
        while (before := time.perf_counter()) < ends_at:
            async with session.post(setup.url, data=body) as answer:
                await answer.read()
            figure.latencies_ms.append((time.perf_counter() - before) * 1000)
            calls += 1
        figure.rates.append(calls * _CEILING_QUERIES / (time.perf_counter() - started))


_CONTENDERS = {
    "Standing's reader": standing,
    "one raw eth_call": raw,
    "web3.py async": _web3_async,
    "web3.py": _web3_sync,
}


def run_loop(measuring: Coroutine[Any, Any, None]) -> None:
    """Run on the event loop that a gateway's server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measuring)


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure reading. Raises: anvil.AnvilMissing."""
    process, url = anvil.start(folder)
    try:
        setup = publish_bindings(url, _BINDINGS)
        figures = {
            (name, load): Figure("read", f"{load} concurrent", name, ours=measure is standing)
            for load in _LOADS
            for name, measure in _CONTENDERS.items()
        }
        ceiling = Figure("read", "500 in one call", "bare bytes (ceiling)")
        for _ in range(rounds):
            for load in _LOADS:
                for name, measure in _CONTENDERS.items():
                    run_loop(measure(setup, figures[name, load], load))
            run_loop(_bare(setup, ceiling))
    finally:
        process.stop()
    ours, most = "Standing's reader", _LOADS[-1]
    raw, alone = figures["one raw eth_call", 1], figures[ours, 1]
    return [*figures.values(), ceiling], [
        rate_ratio("read: 1,000 concurrent, Standing / web3.py", figures[ours, most], figures["web3.py", most], 60),
        rate_ratio("read: 1,000 concurrent, Standing / bare bytes", figures[ours, most], ceiling, 0.7),
        Ratio("read: alone, median latency, Standing / raw", alone.latency_ms(50) / raw.latency_ms(50), 1.3, False),
    ]
