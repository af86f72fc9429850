"""A port is bound before anything else starts, and a failure to bind is reported in one line."""

import socket

import pytest

from standing.ledger.service.serve import listener
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
