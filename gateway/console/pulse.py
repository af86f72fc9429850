"""The updates of open banks pages: computed once for all of them, while at least one is open."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

from standing.gateway.operations.service import BankStatus
from standing.ledger.errors import Overloaded

#: How often open pages are updated.
EVERY_S = 2.0
MAX_WATCHING = 50


class Pulse:
    """One read of the ledger and one of the sessions per `EVERY_S`, and one text, for any number of open pages.

    Belongs to one event loop.
    """

    def __init__(
        self,
        states: Callable[[], Awaitable[list[BankStatus] | None]],
        open_ones: Callable[[Collection[str]], Awaitable[set[str]]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`states`: of the banks, None if the ledger cannot be read. `open_ones`: which of the given tokens have
        an open session; raises Unavailable."""
        self._states = states
        self._open_ones = open_ones
        self._sleep = sleep
        self._watching: dict[object, str] = {}
        self._ended: set[str] = set()  # of the sessions that the last round asked about
        self._text = ""
        self._round: asyncio.Future[None] | None = None
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
                await self._next_round()
                if token in self._ended:
                    return
                yield self._text
        finally:
            del self._watching[watcher]
            if not self._watching and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _next_round(self) -> None:
        """Wait for the next round. Raises: whatever ended it."""
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._beat())
            self._task.add_done_callback(self._end)
        await asyncio.shield(self._round)

    def _end(self, task: asyncio.Task[None]) -> None:
        """Pass an error to every open page, which would otherwise wait for ever. The next page starts a new task."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._task, waiting, self._round = None, self._round, None
            if waiting is not None:
                waiting.set_exception(error)

    async def _beat(self) -> None:
        while True:
            states = await self._states()
            text = json.dumps(
                {
                    each.bank.bic: {
                        "staleness_ms": each.staleness_ms,
                        "suspended": each.suspended,
                        "within_widest_bound": each.within_widest_bound,
                    }
                    for each in states or ()
                }
            )
            asked = set(self._watching.values())
            # A page that opens while this is read was let in just now: it is asked about in the next round.
            self._ended = asked - await self._open_ones(asked)
            self._text = text
            finished, self._round = self._round, None
            if finished is not None:
                finished.set_result(None)
            await self._sleep(EVERY_S)
