"""A ledger node whose answers never end: a call ends all the same, and the next node is asked."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import BinaryIO

import pytest

from standing.ledger.chain import bounded_answers
from standing.ledger.chain.client import ZERO_ADDRESS, LedgerClient
from standing.ledger.errors import LedgerUnreachable

_TIMEOUT_S = 1.0
_ANSWER = b'{"jsonrpc": "2.0", "id": 0, "result": "0x7"}'


def _request(incoming: BinaryIO) -> bool:
    """Read one request whole, which may arrive in pieces. Returns: False at the connection's end."""
    length = None
    while line := incoming.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length is not None and len(incoming.read(length)) == length


class RawNode:
    """Reads each request, and answers by `say`, which is given the connection."""

    def __init__(self, say: Callable[[socket.socket], None]) -> None:
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
            while _request(incoming):
                self._say(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[socket.socket], None]], RawNode]]:
    started: list[RawNode] = []

    def node(say: Callable[[socket.socket], None]) -> RawNode:
        started.append(RawNode(say))
        return started[-1]

    yield node
    for each in started:
        each.close()


def _whole(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_ANSWER), _ANSWER))


def _chunked(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (_ANSWER[:9], _ANSWER[9:]):
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")


def _drip(head: bytes, more: bytes = b" ") -> Callable[[socket.socket], None]:
    def say(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            time.sleep(_TIMEOUT_S / 4)  # the slowness that is tested
            connection.sendall(more)

    return say


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")


@pytest.mark.parametrize("say", [_whole, _chunked])
def test_answers_of_every_framing_are_read_and_their_connection_is_used_again(
    start: Callable[[Callable[[socket.socket], None]], RawNode], say: Callable[[socket.socket], None]
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
    start: Callable[[Callable[[socket.socket], None]], RawNode],
    say: Callable[[socket.socket], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_answers, "_MAX_ANSWER_BYTES", 1024 * 1024)
    slow, good = start(say), start(_whole)
    with pytest.raises(LedgerUnreachable, match=r"Timeout|AnswerTooLong"):
        LedgerClient(slow.url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number()
    assert LedgerClient([slow.url, good.url], ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number() == 7


def test_an_answer_that_is_cut_off_is_the_nodes_failure(
    start: Callable[[Callable[[socket.socket], None]], RawNode],
) -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(LedgerUnreachable):
        LedgerClient(start(cut).url, ZERO_ADDRESS, timeout_s=_TIMEOUT_S).block_number()
