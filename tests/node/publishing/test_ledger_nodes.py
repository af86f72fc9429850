"""Publishing through several ledger nodes, and the gas price offered on free and expensive networks."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import FeeTooHigh, NonceAhead, Sender
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable
from standing.ledger.service.serve import served
from tests.mempool import parse
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import ACCOUNT, World


class Free:
    """A chain of which only the gas price matters."""

    def __init__(self, gas_price: int) -> None:
        self.w3 = self
        self.eth = self
        self.gas_price = gas_price


@pytest.mark.parametrize(
    ("asked", "paid", "bumped", "again"),
    [
        (0, 0, 0, 0),
        (1, 1, 2, 1),
        (1, 2, 3, 2),
        (8, 8, 9, 8),
        (100, 8, 100, 100),
        (0, 1_000, 1_000, 1_000),
        (5_000, 990, 1_000, 1_000),
        (5_000, 2_000, 2_000, 2_000),  # paid before the maximum was lowered: less would be no replacement
        (0, 800, 900, 800),  # an eighth more, as common nodes refuse less than a tenth
    ],
)
def test_replacement_fees_rise_correctly_on_free_cheap_and_expensive_networks(
    asked: int, paid: int, bumped: int, again: int
) -> None:
    sender = Sender(Free(asked), bytes(31) + b"\1", max_gas_price_wei=1_000)  # type: ignore[arg-type]
    assert sender.replacement_gas_price_wei(paid, bump=True) == bumped
    assert sender.replacement_gas_price_wei(paid, bump=False) == again


@pytest.mark.parametrize("answer", [None, "much"])
def test_a_gas_price_that_is_not_a_number_counts_as_an_unreachable_ledger(answer: Any) -> None:
    sender = Sender(Free(answer), bytes(31) + b"\1")  # type: ignore[arg-type]
    with pytest.raises(LedgerUnreachable, match="no gas price"):
        sender.gas_price_wei()


def test_a_gas_price_above_the_maximum_is_refused_with_the_setting_to_change() -> None:
    sender = Sender(Free(1_000), bytes(31) + b"\1", max_gas_price_wei=1_000)  # type: ignore[arg-type]
    assert sender.gas_price_wei() == 1_000
    sender = Sender(Free(1_001), bytes(31) + b"\1", max_gas_price_wei=1_000)  # type: ignore[arg-type]
    with pytest.raises(FeeTooHigh, match="max_gas_price_wei"):
        sender.gas_price_wei()


class Front:
    """A proxy ledger node in front of the chain, with injected faults."""

    def __init__(self, chain_url: str, stack: ExitStack) -> None:
        self._chain_url = chain_url
        self.fault: str | None = None
        #: The latest block according to a lagging node.
        self.last_block = "latest"
        self.calls = 0
        self.url = stack.enter_context(served(Starlette(routes=[Route("/", self._serve, methods=["POST"])])))

    async def _serve(self, request: Request) -> Response:
        self.calls += 1
        call = await request.json()
        answer = self._of_fault(call)
        if answer is not None:
            return answer
        if self.fault == "behind" and call["method"] == "eth_call":
            call["params"][1] = self.last_block
        async with httpx.AsyncClient() as chain:
            return JSONResponse((await chain.post(self._chain_url, json=call, timeout=10)).json())

    def _of_fault(self, call: dict[str, Any]) -> Response | None:
        """The answer that a node with this fault gives without asking the chain."""
        if self.fault == "down":
            return Response(status_code=502)
        if self.fault == "no object":
            return JSONResponse([call])
        errors: dict[str | None, tuple[int, str]] = {
            "closed": (-32000, "endpoint is closed"),
            "damaged": (-32603, "Internal error"),
            "limited": (-32005, "request rate limited"),
        }
        if call["method"] == "eth_sendRawTransaction":
            errors["full"] = (-32000, "txpool is full")
        if self.fault in errors:
            code, message = errors[self.fault]
            error = {"code": code, "message": message}
            return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "error": error})
        results: dict[tuple[str | None, str], str] = {
            ("another chain", "eth_chainId"): "0x7",
            ("no contract", "eth_getCode"): "0x",
        }
        result = results.get((self.fault, call["method"]))
        if self.fault == "swallows" and call["method"] == "eth_sendRawTransaction":
            result = parse(call).hash
        return None if result is None else JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": result})


@pytest.fixture
def fronts(a_world: World) -> Iterator[tuple[Front, Front]]:
    with ExitStack() as stack:
        yield Front(a_world.chain.url, stack), Front(a_world.chain.url, stack)


def _client(made: World, fronts: tuple[Front, Front]) -> LedgerClient:
    return LedgerClient([front.url for front in fronts], made.contract)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["down", "closed", "no object", "damaged", "limited"])
def test_a_failing_node_is_skipped_and_left_to_rest(a_world: World, fronts: tuple[Front, Front], fault: str) -> None:
    client = _client(a_world, fronts)
    assert client.check() == []
    fronts[0].fault = fault
    assert client.block_number() > 0
    calls = fronts[0].calls
    for _ in range(3):
        assert client.block_number() > 0
    assert fronts[0].calls == calls, "it rests"
    assert sum(client.failover.failures.values()) == 1
    fronts[1].fault = fault
    with pytest.raises(LedgerUnreachable):
        client.block_number()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["another chain", "no contract"])
def test_a_node_of_another_ledger_is_refused_at_start_up(
    a_world: World, fronts: tuple[Front, Front], fault: str
) -> None:
    fronts[1].fault = fault
    with pytest.raises(LedgerMismatch):
        _client(a_world, fronts).check()


def test_a_node_that_returns_on_another_chain_is_never_asked(a_world: World, fronts: tuple[Front, Front]) -> None:
    fronts[1].fault = "down"
    client = _client(a_world, fronts)
    assert len(client.check()) == 1
    fronts[1].fault = "another chain"
    fronts[0].fault = "down"
    with pytest.raises(LedgerMismatch):
        client.bank("YUNXCNB0")


@pytest.mark.long
def test_a_node_with_two_ledger_urls_publishes_through_the_second(a_world: World, fronts: tuple[Front, Front]) -> None:
    bank = a_world.make_bank(ledger_urls=[front.url for front in fronts])
    with ExitStack() as stack:
        bank.start(stack)
        bank.change(ACCOUNT)
        fronts[0].fault = "down"
        bank.heartbeat()


@pytest.mark.long
def test_a_node_that_does_not_relay_transactions_is_left_for_the_other(
    a_world: World, fronts: tuple[Front, Front]
) -> None:
    made = Stepped(a_world, urls=[front.url for front in fronts])
    a_world.chain.holding = False
    fronts[0].fault = "swallows"
    before = made.on_ledger
    made.change_and_step(1)
    a_world.clock.advance(500)
    made.node.publisher.step()
    assert made.on_ledger == before
    a_world.clock.advance(501)
    made.node.publisher.step()
    assert made.on_ledger == before + 1
    made.close()


@pytest.mark.long
def test_a_node_that_takes_no_transactions_is_left_for_the_other(a_world: World, fronts: tuple[Front, Front]) -> None:
    made = Stepped(a_world, urls=[front.url for front in fronts])
    a_world.chain.holding = False
    fronts[0].fault = "full"
    before = made.on_ledger
    with pytest.raises(LedgerUnreachable, match="txpool is full"):
        made.change_and_step(1)
    made.node.publisher.step()
    assert made.on_ledger == before + 1
    made.close()


@pytest.mark.long
def test_a_node_that_falls_behind_is_left_for_the_other(a_world: World, fronts: tuple[Front, Front]) -> None:
    made = Stepped(a_world, urls=[front.url for front in fronts])
    a_world.chain.holding = False
    fronts[0].last_block = hex(a_world.client.block_number())
    made.change_and_step(1)
    made.settle()
    fronts[0].fault = "behind"
    made.feed({"number": NUMBER, "daily_limit_minor": 2})
    before = made.on_ledger
    with pytest.raises(LedgerUnreachable, match="behind"):
        made.node.publisher.step()
    made.settle()
    assert made.on_ledger == before + 1
    made.close()


def test_a_node_that_answers_by_http_status_is_named_without_the_secret_in_its_url(
    a_world: World, fronts: tuple[Front, Front]
) -> None:
    fronts[0].fault = "down"
    host = fronts[0].url.removeprefix("http://").rstrip("/")
    client = LedgerClient(f"http://user:secret@{host}/?key=secret", a_world.contract)
    with pytest.raises(LedgerUnreachable, match=f"node {host} answers HTTP 502$"):
        client.block_number()


def test_a_refused_nonce_is_diagnosed_by_the_accounts_own_count(stepped: Stepped) -> None:
    sender = Sender(stepped.world.client, stepped.bank.secrets.sender_key)
    stepped.world.chain.mempool.no_gaps = True
    ahead = sender.prepare(b"\0" * 4, gas=50_000, nonce=sender.next_nonce("latest") + 3)
    with pytest.raises(NonceAhead):
        sender.transmit(ahead)
    stepped.world.chain.release()  # the development chain has its own wording
    with pytest.raises(NonceAhead):
        sender.transmit(ahead)
