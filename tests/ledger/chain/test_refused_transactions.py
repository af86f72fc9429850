"""The refusals of a transaction, in each node's own words: they share no error codes."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import NonceAhead, NonceUsed, Prepared, Sender, Underpriced
from standing.ledger.errors import LedgerError, LedgerUnreachable
from standing.ledger.service.serve import served

_KEY = b"\x07" * 32
_ADDRESS = LocalSigner(_KEY).address
_SENT = Prepared(b"\x01", b"\x01" * 32, 3, 1, 21_000)


class RefusingNode:
    """Answers every call with one error, or as a node that took the transaction where it has no words. `counted`: how
    many transactions of the account it says are in blocks, whatever else it refuses."""

    def __init__(self) -> None:
        self.words = ""
        self.counted: int | None = None
        self.calls = 0
        self.url = ""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await Request(scope, receive).json()
        self.calls += 1
        answer: dict[str, Any] = {"result": None if "Receipt" in call["method"] else "0x" + "22" * 32}
        if call["method"] == "eth_getTransactionCount" and self.counted is not None:
            # It pools two more, which no block has: they are no used nonces.
            answer = {"result": hex(self.counted + (2 if call["params"][1] == "pending" else 0))}
        elif self.words:
            answer = {"error": {"code": -32000, "message": self.words}}
        await JSONResponse({"jsonrpc": "2.0", "id": call["id"], **answer})(scope, receive, send)


@pytest.fixture(scope="module")
def served_nodes() -> Iterator[tuple[RefusingNode, RefusingNode]]:
    first, second = RefusingNode(), RefusingNode()
    with served(first.app) as first.url, served(second.app) as second.url:
        yield first, second


@pytest.fixture
def nodes(served_nodes: tuple[RefusingNode, RefusingNode]) -> tuple[RefusingNode, RefusingNode]:
    """The module's nodes, without what an earlier test had them count."""
    for node in served_nodes:
        node.counted = None
    return served_nodes


@pytest.mark.parametrize(
    "words",
    [
        "already known",  # geth, Erigon
        "Known transaction",  # Besu
        "INTERNAL_ERROR: existing tx with same hash",  # Erigon
        "AlreadyKnown",  # Nethermind
        "Transaction with the same hash was already imported.",  # OpenEthereum
    ],
)
def test_a_transaction_that_a_node_knows_already_counts_as_sent(
    nodes: tuple[RefusingNode, RefusingNode], words: str
) -> None:
    nodes[0].words, nodes[0].calls = words, 0
    Sender(LedgerClient(nodes[0].url, _ADDRESS), _KEY).transmit(_SENT)
    assert nodes[0].calls == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("nonce too low: next nonce 5, tx nonce 3", NonceUsed),  # geth
        ("Nonce too low", NonceUsed),  # Besu
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 3", NonceUsed),  # Nethermind
        ("Transaction nonce is too distant from current sender nonce", NonceAhead),  # Besu
        ("An invalid transaction with a lower nonce exists", NonceAhead),  # Besu
        ("NonceGap, Future nonce. Expected nonce: 2", NonceAhead),  # Nethermind
        ("nonce too far in future", NonceAhead),  # Nethermind
        ("replacement transaction underpriced", Underpriced),  # geth
        ("INTERNAL_ERROR: could not replace existing tx", Underpriced),  # Erigon
        ("ReplacementNotAllowed", Underpriced),  # Nethermind
        ("OwnNonceAlreadyUsed", Underpriced),  # Nethermind
    ],
)
def test_every_nodes_refusal_of_a_nonce_is_understood(
    nodes: tuple[RefusingNode, RefusingNode], words: str, error: type[LedgerError]
) -> None:
    nodes[0].words = words
    with pytest.raises(error):
        Sender(LedgerClient(nodes[0].url, _ADDRESS), _KEY).transmit(_SENT)


@pytest.mark.parametrize(("counted", "error"), [(4, NonceUsed), (3, Underpriced), (2, Underpriced), (1, NonceAhead)])
@pytest.mark.parametrize(
    "words", ["invalid nonce; got 3", "account sequence mismatch, got 3: incorrect account sequence"]
)
def test_where_one_refusal_means_all_the_accounts_own_counts_tell_a_nonce_used_held_and_ahead(
    nodes: tuple[RefusingNode, RefusingNode], words: str, counted: int, error: type[LedgerError]
) -> None:
    """To take one for the other sends the same transaction for ever, drops one that is still to come, or stops a bank
    behind one that is waiting for its block."""
    nodes[0].words, nodes[0].counted = words, counted
    with pytest.raises(error, match="refuses nonce 3"):
        Sender(LedgerClient(nodes[0].url, _ADDRESS), _KEY).transmit(_SENT)


def test_after_a_node_that_takes_no_transaction_the_next_attempt_asks_another(
    nodes: tuple[RefusingNode, RefusingNode],
) -> None:
    nodes[0].words, nodes[1].words, nodes[1].calls = "txpool is full", "", 0
    sender = Sender(LedgerClient([nodes[0].url, nodes[1].url], _ADDRESS), _KEY)
    with pytest.raises(LedgerUnreachable, match="txpool is full"):
        sender.transmit(_SENT)
    sender.transmit(_SENT)
    assert nodes[1].calls == 1


def test_a_transaction_that_stays_out_of_blocks_is_named_when_the_wait_ends(
    nodes: tuple[RefusingNode, RefusingNode],
) -> None:
    nodes[0].words = ""
    with pytest.raises(LedgerUnreachable, match=f"0x{'01' * 32} is in no block after 0.01 s; it may still enter one"):
        Sender(LedgerClient(nodes[0].url, _ADDRESS), _KEY).wait(_SENT, timeout_s=0.01)


def test_other_refusals_are_reported_as_the_node_words_them(nodes: tuple[RefusingNode, RefusingNode]) -> None:
    nodes[0].words = "Sender account not authorized to send transactions"
    with pytest.raises(LedgerUnreachable, match="not authorized"):
        Sender(LedgerClient(nodes[0].url, _ADDRESS), _KEY).transmit(_SENT)


@pytest.mark.parametrize(
    "words",
    [
        "Initial sync is still in progress",
        "Transaction pool not enabled. (Either txpool explicitly disabled, or node not yet in sync).",
    ],
)
def test_a_besu_node_that_is_not_in_sync_yet_is_left_for_the_next(
    nodes: tuple[RefusingNode, RefusingNode], words: str
) -> None:
    nodes[0].words, nodes[1].words, nodes[1].calls = words, "", 0
    Sender(LedgerClient([nodes[0].url, nodes[1].url], _ADDRESS), _KEY).transmit(_SENT)
    assert nodes[1].calls == 1
