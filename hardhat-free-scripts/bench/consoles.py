"""Open consoles: signed-in users with the live page of the banks open, and one who opens accounts."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx

from bench.figures import Figure

_PATIENCE_S = 60.0
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@contextmanager
def signed_in(url: str, key: str) -> Iterator[httpx.Client]:
    """A browser without scripts, in a session of its own. Raises: RuntimeError if the key is refused."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=_PATIENCE_S) as browser:
        token = _CSRF.search(browser.get("/console").text)
        if token is None or browser.post("/console/sign-in", data={"csrf": token[1], "key": key}).status_code != 200:
            raise RuntimeError("the console lets nobody in")
        yield browser


@contextmanager
def open_consoles(url: str, key: str, count: int) -> Iterator[None]:
    """Keep the banks' live page open for `count` users. Each has received an update by the time this yields."""
    with ExitStack() as stack:
        over, updated = threading.Event(), threading.Barrier(count + 1)

        def watch(browser: httpx.Client) -> None:
            with browser.stream("GET", "/console/banks/stream") as stream:
                lines = (line for line in stream.iter_lines() if line.startswith("data:"))
                next(lines)
                updated.wait(_PATIENCE_S)
                for _ in lines:
                    if over.is_set():
                        return

        threads = []
        for _ in range(count):
            browser = stack.enter_context(signed_in(url, key))
            threads.append(threading.Thread(target=watch, args=(browser,), daemon=True))
        for thread in threads:
            thread.start()
        updated.wait(_PATIENCE_S)
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(_PATIENCE_S)


def look_at_accounts(url: str, key: str, bindings: Sequence[str], figure: Figure) -> None:
    """Open each account's page in turn, and record how long the whole page takes. Raises: RuntimeError."""
    with signed_in(url, key) as browser:
        browser.get(f"/console/accounts/{bindings[0]}")  # the templates are read once
        began_s = time.perf_counter()
        for binding in bindings:
            asked_s = time.perf_counter()
            answer = browser.get(f"/console/accounts/{binding}")
            figure.latencies_ms.append((time.perf_counter() - asked_s) * 1_000)
            if answer.status_code != httpx.codes.OK or binding not in answer.text:
                raise RuntimeError(f"the page of an account: HTTP {answer.status_code}")
        figure.rates.append(len(bindings) / (time.perf_counter() - began_s))
