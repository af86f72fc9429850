"""Load shedding before a request is parsed: the answers are the same, and connections stay usable."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from standing.ledger.service.request_limits import LoadShedding
from standing.ledger.service.serve import served
from standing.ledger.service.shedding import is_plain_and_whole
from tests.world import wait_until

_LINE = b"POST /hot HTTP/1.1\r\n"
_BODY = b'{"amount": 1}'


def _request(*lines: bytes, body: bytes = _BODY, first: bytes = _LINE) -> bytes:
    return first + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


_PLAIN = _request(b"Host: gateway", b"Content-Length: 13", b"Content-Type: application/json")


@dataclass
class _Service:
    """An app with capacity for one request at a time; a request with the body `wait` blocks until released."""

    url: str = ""
    refused: int = 0
    asked: list[bytes] = field(default_factory=list)
    inside: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        self.asked.append(body)
        if body == b"wait":
            self.inside.set()
            await asyncio.to_thread(self.let_go.wait, 60)
        await PlainTextResponse(b"done " + body)(scope, receive, send)

    def refuse(self) -> None:
        self.refused += 1


class _Connection:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """The next answer: status line, headers except the date, body. Its length must match the header."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        length = int(headers[b"content-length"])
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        assert headers.pop(b"date")
        return status, headers, body

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, "the connection was closed"
        self._rest += data


@pytest.fixture
def service() -> Iterator[_Service]:
    made = _Service()
    load = LoadShedding(made.app, path="/hot", limit=1, on_refusal=made.refuse)
    with served(load, load=load) as made.url:
        yield made
        made.let_go.set()


@contextmanager
def _full(service: _Service) -> Iterator[_Connection]:
    """While the one place is occupied. Yields: another connection."""
    occupied = _Connection(service.url)
    occupied.send(_request(b"Content-Length: 4", body=b"wait"))
    assert service.inside.wait(60)
    connection = _Connection(service.url)
    try:
        yield connection
    finally:
        service.let_go.set()
        assert occupied.answer()[2] == b"done wait"
        with suppress(OSError):
            connection.socket.close()
            occupied.socket.close()


def test_a_plain_request_is_refused_with_the_same_bytes_as_the_app_sends(service: _Service) -> None:
    with _full(service) as connection:
        connection.send(_PLAIN)
        early = connection.answer()
        # This one is refused by the app itself, since it asks for a language.
        connection.send(_request(b"Accept-Language: en", b"Content-Length: 13"))
        assert connection.answer() == early
        status, headers, body = early
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert headers[b"retry-after"] == b"1"
        assert b"urn:standing:problem:overloaded" in body
        assert service.refused == 2
        assert service.asked == [b"wait"]


def test_the_connection_serves_again_once_there_is_capacity(service: _Service) -> None:
    with _full(service) as connection:
        for _ in range(20):
            connection.send(_PLAIN)
            assert connection.answer()[0].startswith(b"HTTP/1.1 503")
        service.let_go.set()

        def accepted() -> bool:
            connection.send(_PLAIN)
            return connection.answer()[2] == b"done " + _BODY

        wait_until(accepted)


def test_other_requests_are_answered_while_hot_ones_are_refused(service: _Service) -> None:
    with _full(service) as connection:
        connection.send(_request(b"Content-Length: 13", first=b"POST /elsewhere HTTP/1.1\r\n"))
        assert connection.answer()[2] == b"done " + _BODY
        assert service.refused == 0


def test_a_request_inside_the_head_of_another_is_no_request(service: _Service) -> None:
    elsewhere = _request(b"Content-Length: 13", first=b"POST /elsewhere HTTP/1.1\r\n")
    with _full(service) as connection:
        connection.send(elsewhere + b"POST /elsewhere HTTP/1.1\r\nX-Note: ")
        assert connection.answer()[2] == b"done " + _BODY  # so the head that follows has begun to arrive
        connection.send(_PLAIN)
        assert connection.answer()[2] == b"done " + _BODY
        assert service.refused == 0


def test_every_request_gets_one_answer_however_its_bytes_are_split(service: _Service) -> None:
    """Whole, split and pipelined requests: the answers match the requests in number and order."""
    dice = random.Random(21)
    elsewhere = _request(b"Content-Length: 13", first=b"POST /elsewhere HTTP/1.1\r\n")
    inside = _request(b"Content-Length: %d" % len(_PLAIN), body=_PLAIN)  # a request inside another one's body
    with _full(service) as connection:
        for _ in range(60):
            sent = [dice.choice([_PLAIN, elsewhere, inside]) for _ in range(dice.randint(1, 4))]
            stream = b"".join(sent)
            cuts = sorted(dice.sample(range(1, len(stream)), dice.randint(0, 3)))
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                connection.send(stream[start:end])
            for request in sent:
                status, _, body = connection.answer()
                if request is elsewhere:
                    assert body == b"done " + _BODY
                else:
                    assert status.startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    "data",
    [
        _PLAIN[:-1],
        _PLAIN + b"P",
        _PLAIN + _PLAIN,
        _request(b"Content-Length: 13", b"Content-Length: 13"),
        _request(b"Content-Length: 13", b"Transfer-Encoding: chunked"),
        _request(b"Content-Length : 13"),
        _request(b"Content-Length: +13"),
        _request(b"Content-Length: 1_3"),
        _request(b"Content-Length: 13, 13"),
        _request(b"Content-Length:\t13"),
        _request(b"X: y\nContent-Length: 13"),
        _request(b"X: y\rContent-Length: 13"),
        _request(b"Content-Length: 13", b"X: y\nTransfer-Encoding: chunked"),
        _request(b"Content-Length: 13", b"X: y\rTransfer-Encoding: chunked"),
        _LINE + b"Content-Length: 46\r\nX: no end",
        _request(b"X: y", b" folded", b"Content-Length: 13"),
        _request(b"X: \0", b"Content-Length: 13"),
        _request(b"Connection: close", b"Content-Length: 13"),
        _request(b"Expect: 100-continue", b"Content-Length: 13"),
        _request(b"Accept-Language: zh", b"Content-Length: 13"),
        _request(b"Host: gateway"),
        _request(b"Content-Length: 13", first=b"POST /hot?x HTTP/1.1\r\n"),
        _request(b"Content-Length: 13", first=b"POST /hot HTTP/1.0\r\n"),
        _request(b"Content-Length: 13", first=b"POST /hotter HTTP/1.1\r\n"),
        b"",
    ],
)
def test_ambiguous_requests_are_left_to_the_parser(data: bytes) -> None:
    assert is_plain_and_whole(_PLAIN, _LINE)
    assert not is_plain_and_whole(data, _LINE)


@contextmanager
def _connected(service: _Service, count: int) -> Iterator[list[_Connection]]:
    connections = [_Connection(service.url) for _ in range(count)]
    try:
        yield connections
    finally:
        for each in connections:
            each.socket.close()


def test_requests_whose_bodies_never_end_occupy_no_place(service: _Service) -> None:
    """They need no key: a few would keep every decision out."""
    with _connected(service, 3) as (silent, slow, whole):
        silent.send(_request(b"Content-Length: 4", body=b""))
        slow.send(_request(b"Content-Length: 4", body=b"don"))
        whole.send(_PLAIN)
        assert whole.answer()[0] == b"HTTP/1.1 200 OK"
        slow.send(b"e")
        assert slow.answer()[2] == b"done done"
        assert service.refused == 0


def test_a_request_that_arrives_in_pieces_occupies_its_place_like_another(service: _Service) -> None:
    with _connected(service, 2) as (pieces, whole):
        pieces.send(_request(b"Content-Length: 4", body=b"wa"))
        pieces.send(b"it")
        assert service.inside.wait(60)
        whole.send(_PLAIN)
        assert whole.answer()[0] == b"HTTP/1.1 503 Service Unavailable"
        service.let_go.set()
        assert pieces.answer()[2] == b"done wait"
        whole.send(_PLAIN)
        assert whole.answer()[0] == b"HTTP/1.1 200 OK"
