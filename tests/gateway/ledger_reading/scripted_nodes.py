"""Ledger nodes with a scripted chain, and a reader of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from standing.gateway.ledger_reading.nodes import LedgerNodes, Watch
from standing.gateway.ledger_reading.reader import Reader
from standing.ledger.clock import ManualClock

BANK = b"YUNXCNB0\0\0\0"


BINDING = b"\x01" * 32


CONTRACT = "0x" + "ab" * 20


CHAIN = 777


NOW_S = 1_767_225_600


class Node:
    """A JSON-RPC node with a scripted chain. A record's publication is the number of its block."""

    def __init__(self, head: int = 100) -> None:
        self.head = head
        self.finalized = head
        self.time_s = NOW_S
        self.chain_id = CHAIN
        self.code = "0x6001"
        self.down = False
        self.watermark_ms = 2
        self.answers_for: int | None = None  # a block other than the requested one
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads: list[str] = []
        self.hashes_asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        call = json.loads(await request.read())
        if call["method"] == "eth_call":
            self.reads.append(call["params"][1])
        await self.gate.wait()
        if self.down:
            return web.Response(status=502)
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": self._result(call)})

    def _result(self, call: dict[str, Any]) -> Any:
        match call["method"]:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_getCode":
                return self.code
            case "eth_blockNumber":
                return hex(self.head)
            case "eth_getBlockByNumber":
                self.hashes_asked += call["params"][0].startswith("0x")
                number = self._number(call["params"][0])
                return {"number": hex(number), "timestamp": hex(self.time_s), "hash": hash_of(number)}
            case "eth_call" if self.code == "0x":
                return "0x"
            case "eth_call":
                number = self._number(call["params"][1]) if self.answers_for is None else self.answers_for
                words = (number, self.time_s, 0x60, 1, number, 0, 0, self.watermark_ms, 0)
                return "0x" + b"".join(word.to_bytes(32, "big") for word in words).hex()
        raise AssertionError(call)

    def _number(self, block: str) -> int:
        return {"latest": self.head, "finalized": self.finalized}.get(block) or int(block, 16)


async def until(look: Callable[[], bool]) -> None:
    """Wait until `look` returns true."""
    retrying = AsyncRetrying(
        retry=retry_if_result(lambda seen: not seen), wait=wait_fixed(0.005), stop=stop_after_delay(60)
    )

    async def looked() -> bool:
        return look()

    await retrying(looked)


def hash_of(number: int) -> str:
    return "0x" + number.to_bytes(32, "big").hex()


class Rigged:
    """Nodes, a reader of them, and the clock they are judged by."""

    def __init__(self, nodes: list[Node], reader: Reader, clock: ManualClock, watch: Watch) -> None:
        self.nodes, self.reader, self.clock, self.watch = nodes, reader, clock, watch

    async def read(self) -> int:
        """The block that a read returns."""
        return (await self.reader.read(BANK, BINDING)).block_number

    async def look(self) -> list[str]:
        """Look at every node now. Returns: their states."""
        await self.reader.nodes.probe(self.watch)
        return self.states

    @property
    def states(self) -> list[str]:
        return [node.state.word for node in self.reader.nodes.all]


@asynccontextmanager
async def rigged(*nodes: Node, budget_ms: int = 20_000, **changed: Any) -> AsyncIterator[Rigged]:
    """Polls happen only on a test's request: the watch's own interval is an hour."""
    clock = ManualClock(NOW_S * 1000)
    watch = Watch(CHAIN, clock, probe_ms=3_600_000, max_head_age_ms=60_000)
    async with AsyncExitStack() as stack:
        urls = []
        for node in nodes:
            app = web.Application()
            app.router.add_post("/", node.answer)
            urls.append(str((await stack.enter_async_context(TestServer(app))).make_url("/")))
        ledger = LedgerNodes(urls, CONTRACT, budget_ms=budget_ms, watch=watch, **changed)
        reader = Reader(ledger, CONTRACT, budget_ms=budget_ms, max_waiting=100)
        await reader.open()
        try:
            yield Rigged(list(nodes), reader, clock, watch)
        finally:
            for node in nodes:
                node.gate.set()
            await reader.close()
