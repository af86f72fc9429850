"""HTTP/1.1 connections to one server, kept alive between requests: POST of a JSON body, and a bounded answer.

Every read of the ledger passes here, where a general client costs several times as much (docs/DECISIONS.md, 58). This
does what JSON-RPC needs: it follows no redirects, refuses compression, keeps no cookies and uses no proxy.
httptools, which parses the gateway's own requests, parses the answers.
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

_PORTS = {"http": 80, "https": 443}
#: The most bytes of an answer beside its body: status line, headers, sizes of chunks.
_MAX_HEAD_BYTES = 64 * 1024
_FIRST_FINAL_STATUS = 200
_STATES_ITS_END = frozenset({b"content-length", b"transfer-encoding"})
#: RFC 8305, section 8: how long one of the host's addresses is tried before the next one is.
_NEXT_ADDRESS_S = 0.25
#: A connection that was idle for longer is not used: firewalls forget idle ones, and then nothing says that it is dead.
_MAX_IDLE_S = 15.0


class Dropped(ConnectionError):
    """The connection was closed before the answer was complete."""


class BadAnswer(Exception):
    """The answer is not HTTP."""


class AnswerTooLong(Exception):
    """The answer has more bytes than the request allows."""


class Answer(NamedTuple):
    """The status and the body of an answer."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time. Its methods named `on_…` are called by the parser."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._max_bytes = self._received = 0
        self._body = bytearray()
        self._in_body = self._until_end = False

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, request: bytes, max_bytes: int) -> Answer:
        """Send a request and wait for its answer. Raises: Dropped, BadAnswer, AnswerTooLong, OSError."""
        if self._transport is None:
            raise Dropped("closed by the server")
        self._max_bytes, self._received = max_bytes, 0
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except BaseException:
            self.abort()  # what still arrives must not become the next request's answer
            raise

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._waiting is None:
            self.abort()  # nothing was asked
        elif self._received > self._max_bytes + _MAX_HEAD_BYTES:
            self._fail(AnswerTooLong())
        else:
            try:
                self._parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                self._fail(BadAnswer(type(error).__name__))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if error is None and self._in_body and self._until_end:
            self._answer()
        else:
            self._fail(error or Dropped("closed by the server"))

    def on_message_begin(self) -> None:
        if self._waiting is None:
            self.abort()  # a second answer to one request
        self._body.clear()
        self._in_body, self._until_end = False, True

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in _STATES_ITS_END:
            self._until_end = False

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_body(self, part: bytes) -> None:
        self._body += part
        if len(self._body) > self._max_bytes:
            self._fail(AnswerTooLong())

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            return  # 100 or 103; the answer follows
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        self._answer()

    def _answer(self) -> None:
        waiting, self._waiting, self._in_body = self._waiting, None, False
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(self._parser.get_status_code(), bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.abort()


class Connections:
    """The connections to the server of an HTTP or HTTPS URL, at most `max_connections`. For one event loop."""

    def __init__(self, url: str, *, max_connections: int) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._head = _head(url)
        self._places = asyncio.Semaphore(max_connections)
        self._idle: list[tuple[_Connection, float]] = []  # each with the time of its last answer
        self._busy: set[_Connection] = set()
        self._closed = False

    async def post(self, body: bytes, max_bytes: int) -> Answer:
        """Post `body`. An answer with a body of more than `max_bytes` is refused.

        A request that the server drops is sent once more, on a new one: it must be one that does no harm twice.

        Raises: Dropped, BadAnswer, AnswerTooLong, OSError (among them TLS errors).
        """
        request = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        async with self._places:
            connection = self._kept() or await self._connect()
            try:
                return await self._post(connection, request, max_bytes)
            except ConnectionError:
                # A kept connection that the server was just closing looks like this.
                return await self._post(await self._connect(), request, max_bytes)

    def close(self) -> None:
        """Close all connections. Requests in flight fail."""
        self._closed = True
        self.end_idle()
        for connection in tuple(self._busy):
            connection.abort()

    def end_idle(self) -> None:
        """Close the connections that wait for a request."""
        for connection, _ in self._idle:
            connection.abort()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        used_after_s = asyncio.get_running_loop().time() - _MAX_IDLE_S
        while self._idle:
            connection, used_s = self._idle.pop()
            if connection.is_usable and used_s > used_after_s:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1)
        name = self._host if self._ssl is not None else None
        try:
            _, connection = await loop.create_connection(
                _Connection, sock=connected, ssl=self._ssl, server_hostname=name
            )
        except BaseException:
            connected.close()
            raise
        return connection

    async def _post(self, connection: _Connection, request: bytes, max_bytes: int) -> Answer:
        if self._closed:
            connection.abort()
            raise Dropped("closed by this side")
        self._busy.add(connection)
        try:
            answer = await connection.post(request, max_bytes)
        except BaseException:
            self.end_idle()  # the others may be as dead as this one, and each would cost a request its time
            raise
        finally:
            self._busy.discard(connection)
        if connection.is_usable:  # not after `close`, nor where the answer announced the connection's end
            self._idle.append((connection, asyncio.get_running_loop().time()))
        return answer


def _head(url: str) -> bytes:
    """A request's first line and headers, up to the value of Content-Length."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {b64encode(credentials.encode()).decode()}")
    # Without Accept-Encoding a proxy may compress as it likes (RFC 9110, section 12.5.3).
    lines += ["Content-Type: application/json", "Accept: application/json", "Accept-Encoding: identity"]
    lines += ["Content-Length: "]
    return "\r\n".join(lines).encode()
