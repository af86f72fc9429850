"""Wakes waiting tasks of an event loop from any thread."""

import asyncio


class Wakeups:
    """Any thread may call `wake`; `wait` belongs to the loop in which `open` was called."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def open(self) -> None:
        """Attach to the running loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Detach from the loop; later wakes have no effect."""
        self._loop = None

    def wake(self) -> None:
        """Wake every waiter."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        waiting, self._event = self._event, asyncio.Event()
        waiting.set()

    @property
    def next(self) -> asyncio.Event:
        """The next wake. Take it before you look for work, and none is missed between the look and the wait."""
        return self._event

    async def wait(self, timeout_s: float, wake: asyncio.Event | None = None) -> None:
        """Return at `wake`, by default the next one, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await (wake or self._event).wait()
        except TimeoutError:
            return
