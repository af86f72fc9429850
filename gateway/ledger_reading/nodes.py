"""The ledger's nodes: which of them may be read, in which order, and when the next one is asked.

A node's state has two sources. Each answer to a read is compared with the blocks seen before. Where the nodes are
watched, they are also probed at intervals: chain id, contract, number and time of the block that reads use. The states:

| state | what it means | reads |
| --- | --- | --- |
| fit | answers, is not behind | first |
| stalled | its newest block is older than `max_head_age_ms`: an idle chain, or a node cut off | after the fit |
| failing | gave no usable answer last time, or was overtaken by another node | after those |
| behind | more than `max_lag_blocks` behind what was seen | only where every other one fails; an answer that is |
|        |                                                  | behind is not used |
| wrong | another chain id, or no contract at the address | never, until it is right again |

"What was seen" is the highest block number of any node; with three or more nodes, the highest that two have stated, so
that a single one cannot make all others look late. It never goes back while the process lives, except that the numbers
of a node that turns out to belong to another ledger are dropped.

A read asks the first node, the next one where that fails or is slow, and uses the first good answer, all inside the
time budget of one read. A node's state recovers at the next probe.

An answer may be good and still *late*: of an older block than one that this gateway has read before, as from a node
that stalled and is catching up. It is kept, the next node is asked, and it is used only where no node gives a newer one
in time. So reads do not go back while any reachable node is up to date.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from standing.gateway.ledger_reading.node import LedgerNode, NodeState, learn_block, quantity
from standing.gateway.ledger_reading.rpc import Endpoint
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.failover import MAX_URLS
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerUnreachable, RequestTooLong

_SPARE_CONNECTIONS = 2  # beside the reads: the watch, and a block's hash


class Dated(Protocol):
    """An answer, with the number of the block that it is of."""

    @property
    def block_number(self) -> int: ...


_T = TypeVar("_T", bound=Dated)


@dataclass(frozen=True, slots=True)
class BlockRule:
    """The block that is read: the one that `tag` names ("latest", "finalized"), or the one `depth` blocks below it."""

    tag: str = "latest"
    depth: int = 0

    def __str__(self) -> str:
        return f"{self.depth} below {self.tag}" if self.depth else self.tag


LATEST = BlockRule()


@dataclass(frozen=True, slots=True)
class Watch:
    """How nodes are watched: the expected chain, and how often each node is checked."""

    chain_id: int
    clock: Clock
    probe_ms: int = 1_000
    max_head_age_ms: int = 60_000


class LedgerNodes:
    """All nodes of one ledger contract. Stays in one event loop, from `open` to `close`.

    Without a `watch`, a node is judged by its answers alone, and no block hash is asked for. Raises: InvalidValue for
    no URL, or more than `ledger.chain.failover.MAX_URLS`.
    """

    def __init__(
        self,
        urls: Sequence[str],
        contract: str,
        *,
        budget_ms: int,
        rule: BlockRule = LATEST,
        max_in_flight: int = 2,
        max_lag_blocks: int = 10,
        watch: Watch | None = None,
    ) -> None:
        if not 1 <= len(urls) <= MAX_URLS:
            raise InvalidValue("ledger_urls", f"{len(urls)} URLs", f"1 to {MAX_URLS}")
        self.contract = contract
        self.rule = rule
        self._max_lag_blocks = max_lag_blocks
        self._watch = watch
        self._budget_s = budget_ms / 1000
        # So that each node gets its turn, and the last one has time to answer.
        self._patience_s = self._budget_s / (len(urls) + 1)
        self.all = [
            LedgerNode(
                Endpoint(url, timeout_s=budget_ms / 1000, max_connections=max_in_flight + _SPARE_CONNECTIONS),
            )
            for url in urls
        ]
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the connection pools, check every node once, and keep checking."""
        for node in self.all:
            await node.endpoint.open()
        if self._watch is not None:
            await self.probe(self._watch)
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking(self._watch))
            self._looking.add_done_callback(_log_end)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        for node in self.all:
            await node.endpoint.close()

    # Reading

    async def ask(self, question: Callable[[LedgerNode], Awaitable[_T]]) -> _T:
        """The first usable answer to `question` that is not late; the newest one where all are.

        `question` raises LedgerUnreachable for an unusable answer. Raises: LedgerUnreachable, the last node's;
        RequestTooLong where that was one node's answer, and no other answers.
        """
        order = self.usable()
        if not order:
            raise LedgerUnreachable("every ledger node belongs to another ledger")
        if len(order) == 1:
            return self._note_read(order[0], await self._attempt(order[0], question))
        late: list[tuple[LedgerNode, _T]] = []
        try:
            async with asyncio.timeout(self._budget_s) as bound:
                node, answer = await self._race(order, question, late, bound)
        except (LedgerUnreachable, TimeoutError) as error:
            if not late:
                if isinstance(error, LedgerUnreachable):
                    raise
                raise LedgerUnreachable("no ledger node answers in time") from error
            node, answer = max(late, key=lambda each: each[1].block_number)
        return self._note_read(node, answer)

    async def ask_each(self, question: Callable[[LedgerNode], Awaitable[_T]]) -> AsyncGenerator[_T, None]:
        """The usable answers of all nodes, asked at once, as they come in; none where no node gives one in time."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._attempt(node, question)) for node in self.usable()]
        try:
            async with asyncio.timeout(self._budget_s):
                for coming in asyncio.as_completed(tasks):
                    try:
                        yield await coming
                    except LedgerUnreachable:
                        continue  # its node's state records it
        except TimeoutError:
            return
        finally:
            for task in tasks:
                task.add_done_callback(_retrieve_error)
                task.cancel()

    def usable(self) -> list[LedgerNode]:
        """The nodes to ask, the best first: those that belong to this ledger, as far as is known. One that is behind is
        among them only where every other one fails."""
        ours = sorted((node for node in self.all if node.state is not NodeState.WRONG), key=lambda node: node.state)
        if ours and ours[0].state < NodeState.FAILING:
            return [node for node in ours if node.state is not NodeState.BEHIND]
        return ours

    def _note_read(self, node: LedgerNode, answer: _T) -> _T:
        node.read = max(node.read, answer.block_number)
        return answer

    def _is_late(self, answer: Dated) -> bool:
        # What was seen bounds it: where there are three nodes or more, a single one cannot make the others late.
        return answer.block_number < min(max(node.read for node in self.all), self.seen)

    async def _race(
        self,
        order: list[LedgerNode],
        question: Callable[[LedgerNode], Awaitable[_T]],
        late: list[tuple[LedgerNode, _T]],
        bound: asyncio.Timeout,
    ) -> tuple[LedgerNode, _T]:
        """The first answer that is not late, with its node; late ones are added to `late`. The first of them shortens
        `bound`: a late answer is of use only while its requests still wait."""
        loop = asyncio.get_running_loop()
        enough_s = loop.time() + self._budget_s - self._patience_s
        running: dict[asyncio.Task[_T], LedgerNode] = {}
        left = iter(order)
        failure: BaseException = LedgerUnreachable("no ledger node was queried")
        try:
            while True:
                node = next(left, None)
                if node is not None:
                    task = loop.create_task(self._attempt(node, question))
                    task.add_done_callback(_retrieve_error)
                    running[task] = node
                elif not running:
                    raise failure
                patience_s = self._patience_s if node is not None and node is not order[-1] else None
                done, _ = await asyncio.wait(running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answered = running.pop(task)
                    if (error := task.exception()) is not None:
                        failure = failure if isinstance(failure, RequestTooLong) else error
                        continue
                    answer = task.result()
                    if self._is_late(answer):
                        late.append((answered, answer))
                        bound.reschedule(enough_s)
                        continue
                    for slow in running.values():
                        if order.index(slow) < order.index(answered):
                            self._set(slow, NodeState.FAILING, "was overtaken by another node")
                    return answered, answer
        finally:
            for task in running:
                task.cancel()

    async def _attempt(self, node: LedgerNode, question: Callable[[LedgerNode], Awaitable[_T]]) -> _T:
        try:
            if self._watch is not None and not node.checked:
                await self._check(node, self._watch.chain_id)
            answer = await question(node)
        except RequestTooLong:
            raise  # nothing is wrong with the node
        except LedgerUnreachable as error:
            node.checked = False  # after a restart it may be another node
            if node.state < NodeState.FAILING:
                self._set(node, NodeState.FAILING, str(error))
            raise
        if node.state >= NodeState.FAILING:
            self._set(node, NodeState.FIT, None)  # the next check judges better
        return answer

    async def block_to_read(self, node: LedgerNode) -> str:
        """The block to request from `node`: a tag, or a number where the rule has a depth."""
        if not self.rule.depth:
            return self.rule.tag
        head = quantity(await node.endpoint.call("eth_blockNumber", []))
        return hex(max(head - self.rule.depth, 0))

    def admit(self, node: LedgerNode, block_number: int, requested: str) -> None:
        """Accept an answer that is of `block_number`, where the block `requested` was asked for.

        Raises: LedgerUnreachable where it is of another block, or behind what was seen.
        """
        if requested.startswith("0x") and int(requested, 16) != block_number:
            raise LedgerUnreachable(f"{node.name} answers for block {block_number}; {int(requested, 16)} was requested")
        behind = self.seen - block_number
        if behind > self._max_lag_blocks:
            problem = f"{behind} blocks behind the newest block seen"
            self._set(node, NodeState.BEHIND, problem)
            raise LedgerUnreachable(f"{node.name} is {behind} blocks behind the newest block seen")
        node.highest = max(node.highest, block_number)

    @property
    def seen(self) -> int:
        """The highest block number that counts; see the top of this module."""
        heights = sorted((node.highest for node in self.all), reverse=True)
        return heights[1] if len(heights) > 2 else heights[0]

    async def block_hash(self, node: LedgerNode, number: int, time_s: int) -> bytes | None:
        """The hash of a block that `node` has just read, requested once per block. None where it is unavailable."""
        if self._watch is None:
            return None
        found = node.hashes.get((number, time_s))
        if found is None:
            try:
                async with asyncio.timeout(self._patience_s):
                    learn_block(node, await node.endpoint.call("eth_getBlockByNumber", [hex(number), False]))
            except (LedgerUnreachable, TimeoutError):
                return None  # evidence then states none; the decision does not depend on it
            found = node.hashes.get((number, time_s))
        return found

    # Watching

    async def _keep_looking(self, watch: Watch) -> None:
        while True:
            await asyncio.sleep(watch.probe_ms / 1000)
            await self.probe(watch)

    async def probe(self, watch: Watch) -> None:
        """Check every node now, and set its state."""
        answered = await asyncio.gather(*(self._probe_node(node, watch) for node in self.all))
        for node, has_answered in zip(self.all, answered, strict=True):
            if has_answered:  # only now: another node's answer may have raised what was seen
                self._judge(node, watch)

    async def _probe_node(self, node: LedgerNode, watch: Watch) -> bool:
        """Ask a node for the block it offers for reads. Returns: whether it answered and belongs to this ledger."""
        try:
            async with asyncio.timeout(max(watch.probe_ms / 1000, 2 * self._patience_s)):
                await self._check(node, watch.chain_id)
                number, node.block_time_s = learn_block(
                    node, await node.endpoint.call("eth_getBlockByNumber", [self.rule.tag, False])
                )
                if number - self.rule.depth - self.seen > self._max_lag_blocks:
                    # It would make all nodes late, and for good where its URL leads to another ledger for a while.
                    node.checked = False
                    await self._check(node, watch.chain_id)
        except (LedgerUnreachable, TimeoutError) as error:
            node.checked = False
            node.block_number = node.block_time_s = None
            if node.state is not NodeState.WRONG:
                self._set(node, NodeState.FAILING, str(error) or "does not answer in time")
            return False
        node.block_number = max(number - self.rule.depth, 0)
        node.highest = max(node.highest, node.block_number)
        return True

    async def _check(self, node: LedgerNode, expected: int) -> None:
        """Check that a node belongs to this ledger. Raises: LedgerUnreachable, with the node's state set to wrong."""
        chain_id = quantity(await node.endpoint.call("eth_chainId", []))
        problem = None if chain_id == expected else f"its chain id is {chain_id}, expected {expected}"
        if problem is None and not node.checked:
            code = await node.endpoint.call("eth_getCode", [self.contract, "latest"])
            if not isinstance(code, str) or len(code) <= 2:
                problem = f"there is no contract at {self.contract}"
        if problem is not None:
            # Its block numbers were another ledger's, and may make all nodes of this one look late.
            node.highest = node.read = 0
            self._set(node, NodeState.WRONG, problem)
            raise LedgerUnreachable(f"{node.name} belongs to another ledger: {problem}")
        node.checked = True

    def _judge(self, node: LedgerNode, watch: Watch) -> None:
        assert node.block_number is not None  # it answered
        assert node.block_time_s is not None
        behind, age_ms = self.seen - node.block_number, watch.clock.now_ms() - node.block_time_s * 1000
        if behind > self._max_lag_blocks:
            self._set(node, NodeState.BEHIND, f"{behind} blocks behind the newest block seen")
        elif age_ms > watch.max_head_age_ms:
            self._set(node, NodeState.STALLED, f"its newest block is {age_ms // 1000} s old")
        else:
            self._set(node, NodeState.FIT, None)

    def _set(self, node: LedgerNode, state: NodeState, problem: str | None) -> None:
        """Set a node's state. Logs when it stops or starts to count, not at each check."""
        was, node.state, node.problem = node.state, state, problem
        log = structlog.get_logger()
        if was < NodeState.FAILING <= state:
            log.warning("ledger_node_left_out", node=node.name, state=state.word, problem=problem)
        elif state < NodeState.FAILING <= was:
            log.info("ledger_node_back", node=node.name, state=state.word)
        elif was is not state and state >= NodeState.BEHIND:
            log.warning("ledger_node_left_out", node=node.name, state=state.word, problem=problem)


def check_ledger(client: LedgerClient, chain_id: int | None) -> None:
    """Check at the start that at least one node belongs to the right ledger. One of another ledger is left out.

    Raises: LedgerUnreachable where no node answers; LedgerMismatch where none that answers belongs to this ledger.
    """
    try:
        silent = client.check(chain_id)
    except LedgerMismatch as error:
        # The client itself leaves such a node out, so a node that answers now is of this ledger.
        client.head()
        structlog.get_logger().warning("ledger_node_left_out", problem=str(error))
    else:
        for name in silent:
            structlog.get_logger().warning("ledger_node_left_out", node=name, problem="does not answer")


def _log_end(looking: asyncio.Task[None]) -> None:
    """Without checking, nodes keep their states: its end must be visible."""
    if not looking.cancelled() and (error := looking.exception()) is not None:
        structlog.get_logger().error("ledger_watch_ended", error=type(error).__name__)


def _retrieve_error(task: asyncio.Task[Any]) -> None:
    """A slower node's error no longer matters; asyncio would warn of one that nobody retrieved."""
    if not task.cancelled():
        task.exception()
