"""Autoplay: the page shows one scene after another until a visitor takes over."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from demo_day import PATIENCE_S, DayWentWrong
from demo_page.stage import Stage

#: For people: long enough to read two verdicts.
_READ_S = 4.0
_BREATH_S = 1.2


class Play:
    """Plays scenes on a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._task: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()  # several visitors may click at once

    async def begin(self) -> None:
        """Play from the first scene."""
        async with self._one_at_a_time:
            await self._end()
            await self._stage.changed(playing=True)
            self._task = asyncio.create_task(self._again())

    async def end(self) -> None:
        """Stop where it is; the visitor takes over the current state."""
        async with self._one_at_a_time:
            await self._end()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._stage.changed(playing=False, scene="")

    async def _again(self) -> None:
        while True:
            try:
                await self._stage.restore()
                for scene in (self._calm, self._warning, self._freeze, self._limit, self._phone, self._silence):
                    await scene()
            except (DayWentWrong, httpx.HTTPError):
                await asyncio.sleep(_READ_S)  # the stage shows the error

    async def _calm(self) -> None:
        await self._stage.changed(scene="calm")
        await asyncio.sleep(_BREATH_S)
        await self._stage.pay("coffee")
        await asyncio.sleep(_READ_S)

    async def _warning(self) -> None:
        """The limit falls below the usual payment; the warning comes, and then the failure it predicted."""
        stage = self._stage
        await stage.changed(scene="warning-usual")
        await stage.pay("camera")
        await asyncio.sleep(_READ_S)
        await stage.changed(scene="warning")
        previous_ms = stage.warned["warned_at_ms"] if stage.warned is not None else 0
        await stage.act("limit", on=True)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await stage.until(lambda: stage.warned is not None and stage.warned["warned_at_ms"] > previous_ms)
        except TimeoutError:
            pass  # none came, so none is shown
        await asyncio.sleep(_READ_S)
        await stage.pay("camera")
        await asyncio.sleep(_READ_S)
        await stage.act("limit", on=False)
        await asyncio.sleep(_BREATH_S)

    async def _freeze(self) -> None:
        await self._changing("freeze", "headphones")

    async def _limit(self) -> None:
        await self._changing("limit", "camera")

    async def _phone(self) -> None:
        await self._changing("phone", "book")

    async def _silence(self) -> None:
        stage = self._stage

        async def too_old() -> None:
            bound_ms = stage.document()["bound_ms"]
            await stage.until(lambda: (stage.bank_state.get("staleness_ms") or 0) > bound_ms)

        await self._scene("silence", "coffee", too_old)

    async def _changing(self, what: str, item: str) -> None:
        before = self._stage.publication()

        async def on_ledger() -> None:
            await self._stage.until(lambda: self._stage.publication() > before)

        await self._scene(what, item, on_ledger)

    async def _scene(self, what: str, item: str, then: Callable[[], Awaitable[None]]) -> None:
        stage = self._stage
        await stage.changed(scene=what)
        await asyncio.sleep(_BREATH_S)
        await stage.act(what, on=True)
        await then()
        await asyncio.sleep(_BREATH_S)
        await stage.pay(item)
        await asyncio.sleep(_READ_S)
        await stage.act(what, on=False)
        await asyncio.sleep(_BREATH_S)
