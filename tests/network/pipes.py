"""The links between nodes: TCP pipes that can be cut, healed, slowed and made lossy.

A cut link carries nothing and closes nothing, like an unplugged cable: bytes wait, and continue when it heals. On a
lossy line TCP waits for a retransmission, so a loss is modelled as a pause of `_RESEND_S` in that direction. This
needs neither root nor network namespaces.
"""

import asyncio
import random
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

_LOOPBACK = "127.0.0.1"
_CHUNK = 64 * 1024
_RESEND_S = 0.2  # the shortest retransmission timeout of Linux
_MOST_WAITING = 256  # chunks in flight in one direction

_T = TypeVar("_T")


@dataclass(slots=True)
class Weather:
    """The quality of a link: `delay_ms` one way, and `loss_per_mille` of the chunks are sent twice."""

    delay_ms: int = 0
    loss_per_mille: int = 0


class Pipe:
    """One link: listens on `port` of loopback, and connects each client to `target_port`."""

    def __init__(self, lines: "Pipes", target_port: int) -> None:
        self._lines = lines
        self._target_port = target_port
        self._carries = asyncio.Event()
        self._carries.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.weather = Weather()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Carry nothing until `heal`."""
        self._lines.call(self._carries.clear)

    def heal(self) -> None:
        self._lines.call(self._carries.set)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carries.wait()
            far, forth = await asyncio.open_connection(_LOOPBACK, self._target_port)
        except OSError:  # the node behind is down, and the client notices
            back.close()
            self._tasks.discard(task)
            return
        except asyncio.CancelledError:
            back.close()
            raise
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._one_way(near, forth))
                both.create_task(self._one_way(far, back))
        except* (OSError, _Ended):
            pass  # one end has closed, so both are
        finally:
            for writer in (forth, back):
                writer.close()
            self._tasks.discard(task)

    async def _one_way(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry one direction; the delay shifts each chunk and does not reduce the bandwidth."""
        loop = asyncio.get_running_loop()
        in_flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_WAITING)

        async def take() -> None:
            while chunk := await source.read(_CHUNK):
                lost = random.randrange(1000) < self.weather.loss_per_mille
                due_s = loop.time() + self.weather.delay_ms / 1000 + (_RESEND_S if lost else 0)
                await in_flight.put((due_s, chunk))
            raise _Ended

        async def give() -> None:
            while True:
                due_s, chunk = await in_flight.get()
                await asyncio.sleep(due_s - loop.time())
                await self._carries.wait()
                sink.write(chunk)
                await sink.drain()

        async with asyncio.TaskGroup() as both:
            both.create_task(take())
            both.create_task(give())


class _Ended(Exception):
    """One end has closed its connection."""


class Pipes:
    """All links, in an event loop of their own. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pipes")
        self._all: list[Pipe] = []

    def __enter__(self) -> "Pipes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._all:
            self._wait(pipe.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, target_port: int) -> Pipe:
        """A new link to a port of this machine."""
        pipe = Pipe(self, target_port)
        self._wait(pipe.open())
        self._all.append(pipe)
        return pipe

    def call(self, what: Any) -> None:
        """Call `what` in the links' loop, and wait for it."""
        done: Future[None] = Future()

        def now() -> None:
            what()
            done.set_result(None)

        self._loop.call_soon_threadsafe(now)
        done.result()

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class PipedHosts:
    """All hosts on one, with a pipe for each link: `tests.network.hosts.Hosts`. A context manager."""

    why_no_weather: str | None = None

    def __init__(self) -> None:
        self._pipes = Pipes()
        self._links: dict[tuple[int, int], Pipe] = {}

    def __enter__(self) -> "PipedHosts":
        self._pipes.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._pipes.__exit__(*error)

    def address(self, host: int) -> str:
        return _LOOPBACK

    def address_for_peers(self, host: int) -> str:
        return _LOOPBACK

    def peer(self, host: int, other: int, port: int) -> str:
        if (host, other) not in self._links:
            self._links[host, other] = self._pipes.link(port)
        return f"{_LOOPBACK}:{self._links[host, other].port}"

    def inside(self, host: int, command: Sequence[str]) -> list[str]:
        return list(command)

    def cut(self, host: int, other: int) -> None:
        for ends in ((host, other), (other, host)):
            if ends in self._links:
                self._links[ends].cut()

    def heal(self) -> None:
        for pipe in self._links.values():
            pipe.heal()
            pipe.weather = Weather()

    def worsen(self, *, delay_ms: int, loss_per_mille: int) -> None:
        for pipe in self._links.values():
            pipe.weather = Weather(delay_ms, loss_per_mille)
