"""The coalescing reader: requests that wait at the same moment share one `read` call of the ledger.

That is batching, not caching. A call takes the requests that wait when it is sent and no other, so each answer comes
from a state that was read after its request arrived; no answer is kept. A call is raw JSON-RPC (`eth_call`) over a pool
of keep-alive connections, encoded and decoded by `ledger.codec`.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from functools import partial

import aiohttp
import structlog

from ledger.codec import Reading, Record, decode_read, encode_read
from ledger.errors import LedgerError, LedgerUnreachable, Overloaded

#: The most queries of one call. A node bounds the gas of a call; 500 reads are far below every usual bound.
MAX_QUERIES = 500

_RETRY_AFTER_S = 1
_HEAD_ANSWER_CHARS = 4_096  # JSON around the result, and an error's text
_RECORD_ANSWER_CHARS = 6 * 64

_Query = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Seen:
    """One record, and the block whose state it is of."""

    record: Record
    block_number: int


class Reader:
    """Reads records of one contract through one JSON-RPC node. Belongs to one event loop, from `open` to `close`.

    `budget_ms` is the time from a request's arrival to its answer. Past `max_waiting` requests it is Overloaded.
    """

    def __init__(self, url: str, contract: str, *, budget_ms: int, max_waiting: int, max_in_flight: int = 2) -> None:
        self._url = url
        self._budget_s = budget_ms / 1000
        self._max_waiting = max_waiting
        self._max_in_flight = max_in_flight
        self._before = (
            b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"%s","data":"0x' % contract.encode()
        )
        self._after = b'"},"latest"]}'
        self._waiting: deque[tuple[_Query, asyncio.Future[Seen]]] = deque()
        self._in_flight: set[asyncio.Task[Reading]] = set()
        self._woken = False
        self._failing = False
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the connection pool; connections open with the first calls."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_in_flight),
            timeout=aiohttp.ClientTimeout(total=self._budget_s),
            headers={"Content-Type": "application/json"},
        )

    async def close(self) -> None:
        """End the calls in flight; who still waits is told that the ledger is out of reach."""
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        _fail([answer for _, answer in self._waiting], LedgerUnreachable("the gateway is stopping"))
        self._waiting.clear()
        if self._session is not None:
            await self._session.close()

    async def read(self, bank: bytes, binding: bytes) -> Seen:
        """The record of (bank as bytes11, binding), read after this was called.

        Raises: LedgerUnreachable where no usable answer comes within the budget; Overloaded.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} reads of the ledger wait already", _RETRY_AFTER_S)
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting.append(((bank, binding), answer))
        self._wake()
        try:
            async with asyncio.timeout(self._budget_s):
                return await answer
        except TimeoutError as error:
            raise LedgerUnreachable(f"the ledger does not answer within {round(self._budget_s * 1000)} ms") from error

    def _wake(self) -> None:
        # Sent on the loop's next turn, so that all requests of this turn join.
        if not self._woken and self._waiting and len(self._in_flight) < self._max_in_flight:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._woken = False
        while self._waiting and len(self._in_flight) < self._max_in_flight:
            queries: list[_Query] = []
            answers: list[asyncio.Future[Seen]] = []
            while self._waiting and len(queries) < MAX_QUERIES:
                query, answer = self._waiting.popleft()
                if not answer.done():  # its time was up, or its caller has gone
                    queries.append(query)
                    answers.append(answer)
            if queries:
                call = asyncio.get_running_loop().create_task(self._call(queries))
                self._in_flight.add(call)
                call.add_done_callback(partial(self._settle, answers))

    def _settle(self, answers: list[asyncio.Future[Seen]], call: asyncio.Task[Reading]) -> None:
        self._in_flight.discard(call)
        self._wake()
        if call.cancelled():
            _fail(answers, LedgerUnreachable("the gateway is stopping"))
            return
        error = call.exception()
        self._note(error)
        if error is not None:
            _fail(answers, error)
            return
        reading = call.result()
        for answer, record in zip(answers, reading.records, strict=True):
            if not answer.done():
                answer.set_result(Seen(record, reading.block_number))

    def _note(self, error: BaseException | None) -> None:
        """Log when the ledger goes out of reach and when it is back, not each time between."""
        if self._failing != (error is not None):
            self._failing = error is not None
            if error is not None:
                structlog.get_logger().warning("ledger_unreachable", problem=str(error))
            else:
                structlog.get_logger().info("ledger_reachable_again")

    async def _call(self, queries: list[_Query]) -> Reading:
        body = self._before + encode_read(queries).hex().encode() + self._after
        try:
            try:
                raw = await self._post(body, len(queries))
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A keep-alive connection that the node had just closed looks like this. Reading twice does no harm.
                raw = await self._post(body, len(queries))
            return decode_read(_result(raw), len(queries))
        except TimeoutError as error:
            raise LedgerUnreachable("the ledger does not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LedgerUnreachable(f"the ledger does not answer ({type(error).__name__})") from error
        except LedgerUnreachable:
            raise
        except (LedgerError, ValueError) as error:
            raise LedgerUnreachable(f"the ledger's answer makes no sense: {str(error)[:200]}") from error

    async def _post(self, body: bytes, count: int) -> bytes:
        assert self._session is not None  # `open` comes first
        bound = _HEAD_ANSWER_CHARS + _RECORD_ANSWER_CHARS * count
        async with self._session.post(self._url, data=body) as response:
            received = bytearray()
            async for chunk in response.content.iter_any():
                received += chunk
                if len(received) > bound:
                    raise LedgerUnreachable(f"the ledger's answer is longer than {bound} bytes")
        return bytes(received)


def _result(raw: bytes) -> bytes:
    """The bytes that an `eth_call` answered. Raises: LedgerUnreachable, ValueError where it is no such answer."""
    answer = json.loads(raw)
    if not isinstance(answer, dict):
        raise LedgerUnreachable("the ledger's answer is not of JSON-RPC")
    result = answer.get("result")
    if not isinstance(result, str) or not result.startswith("0x"):
        error = answer.get("error")
        told = error.get("message") if isinstance(error, dict) else None
        raise LedgerUnreachable(f"the ledger's node answers with an error: {str(told)[:200]}")
    return bytes.fromhex(result[2:])


def _fail(answers: list[asyncio.Future[Seen]], error: BaseException) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
