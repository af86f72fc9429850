"""Several ledger nodes: fail-over within one read's budget; nodes that lag or lie are excluded until they recover."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from standing.gateway.app import create_app
from standing.gateway.ledger_reading.node import LedgerNode, NodeState
from standing.gateway.ledger_reading.nodes import Dated, LedgerNodes
from standing.ledger.errors import LedgerUnreachable, RequestTooLong
from standing.ledger.service.serve import served
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.gateway_rig import rig
from tests.gateway.ledger_reading.scripted_nodes import BANK, BINDING, CHAIN, CONTRACT, Node, rigged, until

pytestmark = pytest.mark.anyio


async def test_the_first_node_is_read_and_the_next_one_on_failure() -> None:
    first, second = Node(), Node()
    async with rigged(first, second) as it:
        assert await it.read() == 100
        assert (len(first.reads), len(second.reads)) == (1, 0)
        first.down = True
        assert await it.read() == 100
        assert it.states == ["failing", "fit"]
        # It is not tried first again until it has proved fit.
        asked = len(first.reads)
        assert await it.read() == 100
        assert len(first.reads) == asked
        first.down = False
        assert await it.look() == ["fit", "fit"]
        assert await it.read() == 100
        assert len(first.reads) == asked + 1


async def test_a_node_with_numbers_beyond_the_ledgers_bounds_is_skipped_for_the_next() -> None:
    first, second = Node(), Node()
    async with rigged(first, second) as it:
        first.watermark_ms = 2**48
        assert await it.read() == 100
        assert it.states == ["failing", "fit"]
        second.watermark_ms = 2**63
        with pytest.raises(LedgerUnreachable):
            await it.read()


async def test_a_hanging_node_costs_part_of_the_budget_and_only_once() -> None:
    first, second = Node(), Node()
    async with rigged(first, second, budget_ms=4_500) as it:
        first.gate.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await it.read() == 100
        assert 1.35 <= loop.time() - began < 4.5
        assert it.states == ["failing", "fit"]
        began = loop.time()
        assert await it.read() == 100
        assert loop.time() - began < 1.35


async def test_a_backup_node_whose_answer_was_not_needed_is_not_marked_slow() -> None:
    first, second = Node(), Node()
    async with rigged(first, second, budget_ms=1_800) as it:
        first.gate.clear()
        second.gate.clear()
        reading = asyncio.create_task(it.read())
        await until(lambda: len(second.reads) == 1)
        first.gate.set()
        assert await reading == 100
        assert it.states == ["fit", "fit"]
        second.gate.set()


async def test_the_budget_is_kept_when_every_node_hangs() -> None:
    nodes = [Node(), Node(), Node()]
    async with rigged(*nodes, budget_ms=1_200) as it:
        for node in nodes:
            node.gate.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(LedgerUnreachable):
            await it.read()
        assert 1.2 <= loop.time() - began < 5
        for node in nodes:
            node.gate.set()
        assert await it.read() == 100  # all are still tried if none is fit


async def test_a_node_that_falls_behind_the_seen_head_is_excluded_until_it_catches_up() -> None:
    first, second = Node(200), Node(200)
    async with rigged(first, second, max_lag_blocks=5) as it:
        assert await it.read() == 200
        first.head = 194
        assert await it.read() == 200  # the answer of block 194 is ignored
        assert it.states == ["behind", "fit"]
        assert await it.look() == ["behind", "fit"]
        first.head = 195
        assert await it.look() == ["fit", "fit"]
        assert await it.read() == 200  # close enough to be called, but 200 was read before


async def test_a_single_node_that_falls_too_far_behind_is_no_basis_for_decisions() -> None:
    node = Node(200)
    async with rigged(node, max_lag_blocks=5) as it:
        assert await it.read() == 200
        node.head = 100
        with pytest.raises(LedgerUnreachable, match="100 blocks behind"):
            await it.read()
        node.head = 196
        assert await it.read() == 196
        node.head = 194
        with pytest.raises(LedgerUnreachable, match="6 blocks behind"):  # what was seen does not go back with it
            await it.read()
        node.head = 300
        assert await it.read() == 300  # what is read between two looks counts as well
        node.head = 294
        with pytest.raises(LedgerUnreachable, match="6 blocks behind"):
            await it.read()
        node.head = 295
        assert await it.read() == 295


async def test_reads_do_not_go_back_while_an_up_to_date_node_is_reachable() -> None:
    stood_still, level = Node(200), Node(200)
    async with rigged(stood_still, level, max_lag_blocks=10) as it:
        stood_still.down = True
        level.head = 208
        assert await it.read() == 208
        # It is back and catches up: 3 blocks behind is within the permitted lag.
        stood_still.down, stood_still.head = False, 205
        assert await it.look() == ["fit", "fit"]
        assert [await it.read() for _ in range(3)] == [208] * 3
        stood_still.head = 208
        asked = len(level.reads)
        assert await it.read() == 208
        assert len(level.reads) == asked


async def test_a_node_that_is_behind_is_not_called_while_another_is_fit() -> None:
    behind, level = Node(100), Node(200)
    async with rigged(behind, level, max_lag_blocks=10) as it:
        assert it.states == ["behind", "fit"]
        level.gate.clear()
        reading = asyncio.create_task(it.read())
        await until(lambda: len(level.reads) == 1)
        level.gate.set()
        assert await reading == 200
        assert behind.reads == []
        # If every other one fails it is called, and counts once it has caught up.
        level.down = True
        with pytest.raises(LedgerUnreachable):
            await it.read()
        behind.head = 201
        assert await it.read() == 201


async def test_the_newest_answer_counts_when_all_nodes_are_late() -> None:
    first, second, third = nodes = [Node(200), Node(200), Node(200)]
    async with rigged(*nodes, max_lag_blocks=10) as it:
        assert await it.read() == 200
        first.head, second.head, third.head = 195, 197, 196
        assert await it.read() == 197
        assert it.states == ["fit", "fit", "fit"]


async def test_a_late_answer_counts_before_the_timeout_when_the_other_node_hangs() -> None:
    first, second = Node(200), Node(200)
    async with rigged(first, second, budget_ms=2_700, max_lag_blocks=10) as it:
        assert await it.read() == 200
        first.head = 199
        second.gate.clear()
        assert await it.read() == 199


async def test_a_call_too_long_for_one_node_is_said_to_be_so_where_no_other_answers() -> None:
    """The reader then sends it in parts, and the node is as good as before."""
    async with rigged(Node(), Node()) as it:

        async def question(node: LedgerNode) -> Dated:
            if node is it.reader.nodes.all[0]:
                raise RequestTooLong("HTTP 413")
            raise LedgerUnreachable("does not answer")

        with pytest.raises(RequestTooLong):
            await it.reader.nodes.ask(question)
        assert it.states == ["fit", "failing"]


async def test_a_lie_far_ahead_in_one_read_does_not_make_two_other_nodes_late() -> None:
    liar, *honest = nodes = [Node(200), Node(200), Node(200)]
    async with rigged(*nodes, max_lag_blocks=10) as it:
        liar.head = 10**9
        assert await it.read() == 10**9  # it was called first; key and floor show whose record that is
        liar.down = True
        assert await it.read() == 200
        asked = sum(len(node.reads) for node in honest)
        assert await it.read() == 200
        assert sum(len(node.reads) for node in honest) == asked + 1


async def test_a_record_below_its_floor_is_read_again_at_another_node() -> None:
    lags, level = Node(200), Node(200)
    async with rigged(lags, level, max_lag_blocks=10) as it:
        level.head = 205  # not seen by any read of this process
        seen = await it.reader.read(BANK, BINDING, floor=204)
        assert (seen.block_number, seen.record.publication) == (205, 205)
        assert await it.read() == 200  # no read was newer, except the one forced by a floor


async def test_a_record_below_its_floor_is_read_again_until_the_next_block() -> None:
    only = Node(200)
    async with rigged(only) as it:
        reading = asyncio.create_task(it.reader.read(BANK, BINDING, floor=201))
        await until(lambda: len(only.reads) > 3)
        only.head = 201
        assert (await reading).record.publication == 201


async def test_a_record_below_its_floor_at_every_node_is_returned_unchanged_and_in_time() -> None:
    first, second = Node(200), Node(200)
    async with rigged(first, second, budget_ms=400, max_lag_blocks=1_000) as it:
        second.head = 202
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        seen = await it.reader.read(BANK, BINDING, floor=300)
        assert seen.record.publication == 202
        assert loop.time() - began_s < 2


async def test_a_single_node_far_ahead_does_not_make_two_others_late() -> None:
    liar, *honest = nodes = [Node(10**9), Node(200), Node(201)]
    async with rigged(*nodes, max_lag_blocks=5) as it:
        assert it.states == ["fit", "fit", "fit"]
        assert it.reader.nodes.seen == 201
        liar.down = True
        await it.look()
        assert await it.read() in {node.head for node in honest}


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"chain_id": 1}, "chain id is 1, expected 777"), ({"code": "0x"}, "no contract")],
)
async def test_a_node_of_another_ledger_is_not_read_until_it_is_corrected(change: dict[str, Any], problem: str) -> None:
    wrong, right = Node(), Node()
    for name, value in change.items():
        setattr(wrong, name, value)
    async with rigged(wrong, right) as it:
        assert it.states == ["wrong", "fit"]
        assert problem in str(it.reader.nodes.all[0].problem)
        right.down = True
        with pytest.raises(LedgerUnreachable):
            await it.read()
        assert wrong.reads == []
        wrong.chain_id, wrong.code = CHAIN, "0x6001"
        assert (await it.look())[0] == "fit"
        assert await it.read() == 100


async def test_a_node_that_returns_as_another_chain_is_detected_before_it_is_read() -> None:
    first, second = Node(), Node()
    async with rigged(first, second) as it:
        first.down = second.down = True
        with pytest.raises(LedgerUnreachable):
            await it.read()
        first.down, first.chain_id = False, 1
        asked = len(first.reads)
        with pytest.raises(LedgerUnreachable):
            await it.read()
        assert (len(first.reads), it.states[0]) == (asked, "wrong")


async def test_a_running_node_that_changes_its_chain_id_is_detected_at_the_next_poll() -> None:
    first, second = Node(), Node()
    async with rigged(first, second) as it:
        first.chain_id = 1
        assert await it.look() == ["wrong", "fit"]


async def test_numbers_from_a_node_of_another_ledger_do_not_make_other_nodes_late() -> None:
    moved, right = Node(), Node()
    async with rigged(moved, right, max_lag_blocks=5) as it:
        moved.head, moved.chain_id = 10**6, 1
        await it.read()  # before the next poll the change of chain cannot be seen
        assert await it.look() == ["wrong", "fit"]
        assert it.reader.nodes.seen == 100
        assert await it.read() == 100


@pytest.mark.parametrize("read_meanwhile", [False, True])
async def test_a_url_that_led_to_a_longer_chain_without_the_contract_is_read_again_once_it_is_right(
    read_meanwhile: bool,
) -> None:
    """With the same chain id, as networks made from one template have."""
    only = Node(100)
    async with rigged(only) as it:
        assert await it.read() == 100
        only.head, only.code = 10**6, "0x"
        if read_meanwhile:
            with pytest.raises(LedgerUnreachable):
                await it.read()
        assert await it.look() == ["wrong"]
        only.head, only.code = 101, "0x6001"
        assert await it.look() == ["fit"]
        assert await it.read() == 101


@pytest.mark.long
def test_the_gateway_keeps_deciding_with_one_node_down_and_another_on_a_different_chain(tmp_path: Path) -> None:
    def other_chain(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"result": "0x1"} if call["method"] == "eth_chainId" else answer

    with rig(tmp_path) as it, proxied(it.chain_url) as one, proxied(it.chain_url, other_chain) as wrong:
        urls = {"ledger_url": None, "ledger_urls": [one.url, wrong.url, it.chain_url], "ledger_probe_ms": 50}
        settings = type(it.settings)(**(it.settings.model_dump() | urls))
        with served(create_app(settings, it.clock)) as url, httpx.Client(base_url=url, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {it.keys['platform']}"
            person = it.bound()

            def decide() -> str:
                answer = client.post("/v1/decisions", json=person.transaction())
                assert answer.status_code == 200, answer.text
                outcome: str = answer.json()["outcome"]
                return outcome

            assert decide() == "approve"
            assert "eth_call" in one.calls
            one.down = True
            assert [decide() for _ in range(5)] == ["approve"] * 5
            nodes = client.get("/v1/status").json()["ledger"]["nodes"]
            assert [node["state"] for node in nodes][:2] == ["failing", "wrong"]
            assert "chain id is 1" in nodes[1]["problem"]
            assert "eth_call" not in wrong.calls


def test_several_nodes_require_a_chain_id_in_the_settings(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        stated = it.settings.model_dump()
        for changed, message in (
            ({"ledger_url": None, "ledger_urls": [it.chain_url] * 2, "chain_id": None}, "chain_id"),
            ({"ledger_urls": [it.chain_url]}, "exactly one"),
            ({"ledger_url": None}, "exactly one"),
            ({"ledger_block": {"depth": 0}}, "ledger_block"),
            ({"ledger_block": "pending"}, "ledger_block"),
        ):
            with pytest.raises(ValidationError, match=message):
                type(it.settings)(**(stated | changed))


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        ("FIT STALLED FAILING BEHIND WRONG", [0, 1, 2]),
        ("WRONG BEHIND FAILING STALLED", [3, 2]),
        ("BEHIND FAILING WRONG", [1, 0]),
        ("WRONG BEHIND", [1]),
        ("WRONG WRONG", []),
        ("FIT FIT", [0, 1]),
    ],
)
async def test_nodes_are_asked_in_the_order_of_their_states_and_those_of_another_ledger_never(
    states: str, asked: list[int]
) -> None:
    """A node that is behind is asked only where no node is fit or stalled."""
    words = states.split()
    nodes = LedgerNodes([f"http://127.0.0.1:{9 + at}" for at in range(len(words))], CONTRACT, budget_ms=1_000)
    for node, word in zip(nodes.all, words, strict=True):
        node.state = NodeState[word]
    assert [nodes.all.index(node) for node in nodes.usable()] == asked
