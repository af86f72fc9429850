"""Wakes whatever waits in an event loop for something new, from any thread."""

import asyncio


class Wakeups:
    """`wake` may be called from any thread; `wait` belongs to the loop that `open` was called in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def open(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Wake nobody any more."""
        self._loop = None

    def wake(self) -> None:
        """Wake every waiter."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        waiting, self._event = self._event, asyncio.Event()
        waiting.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next `wake`, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
