"""The client of a bank's node, against a node whose connections fail in every possible way."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from standing.gateway.access.localized import Localized
from standing.gateway.bindings.banks import Bank, NodeClient
from standing.gateway.errors import BankNodeRefused, BankNodeUnreachable
from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.clock import SystemClock
from standing.ledger.errors import Conflict, InvalidValue

pytestmark = pytest.mark.anyio

BIC = "YUNXCNB0"
REQUEST = BindingRequest(
    request_id="request-1",
    number="9156023807855775",
    number_type="card",
    holder_name="欧阳测试",
    id_document_scheme="CCPT",
    id_document_country="CN",
    id_document_number="E00000001",
    phone="+8613800138000",
)
REFUSED = b'{"outcome": "refused", "mismatches": []}'
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


async def read_request(incoming: asyncio.StreamReader) -> bytes:
    head = await incoming.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + await incoming.readexactly(length)


async def refuse(outgoing: asyncio.StreamWriter) -> None:
    outgoing.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSED), REFUSED))
    await outgoing.drain()


@asynccontextmanager
async def node(handler: Handler, timeout_s: float = 5.0) -> AsyncIterator[tuple[Bank, NodeClient]]:
    """A node that handles its connections, numbered from 1, by `handler`."""
    connections = 0

    async def handle(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await handler(incoming, outgoing, connections)
        finally:
            outgoing.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = NodeClient(timeout_s, SystemClock())
    await client.open()
    try:
        name = Localized("Bank", "银行")
        yield Bank(BIC, BIC.encode().ljust(11, b"\0"), name, ZoneInfo("UTC"), url, "sk_test"), client
    finally:
        await client.close()
        server.close()


async def test_a_lost_connection_is_retried_once_with_the_same_request() -> None:
    requests = []

    async def lose_the_first(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, number: int) -> None:
        requests.append(await read_request(incoming))
        if number > 1:
            await refuse(outgoing)

    async with node(lose_the_first) as (bank, client):
        answer = await client.bind(bank, REQUEST)
    assert answer.outcome == "refused"
    assert len(requests) == 2
    assert requests[0] == requests[1]
    assert b"Authorization: Bearer sk_test" in requests[0]


async def test_a_node_that_loses_every_connection_is_unreachable() -> None:
    numbers = []

    async def lose(incoming: asyncio.StreamReader, _outgoing: asyncio.StreamWriter, number: int) -> None:
        numbers.append(number)
        await read_request(incoming)

    async with node(lose) as (bank, client):
        with pytest.raises(BankNodeUnreachable, match=BIC):
            await client.bind(bank, REQUEST)
    assert numbers == [1, 2]


async def test_a_node_that_trickles_its_answer_is_abandoned_at_the_timeout() -> None:
    async def trickle(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, _number: int) -> None:
        # The client times out, as intended; on a busy machine possibly before it has sent anything.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await read_request(incoming)
            outgoing.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            for _ in range(60_000):  # each byte arrives within the timeout between bytes
                outgoing.write(b" ")
                await outgoing.drain()
                await asyncio.sleep(0.005)

    async with node(trickle, timeout_s=0.1) as (bank, client):
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(BankNodeUnreachable):
            await client.bind(bank, REQUEST)
        assert loop.time() - began < 5


async def test_calls_to_a_bank_that_hangs_delay_none_to_another_bank() -> None:
    released = asyncio.Event()
    inside = asyncio.Semaphore(0)

    async def hang_for_one(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, _number: int) -> None:
        request = await read_request(incoming)
        if b"Bearer sk_slow" in request:
            inside.release()
            await released.wait()
        await refuse(outgoing)

    async with node(hang_for_one, timeout_s=60) as (bank, client):
        slow = replace(bank, bic="SLOWCNB0", node_key="sk_slow")
        hanging = [asyncio.create_task(client.bind(slow, REQUEST)) for _ in range(200)]
        for _ in range(100):  # as many connections as one pool has
            await inside.acquire()
        assert (await client.bind(bank, REQUEST)).outcome == "refused"
        assert client.calls(bank).errors == 0
        released.set()
        assert {(await call).outcome for call in hanging} == {"refused"}


@pytest.mark.parametrize(
    "body", [gzip.compress(bytes(30_000_000)), b"no gzip"], ids=["30 MB in 30 kB", "not compressed at all"]
)
async def test_a_compressed_answer_is_malformed_and_is_not_decompressed(body: bytes) -> None:
    """Nobody asked for one. The first took 30 MB in one piece, the second was an unexpected error of the gateway."""

    async def handler(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, _number: int) -> None:
        head = await read_request(incoming)
        assert b"accept-encoding: identity" in head.lower()
        answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        outgoing.write(answer)
        await outgoing.drain()

    async with node(handler) as (bank, client):
        with pytest.raises(BankNodeRefused, match="not part of the protocol"):
            await client.bind(bank, REQUEST)


async def test_a_node_that_refuses_connections_is_unreachable() -> None:
    async def never(_incoming: asyncio.StreamReader, _outgoing: asyncio.StreamWriter, _number: int) -> None:
        raise AssertionError("nobody listens any more")

    async with node(never) as (bank, client):
        pass
    await client.open()
    with pytest.raises(BankNodeUnreachable):
        await client.unbind(bank, bytes(32))
    await client.close()


@pytest.mark.usefixtures("usual_depth")
@pytest.mark.parametrize(
    ("status", "expected"), [(200, BankNodeRefused), (409, Conflict), (422, InvalidValue), (503, BankNodeUnreachable)]
)
async def test_an_endlessly_nested_answer_is_a_malformed_answer_and_no_crash(
    status: int, expected: type[Exception]
) -> None:
    body = b"[" * 50_000

    async def nested(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, _number: int) -> None:
        await incoming.readuntil(b"\r\n\r\n")
        outgoing.write(b"HTTP/1.1 %d Odd\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        await outgoing.drain()

    async with node(nested) as (bank, client):
        with pytest.raises(expected):
            await client.resync(bank, bytes(32))
