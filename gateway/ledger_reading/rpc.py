"""One JSON-RPC node of the ledger over HTTP, asynchronously: bounded answers, and Standing's own errors."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import orjson

from standing.gateway.ledger_reading.connections import AnswerTooLong, BadAnswer, Connections
from standing.ledger.errors import LedgerUnreachable

_SUCCESS = range(200, 300)
_OTHER_ANSWER_BYTES = 4 * 1024 * 1024  # a block's header with its transactions' hashes, a contract's code, a proof


class Endpoint:
    """A node's JSON-RPC endpoint. Stays in one event loop, from `open` to `close`.

    Every call raises LedgerUnreachable where no usable answer comes. The text names the node by host and port only,
    because a URL's path or user part may be a secret.
    """

    def __init__(self, url: str, *, timeout_s: float, max_connections: int) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._connections: Connections | None = None
        self.name = urlsplit(url).netloc.rpartition("@")[2]

    async def open(self) -> None:
        """Make the pool of keep-alive connections, which open with the first calls."""
        self._connections = Connections(self._url, max_connections=self._max_connections)

    async def close(self) -> None:
        """End the calls in flight."""
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.close()

    async def call(self, method: str, params: list[Any], *, max_bytes: int = _OTHER_ANSWER_BYTES) -> Any:
        """The `result` of a call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return await self.ask(body, max_bytes)

    async def ask(self, body: bytes, max_bytes: int) -> Any:
        """The `result` of a call whose JSON is already written. An answer of more than `max_bytes` is refused."""
        if self._connections is None:
            raise LedgerUnreachable("the gateway is stopping")
        try:
            async with asyncio.timeout(self._timeout_s):
                status, raw = await self._connections.post(body, max_bytes)
        except TimeoutError as error:
            raise LedgerUnreachable(f"the ledger does not answer in time ({self.name})") from error
        except AnswerTooLong as error:
            raise LedgerUnreachable(f"the ledger's answer is longer than {max_bytes} bytes ({self.name})") from error
        except (BadAnswer, OSError) as error:
            raise LedgerUnreachable(f"the ledger does not answer ({type(error).__name__}, {self.name})") from error
        if status not in _SUCCESS:
            raise LedgerUnreachable(f"the ledger's node {self.name} answers HTTP {status}")
        try:
            return _result(raw)
        except (ValueError, RecursionError) as error:  # endless nesting, which is no ValueError
            raise LedgerUnreachable(f"the ledger's answer is not JSON-RPC ({self.name})") from error


def _result(raw: bytes) -> Any:
    """The `result` of an answer. Raises: LedgerUnreachable, ValueError where it is malformed."""
    answer = orjson.loads(raw)  # an answer to 500 queries has 160,000 characters
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    if "result" not in answer or answer.get("error") is not None:
        error = answer.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        raise LedgerUnreachable(f"the ledger's node answers with an error: {str(message)[:200]}")
    return answer["result"]
