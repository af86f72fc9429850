"""One JSON-RPC node of the ledger over HTTP, asynchronously: bounded answers, and Standing's own errors."""

import asyncio
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

from standing.gateway.ledger_reading.connections import AnswerTooLong, BadAnswer, Connections
from standing.ledger.chain.request_ids import is_answer_to, request_ids
from standing.ledger.errors import LedgerUnreachable, RequestTooLong

_SUCCESS = range(200, 300)
_OTHER_ANSWER_BYTES = 4 * 1024 * 1024  # a block's header with its transactions' hashes, a contract's code, a proof


class Endpoint:
    """A node's JSON-RPC endpoint. Stays in one event loop, from `open` to `close`.

    Every call raises LedgerUnreachable where no usable answer comes, RequestTooLong for HTTP 413. The text names the
    node by host and port only, because a URL's path or user part may be a secret.
    """

    def __init__(self, url: str, *, timeout_s: float, max_connections: int) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._connections: Connections | None = None
        self._ids = request_ids()
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
        return await self.ask(json.dumps({"method": method, "params": params}).encode()[1:], max_bytes)

    async def ask(self, call: bytes, max_bytes: int) -> Any:
        """The `result` of a call whose JSON is already written, without the brace before `"method"`. An answer of more
        than `max_bytes` is refused."""
        if self._connections is None:
            raise LedgerUnreachable("the gateway is stopping")
        request_id = next(self._ids)
        body = b'{"jsonrpc":"2.0","id":%d,%s' % (request_id, call)
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
            refusal = RequestTooLong if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else LedgerUnreachable
            raise refusal(f"the ledger's node {self.name} answers HTTP {status}")
        try:
            answer = orjson.loads(raw)  # an answer to 500 queries has 160,000 characters
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:  # endless nesting, which is no ValueError
            raise LedgerUnreachable(f"the ledger's answer is not JSON-RPC ({self.name})") from error
        if not is_answer_to(request_id, answer):
            if self._connections is not None:
                self._connections.end_idle()  # on each of them, the next answer may be to this call
            raise LedgerUnreachable(f"the ledger's answer is to another request ({self.name})")
        return _result(answer)


def _result(answer: dict[str, Any]) -> Any:
    """The `result` of an answer. Raises: LedgerUnreachable."""
    if "result" not in answer or answer.get("error") is not None:
        error = answer.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        raise LedgerUnreachable(f"the ledger's node answers with an error: {str(message)[:200]}")
    return answer["result"]
