"""A port is bound before anything else starts, and a failure to bind is reported in one line. A service that is stopped
waits for no client."""

import socket
import threading
from urllib.parse import urlsplit

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from standing.ledger.service import http_protocol
from standing.ledger.service.serve import listener, served
from standing.ledger.service.settings import SettingsError


def test_a_port_in_use_is_reported_by_number() -> None:
    with listener("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(SettingsError, match=f"listen_port: {port} on 127.0.0.1 is in use"):
            listener("127.0.0.1", port)
    listener("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_of_another_machine_is_reported(host: str) -> None:
    with pytest.raises(SettingsError, match="listen_host"):
        listener(host, 0)


def test_no_request_is_answered_before_the_service_is_ready() -> None:
    with listener("127.0.0.1", 0) as taken, socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(taken.getsockname())


_UNFINISHED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1"
_WHOLE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [(_UNFINISHED, "disconnected"), (_WHOLE, "answered")],
    ids=["sends no end", "reads nothing"],
)
def test_a_service_that_is_stopped_hangs_up_on_a_client_that_makes_it_wait(
    request_: bytes, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HANG_UP_AFTER_S", 0.1)
    arrived, ends = threading.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        arrived.set()
        try:
            await Request(scope, receive).body()
            await PlainTextResponse(b"more than the buffers hold" * 2**20)(scope, receive, send)
            ends.append("answered")
        except ClientDisconnect:
            ends.append("disconnected")

    with socket.socket() as client:
        with served(app) as url:
            client.connect(("127.0.0.1", urlsplit(url).port))
            client.sendall(request_)
            assert arrived.wait(30)
        assert ends == [expected]  # and was not cancelled, which would be logged as a fault of the service
