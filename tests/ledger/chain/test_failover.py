"""Several ledger nodes behind one connection: which node is asked, and whose answer counts."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from eth_typing import HexStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from web3.types import RPCEndpoint

from standing.ledger.chain.client import ZERO_ADDRESS, LedgerClient
from standing.ledger.chain.connection import connect
from standing.ledger.chain.failover import Failover, NodeNotServing
from standing.ledger.errors import LedgerMismatch
from standing.ledger.service.serve import served


class Node:
    """A node that reports its height and counts its calls."""

    def __init__(self, height: int = 100) -> None:
        self.height = height
        self.asked: list[str] = []
        self.url = ""
        self.error: dict[str, Any] | None = None
        self.batches = "answered"
        self.states: dict[str, Any] = {}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for part in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{part}.complete"})
            return
        asked = await Request(scope, receive).json()
        answers = [self._answer(call) for call in (asked if isinstance(asked, list) else [asked])]
        answer: Any = answers if isinstance(asked, list) else answers[0]
        status = 200
        if isinstance(asked, list) and self.batches == "refused by status":
            status = 400
        elif isinstance(asked, list) and self.batches == "refused by an error":
            answer = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batches are not supported"}}
        elif isinstance(asked, list) and self.batches == "refused in a list":
            answer = [{"id": None, "error": {"code": -32600, "message": "batches are not supported"}}]
        elif isinstance(asked, list) and self.batches == "refused by a bare error":
            answer = {"id": None, "error": {"code": -32600, "message": "batches are not supported"}}
        elif isinstance(asked, list) and self.batches == "answered in another order":
            answer = answers[::-1]
        await JSONResponse(answer, status_code=status)(scope, receive, send)

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(call["method"])
        said = {"result": self._result(call)} if self.error is None else {"error": self.error}
        return {"jsonrpc": "2.0", "id": call["id"], **said}

    def _result(self, call: dict[str, Any]) -> Any:
        if call["method"] in self.states:
            return self.states[call["method"]]
        if call["method"] == "eth_getBlockByNumber":
            tag = call["params"][0]
            number = {"latest": self.height, "finalized": self.height - 10}.get(tag)
            return {"number": hex(number if number is not None else int(tag, 16)), "of": self.url}
        if call["method"] == "eth_blockNumber":
            return hex(self.height)
        return "0x" if call["method"] == "eth_call" and call["params"] else self.url


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    with ExitStack() as stack:
        made = [Node(), Node()]
        for node in made:
            node.url = stack.enter_context(served(node.app))
        yield made


def _failover(nodes: list[Node], now_s: list[float]) -> Failover:
    return Failover([node.url for node in nodes], timeout_s=5, monotonic_s=lambda: now_s[0])


def _height(over: Failover) -> int:
    return int(over.make_request(RPCEndpoint("eth_blockNumber"), [])["result"], 16)


def test_a_stalled_node_is_left_for_an_up_to_date_one_and_used_again_once_it_catches_up(nodes: list[Node]) -> None:
    now_s = [0.0]
    over = _failover(nodes, now_s)
    for node in nodes:
        node.height = 205
    assert _height(over) == 205
    nodes[0].height = 204
    assert _height(over) == 205
    assert list(over.failures.values()) == [1, 0]
    # The next call also goes to the up-to-date node.
    assert over.make_request(RPCEndpoint("eth_call"), [])["result"] == nodes[1].url
    asked = len(nodes[0].asked)
    nodes[1].height = 206
    assert _height(over) == 206
    assert len(nodes[0].asked) == asked


def test_a_node_is_checked_before_its_first_use_and_again_after_a_failure(nodes: list[Node]) -> None:
    over = _failover(nodes[:1], [0.0])
    checked: list[str] = []
    over.check = lambda name, _ask: checked.append(name)
    for times in (1, 2):
        assert (_height(over), _height(over)) == (100, 100)
        assert len(checked) == times
        over.doubt()


def test_a_doubted_node_rests_for_five_seconds_and_is_asked_only_where_every_other_one_rests_too(
    nodes: list[Node],
) -> None:
    now_s = [0.0]
    over = _failover(nodes, now_s)

    def answering() -> int:
        answer = over.make_request(RPCEndpoint("eth_call"), [])["result"]
        return [node.url for node in nodes].index(answer)

    assert answering() == 0
    over.doubt()
    assert answering() == 1
    now_s[0] = 4.9
    over.doubt()
    assert answering() == 1  # both rest: the one in use goes on
    now_s[0] = 5.0
    assert answering() == 0
    assert list(over.failures.values()) == [1, 1]


def test_another_ledger_is_what_is_reported_although_the_next_node_does_not_serve(nodes: list[Node]) -> None:
    over = _failover(nodes, [0.0])
    nodes[1].error = {"code": -32000, "message": "endpoint is closed"}

    def check(name: str, _ask: Any) -> None:
        if name in nodes[0].url:
            raise LedgerMismatch(name)

    over.check = check
    with pytest.raises(LedgerMismatch):
        _height(over)
    assert nodes[0].asked == []


@pytest.mark.parametrize("unclear", ["eth_chainId", "eth_getCode"])
def test_a_node_that_does_not_say_which_ledger_it_is_of_is_not_taken_for_one_of_this_ledger(
    nodes: list[Node], unclear: str
) -> None:
    for node in nodes:
        node.states = {"eth_chainId": "0x539", "eth_getCode": "0x60"}
    nodes[0].states[unclear] = None
    client = LedgerClient([node.url for node in nodes], ZERO_ADDRESS)
    (silent,) = client.check(1337)
    assert silent in nodes[0].url


def test_the_newest_answer_counts_when_all_nodes_lag(nodes: list[Node]) -> None:
    over = _failover(nodes, [0.0])
    nodes[0].height = 300
    assert _height(over) == 300
    nodes[0].height, nodes[1].height = 250, 260
    assert _height(over) == 260
    assert over.current == nodes[1].url.removeprefix("http://").rstrip("/")


def test_a_single_node_is_believed_whatever_height_it_reported_before(nodes: list[Node]) -> None:
    over = _failover(nodes[:1], [0.0])
    assert _height(over) == 100
    nodes[0].height = 50
    assert _height(over) == 50


def test_each_block_tag_is_compared_with_itself_and_a_numbered_block_with_nothing(nodes: list[Node]) -> None:
    over = _failover(nodes, [0.0])
    assert _height(over) == 100
    for tag, number in (("finalized", 90), ("0x5", 5), ("latest", 100)):
        answer = over.make_request(RPCEndpoint("eth_getBlockByNumber"), [tag, False])["result"]
        assert (int(answer["number"], 16), answer["of"]) == (number, nodes[0].url)
    assert nodes[1].asked == []


def test_each_call_of_web3_is_one_request_to_the_node(nodes: list[Node]) -> None:
    assert connect(nodes[0].url).eth.call({"to": ZERO_ADDRESS, "data": HexStr("0x")}) is not None
    assert nodes[0].asked == ["eth_call"]


def _logs(over: Failover, to_block: int) -> Any:
    asked = {"fromBlock": "0x1", "toBlock": hex(to_block)}
    return over.make_request(RPCEndpoint("eth_getLogs"), [asked])["result"]


def test_logs_are_those_of_a_node_that_has_the_last_block(nodes: list[Node]) -> None:
    over = _failover(nodes, [0.0])
    nodes[0].height = 99
    assert _logs(over, 100) == nodes[1].url
    assert _logs(_failover(nodes[:1], [0.0]), 99) == nodes[0].url
    with pytest.raises(NodeNotServing, match="has no block 100 yet"):
        _logs(_failover(nodes[:1], [0.0]), 100)


@pytest.mark.parametrize(
    "batches",
    [
        "refused by status",
        "refused by an error",
        "refused in a list",
        "refused by a bare error",
        "answered in another order",
    ],
)
def test_logs_are_found_whatever_a_node_does_with_a_batch(nodes: list[Node], batches: str) -> None:
    nodes[0].batches = batches
    assert _logs(_failover(nodes[:1], [0.0]), 100) == nodes[0].url
    with pytest.raises(NodeNotServing, match="has no block 101 yet"):
        _logs(_failover(nodes[:1], [0.0]), 101)


def test_an_error_is_the_answer_only_where_no_node_does_better_and_a_revert_is_an_answer(nodes: list[Node]) -> None:
    over = _failover(nodes, [0.0])
    nodes[0].error = {"code": -32603, "message": "Internal error"}
    assert over.make_request(RPCEndpoint("eth_call"), [])["result"] == nodes[1].url
    assert list(over.failures.values()) == [1, 0]
    nodes[1].error = {"code": -32000, "message": "missing trie node"}
    assert over.make_request(RPCEndpoint("eth_call"), [])["error"] == nodes[1].error  # the one in use
    nodes[0].error, nodes[1].error = None, {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
    assert over.make_request(RPCEndpoint("eth_call"), [])["error"] == nodes[1].error


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("eth_call", {"code": 3, "message": "execution reverted"}),
        ("eth_call", {"code": -32000, "message": "VM execution error", "data": "0x08c379a0"}),
        ("eth_sendRawTransaction", {"code": -32000, "message": "nonce too low"}),
    ],
)
def test_what_the_ledger_or_the_sender_must_judge_is_asked_of_one_node(
    nodes: list[Node], method: str, error: dict[str, Any]
) -> None:
    over = _failover(nodes, [0.0])
    nodes[0].error = error
    assert over.make_request(RPCEndpoint(method), [])["error"] == error
    assert nodes[1].asked == []
    assert over.failures[over.current] == 0
