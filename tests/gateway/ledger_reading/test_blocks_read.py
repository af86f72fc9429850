"""The block that is read, its hash, and the cost of nonsense from a node."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from standing.gateway.ledger_reading.node import NodeState
from standing.gateway.ledger_reading.nodes import BlockRule, LedgerNodes, Watch
from standing.gateway.ledger_reading.reader import Reader
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import ManualClock
from standing.ledger.errors import InvalidValue, LedgerUnreachable
from tests.gateway.ledger_reading.scripted_nodes import (
    BANK,
    BINDING,
    CHAIN,
    CONTRACT,
    NOW_S,
    Node,
    hash_of,
    rigged,
    until,
)

pytestmark = pytest.mark.anyio


async def test_a_node_with_an_old_newest_block_is_tried_after_the_others() -> None:
    old, fresh = Node(), Node()
    old.time_s = NOW_S - 61
    async with rigged(old, fresh) as it:
        assert it.states == ["stalled", "fit"]
        assert await it.read() == 100
        assert (len(old.reads), len(fresh.reads)) == (0, 1)
        # On a chain without recent blocks every node is stalled, and still read.
        it.clock.advance(3_600_000)
        assert await it.look() == ["stalled", "stalled"]
        assert await it.read() == 100


async def test_reads_use_the_finalised_block() -> None:
    node = Node(200)
    node.finalized = 140
    async with rigged(node, rule=BlockRule("finalized")) as it:
        assert await it.read() == 140
        assert node.reads == ["finalized"]


async def test_reads_use_the_block_at_the_set_depth_and_an_answer_for_another_is_ignored() -> None:
    node = Node(200)
    async with rigged(node, rule=BlockRule(depth=12)) as it:
        assert await it.read() == 188
        node.head = 201  # fetched again at each read
        assert await it.read() == 189
        assert node.reads == [hex(188), hex(189)]
        node.answers_for = 201
        with pytest.raises(LedgerUnreachable, match="answers for block 201; 189 was requested"):
            await it.read()


async def test_a_young_chain_is_read_at_its_first_block_for_any_depth() -> None:
    async with rigged(Node(5), rule=BlockRule(depth=12)) as it:
        assert await it.read() == 0


async def test_a_blocks_hash_is_fetched_once_and_a_read_does_not_need_it() -> None:
    node = Node(200)
    async with rigged(node) as it:
        seen = [await it.reader.read(BANK, BINDING) for _ in range(3)]
        assert {each.block_hash for each in seen} == {bytes.fromhex(hash_of(200)[2:])}
        assert node.hashes_asked == 0  # the poll already fetched it
        node.head = 201
        seen = [await it.reader.read(BANK, BINDING) for _ in range(3)]
        assert {each.block_hash for each in seen} == {bytes.fromhex(hash_of(201)[2:])}
        assert node.hashes_asked == 1


@pytest.mark.parametrize("digits", ["ab" * 31, "ab" * 31 + "  ", "ab" * 33])
async def test_a_hash_of_the_wrong_size_is_dropped(monkeypatch: pytest.MonkeyPatch, digits: str) -> None:
    monkeypatch.setattr(f"{Node.__module__}.hash_of", lambda _number: "0x" + digits)
    async with rigged(Node()) as it:
        assert (await it.reader.read(BANK, BINDING)).block_hash is None


async def test_a_blocks_hash_comes_from_the_node_that_was_read_and_from_no_other() -> None:
    first, other = Node(200), Node(200)
    plain = other._result

    def lying(call: dict[str, Any]) -> Any:
        result = plain(call)
        return result | {"hash": "0x" + "ff" * 32} if call["method"] == "eth_getBlockByNumber" else result

    other._result = lying  # type: ignore[method-assign]
    async with rigged(first, other) as it:
        assert (await it.reader.read(BANK, BINDING)).block_hash == bytes.fromhex(hash_of(200)[2:])


async def test_a_hash_from_a_block_with_another_time_is_not_used() -> None:
    node = Node(200)
    async with rigged(node) as it:
        asked = node._result

        def moved(call: dict[str, Any]) -> Any:
            result = asked(call)
            return result | {"timestamp": hex(NOW_S + 1)} if call["method"] == "eth_getBlockByNumber" else result

        node._result = moved  # type: ignore[method-assign]
        node.head = 201
        assert (await it.reader.read(BANK, BINDING)).block_hash is None


@pytest.mark.parametrize("number", ["0x" + "f" * 5_000, "-0x1", hex(2**63)])
async def test_an_invalid_number_counts_as_that_nodes_failure_and_the_watch_continues(number: str) -> None:
    odd, right = Node(200), Node(200)
    plain = odd._result

    def lying(call: dict[str, Any]) -> Any:
        result = plain(call)
        return result | {"number": number} if call["method"] == "eth_getBlockByNumber" else result

    odd._result = lying  # type: ignore[method-assign]
    async with rigged(odd, right) as it:
        assert it.states == ["failing", "fit"]
        assert await it.look() == ["failing", "fit"]
        assert await it.read() == 200


@pytest.mark.usefixtures("usual_depth")
async def test_an_endlessly_nested_answer_counts_as_that_nodes_failure_and_the_watch_continues() -> None:
    async def nested(_request: web.Request) -> web.Response:
        return web.Response(body=b"[" * 50_000)

    right = Node(200)
    odd_app, right_app = web.Application(), web.Application()
    odd_app.router.add_post("/", nested)
    right_app.router.add_post("/", right.answer)
    clock = ManualClock(NOW_S * 1000)
    async with TestServer(odd_app) as odd, TestServer(right_app) as well:
        urls = [str(server.make_url("/")) for server in (odd, well)]
        watch = Watch(CHAIN, clock, probe_ms=3_600_000)
        reader = Reader(
            LedgerNodes(urls, CONTRACT, budget_ms=20_000, watch=watch), CONTRACT, budget_ms=20_000, max_waiting=9
        )
        await reader.open()
        assert [node.state.word for node in reader.nodes.all] == ["failing", "fit"]
        assert (await reader.read(BANK, BINDING)).block_number == 200
        # The connection used by follower and reconciliation makes the same distinction.
        client = LedgerClient(urls[0], CONTRACT)
        with pytest.raises(LedgerUnreachable):
            await asyncio.to_thread(client.head)
        await reader.close()


async def test_the_watch_polls_on_its_own() -> None:
    node = Node()
    app = web.Application()
    app.router.add_post("/", node.answer)
    clock = ManualClock(NOW_S * 1000)
    async with TestServer(app) as server:
        ledger = LedgerNodes(
            [str(server.make_url("/"))], CONTRACT, budget_ms=5_000, watch=Watch(CHAIN, clock, probe_ms=50)
        )
        await ledger.open()
        node.chain_id = 1
        await until(lambda: ledger.all[0].state is NodeState.WRONG)
        node.chain_id = CHAIN
        await until(lambda: ledger.all[0].state is NodeState.FIT)
        await ledger.close()


def test_a_node_is_named_without_the_secrets_of_its_url() -> None:
    nodes = LedgerNodes(["https://user:secret@node.example:8545/v3/api-key"], CONTRACT, budget_ms=1_000)
    assert nodes.all[0].name == "node.example:8545"
    for urls in ([], ["http://127.0.0.1:9/"] * 9):
        with pytest.raises(InvalidValue):
            LedgerNodes(urls, CONTRACT, budget_ms=1_000)
