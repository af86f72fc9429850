"""Transactions held, lost, overtaken or too cheap; and ledger nodes that are gone, closed, or of another chain."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import FeeTooHigh, NonceAhead, Sender
from standing.ledger.clock import ManualClock
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable
from standing.ledger.service.database import migrate
from standing.ledger.service.serve import served
from standing.node.accounts.changes import FeedEntry
from standing.node.composition import Node, build
from standing.node.fault_points import no_faults
from standing.node.publishing import outbox
from standing.node.publishing.submission import PublishingHalted
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase, level_sequences
from tests.databases import new_database
from tests.mempool import parse
from tests.node.node_tools import feed_of, grant_of, status_on_ledger
from tests.world import ACCOUNT, BANK_ADMIN, CLAIM_FIELDS, PLATFORM, REGISTRAR, Bank, World, wait_until

NUMBER = ACCOUNT["number"]


class Stepped:
    """A node stepped by hand on a chain that holds transactions back."""

    def __init__(self, made: World, urls: list[str] | None = None, **publisher: Any) -> None:
        self.world = made
        changed: dict[str, Any] = {} if urls is None else {"ledger_urls": urls}
        self.bank: Bank = made.make_bank(**changed)
        options = self.bank.settings.publisher.model_copy(update={"resend_after_ms": 1_000, **publisher})
        self.bank.settings = self.bank.settings.model_copy(update={"publisher": options})
        self.node: Node = build(self.bank.settings, self.bank.secrets, self.bank.clock)
        assert self.node.leadership.take()
        self.feed(dict(ACCOUNT))
        self.settle()
        claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
        self.node.bindings.bind(PLATFORM, BindingRequest(request_id="request-1", **claim))
        self.settle()
        made.chain.holding = True

    def feed(self, *changes: dict[str, Any]) -> int:
        at = self.world.clock.advance(10)
        stated = [{"effective_at_ms": at, **change} for change in changes]
        self.node.feed.accept(FeedEntry.model_validate({"as_of_ms": at, "changes": stated}))
        return at

    def change_and_step(self, limit: int) -> int:
        self.feed({"number": NUMBER, "daily_limit_minor": limit})
        return self.node.publisher.step()

    def settle(self) -> None:
        for _ in range(60):
            self.world.clock.advance(100)
            with self.node.database.read() as connection:
                waiting = outbox.waiting(connection)
            if self.node.publisher.step() == 0 and not waiting:
                return
        raise AssertionError("the publisher does not come to rest")

    def copy(self) -> Node:
        """A node on a copy of the store as it is now."""
        url = new_database(self.bank.folder, "copy")
        target = NodeDatabase(url)
        migrate(target, "standing.node.storage")
        with self.node.database.read() as source, target.write() as connection:
            for table in schema.metadata.sorted_tables:
                rows = [dict(row) for row in source.execute(select(table)).mappings()]
                connection.execute(delete(table))
                if rows:
                    connection.execute(insert(table), rows)
            level_sequences(connection, schema.metadata.sorted_tables)
        target.close()
        settings = self.bank.settings.model_copy(update={"database_url": url})
        return build(settings, self.bank.secrets, self.bank.clock)

    def digests(self) -> list[bytes]:
        """Of every publication that was signed, in order."""
        table = schema.publications
        with self.node.database.read() as connection:
            return list(connection.execute(select(table.c.digest).order_by(table.c.number)).scalars())

    def close(self) -> None:
        self.node.leadership.leave()
        self.node.database.close()

    @property
    def on_ledger(self) -> int:
        return self.world.client.bank(self.bank.bic).publication


@pytest.fixture
def stepped(a_world: World) -> Iterator[Stepped]:
    made = Stepped(a_world)
    yield made
    made.close()


@pytest.mark.long
def test_several_publications_are_in_flight_at_once_and_no_more_than_allowed(stepped: Stepped) -> None:
    before = stepped.on_ledger
    flights = [stepped.change_and_step(limit) for limit in range(6)]
    assert flights == [1, 2, 3, 4, 4, 4]
    taken = stepped.world.chain.mempool.taken
    assert len({held.nonce for held in taken}) == 4, "a nonce each"
    stepped.world.chain.release()
    stepped.settle()
    # The two changes that had to wait share one publication.
    assert stepped.on_ledger == before + 5


def test_a_stuck_transaction_is_sent_again_with_the_same_nonce_and_payload_and_an_eighth_more(stepped: Stepped) -> None:
    assert stepped.change_and_step(1) == 1
    for _ in range(3):
        stepped.world.clock.advance(1_001)
        stepped.node.publisher.step()
    taken = stepped.world.chain.mempool.taken
    assert len(taken) == 4
    assert len({(held.nonce, held.data) for held in taken}) == 1
    prices = [held.gas_price_wei for held in taken]
    for lower, higher in pairwise(prices):
        assert higher == lower + -(-lower // 8)
    before = stepped.on_ledger
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1


@pytest.mark.long
def test_a_lost_transaction_that_has_become_too_cheap_is_offered_again_for_what_the_network_asks(
    stepped: Stepped,
) -> None:
    stepped.change_and_step(1)
    first = stepped.world.chain.mempool.taken[0]
    stepped.world.chain.mempool.drain()
    stepped.world.chain.mempool.least_wei = 3 * first.gas_price_wei
    stepped.node.publisher.send_again()
    stepped.node.publisher.step()
    again = stepped.world.chain.mempool.taken[-1]
    assert (again.nonce, again.data, again.gas_price_wei) == (first.nonce, first.data, 3 * first.gas_price_wei)


@pytest.mark.long
def test_a_fee_never_grows_above_the_maximum(a_world: World) -> None:
    made = Stepped(a_world)
    asked = Sender(a_world.client, made.bank.secrets.sender_key).gas_price_wei()
    made.node.publisher._submitter._sender._max_gas_price_wei = asked + asked // 10
    made.change_and_step(1)
    for _ in range(4):
        a_world.clock.advance(1_001)
        made.node.publisher.step()
    assert max(held.gas_price_wei for held in a_world.chain.mempool.taken) == asked + asked // 10
    made.close()


@pytest.mark.long
def test_transactions_that_the_network_dropped_are_sent_again_in_order_where_gaps_are_refused(stepped: Stepped) -> None:
    stepped.world.chain.mempool.no_gaps = True
    for limit in range(3):
        stepped.change_and_step(limit)
    nonces = [held.nonce for held in stepped.world.chain.mempool.taken]
    stepped.world.chain.mempool.drain()
    stepped.world.clock.advance(1_001)
    before = stepped.on_ledger
    stepped.node.publisher.step()
    assert [held.nonce for held in stepped.world.chain.mempool.taken[3:]] == nonces
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 3


def test_a_resync_sends_at_once_what_the_network_lost_and_adds_nothing_to_it(stepped: Stepped) -> None:
    stepped.change_and_step(1)
    lost = stepped.world.chain.mempool.taken[0]
    stepped.world.chain.lose()
    before = stepped.on_ledger
    assert stepped.node.publisher.step() == 1, "it is not missed yet"
    with stepped.node.database.read() as connection:
        (binding,) = connection.execute(select(schema.bindings.c.id)).scalars()
    assert not stepped.node.resync.resync(PLATFORM, binding).queued
    stepped.world.chain.holding = True
    stepped.node.publisher.step()
    (again,) = stepped.world.chain.mempool.taken[1:]
    assert again.hash == lost.hash
    assert stepped.node.publisher.step() == 1, "asked once, sent once"
    assert len(stepped.world.chain.mempool.taken) == 2
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1
    assert stepped.node.resync.resync(PLATFORM, binding).queued
    stepped.settle()
    assert stepped.on_ledger == before + 2


@pytest.mark.long
def test_one_dropped_in_the_middle_is_sent_again_and_those_after_it_still_count(stepped: Stepped) -> None:
    for limit in range(3):
        stepped.change_and_step(limit)
    stepped.world.chain.mempool.forget(stepped.world.chain.mempool.taken[1].nonce)
    stepped.world.clock.advance(1_001)
    stepped.node.publisher.step()
    before = stepped.on_ledger
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 3


def test_a_publication_submitted_by_a_stranger_counts_and_leaves_no_gap_behind(stepped: Stepped) -> None:
    stepped.change_and_step(1)
    theirs = stepped.world.chain.mempool.taken[-1]
    stepped.world.chain.lose()
    stranger = Sender(stepped.world.client, REGISTRAR)  # anyone with money may submit
    prepared = stranger.prepare(theirs.data, gas=1_000_000)
    stranger.transmit(prepared)
    stepped.settle()
    before = stepped.on_ledger
    stepped.change_and_step(2)
    stepped.settle()
    assert stepped.on_ledger == before + 1


@pytest.mark.long
def test_what_is_in_flight_at_a_rotation_of_the_signer_gets_there_under_the_new_key_with_the_same_digest(
    stepped: Stepped,
) -> None:
    bank, before = stepped.bank, stepped.on_ledger
    for limit in range(2):
        stepped.change_and_step(limit)
    digests = stepped.digests()
    assert len(digests) == before + 2
    stepped.world.chain.lose()
    stepped.close()
    signer = LocalSigner(secrets.token_bytes(32))
    governance.execute(stepped.world.client, governance.rotate_signer(bank.bic, signer.address), BANK_ADMIN)
    stepped.node = build(bank.settings, bank.secrets, bank.clock)
    assert stepped.node.leadership.take()
    with pytest.raises(PublishingHalted, match="rotate the signer on the ledger, or start the node with the right key"):
        stepped.node.publisher.step()
    stepped.close()
    stepped.node = build(bank.settings, replace(bank.secrets, signer=signer), bank.clock)
    assert stepped.node.leadership.take()
    stepped.settle()
    assert stepped.on_ledger == before + 2
    assert stepped.digests() == digests
    assert stepped.world.client.bank(bank.bic).head == digests[-1]


def test_a_row_that_would_go_back_in_time_blocks_nothing(stepped: Stepped) -> None:
    """It cannot come in by the feed; were it there all the same, what follows must still get through."""
    stepped.world.chain.release()
    stepped.settle()
    with stepped.node.database.write() as connection:
        binding, terms = connection.exec_driver_sql("SELECT binding_id, terms FROM outbox LIMIT 1").one()
        connection.execute(
            schema.outbox.insert().values(
                binding_id=bytes(binding), effective_at_ms=5, terms=bytes(terms), holds_from_ms=1
            )
        )
    before = stepped.on_ledger
    stepped.settle()
    stepped.change_and_step(3)
    stepped.settle()
    assert stepped.on_ledger == before + 2


def test_batches_wait_for_company_as_long_as_told_and_not_longer(a_world: World) -> None:
    made = Stepped(a_world, batch_wait_ms=500, max_attestations=3)
    before = made.on_ledger
    assert made.change_and_step(1) == 0
    assert made.change_and_step(2) == 0
    a_world.clock.advance(500)
    assert made.node.publisher.step() == 1, "the oldest has waited long enough"
    assert [made.change_and_step(limit) for limit in (3, 4, 5)] == [1, 1, 2], "a full batch waits for nothing"
    a_world.chain.release()
    made.settle()
    assert made.on_ledger == before + 2
    made.node.leadership.leave()
    made.node.database.close()


@pytest.mark.long
def test_what_a_command_puts_into_the_store_goes_out_soon_however_seldom_the_heartbeats(a_world: World) -> None:
    bank = a_world.start_bank(publisher={"heartbeat_ms": 3_600_000})
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    wait_until(lambda: bank.get("/v1/status").json()["in_flight"] == 0 and status_on_ledger(bank, grant))
    feed = feed_of(bank, no_faults)
    feed._on_change = lambda: None  # as in a process of its own
    at = bank.clock.advance(10)
    frozen = {"number": NUMBER, "status": "frozen", "effective_at_ms": at}
    feed.accept(FeedEntry.model_validate({"as_of_ms": at, "changes": [frozen]}))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
def test_a_clock_that_was_put_back_holds_up_neither_heartbeats_nor_batches_nor_what_is_stuck(a_world: World) -> None:
    made = Stepped(a_world, batch_wait_ms=500)
    clock = ManualClock(a_world.clock.now_ms())
    made.node.publisher._clock = made.node.publisher._submitter._clock = clock
    hour_ms = 3_600_000

    clock.advance(hour_ms)
    assert made.change_and_step(1) == 0, "it waits for company"
    clock._now_ms -= hour_ms
    assert made.node.publisher.step() == 1

    clock.advance(hour_ms)
    made.node.publisher.step()  # sent again, as late as it seems to be
    sent = len(a_world.chain.mempool.taken)
    clock._now_ms -= hour_ms
    made.node.publisher.step()
    assert len(a_world.chain.mempool.taken) == sent + 1

    a_world.chain.release()
    made.node.feed._clock = clock
    clock._now_ms = a_world.clock.now_ms() + hour_ms
    made.feed()
    made.settle()
    clock._now_ms = a_world.clock.now_ms()
    as_of_ms = made.feed()
    clock._now_ms = a_world.clock.now_ms()
    made.settle()
    assert a_world.client.bank(made.bank.bic).watermark_ms == as_of_ms
    made.close()


def test_a_store_that_has_lost_what_is_on_its_way_signs_no_second_content_under_its_number(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = stepped.world.chain.mempool.taken
    copy = stepped.copy()
    assert stepped.change_and_step(1) == 1
    lost = {transaction.nonce for transaction in held}
    counts = {"latest": min(lost), "pending": max(lost) + 1}
    for node in (stepped.node, copy):
        monkeypatch.setattr(node.publisher._submitter._sender, "next_nonce", lambda block="pending": counts[block])
    stepped.node.publisher._has_checked = False
    stepped.node.publisher.step()  # its own store knows them
    stepped.node.leadership.leave()
    assert copy.leadership.take()
    as_of_ms = stepped.world.clock.advance(10)
    frozen = {"number": NUMBER, "status": "frozen", "effective_at_ms": as_of_ms}
    copy.feed.accept(FeedEntry.model_validate({"as_of_ms": as_of_ms, "changes": [frozen]}))
    with pytest.raises(PublishingHalted, match="on their way that this store does not know"):
        copy.publisher.step()
    with copy.database.read() as connection:
        last = outbox.last_publication(connection)
    assert last is not None
    assert last.number == stepped.on_ledger, "nothing more was signed"
    counts["latest"] = counts["pending"]
    stepped.world.chain.release()
    with pytest.raises(PublishingHalted, match="standing-node recover"):
        copy.publisher.step()
    copy.leadership.leave()
    copy.database.close()


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
    ],
)
def test_what_is_offered_again_on_free_one_wei_and_dear_networks(
    asked: int, paid: int, bumped: int, again: int
) -> None:
    sender = Sender(Free(asked), bytes(31) + b"\1", max_gas_price_wei=1_000)  # type: ignore[arg-type]
    assert sender.again_wei(paid, bump=True) == bumped
    assert sender.again_wei(paid, bump=False) == again


@pytest.mark.parametrize("answer", [None, "much"])
def test_a_node_that_answers_no_number_is_a_ledger_that_does_not_answer(answer: Any) -> None:
    sender = Sender(Free(answer), bytes(31) + b"\1")  # type: ignore[arg-type]
    with pytest.raises(LedgerUnreachable, match="no gas price"):
        sender.gas_price_wei()


def test_a_network_that_asks_more_than_allowed_is_refused_with_what_to_change() -> None:
    sender = Sender(Free(1_001), bytes(31) + b"\1", max_gas_price_wei=1_000)  # type: ignore[arg-type]
    with pytest.raises(FeeTooHigh, match="max_gas_price_wei"):
        sender.gas_price_wei()


class Front:
    """A ledger node in front of the chain, with faults of its own."""

    def __init__(self, chain_url: str, stack: ExitStack) -> None:
        self._chain_url = chain_url
        self.fault: str | None = None
        #: What a node that is behind takes for the latest block.
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
        """What a node with this fault answers by itself."""
        if self.fault == "down":
            return Response(status_code=502)
        if self.fault == "no object":
            return JSONResponse([call])
        if self.fault == "closed":
            error = {"code": -32000, "message": "endpoint is closed"}
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
@pytest.mark.parametrize("fault", ["down", "closed", "no object"])
def test_a_node_that_fails_is_passed_over_and_left_to_rest(
    a_world: World, fronts: tuple[Front, Front], fault: str
) -> None:
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
def test_a_node_of_another_ledger_is_refused_at_the_start(
    a_world: World, fronts: tuple[Front, Front], fault: str
) -> None:
    fronts[1].fault = fault
    with pytest.raises(LedgerMismatch):
        _client(a_world, fronts).check()


def test_a_node_that_comes_back_as_another_chain_is_never_asked(a_world: World, fronts: tuple[Front, Front]) -> None:
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
def test_a_node_that_tells_nobody_of_a_transaction_is_left_for_the_other(
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
def test_a_node_that_falls_behind_what_was_seen_is_left_for_the_other(
    a_world: World, fronts: tuple[Front, Front]
) -> None:
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


def test_a_refused_nonce_is_told_apart_by_the_accounts_own_count(stepped: Stepped) -> None:
    sender = Sender(stepped.world.client, stepped.bank.secrets.sender_key)
    stepped.world.chain.mempool.no_gaps = True
    ahead = sender.prepare(b"\0" * 4, gas=50_000, nonce=sender.next_nonce("latest") + 3)
    with pytest.raises(NonceAhead):
        sender.transmit(ahead)
    stepped.world.chain.release()  # the development chain itself says it in words of its own
    with pytest.raises(NonceAhead):
        sender.transmit(ahead)


def test_a_transaction_that_is_pooled_and_never_mined_is_a_trouble_until_a_block_holds_it(a_world: World) -> None:
    bank = a_world.start_bank(publisher={"resend_after_ms": 1_000})
    bank.change(dict(ACCOUNT))
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    assert bank.bind().json()["outcome"] == "granted"
    wait_until(lambda: bank.get("/v1/status").json()["in_flight"] == 0)
    a_world.chain.holding = True
    bank.feed({"number": NUMBER, "status": "frozen"})
    wait_until(lambda: bank.get("/v1/status").json()["in_flight"] == 1)
    assert bank.get("/readyz").status_code == 200
    a_world.clock.advance(2_001)
    bank.node.publisher.wake()
    told = wait_until(lambda: bank.get("/readyz").json()["reason"])
    assert "no block holds it" in told
    assert bank.get("/readyz").status_code == 503
    a_world.chain.release()
    wait_until(lambda: bank.get("/readyz").status_code == 200)
