"""The updates of open banks pages: computed once for all of them, while at least one is open."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress

from standing.gateway.operations.service import BankState
from standing.ledger.errors import Overloaded, Unavailable

#: How often open pages are updated.
EVERY_S = 2.0
MAX_WATCHING = 50


class Pulse:
    """One read of the ledger and one of the sessions per `EVERY_S`, and one text, for any number of open pages.

    Belongs to one event loop.
    """

    def __init__(
        self,
        states: Callable[[], Awaitable[list[BankState] | None]],
        open_ones: Callable[[Collection[str]], Awaitable[set[str]]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`states`: of the banks, None if the ledger cannot be read. `open_ones`: which of the given tokens have
        an open session; raises Unavailable."""
        self._states = states
        self._open_ones = open_ones
        self._sleep = sleep
        self._watching: dict[object, str] = {}
        self._open: set[str] = set()
        self._text = ""
        self._round: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    def check_room(self) -> None:
        """Raises: Overloaded if the maximum number of pages is open."""
        if len(self._watching) >= MAX_WATCHING:
            raise Overloaded(f"{MAX_WATCHING} pages of the banks are open already", 5)

    async def texts(self, token: str) -> AsyncGenerator[str, None]:
        """The updates of one page, until its session ends. Watching does not keep a session open.

        Raises: Unavailable if the session cannot be checked.
        """
        watcher = object()
        self._watching[watcher] = token
        try:
            while True:
                if not await self._next_round():
                    raise Unavailable("the sessions cannot be read", 1)
                if token not in self._open:
                    return
                yield self._text
        finally:
            del self._watching[watcher]
            if not self._watching and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _next_round(self) -> bool:
        """Wait for the next round. Returns: whether the sessions could be read."""
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._beat())
        return await asyncio.shield(self._round)

    async def _beat(self) -> None:
        while True:
            states = await self._states()
            text = json.dumps(
                {
                    each.bank.bic: {"watermark_ms": each.watermark_ms, "staleness_ms": each.staleness_ms}
                    for each in states or ()
                }
            )
            sessions_read = False
            with suppress(Unavailable):  # passed to every page, which then ends
                self._open = await self._open_ones(set(self._watching.values()))
                sessions_read = True
            self._text = text
            finished, self._round = self._round, None
            if finished is not None:
                finished.set_result(sessions_read)
            await self._sleep(EVERY_S)
