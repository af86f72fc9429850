"""web3's HTTP provider with a bound on an answer's time and size, which takes no other request's answer.

A timeout of `requests` bounds each read of the socket, so a node, or a proxy before it, that sends a byte now and then
holds a call for as long as it likes. Here the bound is below the parser of HTTP, so it holds for status line, headers,
interim answers (100 Continue) and the frames of chunks as well as for the body.
"""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError
from web3 import HTTPProvider, Web3
from web3.exceptions import BadResponseFormat
from web3.types import RPCEndpoint, RPCResponse

from standing.ledger.chain.request_ids import is_answer_to, request_ids

#: The longest answer that is read: logs of a few thousand blocks take a few MiB.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 256 * 1024


class AnswerTooLong(requests.RequestException):
    """A ledger node's answer is longer than any that is needed."""


class BoundedProvider(HTTPProvider):
    """An HTTPProvider whose answers must begin within `timeout_s` and end within the same time again.

    Thread-safe. Raises: requests.RequestException; BadResponseFormat for an answer to another request.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(url, request_kwargs={"timeout": timeout_s, "stream": True}, exception_retry_configuration=None)
        self._ids = request_ids()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _BoundedAdapter())

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:  # noqa: ARG002 - the provider's own
        with self._session.post(str(self.endpoint_uri), data=request_data, **self.get_request_kwargs()) as answer:
            answer.raise_for_status()
            body = bytearray()
            try:
                # `read1` returns what has arrived; `read` and `iter_content` wait for a whole piece.
                while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
                    body += piece
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise AnswerTooLong(f"more than {_MAX_ANSWER_BYTES} bytes")
            except ReadTimeoutError as error:
                raise requests.ReadTimeout("the answer does not end") from error
            except HTTPError as error:  # urllib3's; requests translates it only in its own ways of reading
                raise requests.ConnectionError(type(error).__name__) from error
            return bytes(body)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The answer to a call."""
        call = self._call(method, params)
        answer = self.decode_rpc_response(self._make_request(method, Web3.to_json(call).encode()))
        self._check([call], [answer])
        return answer

    def make_batch_request(self, batch_requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """The answers to several calls in one request, in the order of the calls, with the same bounds; a single error
        if the node does not accept batches."""
        calls = [self._call(method, params) for method, params in batch_requests]
        written = f"[{','.join(Web3.to_json(call) for call in calls)}]"
        body = self._make_request(RPCEndpoint("batch"), written.encode())
        answers = cast(list[RPCResponse] | RPCResponse, self.decode_rpc_response(body))
        if isinstance(answers, list) and len(answers) == len(calls):
            answers.sort(key=_place)  # a node may change the order
            self._check(calls, answers)
        return answers

    def _call(self, method: RPCEndpoint, params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params or []}

    def _check(self, calls: list[dict[str, Any]], answers: list[RPCResponse]) -> None:
        """Check that the answers belong to these calls. Raises: BadResponseFormat."""
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, dict) and not is_answer_to(call["id"], answer):
                self._session.close()  # its connections: on each, the next answer may be to this call
                raise BadResponseFormat("it is to another request than was sent")


def _place(answer: Any) -> int:
    """An answer's place in its batch."""
    identity = answer.get("id") if isinstance(answer, dict) else None
    return identity if isinstance(identity, int) else 0


class _UntilDeadline(io.RawIOBase):
    """The bytes that arrive at a socket, for at most twice the timeout that the socket has now."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._timeout_s = sock.gettimeout() or 0.0
        self._until_s = time.monotonic() + 2 * self._timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer does not end")
        self._sock.settimeout(min(self._timeout_s, left_s))
        return cast(int | None, self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """An answer that must end by a deadline. Made when the request is sent, with the socket's timeout set."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))


class _BoundedConnection(HTTPConnection):
    response_class = _BoundedResponse


class _BoundedTlsConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _BoundedAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*args, **kwargs))
        pool.ConnectionCls = _BoundedTlsConnection if pool.scheme == "https" else _BoundedConnection
        return pool
