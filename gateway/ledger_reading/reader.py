"""The coalescing reader: requests that are waiting at the same moment share one `read` call of the ledger.

That is batching, not caching. A call includes only the requests waiting when it is sent, so each answer comes
from a state that was read after its request arrived. No answer is kept. A call is raw JSON-RPC (`eth_call`), encoded
and decoded by `ledger.chain.codec`. `gateway.ledger_reading.nodes` chooses its node and checks its answer.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import structlog

from standing.gateway.ledger_reading.node import LedgerNode
from standing.gateway.ledger_reading.nodes import LedgerNodes
from standing.gateway.metrics import Meters
from standing.ledger.chain.codec import Reading, Record, decode_read, encode_query, encode_read
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable, Overloaded, RequestTooLong

#: The most queries of one call. A node bounds the gas of a call; 500 reads are far below every usual bound.
MAX_QUERIES = 500

_RETRY_AFTER_S = 1
_AGAIN_S = 0.05  # between two rounds of the nodes; blocks are further apart
_HEAD_ANSWER_CHARS = 4_096  # JSON around the result, and an error's text
_RECORD_ANSWER_CHARS = 6 * 64


class Seen(NamedTuple):
    """One record, and the block whose state it belongs to; `block_hash` is None where it is unavailable."""

    record: Record
    block_number: int
    block_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Answered:
    reading: Reading
    block_hash: bytes | None

    @property
    def block_number(self) -> int:
        return self.reading.block_number


class Reader:
    """Reads records of one contract. Stays in one event loop, from `open` to `close`.

    `ledger`: the ledger's nodes, which it opens and closes, or the URL of the only one. `budget_ms` is the time from a
    request's arrival to its answer. Beyond `max_waiting` requests it raises Overloaded.
    """

    def __init__(
        self,
        ledger: LedgerNodes | str,
        contract: str,
        *,
        budget_ms: int,
        max_waiting: int,
        max_in_flight: int = 2,
        meters: Meters | None = None,
    ) -> None:
        self.nodes = LedgerNodes([ledger], contract, budget_ms=budget_ms) if isinstance(ledger, str) else ledger
        self._meters = meters
        self._budget_s = budget_ms / 1000
        self._max_waiting = max_waiting
        self._max_in_flight = max_in_flight
        self._before = b'"method":"eth_call","params":[{"to":"%s","data":"0x' % contract.encode()
        self._after = b'"},"%s"]}'
        self._most = MAX_QUERIES  # fewer where a proxy before the nodes takes no call of that length
        self._waiting: deque[tuple[bytes, asyncio.Future[Seen]]] = deque()
        # Deadlines in order of arrival. One timer serves all: one timer each costs as much as the rest.
        self._due: deque[tuple[float, asyncio.Future[Seen]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: set[asyncio.Task[_Answered]] = set()
        self._again = asyncio.Semaphore(max_in_flight)
        self._woken = False
        self._failing = False
        self._loop: asyncio.AbstractEventLoop | None = None  # the one of `open`; None while closed

    @property
    def waiting(self) -> int:
        """How many requests wait for their call to be sent."""
        return len(self._waiting)

    async def open(self) -> None:
        """Make the connection pools; connections open with the first calls."""
        await self.nodes.open()
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """End the calls in flight. Requests that still wait fail with LedgerUnreachable."""
        self._loop = None  # nothing is sent from here on
        _fail([answer for _, answer in self._waiting], LedgerUnreachable("the gateway is stopping"))
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        for call in self._in_flight:
            call.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        await self.nodes.close()

    async def read(self, bank: bytes, binding: bytes, *, floor: int = 0) -> Seen:
        """The record of (bank as bytes11, binding), read after this was called.

        `floor`: the publication that its record is known to have reached. An older record is requested again from every
        node, for as long as one more budget, and is returned only where no node has a newer one in that time.

        Raises: LedgerUnreachable where no usable answer comes within the budget; Overloaded; InvalidValue where one of
        the two has a wrong size, before it shares a call.
        """
        query, loop = encode_query(bank, binding), self._loop
        if loop is None:
            raise LedgerUnreachable("the gateway is stopping")
        began_s = loop.time()
        answer = self._ask_for(query, loop, began_s + self._budget_s)
        try:
            seen = await answer
        finally:
            if self._meters is not None:
                self._meters.read_latency.observe(loop.time() - began_s)
        return seen if seen.record.publication >= floor else await self._read_again(seen, query, floor)

    async def _read_again(self, old: Seen, query: bytes, floor: int) -> Seen:
        """Ask every node, until one has reached `floor`. Few at once: where the whole ledger went back, all reads come
        here."""
        newest, question = old, self._question([query])
        try:
            async with asyncio.timeout(self._budget_s), self._again:
                while newest.record.publication < floor:
                    async with aclosing(self.nodes.ask_each(question)) as answers:
                        async for answered in answers:
                            seen = Seen(answered.reading.records[0], answered.block_number, answered.block_hash)
                            newest = max(newest, seen, key=lambda each: each.record.publication)
                            if newest.record.publication >= floor:
                                break
                        else:
                            await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            structlog.get_logger().warning("ledger_below_floor", publication=newest.record.publication, floor=floor)
        return newest

    def _ask_for(self, query: bytes, loop: asyncio.AbstractEventLoop, due_s: float) -> asyncio.Future[Seen]:
        """Add a query to the next call. Not a coroutine: thousands wait at once, and each level of them takes time."""
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} reads of the ledger are already waiting", _RETRY_AFTER_S)
        answer: asyncio.Future[Seen] = loop.create_future()
        self._waiting.append((query, answer))
        self._due.append((due_s, answer))
        if self._timer is None:
            self._timer = loop.call_at(due_s, self._expire)
        if not self._woken:
            self._wake()
        return answer

    def _expire(self) -> None:
        """Fail the requests whose time is up, and come back when the next one's is."""
        loop, late = asyncio.get_running_loop(), []
        self._forget_answered()
        while self._due and self._due[0][0] <= loop.time():
            late.append(self._due.popleft()[1])
            self._forget_answered()
        _fail(late, LedgerUnreachable(f"the ledger does not answer within {round(self._budget_s * 1000)} ms"))
        self._timer = loop.call_at(self._due[0][0], self._expire) if self._due else None

    def _forget_answered(self) -> None:
        while self._due and self._due[0][1].done():
            self._due.popleft()

    def _wake(self) -> None:
        # Sent on the loop's next turn, so that all requests of this turn join.
        if not self._woken and self._waiting and len(self._in_flight) < self._max_in_flight:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._woken = False
        while self._waiting and len(self._in_flight) < self._max_in_flight:
            queries: list[bytes] = []
            answers: list[asyncio.Future[Seen]] = []
            while self._waiting and len(queries) < self._most:
                query, answer = self._waiting.popleft()
                if not answer.done():  # its time was up, or its caller has gone
                    queries.append(query)
                    answers.append(answer)
            if queries:
                if self._meters is not None:
                    self._meters.call_queries.observe(len(queries))
                call = asyncio.get_running_loop().create_task(self._call(queries))
                self._in_flight.add(call)
                call.add_done_callback(partial(self._settle, queries, answers))

    def _settle(self, queries: list[bytes], answers: list[asyncio.Future[Seen]], call: asyncio.Task[_Answered]) -> None:
        self._in_flight.discard(call)
        error = None if call.cancelled() else call.exception()
        if isinstance(error, RequestTooLong) and len(queries) > 1:
            self._most = min(self._most, len(queries) // 2)
            self._waiting.extendleft(reversed(list(zip(queries, answers, strict=True))))
            self._wake()
            return
        self._wake()
        if call.cancelled():
            _fail(answers, LedgerUnreachable("the gateway is stopping"))
            return
        self._log_change(error)
        if error is not None:
            _fail(answers, error)
            return
        if len(queries) == self._most < MAX_QUERIES:
            self._most += 1  # the limit may have gone
        answered = call.result()
        block_number, block_hash = answered.reading.block_number, answered.block_hash
        for answer, record in zip(answers, answered.reading.records, strict=True):
            if not answer.done():
                answer.set_result(Seen(record, block_number, block_hash))
        self._forget_answered()

    def _log_change(self, error: BaseException | None) -> None:
        """Log when the ledger becomes unreachable and when it is back, not each failure in between."""
        if self._failing != (error is not None):
            self._failing = error is not None
            if error is not None:
                structlog.get_logger().warning("ledger_unreachable", problem=str(error))
            else:
                structlog.get_logger().info("ledger_reachable_again")

    async def _call(self, queries: list[bytes]) -> _Answered:
        return await self.nodes.ask(self._question(queries))

    def _question(self, queries: list[bytes]) -> Callable[[LedgerNode], Awaitable[_Answered]]:
        return partial(self._ask, encode_read(queries).hex().encode(), len(queries))

    async def _ask(self, data: bytes, count: int, node: LedgerNode) -> _Answered:
        """One call to one node. Raises: LedgerUnreachable where the answer is malformed or does not count."""
        if self._loop is None:
            raise LedgerUnreachable("the gateway is stopping")
        block = await self.nodes.block_to_read(node)
        bound = _HEAD_ANSWER_CHARS + _RECORD_ANSWER_CHARS * count
        result = await node.endpoint.ask(self._before + data + self._after % block.encode(), bound)
        try:
            reading = decode_read(bytes.fromhex(result.removeprefix("0x")), count)
        except (LedgerMismatch, ValueError, AttributeError, TypeError) as error:
            raise LedgerUnreachable(f"the ledger node's answer is malformed: {str(error)[:200]}") from error
        self.nodes.admit(node, reading.block_number, block)
        return _Answered(reading, await self.nodes.block_hash(node, reading.block_number, reading.block_time_s))


def _fail(answers: list[asyncio.Future[Seen]], error: BaseException) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
