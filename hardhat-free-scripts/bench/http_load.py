"""A small HTTP load generator: many keep-alive connections, prepared requests, parsing only what is needed.

General clients spend more on a request than the measured server does; this one must not be the limit.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: How long an answer may take: far longer than any bound of the measured services.
_PATIENCE_S = 60.0


@dataclass
class Load:
    """The result of a load: answers by HTTP status, the latency of each in milliseconds, and the total duration."""

    statuses: dict[int, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_ms) / self.seconds


@dataclass(frozen=True)
class Answer:
    """One complete answer; its head in lower case."""

    request: bytes
    status: int
    head: bytes
    body: bytes
    latency_ms: float


def request(url: str, key: str, body: bytes) -> bytes:
    """The bytes of a POST with a JSON body."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def drive(
    url: str,
    make: Callable[[], bytes | None],
    *,
    connections: int,
    for_s: float,
    per_second: float | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> Load:
    """Send requests over `connections` for a while, or until `make` has no more: as fast as answers come, or
    `per_second` in all.

    Raises: TimeoutError where answers are still missing `_PATIENCE_S` after the end, so that no section waits for ever;
    asyncio.IncompleteReadError where the server closes a connection.
    """
    parts = urlsplit(url)
    load = Load()
    # Before the clock starts: a server needs a while to accept a thousand connections.
    doors = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(connections)]
    started = time.perf_counter()
    ends_at = started + for_s
    turn = 0

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while time.perf_counter() < ends_at:
            due = time.perf_counter()
            if per_second is not None:
                # Latency counts from when the request was due, so that a slow answer also delays those behind it.
                due, turn = started + turn / per_second, turn + 1
                if due > ends_at:
                    break
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if (asked := make()) is None:
                break
            writer.write(asked)
            status, length, head = await _head(reader)
            body = await reader.readexactly(length)
            latency_ms = (time.perf_counter() - due) * 1000
            load.latencies_ms.append(latency_ms)
            load.statuses[status] = load.statuses.get(status, 0) + 1
            if on_answer is not None:
                on_answer(Answer(asked, status, head, body, latency_ms))
        writer.close()

    async with asyncio.timeout(for_s + _PATIENCE_S):
        await asyncio.gather(*(work(reader, writer) for reader, writer in doors))
    load.seconds = time.perf_counter() - started
    return load


async def _head(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Status, Content-Length and all of an answer's head."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    at = head.index(b"content-length:") + 15
    return int(head[9:12]), int(head[at : head.index(b"\r\n", at)]), head
