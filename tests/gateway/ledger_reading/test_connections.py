"""HTTP connections to a ledger node: what is kept alive, what is bounded, and answers that are odd or not asked for."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from socket import gaierror
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from standing.gateway.ledger_reading import connections as connections_module
from standing.gateway.ledger_reading.connections import Answer, AnswerTooLong, BadAnswer, Connections, Dropped
from standing.gateway.ledger_reading.rpc import Endpoint
from standing.ledger.errors import LedgerUnreachable

pytestmark = pytest.mark.anyio

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"


class Last(bytes):
    """An answer after which the server closes the connection; an empty one is no answer at all."""


class Server:
    """Answers each request with the next of `answers`, bytes of any kind, once `gate` is open."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = self.ended = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def handle(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            answer = b""
            while not isinstance(answer, Last):
                head = await incoming.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.heads.append(head)
                self.bodies.append(await incoming.readexactly(length))
                await self._notify()
                await self.gate.wait()
                answer = self.answers.pop(0)
                outgoing.write(answer)
                await outgoing.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has closed
        finally:
            self.ended += 1
            outgoing.close()
            await self._notify()

    async def until(self, condition: Callable[["Server"], bool]) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def serving(
    *answers: bytes, at_most: int = 2, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, Connections]]:
    """A server with these answers, and connections to it."""
    server = Server(*answers)
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context) as listening:
        address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        url = f"http://{address}/" if context is None else f"https://{address}/"
        connections = Connections(url, max_connections=at_most)
        try:
            yield server, connections
        finally:
            connections.close()
            server.gate.set()


async def test_requests_one_after_another_use_one_connection() -> None:
    async with serving(_OK, _OK, _OK) as (server, connections):
        for number in range(3):
            assert await connections.post(b"%d" % number, 2) == Answer(200, b"ok")
        assert server.connections == 1
        assert server.bodies == [b"0", b"1", b"2"]


async def test_no_more_connections_are_open_than_allowed() -> None:
    async with serving(*[_OK] * 20, at_most=3) as (server, connections):
        server.gate.clear()
        asked = [asyncio.create_task(connections.post(b"{}", 2)) for _ in range(20)]
        await server.until(lambda it: len(it.bodies) == 3)
        server.gate.set()
        assert {answer.body for answer in await asyncio.gather(*asked)} == {b"ok"}
        assert server.connections == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(_OK, Answer(200, b"ok"), id="of a stated length"),
        pytest.param(_CHUNKED, Answer(200, b"ok"), id="in chunks"),
        pytest.param(Last(b"HTTP/1.1 200 OK\r\n\r\nok"), Answer(200, b"ok"), id="that ends with the connection"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _OK, Answer(200, b"ok"), id="after a hint"),
        pytest.param(
            Last(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
            Answer(200, b"ok"),
            id="that announces the close",
        ),
        pytest.param(Last(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), Answer(200, b"ok"), id="of HTTP/1.0"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Answer(503, b""), id="without success"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, b""), id="that has no body"),
    ],
)
async def test_an_answer_is_read_and_so_is_the_next_one(answer: bytes, expected: Answer) -> None:
    async with serving(answer, _OK) as (_, connections):
        assert await connections.post(b"{}", 2) == expected
        assert await connections.post(b"{}", 2) == Answer(200, b"ok")


@given(cuts=st.lists(st.integers(0, 200)), answer=st.sampled_from([_OK, _CHUNKED]), body=st.binary(max_size=20))
def test_it_does_not_matter_in_which_pieces_answers_arrive(cuts: list[int], answer: bytes, body: bytes) -> None:
    own = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def read() -> list[Answer]:
        connection = connections_module._Connection()
        connection.connection_made(Mock(**{"is_closing.return_value": False}))
        answers = []
        for raw in (answer, own):
            asked = asyncio.create_task(connection.post(b"", 20))
            await asyncio.sleep(0)
            edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
            for start, end in pairwise(edges):
                connection.data_received(raw[start:end])
            answers.append(await asked)
        return answers

    assert asyncio.run(read()) == [Answer(200, b"ok"), Answer(201, body)]


_THREE_IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
_UPGRADE = b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", AnswerTooLong, id="too long, length stated"),
        pytest.param(_THREE_IN_CHUNKS, AnswerTooLong, id="too long, in chunks"),
        pytest.param(Last(b"HTTP/1.1 200 OK\r\n\r\nabc"), AnswerTooLong, id="too long, no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, AnswerTooLong, id="an endless header"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5_000, AnswerTooLong, id="endless hints"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", BadAnswer, id="SSH"),
        pytest.param(_UPGRADE, BadAnswer, id="another protocol"),
        pytest.param(b"\x16\x03\x01", BadAnswer, id="TLS"),
    ],
)
async def test_an_answer_that_is_too_long_or_no_http_is_refused_and_its_connection_closed(
    answer: bytes, error: type[Exception]
) -> None:
    async with serving(answer, _OK) as (server, connections):
        with pytest.raises(error):
            await connections.post(b"{}", 2)
        await server.until(lambda it: it.ended == 1)
        assert await connections.post(b"{}", 2) == Answer(200, b"ok")


@pytest.mark.parametrize("more", [_OK, _OK[:20], b"x"], ids=["whole", "begun", "no HTTP"])
async def test_what_follows_an_answer_is_not_the_next_requests_answer(more: bytes) -> None:
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
    async with serving(_OK + more, other, other) as (_, connections):
        try:
            assert await connections.post(b"{}", 5) == Answer(200, b"ok")
        except BadAnswer:
            assert more == b"x"
        assert await connections.post(b"{}", 5) == Answer(200, b"other")


async def test_an_abandoned_requests_answer_is_not_the_next_requests_answer() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate", _OK) as (server, connections):
        server.gate.clear()
        abandoned = asyncio.ensure_future(connections.post(b"{}", 4))
        await server.until(lambda it: it.bodies == [b"{}"])
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        server.gate.set()
        assert await connections.post(b"{}", 4) == Answer(200, b"ok")
        assert server.connections == 2
        # The first is closed: at a node that hangs, each read that misses its time would keep one open for ever.
        await server.until(lambda it: it.ended == 1)


async def test_a_kept_connection_that_the_server_has_closed_is_not_used() -> None:
    async with serving(Last(_OK), _OK) as (server, connections):
        assert await connections.post(b"1", 2) == Answer(200, b"ok")
        assert await connections.post(b"2", 2) == Answer(200, b"ok")
        assert server.bodies == [b"1", b"2"]


@pytest.mark.parametrize("begun", [b"", _OK[:20], _OK[:-1]], ids=["nothing", "in the head", "in the body"])
async def test_a_request_whose_connection_is_dropped_is_sent_once_more(begun: bytes) -> None:
    async with serving(_OK, Last(begun), _OK) as (server, connections):
        assert await connections.post(b"1", 2) == Answer(200, b"ok")
        assert await connections.post(b"2", 2) == Answer(200, b"ok")
        assert server.bodies == [b"1", b"2", b"2"]


async def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall may have forgotten it, and then a request on it would wait for its whole time."""
    async with serving(_OK, _OK, _OK) as (server, connections):
        for _ in range(2):
            await connections.post(b"{}", 2)
        assert server.connections == 1
        monkeypatch.setattr("standing.gateway.ledger_reading.connections._MAX_IDLE_S", 0.0)
        await connections.post(b"{}", 2)
        assert server.connections == 2


async def test_a_request_without_an_answer_in_time_ends_the_idle_connections_too() -> None:
    """Each of them may be as dead, and would cost a request its time."""
    async with serving(_OK, _OK, _OK, _OK) as (server, connections):
        server.gate.clear()
        both = [asyncio.create_task(connections.post(b"{}", 2)) for _ in range(2)]
        await server.until(lambda it: len(it.bodies) == 2)
        server.gate.set()
        await asyncio.gather(*both)
        assert server.connections == 2
        server.gate.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connections.post(b"{}", 2)
        server.gate.set()
        assert await connections.post(b"{}", 2) == Answer(200, b"ok")
        assert server.connections == 3


async def test_a_request_that_is_dropped_twice_fails() -> None:
    async with serving(Last(b""), Last(b""), _OK) as (server, connections):
        with pytest.raises(Dropped):
            await connections.post(b"{}", 2)
        assert len(server.bodies) == 2
        assert await connections.post(b"{}", 2) == Answer(200, b"ok")


async def test_requests_in_flight_fail_when_the_connections_are_closed_and_no_new_one_is_made() -> None:
    async with serving(_OK, _OK) as (server, connections):
        server.gate.clear()
        asked = [asyncio.create_task(connections.post(b"{}", 2)) for _ in range(2)]
        await server.until(lambda it: len(it.bodies) == 2)
        connections.close()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Dropped, Dropped]
        with pytest.raises(Dropped):
            await connections.post(b"{}", 2)
        assert len(server.bodies) == 2


async def test_an_endpoint_that_is_closed_ends_its_connections_and_makes_no_new_one() -> None:
    server = Server(b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"error": "none kept"}')
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        endpoint = Endpoint(f"http://127.0.0.1:{port}/", timeout_s=60, max_connections=1)
        await endpoint.open()
        for problem in ("answers with an error", "stopping"):
            with pytest.raises(LedgerUnreachable, match=problem):
                await endpoint.call("eth_chainId", [])
            await endpoint.close()
        await server.until(lambda it: it.ended == 1)
        assert len(server.bodies) == 1


async def test_a_server_that_does_not_exist_is_an_error_of_the_system() -> None:
    for url, error in (("http://127.0.0.1:9/", ConnectionError), ("http://no-such-host.invalid:8545/", gaierror)):
        with pytest.raises(error):
            await Connections(url, max_connections=1).post(b"{}", 2)


async def test_path_query_and_credentials_of_the_url_are_sent_and_no_compression_is_accepted() -> None:
    server = Server(_OK)
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        connections = Connections(f"http://me:p%40ss@127.0.0.1:{port}/v3/key?chain=1#x", max_connections=1)
        await connections.post(b"{}", 2)
        connections.close()
    first, *headers = server.heads[0].decode().strip().split("\r\n")
    assert first == "POST /v3/key?chain=1 HTTP/1.1"
    assert headers == [
        f"Host: 127.0.0.1:{port}",
        "Authorization: Basic bWU6cEBzcw==",
        "Content-Type: application/json",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Content-Length: 2",
    ]


def _certificate(folder: Path) -> Path:
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = builder.add_extension(names, critical=False).sign(key, SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (file := folder / "node.pem").write_bytes(pem + signed.public_bytes(Encoding.PEM))
    return file


async def test_https_is_spoken_with_a_server_that_is_trusted_and_with_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (context := ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).load_cert_chain(file := _certificate(tmp_path))
    async with serving(_OK, context=context) as (server, connections):
        with pytest.raises(ssl.SSLCertVerificationError):
            await connections.post(b"{}", 2)
        assert server.bodies == []
    trusting = ssl.create_default_context(cafile=str(file))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    async with serving(_OK, _OK, context=context) as (server, connections):
        assert await connections.post(b"1", 2) == Answer(200, b"ok")
        assert await connections.post(b"2", 2) == Answer(200, b"ok")
        assert server.bodies == [b"1", b"2"]
