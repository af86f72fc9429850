"""A ledger node that answers nonsense: every call of the client raises only the client's own errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from eth_utils import keccak
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient, Published
from standing.ledger.chain.history import History
from standing.ledger.chain.sender import Prepared, Sender
from standing.ledger.errors import LedgerError, LedgerRejected, LedgerUnreachable
from standing.ledger.service.serve import served

_BIC = "YUNXCNB0"
_WORD = b"\x01" * 32
_KEY = b"\x07" * 32
_ADDRESS = LocalSigner(_KEY).address


class OddNode:
    """Answers every call with `body`, in which `ID` is replaced by the call's id; in a batch, the last one only."""

    def __init__(self) -> None:
        self.body = ""
        self.url = ""

    def result(self, value: Any) -> None:
        self.body = f'{{"jsonrpc": "2.0", "id": ID, "result": {json.dumps(value)}}}'

    def error(self, value: Any) -> None:
        self.body = f'{{"jsonrpc": "2.0", "id": ID, "error": {json.dumps(value)}}}'

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = await Request(scope, receive).json()
        *before, call = asked if isinstance(asked, list) else [asked]
        body = self.body.replace("ID", str(call["id"]))
        if before:  # the newest block, before logs
            newest = f'{{"jsonrpc": "2.0", "id": {before[0]["id"]}, "result": "0xffffffff"}}'
            body = f"[{newest}, {body}]"
        await Response(body, media_type="application/json")(scope, receive, send)


@pytest.fixture(scope="module")
def node() -> Iterator[OddNode]:
    made = OddNode()
    with served(made.app) as made.url:
        yield made


def _log(**changed: Any) -> dict[str, Any]:
    """A valid `Published` log except for the given changes."""
    topics = [
        "0x" + keccak(text="Published(bytes11,uint48,uint48,bytes32,bytes32[])").hex(),
        "0x" + b"YUNXCNB0".ljust(32, b"\0").hex(),
        f"0x{5:064x}",
    ]
    return {
        "address": _ADDRESS,
        "topics": topics,
        "data": f"0x{7:064x}{'01' * 32}{0x60:064x}{0:064x}",
        "blockNumber": "0x1",
        "blockHash": "0x" + "22" * 32,
        "transactionHash": "0x" + "33" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": False,
        **changed,
    }


RESULTS: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, "", "0x", "0x1", "-0x1", "0xzz", "word", "0x" + "ff" * 33, "0x" + "ff" * 224),
    *([], [None], ["0x"], [[]], [{}], {}, {"status": None}, {"status": "0x1"}, {"input": None}, {"input": "0x"}),
    {"number": None, "hash": None, "timestamp": None},
    {"number": "-0x1", "hash": "0x" + "00" * 31, "timestamp": "never"},
    {"status": "0x1", "blockNumber": "0x1", "gasUsed": None, "logs": 3},
    {"from": None, "to": "nobody", "input": "0x"},
    *([_log(**{field: None})] for field in _log()),
    [_log(topics=[])],
    [_log(data="0x")],
    [_log(data=f"0x{7:064x}{'01' * 32}{0x60:064x}{2**64:064x}")],
    [_log(data=f"0x{7:064x}{'01' * 32}{2**255:064x}{0:064x}")],
]
_REVERT_DATA: list[Any] = [
    None,
    {},
    [1],
    1,
    "0x",
    "0xzzzzzzzzzzzz",
    "Reverted zz",
    "0x123456789",
    "0x08c379a0" + "ff" * 64,
]
ERRORS: list[Any] = [
    *({}, [], "text", 1, {"code": None}, {"message": None}, {"message": ["x"]}, {"code": -32000, "message": 5}),
    {"code": 3, "message": "execution reverted"},
    *({"code": code, "message": "execution reverted", "data": data} for code in (3, -32000) for data in _REVERT_DATA),
]
BODIES = ["", "null", "[]", "5", '"x"', "{}", "<html>", '{"jsonrpc": "2.0", "id": ID, "result": ' + "9" * 5_000 + "}"]

_EVENT = Published(_BIC, 1, 1, _WORD, (), 1, _WORD, _WORD)
CALLS: Mapping[str, Callable[[LedgerClient], Any]] = {
    "check": lambda client: client.check(),
    "domain": lambda client: client.domain.separator,
    "max_attestations": lambda client: client.max_attestations,
    "block_number": lambda client: client.block_number(),
    "head": lambda client: client.head(),
    "ahead_allowance_ms": lambda client: client.ahead_allowance_ms,
    "latest_allowed_ms": lambda client: client.latest_allowed_ms(),
    "bank": lambda client: client.bank(_BIC),
    "read": lambda client: client.read([(_BIC, _WORD)]),
    "published": lambda client: client.published(0, 5),
    "admission": lambda client: client.admission(0, 5, _BIC),
    "publication_of": lambda client: client.publication_of(_EVENT, _WORD),
    "block_time_ms": lambda client: client.block_time_ms(5),
    "receipt": lambda client: client.receipt(_WORD),
    "why_failed": lambda client: client.why_failed({"transactionHash": _WORD, "blockNumber": 5}),  # type: ignore[typeddict-item]
    "next_nonce": lambda client: Sender(client, _KEY).next_nonce(),
    "gas_price_wei": lambda client: Sender(client, _KEY).gas_price_wei(),
    "prepare": lambda client: Sender(client, _KEY).prepare(b"", gas=1),
    "transmit": lambda client: Sender(client, _KEY).transmit(Prepared(b"\x01", _WORD, 3, 1, 21_000)),
    "wait": lambda client: Sender(client, _KEY).wait(Prepared(b"\x01", _WORD, 3, 1, 21_000), timeout_s=0.01),
    "dry_run": lambda client: governance.dry_run(client, governance.suspend(_BIC), _ADDRESS),
    "newest": lambda client: History(client, _BIC).newest(20),
    "after": lambda client: list(History(client, _BIC).after(0, 20)),
}


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_nonsense_from_a_ledger_node_raises_only_the_clients_own_errors(
    node: OddNode, call: Callable[[LedgerClient], Any]
) -> None:
    """Any other exception would look like a bug and stop the publisher for good."""
    client, failed = LedgerClient(node.url, _ADDRESS), 0
    for say, answers in (
        (node.result, RESULTS),
        (node.error, ERRORS),
        (lambda body: setattr(node, "body", body), BODIES),
    ):
        for answer in answers:
            say(answer)
            for once in ("domain", "max_attestations", "ahead_allowance_ms"):
                client.__dict__.pop(once, None)
            try:
                call(client)
            except LedgerError:
                failed += 1
            except Exception as error:
                raise AssertionError(f"{node.body[:200]} ends in {error!r}") from error
    assert failed > len(BODIES) + len(ERRORS) // 2, "nonsense was accepted as an answer"


def test_a_refusal_of_an_unknown_transaction_type_is_not_read_as_a_known_transaction(node: OddNode) -> None:
    client = LedgerClient(node.url, _ADDRESS)
    sent = Prepared(b"\x01", _WORD, 3, 1, 21_000)
    node.error({"code": -32000, "message": "Known transaction"})
    Sender(client, _KEY).transmit(sent)
    node.error({"code": -32000, "message": "unknown transaction type"})
    with pytest.raises(LedgerUnreachable, match="unknown transaction type"):
        Sender(client, _KEY).transmit(sent)


@pytest.mark.parametrize("name", ["domain", "block_number", "bank", "read", "block_time_ms", "gas_price_wei"])
def test_a_null_result_is_not_an_answer(node: OddNode, name: str) -> None:
    """Nodes that lag or are still starting answer null."""
    node.result(None)
    with pytest.raises(LedgerUnreachable):
        CALLS[name](LedgerClient(node.url, _ADDRESS))


@pytest.mark.parametrize("block", [4, 11, 10**9, 2**63, 2**255])
@pytest.mark.parametrize("name", ["published", "after"])
def test_a_log_outside_the_range_that_was_asked_for_is_not_an_answer(node: OddNode, name: str, block: int) -> None:
    """The gateway's follower continues after the last log: this one would make it skip blocks for good."""
    client = LedgerClient(node.url, _ADDRESS)
    asked: dict[str, Callable[[], Any]] = {
        "published": lambda: client.published(5, 10),
        "after": lambda: list(History(client, _BIC).after(4, 10)),
    }
    node.result([_log(blockNumber=hex(block))])
    with pytest.raises(LedgerUnreachable, match=r"its block is not within 5 to (5|10)"):
        asked[name]()


@pytest.mark.parametrize(("block", "usable"), [(2**63 - 1, True), (2**63, False)])
def test_a_block_number_that_no_database_holds_is_not_an_answer(node: OddNode, block: int, usable: bool) -> None:
    client = LedgerClient(node.url, _ADDRESS)
    receipt = {"status": "0x1", "gasUsed": "0x1", "transactionHash": "0x" + "33" * 32}
    asked: list[tuple[Any, Callable[[], Any]]] = [
        (hex(block), client.block_number),
        (receipt | {"blockNumber": hex(block)}, lambda: client.receipt(_WORD)),
    ]
    for result, ask in asked:
        node.result(result)
        if usable:
            assert ask() is not None
        else:
            with pytest.raises(LedgerUnreachable, match="not within 0 to"):
                ask()


def test_a_block_other_than_the_one_asked_for_is_not_an_answer(node: OddNode) -> None:
    client = LedgerClient(node.url, _ADDRESS)
    node.result({"number": "0x6", "hash": "0x" + "00" * 32, "timestamp": "0x1"})
    assert client.head().number == client.head(6).number == 6
    with pytest.raises(LedgerUnreachable, match="another block"):
        client.head(5)


def test_a_revert_with_malformed_data_is_a_refusal_without_a_reason(node: OddNode) -> None:
    node.error({"code": 3, "message": "execution reverted", "data": "0xzzzzzzzzzzzz"})
    with pytest.raises(LedgerRejected, match=r"refused: without a reason$"):
        LedgerClient(node.url, _ADDRESS).bank(_BIC)


@pytest.mark.usefixtures("usual_depth")
def test_endlessly_nested_json_is_not_an_answer(node: OddNode) -> None:
    node.body = "[" * 50_000
    with pytest.raises(LedgerUnreachable):
        LedgerClient(node.url, _ADDRESS).bank(_BIC)
