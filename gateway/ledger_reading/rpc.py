"""One JSON-RPC node of the ledger over HTTP, asynchronously: bounded answers, and Standing's own errors."""

import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from standing.ledger.errors import LedgerUnreachable

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
        self._session: aiohttp.ClientSession | None = None
        self.name = urlsplit(url).netloc.rpartition("@")[2]

    async def open(self) -> None:
        """Make the pool of keep-alive connections, which open with the first calls."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"Content-Type": "application/json"},
        )

    async def close(self) -> None:
        """End the calls in flight."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, method: str, params: list[Any], *, max_bytes: int = _OTHER_ANSWER_BYTES) -> Any:
        """The `result` of a call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return await self.ask(body, max_bytes)

    async def ask(self, body: bytes, max_bytes: int) -> Any:
        """The `result` of a call whose JSON is already written. An answer of more than `max_bytes` is refused."""
        try:
            try:
                raw = await self._post(body, max_bytes)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A keep-alive connection that the node had just closed looks like this. Reading twice does no harm.
                raw = await self._post(body, max_bytes)
            return _result(raw)
        except TimeoutError as error:
            raise LedgerUnreachable(f"the ledger does not answer in time ({self.name})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LedgerUnreachable(f"the ledger does not answer ({type(error).__name__}, {self.name})") from error
        except (ValueError, RecursionError) as error:  # endless nesting, which is no ValueError
            raise LedgerUnreachable(f"the ledger's answer is not JSON-RPC ({self.name})") from error

    async def _post(self, body: bytes, max_bytes: int) -> bytes:
        if self._session is None:
            raise LedgerUnreachable("the gateway is stopping")
        async with self._session.post(self._url, data=body) as response:
            if not response.ok:
                raise LedgerUnreachable(f"the ledger's node {self.name} answers HTTP {response.status}")
            received = bytearray()
            async for chunk in response.content.iter_any():
                received += chunk
                if len(received) > max_bytes:
                    raise LedgerUnreachable(f"the ledger's answer is longer than {max_bytes} bytes ({self.name})")
        return bytes(received)


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
