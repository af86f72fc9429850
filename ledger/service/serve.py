"""Serves an ASGI app by uvicorn, in the foreground or, for tests and simulations, in a thread."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_START_TIMEOUT_S = 30.0
# Longer than load balancers keep an idle connection, usually 60 s. The server must not close first, or a request on its
# way is lost.
_KEEP_ALIVE_S = 75


def serve(app: Any, host: str, port: int) -> None:
    """Serve until a signal ends the process."""
    # What start-up made stays until the end. Without this the garbage collector walks all of it now and then, and every
    # request waits meanwhile, for a tenth of a second or two.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Serve `app` on a loopback port (a free one by default) in a thread. Yields: its URL.

    Raises: RuntimeError where it does not start.
    """
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        interface="asgi3",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
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
