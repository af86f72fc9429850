"""A JSON-RPC node in the test's own event loop, whose answers can be held back, counted and spoiled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from standing.gateway.ledger_reading.reader import Reader

CONTRACT = "0x" + "ab" * 20
_BLOCK_TIME_S = 1_767_225_600


class FakeLedger:
    """Answers every query with a record whose publication is the number of the call: 1, 2, 3 …

    `gate` holds answers back while it is cleared. `spoil` replaces the next answers' bodies, one each; in them, `ID`
    and `RESULT` stand for those of the proper answer. While `mixed_up` is set, a call gets the answer to the one before
    it on its connection, as from a proxy that gave up on a call too early. A call of more than `longest` queries is
    refused as too long.
    """

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []  # the requested bindings, one list per call, in order of arrival
        self.ids: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.spoil: list[bytes] = []
        self.mixed_up = False
        self.longest: int | None = None
        self.refused = 0
        self.most_at_once = 0
        self._last: dict[asyncio.BaseTransport | None, str] = {}  # the last answer on each connection
        self._now = 0
        self._came_in = asyncio.Condition()

    async def until(self, calls: int) -> None:
        """Wait until that many calls have arrived."""
        async with asyncio.timeout(20), self._came_in:
            await self._came_in.wait_for(lambda: len(self.calls) >= calls)

    async def answer(self, request: web.Request) -> web.Response:
        call = json.loads(await request.read())
        assert (call["method"], call["params"][0]["to"], call["params"][1]) == ("eth_call", CONTRACT, "latest")
        self.ids.append(call["id"])
        data = bytes.fromhex(call["params"][0]["data"][2:])
        count = int.from_bytes(data[36:68], "big")
        assert len(data) == 68 + 64 * count
        if self.longest is not None and count > self.longest:
            self.refused += 1
            return web.Response(status=413)
        self.calls.append([data[68 + 64 * index + 32 :][:32] for index in range(count)])
        number = len(self.calls)
        async with self._came_in:
            self._came_in.notify_all()
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await self.gate.wait()
        self._now -= 1
        result = b"".join(value.to_bytes(32, "big") for value in (number, _BLOCK_TIME_S, 0x60, count))
        result += b"".join(value.to_bytes(32, "big") for value in (number, 0, 0, 2, 0)) * count
        if self.spoil:
            spoiled = self.spoil.pop(0).replace(b"ID", b"%d" % call["id"])
            return web.Response(body=spoiled.replace(b"RESULT", b'"0x%s"' % result.hex().encode()))
        answer = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": "0x" + result.hex()})
        before, self._last[request.transport] = self._last.get(request.transport), answer
        return web.Response(text=before if self.mixed_up and before is not None else answer)


@asynccontextmanager
async def fake_ledger(
    *, budget_ms: int = 20_000, max_waiting: int = 10_000, max_in_flight: int = 2
) -> AsyncIterator[tuple[FakeLedger, Reader]]:
    """A served FakeLedger and a Reader of it."""
    ledger = FakeLedger()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/", ledger.answer)
    async with TestServer(app) as server:
        reader = Reader(
            str(server.make_url("/")),
            CONTRACT,
            budget_ms=budget_ms,
            max_waiting=max_waiting,
            max_in_flight=max_in_flight,
        )
        await reader.open()
        try:
            yield ledger, reader
        finally:
            ledger.gate.set()
            await reader.close()
