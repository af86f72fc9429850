"""The coalescing reader: batching without caching, bounds, and recovery."""

import asyncio
import json
import random

import pytest

from standing.gateway.ledger_reading.node import NodeState
from standing.gateway.ledger_reading.reader import MAX_QUERIES, Reader, Seen
from standing.ledger.errors import InvalidValue, LedgerUnreachable, Overloaded
from tests.gateway.fake_ledger import CONTRACT, fake_ledger

pytestmark = pytest.mark.anyio

BANK = b"YUNXCNB0\0\0\0"
BINDING = b"\x01" * 32


async def test_concurrent_requests_share_one_call_and_each_gets_its_own_record() -> None:
    async with fake_ledger() as (ledger, reader):
        bindings = [index.to_bytes(32, "big") for index in range(100)]
        seen = await asyncio.gather(*(reader.read(BANK, binding) for binding in bindings))
        assert ledger.calls == [bindings]
        assert {each.block_number for each in seen} == {1}


async def test_a_request_never_joins_a_call_sent_before_it_arrived() -> None:
    async with fake_ledger(max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        first = asyncio.create_task(reader.read(BANK, BINDING))
        await ledger.until(1)
        second = asyncio.create_task(reader.read(BANK, BINDING))  # the same binding: nothing may be shared
        await asyncio.sleep(0)
        ledger.gate.set()
        assert (await first).record.publication == 1
        assert (await second).record.publication == 2
        assert ledger.calls == [[BINDING], [BINDING]]


async def test_no_answer_is_cached() -> None:
    async with fake_ledger() as (ledger, reader):
        assert [(await reader.read(BANK, BINDING)).record.publication for _ in range(3)] == [1, 2, 3]
        assert len(ledger.calls) == 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_in_flight", [1, 2])
async def test_every_answer_is_of_a_call_sent_after_its_request_in_any_order_of_events(
    seed: int, max_in_flight: int
) -> None:
    """Requests, held answers and released ones in random order; a record carries the number of its call."""
    order = random.Random(seed)
    async with fake_ledger(max_in_flight=max_in_flight) as (ledger, reader):

        async def ask() -> tuple[int, Seen]:
            # Calls already at the ledger were sent earlier. `read` does not await before it is queued.
            return len(ledger.calls), await reader.read(BANK, BINDING)

        asked = []
        for _ in range(300):
            match order.randrange(5):
                case 0:
                    ledger.gate.clear()
                case 1:
                    ledger.gate.set()
                case 2:
                    for _ in range(order.randrange(20)):
                        await asyncio.sleep(0)
                case _:
                    asked.append(asyncio.create_task(ask()))
        ledger.gate.set()
        for before, seen in await asyncio.gather(*asked):
            assert seen.record.publication > before
        assert sum(len(call) for call in ledger.calls) == len(asked)
        assert ledger.most_at_once <= max_in_flight


async def test_requests_beyond_one_calls_capacity_go_into_several_calls() -> None:
    async with fake_ledger() as (ledger, reader):
        count = 2 * MAX_QUERIES + 1
        bindings = [index.to_bytes(32, "big") for index in range(count)]
        await asyncio.gather(*(reader.read(BANK, binding) for binding in bindings))
        assert sorted(len(call) for call in ledger.calls) == [1, MAX_QUERIES, MAX_QUERIES]
        assert sorted(binding for call in ledger.calls for binding in call) == bindings


async def test_reads_that_a_proxy_finds_too_long_are_sent_in_parts_and_none_fails() -> None:
    async with fake_ledger(max_in_flight=1) as (ledger, reader):
        ledger.longest = 100
        bindings = [index.to_bytes(32, "big") for index in range(2 * MAX_QUERIES)]
        seen = await asyncio.gather(*(reader.read(BANK, binding) for binding in bindings))
        assert len(seen) == len(bindings)
        assert ledger.refused == 3  # of 500, 250 and 125; 62 are taken
        assert sorted(binding for call in ledger.calls for binding in call) == bindings
        assert {node.state for node in reader.nodes.all} == {NodeState.FIT}


async def test_after_a_proxys_limit_has_gone_reads_grow_to_their_full_size_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 20
    monkeypatch.setattr("standing.gateway.ledger_reading.reader.MAX_QUERIES", most)
    async with fake_ledger(max_in_flight=1) as (ledger, reader):
        bindings = [index.to_bytes(32, "big") for index in range(most)]
        ledger.longest = most - 5
        await asyncio.gather(*(reader.read(BANK, binding) for binding in bindings))
        ledger.longest = most
        for _ in range(most):
            ledger.calls.clear()
            await asyncio.gather(*(reader.read(BANK, binding) for binding in bindings))
            if len(ledger.calls) == 1:
                break
        assert [len(call) for call in ledger.calls] == [most]


async def test_a_single_read_that_a_proxy_finds_too_long_fails() -> None:
    async with fake_ledger() as (ledger, reader):
        ledger.longest = 0
        with pytest.raises(LedgerUnreachable, match="HTTP 413"):
            await reader.read(BANK, BINDING)


@pytest.mark.parametrize(
    "spoiled",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"result": RESULT}',
        b'{"id": ID}',
        b'{"id": ID, "result": null}',
        b'{"id": ID, "result": 1}',
        b'{"id": ID, "result": "0x"}',
        b'{"id": ID, "result": "0xzz"}',
        b'{"id": ID, "result": "0x%s"}' % (b"00" * (128 + 160)),
        b'{"id": ID, "error": {"code": 3, "message": "execution reverted"}}',
        b'{"id": ID, "error": "odd"}',
        b'{"id": ID, "error": "odd", "result": RESULT}',
        b"x" * 100_000,
        b"\xff\xfe",
    ],
)
async def test_an_invalid_answer_fails_the_requests_of_its_call_and_no_other(spoiled: bytes) -> None:
    async with fake_ledger() as (ledger, reader):
        ledger.spoil.append(spoiled)
        failed = await asyncio.gather(*(reader.read(BANK, BINDING) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in failed] == [LedgerUnreachable] * 3
        assert (await reader.read(BANK, BINDING)).record.publication == 2


async def test_an_answer_to_an_earlier_call_is_not_used_and_its_connection_is_closed() -> None:
    async with fake_ledger() as (ledger, reader):
        assert (await reader.read(BANK, BINDING)).record.publication == 1
        ledger.mixed_up = True
        with pytest.raises(LedgerUnreachable, match="to another request"):
            await reader.read(BANK, BINDING)
        assert (await reader.read(BANK, BINDING)).record.publication == 3


async def test_no_two_calls_have_one_id() -> None:
    async with fake_ledger() as (ledger, reader), fake_ledger() as (others, other_reader):
        for each in (reader, other_reader):
            for _ in range(3):
                await each.read(BANK, BINDING)
        assert len({*ledger.ids, *others.ids}) == 6


async def test_a_binding_of_the_wrong_size_fails_alone_and_not_the_requests_beside_it() -> None:
    async with fake_ledger() as (ledger, reader):
        asked = [reader.read(BANK, BINDING), reader.read(BANK, BINDING[:31]), reader.read(BANK, BINDING)]
        well, short, other = await asyncio.gather(*asked, return_exceptions=True)
        assert (type(well), type(short), type(other)) == (Seen, InvalidValue, Seen)
        assert ledger.calls == [[BINDING, BINDING]]


async def test_a_node_that_misses_the_timeout_fails_the_read() -> None:
    async with fake_ledger(budget_ms=50) as (ledger, reader):
        ledger.gate.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        failed = await asyncio.gather(*(reader.read(BANK, BINDING) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in failed] == [LedgerUnreachable] * 5
        assert 0.05 <= loop.time() - began < 5
        ledger.gate.set()
    async with fake_ledger() as (ledger, reader):
        assert (await reader.read(BANK, BINDING)).record.publication == 1


async def test_the_budget_counts_from_a_requests_arrival_even_while_it_is_queued() -> None:
    async with fake_ledger(budget_ms=200, max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        stuck = asyncio.create_task(reader.read(BANK, BINDING))
        await ledger.until(1)
        waiting = asyncio.create_task(reader.read(BANK, BINDING))
        for task in (stuck, waiting):
            with pytest.raises(LedgerUnreachable):
                await task


async def test_each_request_has_its_whole_budget_regardless_of_its_arrival() -> None:
    async with fake_ledger(budget_ms=100, max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        loop = asyncio.get_running_loop()

        async def lasts_s() -> float:
            began_s = loop.time()
            with pytest.raises(LedgerUnreachable):
                await reader.read(BANK, BINDING)
            return loop.time() - began_s

        waiting = []
        for _ in range(4):
            waiting.append(asyncio.create_task(lasts_s()))
            await asyncio.wait(waiting, timeout=0.03)
        assert min(await asyncio.gather(*waiting)) >= 0.1


async def test_requests_beyond_the_bound_are_refused_and_queued_ones_still_answered() -> None:
    async with fake_ledger(max_waiting=10, max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        in_flight = asyncio.create_task(reader.read(BANK, BINDING))
        await ledger.until(1)
        waiting = [asyncio.create_task(reader.read(BANK, BINDING)) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await reader.read(BANK, BINDING)
        assert caught.value.retry_after_s == 1
        ledger.gate.set()
        assert len(await asyncio.gather(in_flight, *waiting)) == 11


async def test_a_cancelled_request_is_not_sent() -> None:
    async with fake_ledger(max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        first = asyncio.create_task(reader.read(BANK, BINDING))
        await ledger.until(1)
        cancelled = asyncio.create_task(reader.read(BANK, b"\x02" * 32))
        stays = asyncio.create_task(reader.read(BANK, b"\x03" * 32))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        ledger.gate.set()
        await asyncio.gather(first, stays)
        assert ledger.calls[1:] == [[b"\x03" * 32]]


async def test_a_read_without_a_reachable_node_fails() -> None:
    reader = Reader("http://127.0.0.1:9/", CONTRACT, budget_ms=5_000, max_waiting=10)
    await reader.open()
    with pytest.raises(LedgerUnreachable):
        await reader.read(BANK, BINDING)
    await reader.close()


async def test_a_kept_connection_closed_by_the_node_fails_no_request() -> None:
    """A node may close an idle connection at the moment that a call is sent on it."""
    connections = 0

    async def handle(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await incoming.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        asked = json.loads(await incoming.readexactly(length))
        if connections != 2:  # the second connection is closed on its first request, without an answer
            words = (5, 6, 0x60, 1, 9, 0, 0, 2, 0)
            result = b"".join(word.to_bytes(32, "big") for word in words).hex()
            body = json.dumps({"id": asked["id"], "result": "0x" + result}).encode()
            outgoing.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await outgoing.drain()
        outgoing.close()
        await outgoing.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader = Reader(f"http://127.0.0.1:{port}/", CONTRACT, budget_ms=5_000, max_waiting=10)
        await reader.open()
        assert (await reader.read(BANK, BINDING)).record.publication == 9
        assert (await reader.read(BANK, BINDING)).record.publication == 9
        assert connections == 3
        await reader.close()


async def test_all_requests_fail_at_once_when_the_gateway_stops_and_so_do_later_ones() -> None:
    async with fake_ledger(budget_ms=600_000, max_in_flight=1) as (ledger, reader):
        ledger.gate.clear()
        sent = asyncio.create_task(reader.read(BANK, BINDING))
        await ledger.until(1)
        waiting = asyncio.create_task(reader.read(BANK, BINDING))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):  # a tenth of what an answer may take
            await reader.close()
            for task in (sent, waiting, reader.read(BANK, BINDING)):
                with pytest.raises(LedgerUnreachable, match="stopping"):
                    await task
        ledger.gate.set()
