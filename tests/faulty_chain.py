"""The development chain as a network of ledger nodes may show it: down, slow to mine, or losing transactions."""

import threading
from typing import Any

import rlp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from standing.ledger.clock import Clock
from standing.ledger.devnet.chain import Devnet
from tests.mempool import Mempool, parse

#: A block's extra data on the engines with several validators is longer than the 32 bytes of other chains.
_EXTRA_DATA_BYTES = 241


class Chain:
    """A development chain behind HTTP, with faults.

    While `down`, every answer is an empty 502. While `holding`, transactions are accepted and mined in no block, until
    `release` mines them, in order, or `lose` forgets them.
    """

    def __init__(self, clock: Clock) -> None:
        self.devnet = Devnet(now_s=lambda: clock.now_ms() // 1000)
        self.down = False
        self.holding = False
        #: Whether the nonce after pending transactions counts those that are held, as a real node's does.
        self.counts_held = False
        #: The gas limit that blocks state; transactions above it are refused, as nodes do.
        self.block_gas_limit: int | None = None
        self.url = ""
        self.mempool = Mempool()
        # A transaction that is just being taken must not be left behind by `release` or `lose`.
        self._taking = threading.Lock()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app."""
        request = Request(scope, receive)
        if scope["type"] != "http" or request.method != "POST":
            await self.devnet.app(scope, receive, send)
        elif self.down:
            await Response(status_code=502)(scope, receive, send)
        else:
            call = await request.json()
            answer = [self._answer(each) for each in call] if isinstance(call, list) else self._answer(call)
            await JSONResponse(answer)(scope, receive, send)

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_sendRawTransaction" and self.block_gas_limit is not None:
            gas = int.from_bytes(rlp.decode(bytes.fromhex(call["params"][0][2:]))[2])
            if gas > self.block_gas_limit:
                return {
                    "jsonrpc": "2.0",
                    "id": call["id"],
                    "error": {"code": -32000, "message": "exceeds block gas limit"},
                }
        if call["method"] == "eth_sendRawTransaction":
            with self._taking:
                if self.holding:
                    count = {"method": "eth_getTransactionCount", "params": [parse(call).sender, "latest"], "id": 0}
                    return self.mempool.take(call, int(self.devnet.call(count)["result"], 16))
        if call["method"] == "eth_getTransactionCount" and self.counts_held and call["params"][1] == "pending":
            answer = self.devnet.call(call)
            return {**answer, "result": hex(int(answer["result"], 16) + self.mempool.held_of(call["params"][0]))}
        if call["method"] == "eth_gasPrice" and self.mempool.least_wei:
            return {"jsonrpc": "2.0", "id": call["id"], "result": hex(self.mempool.least_wei)}
        answer = self.devnet.call(call)
        if call["method"] == "eth_getBlockByNumber" and answer.get("result") is not None:
            # QBFT and IBFT 2 keep validators and seals there, Clique a signature.
            answer["result"]["extraData"] = "0x" + "00" * _EXTRA_DATA_BYTES
            if self.block_gas_limit is not None:
                answer["result"]["gasLimit"] = hex(self.block_gas_limit)
        return answer

    def release(self) -> None:
        """Mine what is held, and stop holding."""
        with self._taking:
            self.holding = False
            held = self.mempool.drain()
        for call in held:
            self.devnet.call(call)  # one that would fail is refused here, where a real chain would mine its failure

    def lose(self) -> None:
        """Drop what is held, and stop holding."""
        with self._taking:
            self.holding = False
            self.mempool.drain()
