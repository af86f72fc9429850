"""Refuses requests of an overloaded service at the least cost: while bytes arrive, before a request object exists.

A refusal by an ASGI app costs a quarter of a decision: each header is parsed, and there are a request, a task and
two messages. At three times its capacity a service would spend a third of that capacity on refusals. So while
`request_limits.LoadShedding` is full, a plain and complete request is recognised by its first line and its length,
and the refusal is written at once, with the bytes that the app would have sent. All other requests are handled as
usual.
"""

import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from standing.ledger.service.http_protocol import PlainHttpProtocol
from standing.ledger.service.request_limits import LoadShedding

#: Signs that a request is not plain: another framing, anything that affects the response, or another language.
_NOT_PLAIN = re.compile(rb"\r\n(?:transfer-encoding|connection|expect|upgrade|accept-language|[ \t])")
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})(?=\r\n|$)")
_LENGTH_NAMED = b"\r\ncontent-length"


def is_plain_and_whole(data: bytes, first_line: bytes) -> bool:
    """Whether `data` is exactly one request with this first line: its head, and a body of the declared length.

    False for anything that a parser could read differently.
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


def shedding_protocol(load: LoadShedding) -> type[PlainHttpProtocol]:
    """The services' HTTP protocol, which refuses what it can while `load` is full."""
    first_line = b"POST " + load.path.encode() + b" HTTP/1.1\r\n"
    refusal = load.refusal
    status = STATUS_LINE[refusal.status_code]
    rest = b"".join([name + b": " + value + b"\r\n" for name, value in refusal.raw_headers]) + b"\r\n" + refusal.body

    class SheddingProtocol(PlainHttpProtocol):
        def data_received(self, data: bytes) -> None:
            if load.is_full and self._is_idle() and is_plain_and_whole(data, first_line):
                self._refuse()
            else:
                super().data_received(data)

        def _is_idle(self) -> bool:
            """Whether every earlier request was read completely and answered, and the responses are being sent."""
            answered = self.cycle is None or self.cycle.response_complete
            return answered and not self._is_arriving and not self.flow.write_paused and not self.transport.is_closing()

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
