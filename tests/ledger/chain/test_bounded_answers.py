"""A ledger node whose answers never end, or are to another request: a call ends all the same, and the next node is
asked."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, BinaryIO

import pytest
from web3.exceptions import BadResponseFormat
from web3.types import RPCEndpoint

from standing.ledger.chain import bounded_answers
from standing.ledger.chain.client import ZERO_ADDRESS, LedgerClient
from standing.ledger.errors import LedgerUnreachable

_TIMEOUT_S = 1.0


def _answer(asked: bytes) -> bytes:
    return b'{"jsonrpc": "2.0", "id": %d, "result": "0x7"}' % json.loads(asked)["id"]


def _request(incoming: BinaryIO) -> bytes | None:
    """The body of one request, which may arrive in pieces; None at the connection's end."""
    length = None
    while line := incoming.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = incoming.read(length or 0)
    return body if body and len(body) == length else None


Say = Callable[[socket.socket, bytes], None]


class RawNode:
    """Reads each request, and answers by `say`, which is given the connection and the request's body."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError), connection.makefile("rb") as incoming:
            while (asked := _request(incoming)) is not None:
                self._say(connection, asked)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def start() -> Iterator[Callable[[Say], RawNode]]:
    started: list[RawNode] = []

    def node(say: Say) -> RawNode:
        started.append(RawNode(say))
        return started[-1]

    yield node
    for each in started:
        each.close()


def _whole(connection: socket.socket, asked: bytes) -> None:
    _send(connection, _answer(asked))


def _send(connection: socket.socket, answer: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def _chunked(connection: socket.socket, asked: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = _answer(asked)
    for part in (answer[:9], answer[9:]):
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")


def _drip(head: bytes, more: bytes = b" ") -> Say:
    def say(connection: socket.socket, _asked: bytes) -> None:
        connection.sendall(head)
        while True:
            time.sleep(_TIMEOUT_S / 4)  # the slowness that is tested
            connection.sendall(more)

    return say


def _flood(connection: socket.socket, _asked: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")


@pytest.mark.parametrize("say", [_whole, _chunked])
def test_answers_of_every_framing_are_read_and_their_connection_is_used_again(
    start: Callable[[Say], RawNode], say: Say
) -> None:
    node = start(say)
    client = LedgerClient(node.url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S)
    assert [client.block_number() for _ in range(3)] == [7, 7, 7]
    assert node.connections == 1


@pytest.mark.parametrize(
    "say",
    [
        _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"),
        _drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        _drip(b"HTTP/1.1 2"),
        _drip(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: 1\r\n"),
        _drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        _flood,
    ],
    ids=[
        *("by length", "in a chunk", "to the end", "in the status line", "in the headers", "in a chunk's size"),
        *("in the trailers", "interim answers", "without end"),
    ],
)
def test_an_answer_that_does_not_end_is_left_for_the_next_node(
    start: Callable[[Say], RawNode],
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_answers, "_MAX_ANSWER_BYTES", 1024 * 1024)
    slow, good = start(say), start(_whole)
    with pytest.raises(LedgerUnreachable, match=r"Timeout|AnswerTooLong"):
        LedgerClient(slow.url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number()
    assert LedgerClient([slow.url, good.url], ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number() == 7


def test_an_answer_that_is_cut_off_is_the_nodes_failure(
    start: Callable[[Say], RawNode],
) -> None:
    def cut(connection: socket.socket, _asked: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(LedgerUnreachable):
        LedgerClient(start(cut).url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number()


class _Behind:
    """A proxy that once answers a call with what it got for the one before."""

    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}
        self.mixed_up = False

    def say(self, connection: socket.socket, asked: bytes) -> None:
        number = connection.fileno()
        answer = _answer(asked)
        late, self.kept[number] = self.kept.get(number), answer
        _send(connection, late if self.mixed_up and late is not None else answer)


def test_an_answer_to_an_earlier_request_is_not_taken_and_its_connection_is_closed(
    start: Callable[[Say], RawNode],
) -> None:
    proxy = _Behind()
    node = start(proxy.say)
    client = LedgerClient(node.url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S)
    assert client.block_number() == 7
    proxy.mixed_up = True
    with pytest.raises(LedgerUnreachable, match="to another request than was sent"):
        client.block_number()
    assert client.block_number() == 7
    assert node.connections == 2


def test_an_answer_to_an_earlier_request_is_left_for_the_next_nodes(start: Callable[[Say], RawNode]) -> None:
    proxy = _Behind()
    mixed_up, good = start(proxy.say), start(_whole)
    client = LedgerClient([mixed_up.url, good.url], ZERO_ADDRESS, timeout_s=_TIMEOUT_S)
    assert client.block_number() == 7
    proxy.mixed_up = True
    assert client.block_number() == 7
    assert good.connections == 1


def test_answers_of_a_batch_may_change_places_and_must_be_to_its_calls(start: Callable[[Say], RawNode]) -> None:
    added = 0

    def swapped(connection: socket.socket, asked: bytes) -> None:
        calls = json.loads(asked)
        answers = [{"jsonrpc": "2.0", "id": call["id"] + added, "result": call["method"]} for call in calls]
        _send(connection, json.dumps(answers[::-1]).encode())

    provider = bounded_answers.BoundedProvider(start(swapped).url, _TIMEOUT_S)
    calls: list[tuple[RPCEndpoint, Any]] = [(RPCEndpoint("first"), []), (RPCEndpoint("second"), [])]
    answers = provider.make_batch_request(calls)
    assert [answer["result"] for answer in answers] == ["first", "second"]  # type: ignore[index]
    added = 2
    with pytest.raises(BadResponseFormat, match="another request"):
        provider.make_batch_request(calls)


def test_an_error_without_an_id_is_an_answer(start: Callable[[Say], RawNode]) -> None:
    def refuse(connection: socket.socket, _asked: bytes) -> None:
        _send(connection, b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "parse error"}}')

    with pytest.raises(LedgerUnreachable, match="parse error"):
        LedgerClient(start(refuse).url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number()
