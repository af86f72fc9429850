"""The ledger's nodes: which of them may be read, in which order, and when the next one is asked.

What is known of a node comes in two ways. In passing: each answer to a read is held against what was seen before. And
regularly, where the nodes are watched: chain id, contract, number and time of the block that reads are of. It is one of

| state | what it means | reads |
| --- | --- | --- |
| fit | answers, is not behind | first |
| stalled | its newest block is older than `max_head_age_ms`: an idle chain, or a node cut off | after the fit |
| failing | gave no usable answer last time, or was overtaken by another node | after those |
| behind | more than `max_lag_blocks` behind what was seen | last; an answer that is behind counts for nothing |
| wrong | another chain id, or no contract at the address | never, until it is right again |

What was seen is the highest block number of any node, of three or more nodes the highest that two have told: a single
one cannot make all others look late. It never goes back while the process lives, but for what a node told that turned
out to be of another ledger.

A read asks the first node, the next one where that fails or is slow, and takes the first good answer, all inside the
time budget of one read. States mend by themselves, with the next look.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import structlog

from standing.gateway.ledger_reading.rpc import Endpoint
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.failover import MAX_URLS
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerUnreachable

_MAX_HASHES = 256
_HASH_SIZE = 32
_MAX_QUANTITY = 2**63 - 1  # of blocks, of seconds, and by EIP-2294 of chain ids
_SPARE_CONNECTIONS = 2  # beside the reads: the watch, and a block's hash

_T = TypeVar("_T")


class NodeState(IntEnum):
    """How far a node is trusted with reads; lower is better."""

    FIT = 0
    STALLED = 1
    FAILING = 2
    BEHIND = 3
    WRONG = 4

    @property
    def word(self) -> str:
        return self.name.lower()


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
    """How nodes are watched: what each must be, and how often it is checked."""

    chain_id: int
    clock: Clock
    probe_ms: int = 1_000
    max_head_age_ms: int = 60_000


@dataclass(slots=True)
class LedgerNode:
    """One node, and what is known about it.

    `highest`: the highest block that it has offered for reads. `checked`: it has proved to belong to this ledger and
    has not failed since. `hashes`: of its newest blocks, by number and time; another node's word does not count for
    what was read here.
    """

    endpoint: Endpoint
    state: NodeState = NodeState.FIT
    problem: str | None = None
    block_number: int | None = None
    block_time_s: int | None = None
    highest: int = 0
    checked: bool = False
    hashes: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)

    @property
    def name(self) -> str:
        """Host and port."""
        return self.endpoint.name


class LedgerNodes:
    """All nodes of one ledger contract. Belongs to one event loop, from `open` to `close`.

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
        """The first usable answer to `question`, which raises LedgerUnreachable for an unusable one.

        Raises: LedgerUnreachable, the last node's.
        """
        order = self.usable()
        if not order:
            raise LedgerUnreachable("every ledger node is of another ledger")
        if len(order) == 1:
            return await self._attempt(order[0], question)
        try:
            async with asyncio.timeout(self._budget_s):
                return await self._race(order, question)
        except TimeoutError as error:
            raise LedgerUnreachable("no ledger node answers in time") from error

    def usable(self) -> list[LedgerNode]:
        """The nodes that belong to this ledger, as far as is known, the best first."""
        return sorted((node for node in self.all if node.state is not NodeState.WRONG), key=lambda node: node.state)

    async def _race(self, order: list[LedgerNode], question: Callable[[LedgerNode], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        running: dict[asyncio.Task[_T], LedgerNode] = {}
        left = iter(order)
        failure: BaseException = LedgerUnreachable("no ledger node was asked")
        try:
            while True:
                node = next(left, None)
                if node is not None:
                    task = loop.create_task(self._attempt(node, question))
                    task.add_done_callback(_take_note)
                    running[task] = node
                elif not running:
                    raise failure
                patience_s = self._patience_s if node is not None and node is not order[-1] else None
                done, _ = await asyncio.wait(running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answered = running.pop(task)
                    if (error := task.exception()) is None:
                        for slow in running.values():
                            if order.index(slow) < order.index(answered):
                                self._set(slow, NodeState.FAILING, "was overtaken by another node")
                        return task.result()
                    failure = error
        finally:
            for task in running:
                task.cancel()

    async def _attempt(self, node: LedgerNode, question: Callable[[LedgerNode], Awaitable[_T]]) -> _T:
        try:
            if self._watch is not None and not node.checked:
                await self._check(node, self._watch.chain_id)
            answer = await question(node)
        except LedgerUnreachable as error:
            node.checked = False  # it may come back as another one
            if node.state < NodeState.FAILING:
                self._set(node, NodeState.FAILING, str(error))
            raise
        if node.state >= NodeState.FAILING:
            self._set(node, NodeState.FIT, None)  # the next check judges better
        return answer

    async def block_to_read(self, node: LedgerNode) -> str:
        """The block that a read asks `node` for: a tag, or a number where the rule has a depth."""
        if not self.rule.depth:
            return self.rule.tag
        head = _quantity(await node.endpoint.call("eth_blockNumber", []))
        return hex(max(head - self.rule.depth, 0))

    def admit(self, node: LedgerNode, block_number: int, asked: str) -> None:
        """Accept an answer that is of `block_number`, where `asked` was asked for.

        Raises: LedgerUnreachable where it is of another block, or behind what was seen.
        """
        if asked.startswith("0x") and int(asked, 16) != block_number:
            raise LedgerUnreachable(f"{node.name} answers for block {block_number}; {int(asked, 16)} was asked for")
        behind = self.seen - block_number
        if behind > self._max_lag_blocks:
            problem = f"{behind} blocks behind what was seen"
            self._set(node, NodeState.BEHIND, problem)
            raise LedgerUnreachable(f"{node.name} is {problem}")
        node.highest = max(node.highest, block_number)

    @property
    def seen(self) -> int:
        """The highest block number that counts; see the top of this module."""
        told = sorted((node.highest for node in self.all), reverse=True)
        return told[1] if len(told) > 2 else told[0]

    async def block_hash(self, node: LedgerNode, number: int, time_s: int) -> bytes | None:
        """The hash of a block that `node` has just read, asked for once per block. None where it cannot be had."""
        if self._watch is None:
            return None
        found = node.hashes.get((number, time_s))
        if found is None:
            try:
                async with asyncio.timeout(self._patience_s):
                    _learn(node, await node.endpoint.call("eth_getBlockByNumber", [hex(number), False]))
            except (LedgerUnreachable, TimeoutError):
                return None  # evidence then says that it has none; the decision does not rest on it
            found = node.hashes.get((number, time_s))
        return found

    # Watching

    async def _keep_looking(self, watch: Watch) -> None:
        while True:
            await asyncio.sleep(watch.probe_ms / 1000)
            await self.probe(watch)

    async def probe(self, watch: Watch) -> None:
        """Check every node now, and set its state."""
        looks = await asyncio.gather(*(self._look(node, watch) for node in self.all))
        for node, answered in zip(self.all, looks, strict=True):
            if answered:  # only now: another node's answer may have raised what was seen
                self._judge(node, watch)

    async def _look(self, node: LedgerNode, watch: Watch) -> bool:
        """Ask a node for the block it offers for reads. Returns: whether it answered and belongs to this ledger."""
        try:
            async with asyncio.timeout(max(watch.probe_ms / 1000, 2 * self._patience_s)):
                await self._check(node, watch.chain_id)
                number, node.block_time_s = _learn(
                    node, await node.endpoint.call("eth_getBlockByNumber", [self.rule.tag, False])
                )
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
        chain_id = _quantity(await node.endpoint.call("eth_chainId", []))
        problem = None if chain_id == expected else f"its chain id is {chain_id}, expected {expected}"
        if problem is None and not node.checked:
            code = await node.endpoint.call("eth_getCode", [self.contract, "latest"])
            if not isinstance(code, str) or len(code) <= 2:
                problem = f"there is no contract at {self.contract}"
        if problem is not None:
            node.highest = 0  # its block number was another ledger's, beside which all nodes of this one may look late
            self._set(node, NodeState.WRONG, problem)
            raise LedgerUnreachable(f"{node.name} is of another ledger: {problem}")
        node.checked = True

    def _judge(self, node: LedgerNode, watch: Watch) -> None:
        assert node.block_number is not None  # it answered
        assert node.block_time_s is not None
        behind, age_ms = self.seen - node.block_number, watch.clock.now_ms() - node.block_time_s * 1000
        if behind > self._max_lag_blocks:
            self._set(node, NodeState.BEHIND, f"{behind} blocks behind what was seen")
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
    """At the start: check that at least one node belongs to the right ledger. One of another ledger is left out.

    Raises: LedgerUnreachable where no node answers; LedgerMismatch where none that answers belongs to this ledger.
    """
    try:
        silent = client.check(chain_id)
    except LedgerMismatch as error:
        # The client itself leaves such a node out, so a node that answers now is right.
        client.head()
        structlog.get_logger().warning("ledger_node_left_out", problem=str(error))
    else:
        for name in silent:
            structlog.get_logger().warning("ledger_node_left_out", node=name, problem="does not answer")


def _learn(node: LedgerNode, header: Any) -> tuple[int, int]:
    """Keep the hash of a block that `node` gave. Returns: its number and time.

    Raises: LedgerUnreachable where the answer is not a header.
    """
    try:
        number, time_s = _quantity(header["number"]), _quantity(header["timestamp"])
        found = bytes.fromhex(header["hash"][2:])
    except (TypeError, KeyError, ValueError) as error:
        raise LedgerUnreachable("the ledger's node answers without a block") from error
    if len(found) != _HASH_SIZE:
        raise LedgerUnreachable("the ledger's node answers with a hash that is none")
    node.hashes[number, time_s] = found
    if len(node.hashes) > _MAX_HASHES:
        node.hashes.popitem(last=False)
    return number, time_s


def _quantity(value: Any) -> int:
    """A number as JSON-RPC writes it. Raises: LedgerUnreachable."""
    try:
        number = int(value, 16)
    except (TypeError, ValueError) as error:
        raise LedgerUnreachable("the ledger's node answers without a number") from error
    if not 0 <= number <= _MAX_QUANTITY:  # one of a million digits could not even be shown
        raise LedgerUnreachable("the ledger's node answers with a number that is none")
    return number


def _log_end(looking: asyncio.Task[None]) -> None:
    """If checking ended, nodes would keep their states: that must be visible."""
    if not looking.cancelled() and (error := looking.exception()) is not None:
        structlog.get_logger().error("ledger_watch_ended", error=type(error).__name__)


def _take_note(task: asyncio.Task[Any]) -> None:
    """A slower node's error no longer matters; asyncio would warn of one that nobody retrieved."""
    if not task.cancelled():
        task.exception()
