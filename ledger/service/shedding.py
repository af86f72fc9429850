"""Refusals of an overloaded service at the least cost: answered as the bytes come in, before a request is made of them.

An ASGI app's refusal costs a quarter of a decision: each header by itself, a request, a task, two messages. At three
times the load that a service bears, it would lose a third of what it can answer to saying no. So while
`request_limits.LoadShedding` is full, a request that is plain and whole is known by its first line and its length, and
the refusal is written at once, the same bytes that the app would have sent. Every other request takes its usual way.
"""

import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from standing.ledger.service.request_limits import LoadShedding

#: What makes a request more than plain: another framing, what follows the answer, or an answer in another language.
_NOT_PLAIN = re.compile(rb"\r\n(?:transfer-encoding|connection|expect|upgrade|accept-language|[ \t])")
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})(?=\r\n|$)")
_LENGTH_NAMED = b"\r\ncontent-length"


def is_plain_and_whole(data: bytes, first_line: bytes) -> bool:
    """Whether `data` is exactly one request with this first line: its head, and a body of the length that it declares.

    Whatever a parser could read in another way is not.
    """
    if not data.startswith(first_line):
        return False
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = data[:end].lower()
    if head.count(_LENGTH_NAMED) != 1 or _NOT_PLAIN.search(head) or b"\0" in head:
        return False
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n"):
        return False
    length = _LENGTH.search(head)
    return length is not None and end + 4 + int(length[1]) == len(data)


def shedding_protocol(load: LoadShedding) -> type[HttpToolsProtocol]:
    """uvicorn's protocol of a connection, which refuses for `load` what it can."""
    first_line = b"POST " + load.path.encode() + b" HTTP/1.1\r\n"
    refusal = load.refusal
    status = STATUS_LINE[refusal.status_code]
    rest = b"".join([name + b": " + value + b"\r\n" for name, value in refusal.raw_headers]) + b"\r\n" + refusal.body

    class SheddingProtocol(HttpToolsProtocol):
        #: Whether a request has begun to come in and has not ended.
        _within = False

        def on_message_begin(self) -> None:
            self._within = True
            super().on_message_begin()

        def on_message_complete(self) -> None:
            self._within = False
            super().on_message_complete()

        def data_received(self, data: bytes) -> None:
            if load.is_full and self._is_idle() and is_plain_and_whole(data, first_line):
                self._refuse()
            else:
                super().data_received(data)

        def _is_idle(self) -> bool:
            """Whether every request before was read to its end and answered, and what was written is on its way."""
            answered = self.cycle is None or self.cycle.response_complete
            return answered and not self._within and not self.flow.write_paused and not self.transport.is_closing()

        def _refuse(self) -> None:
            load.note_refusal()
            self._unset_keepalive_if_required()
            headers = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
            self.transport.write(b"".join([status, *headers, rest]))
            self.server_state.total_requests += 1
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    return SheddingProtocol
