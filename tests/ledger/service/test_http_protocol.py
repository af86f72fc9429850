"""Requests that offer an upgrade, and what is no HTTP: no body is lost, and no body becomes a request."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from standing.ledger.service import http_protocol, serve
from standing.ledger.service.http_protocol import MAX_HEAD_BYTES, PlainHttpProtocol
from standing.ledger.service.request_limits import LoadShedding
from standing.ledger.service.serve import served
from tests.world import wait_until

_H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAA")
_OFFERS = [
    _H2C,
    (b"Connection: keep-alive, upgrade", b"Upgrade: h2c"),
    (b"Connection: keep-alive", b"connection: UPGRADE", b"Upgrade: TLS/1.0"),
    (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAA"),
    (b"Connection: Upgrade", b"Upgrade: websocket"),
]


@dataclass
class _Service:
    """Answers with the method, the path and the body that it was given."""

    url: str = ""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        self.asked.append((scope["method"], scope["path"], body))
        await PlainTextResponse(b"%d bytes" % len(body))(scope, receive, send)

    def connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=60)

    def answer(self, *pieces: bytes, until: bytes) -> bytes:
        """What a connection answers to these pieces, up to `until` or its end; each piece is sent after the other."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            got = b""
            while not got.endswith(until) and (more := connection.recv(65_536)):
                got += more
        return got


@contextmanager
def _serving(shedding: Callable[[_Service], LoadShedding | None]) -> Iterator[_Service]:
    service = _Service()
    load = shedding(service)
    with served(load if load is not None else service.app, load=load) as service.url:
        yield service


@pytest.fixture(params=["plain", "shedding"])
def service(request: pytest.FixtureRequest) -> Iterator[_Service]:
    limit = 10
    with _serving(lambda made: LoadShedding(made.app, "/hot", limit) if request.param == "shedding" else None) as made:
        yield made


def _post(*lines: bytes, body: bytes) -> bytes:
    head = [b"POST /hot HTTP/1.1", b"Host: gateway", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.mark.parametrize("offer", _OFFERS)
def test_a_request_that_offers_an_upgrade_keeps_its_body(service: _Service, offer: tuple[bytes, ...]) -> None:
    """Without its body, a capture of a part would capture everything."""
    got = service.answer(_post(*offer, body=b'{"amount_minor": 5}'), until=b"bytes")
    assert got.startswith(b"HTTP/1.1 200")
    assert service.asked == [("POST", "/hot", b'{"amount_minor": 5}')]


@pytest.mark.parametrize("offer", _OFFERS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_offer_that_arrives_in_pieces_is_ignored_as_well(
    service: _Service, offer: tuple[bytes, ...], size: int
) -> None:
    request = _post(*offer, body=b"0123456789")
    service.answer(*[request[at : at + size] for at in range(0, len(request), size)], until=b"bytes")
    assert service.asked == [("POST", "/hot", b"0123456789")]


def test_the_body_of_a_request_that_offers_an_upgrade_is_never_a_request(service: _Service) -> None:
    smuggled = b"GET /banks HTTP/1.1\r\nHost: x\r\n\r\n"
    request = _post(*_H2C, body=smuggled)
    head = request.removesuffix(smuggled)
    got = service.answer(head, smuggled, until=b"bytes")
    assert got.count(b"HTTP/1.1 ") == 1
    assert service.asked == [("POST", "/hot", smuggled)]


def test_requests_before_and_after_an_offer_are_answered_in_their_order(service: _Service) -> None:
    chunked = b"POST /hot HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + b"\r\n".join(_H2C)
    chunked += b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n\r\n"
    got = service.answer(_post(body=b"1") + chunked + _post(*_H2C, body=b"") + last, until=b"no such end")
    assert got.count(b"HTTP/1.1 200") == 4
    assert [body for _, _, body in service.asked] == [b"1", b"abc", b"", b""]
    assert service.asked[-1][1] == "/last"


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n" + b"\r\n".join(_H2C) + b"\r\n\r\n",
        b"CONNECT gateway:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS at a plain port
    ],
)
def test_what_is_no_http_is_refused_by_a_problem_document(service: _Service, request_: bytes) -> None:
    head, _, body = service.answer(request_, until=b"no such end").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "urn:standing:problem:http-bad-request"
    assert service.asked == []


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"GET /", b"a"),
        (b"GET /hot HTTP/1.1\r\nHost: x\r\nA: ", b"a"),
        (b"GET /hot HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
        (b"", b"\r\n"),
    ],
    ids=["address", "one header", "many headers", "empty lines"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(service: _Service, begun: bytes, more: bytes) -> None:
    endless = more * (MAX_HEAD_BYTES // len(more) + 1)
    _is_too_large(service.answer(begun, endless, until=b"no such end"))
    assert service.asked == []


@pytest.mark.parametrize(("begun", "more"), [(b"0\r\n", b"a: b\r\n"), (b"1;", b"a")], ids=["trailers", "extension"])
def test_trailers_and_extensions_without_end_are_refused_before_they_fill_the_memory(
    service: _Service, begun: bytes, more: bytes
) -> None:
    head = b"POST /hot HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100")  # the head is read
        connection.sendall(begun + more * (MAX_HEAD_BYTES // len(more) + 1))
        _is_too_large(connection.recv(65_536))
    assert service.asked == []


def _is_too_large(got: bytes) -> None:
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431")
    assert json.loads(body)["type"] == "urn:standing:problem:headers-too-large"


def test_a_long_head_and_many_requests_on_one_connection_are_served(service: _Service) -> None:
    long = b"A: " + b"a" * (MAX_HEAD_BYTES - 200)
    got = service.answer(*[_post(long, body=b"1")] * 3, _post(b"Connection: close", body=b"2"), until=b"no such end")
    assert got.count(b"HTTP/1.1 200") == 4
    assert [body for _, _, body in service.asked] == [b"1", b"1", b"1", b"2"]


def test_connections_beyond_the_bound_are_closed_and_leave_the_process_its_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "max_connections", lambda: 2)
    request = b"GET /hot HTTP/1.1\r\nHost: x\r\n\r\n"
    with _serving(lambda _made: None) as service:
        with service.connect() as first, service.connect():
            first.sendall(request)
            assert first.recv(65_536).startswith(b"HTTP/1.1 200")
            with service.connect() as third:
                assert _ends(third)
            first.sendall(request)
            assert first.recv(65_536).startswith(b"HTTP/1.1 200")
        wait_until(lambda: _is_served(service, request))


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /hot HTTP/1.1\r\nHost: x", _post(body=b"1234")[:-1]])
def test_a_connection_whose_request_does_not_arrive_in_time_is_closed(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(serve, "_KEEP_ALIVE_S", 0.2)
    monkeypatch.setattr(http_protocol, "_ARRIVAL_S", 0.2)
    with _serving(lambda _made: None) as service, service.connect() as connection:
        connection.sendall(begun)
        assert _ends(connection)
        assert service.asked == []


def test_when_the_time_of_blank_lines_behind_a_request_is_up_its_answer_is_not_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections: list[PlainHttpProtocol] = []
    began = PlainHttpProtocol.connection_made

    def noted(self: PlainHttpProtocol, transport: asyncio.Transport) -> None:
        connections.append(self)
        began(self, transport)

    class Slow(_Service):
        async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                connections[-1]._end_of_patience()
                await super().app(scope, receive, send)

    monkeypatch.setattr(PlainHttpProtocol, "connection_made", noted)
    slow = Slow()
    with served(slow.app) as slow.url:
        got = slow.answer(_post(body=b"1234") + b"\r\n", until=b"4 bytes")
    assert got.endswith(b"4 bytes")


def _ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(65_536) == b""
    except ConnectionResetError:
        return True


def _is_served(service: _Service, request: bytes) -> bool:
    with service.connect() as connection, suppress(ConnectionError):
        connection.sendall(request)
        return connection.recv(65_536).startswith(b"HTTP/1.1 200")
    return False
