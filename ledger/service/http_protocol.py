"""uvicorn's HTTP protocol without upgrades: a request that offers one is handled as if it did not.

Any request may offer an upgrade (`curl --http2` and Java's HttpClient offer h2c at http:// addresses), and a server may
ignore the offer (RFC 9110, section 7.8). httptools does not: after an offer it expects another protocol, so the request
would have no body, and the body would be read as the next request. Such a request is therefore parsed a second time,
without its offer.

Connections are bounded, and so is the time that a request may take to arrive. Idle ones, which need no key, would
otherwise take all descriptors of the process, which needs some for its database and its ledger nodes.

Anything that is not HTTP is refused here as well, with a problem document like every other error, and so is a head that
has no end: httptools keeps all of it, and a megabyte of short headers takes twenty in memory.
"""

import asyncio

from fastapi_problem.error import Problem
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from standing.ledger.service.open_files import max_connections
from standing.ledger.service.problems import problem_response

_OFFER = frozenset({b"upgrade", b"http2-settings"})
#: The most bytes of a request's head, of its trailers, and between two pieces of its body. A head that arrives in one
#: piece may have more: it is in memory already.
MAX_HEAD_BYTES = 64 * 1024

#: How long a request may take to arrive, its body included.
_ARRIVAL_S = 120


def _refusal(status: int, title: str, kind: str, detail: str) -> tuple[int, Response]:
    # In English: headers that cannot be trusted state no language.
    return status, problem_response(Problem(title=title, type_=kind, status=status, detail=detail), "en")


_NO_HTTP = _refusal(400, "Bad Request", "http-bad-request", "The request is not valid HTTP/1.1.")
_HEAD_TOO_LARGE = _refusal(
    431,
    "The request's headers are too large",
    "headers-too-large",
    f"The request's first line and headers have more than {MAX_HEAD_BYTES} bytes.",
)
#: How long a connection may go on once the service is stopping.
HANG_UP_AFTER_S = 10


class PlainHttpProtocol(HttpToolsProtocol):
    """One connection of a client."""

    #: How many bytes have come since the last whole head or piece of a body.
    _unread = 0
    #: Whether a request has started to arrive and is not complete.
    _is_arriving = False
    #: Closes the connection if the request that has begun does not arrive in time.
    _arrival: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        if len(self.connections) > max_connections():
            transport.abort()
            return
        # As after an answer; until the first request, uvicorn itself would wait for ever.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End the connection after the request in progress, and after a while in any case: a client that neither
        finishes its request nor reads its response would keep the service from ending."""
        super().shutdown()
        self.loop.call_later(HANG_UP_AFTER_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._ignore_offer(data[offer.args[0] :])
        except HttpParserError:
            self.send_400_response("")
        else:
            if self._unread > MAX_HEAD_BYTES:
                self._refuse_by(*_HEAD_TOO_LARGE)
            elif (self._is_arriving or self._unread) and self._arrival is None:
                self._arrival = self.loop.call_later(_ARRIVAL_S, self._end_of_patience)

    def on_message_begin(self) -> None:
        self._is_arriving = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._arrived()
        super().on_message_complete()

    def _end_of_patience(self) -> None:
        # Blank lines after a request are no reason to break off its answer.
        if self._is_arriving or self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _arrived(self) -> None:
        self._is_arriving, self._unread = False, 0
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def on_headers_complete(self) -> None:
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def _should_upgrade(self) -> bool:
        # uvicorn starts no request that it is about to hand over; `_ignore_offer` starts it.
        return True

    def _ignore_offer(self, rest: bytes) -> None:
        """Parse the request whose head was just read again, without its offer, and then `rest`."""
        if self.scope["method"] == "CONNECT":  # asks for a tunnel and has no other meaning
            self.send_400_response("")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, version)]
        for name, value in self.headers:
            kept = _without_offer(value) if name == b"connection" else value
            if name not in _OFFER and kept:
                lines.append(name + b": " + kept)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's message does not help a caller
        self._refuse_by(*_NO_HTTP)

    def _refuse_by(self, status: int, answer: Response) -> None:
        """Answer what is no request that can be handled, and close the connection."""
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", answer.body]))
        self.transport.close()


def _without_offer(connection: bytes) -> bytes:
    """The options of a `Connection` header other than those of an offer."""
    return b", ".join(each for each in map(bytes.strip, connection.split(b",")) if each.lower() not in _OFFER)
