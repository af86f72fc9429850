"""Serves an ASGI app by uvicorn, in the foreground or, for tests and simulations, in a thread."""

import errno
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from standing.ledger.service import open_files
from standing.ledger.service.http_protocol import HANG_UP_AFTER_S, PlainHttpProtocol
from standing.ledger.service.memory import settle_memory
from standing.ledger.service.request_limits import LoadShedding
from standing.ledger.service.settings import SettingsError
from standing.ledger.service.shedding import shedding_protocol

_START_TIMEOUT_S = 30.0
#: uvicorn's own exit code.
_START_FAILED = 3
# Longer than load balancers keep an idle connection, usually 60 s. If the server closed first, a request in flight
# would be lost.
_KEEP_ALIVE_S = 75
#: How long requests may go on after a signal. `HANG_UP_AFTER_S` ends those that wait for their clients, long before.
_STOP_S = HANG_UP_AFTER_S + 10
_STOP_IN_THREAD_S = 2


def listener(host: str, port: int) -> socket.socket:
    """Bind the port before anything else starts, so that a port in use is reported at once. Connections wait until
    `serve`.

    Raises: SettingsError, in one line, where the port is in use, or the host is not an address of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except (OSError, UnicodeError) as error:  # UnicodeError: a part of the name is empty or too long
        why = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(f"listen_host: {host} is not known ({why})") from error
    taken = socket.socket(family, kind)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise _not_bound(host, port, error) from error
    return taken


def _not_bound(host: str, port: int, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"listen_port: {port} on {host} is in use, by this service started twice or by another program; "
            "allowed: a free port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingsError(f"listen_host: {host} is not an address of this machine")
    if error.errno == errno.EACCES:
        return SettingsError(f"listen_port: {port} may not be used by this user; allowed: 1024 to 65535")
    return SettingsError(f"listen_host, listen_port: {host}:{port} cannot be used: {error.strerror}")


def serve(app: Any, taken: socket.socket, load: LoadShedding | None = None) -> None:
    """Serve on a port bound by `listener`, until a signal ends the process. Exit code 3 where the start fails.

    `load`: the app's load shedding; plain requests are then refused before the app is called.
    """
    settle_memory()
    open_files.raise_limit()
    server = uvicorn.Server(_config(app, load, _STOP_S))
    server.run(sockets=[taken])
    if not server.started:
        sys.exit(_START_FAILED)


def _config(app: Any, load: LoadShedding | None, stop_s: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PlainHttpProtocol if load is None else shedding_protocol(load),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        interface="asgi3",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=stop_s,
        backlog=open_files.backlog(),
    )


@contextmanager
def served(app: Any, port: int = 0, load: LoadShedding | None = None) -> Iterator[str]:
    """Serve `app` on a loopback port (a free one by default) in a thread. Yields: its URL.

    `load`: as for `serve`. Raises: RuntimeError where it does not start.
    """
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(_config(app, load, _STOP_IN_THREAD_S))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the service did not start")
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
