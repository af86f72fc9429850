"""Turns of platforms: a platform's requests beyond a few wait for its own, and not before anybody else's.

Requests of the core, of operators and of all platforms share the node's threads and its store's one writer. Without
turns, those of a platform that sends hundreds at once would all be ahead of the core's next freeze.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import Depends

from standing.ledger.service.api_keys import Caller, require
from standing.ledger.service.injection import provided

#: How many requests of one platform are in progress at once. More would wait for the store's writer anyway.
AT_ONCE = 8


class Turns:
    """The turns of all platforms. Belongs to one event loop. Those who wait are bounded by the server's connections."""

    def __init__(self) -> None:
        self._of_platform: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def of(self, platform: str) -> asyncio.Semaphore:
        """The turn of a platform that has a key, to be held during a request."""
        return self._of_platform[platform]


def in_turn(*roles: str) -> Callable[..., AsyncIterator[Caller]]:
    """A FastAPI dependency: as `require`, and a platform's request waits for its turn."""

    async def take(
        caller: Annotated[Caller, Depends(require(*roles))], turns: Annotated[Turns, Depends(provided(Turns))]
    ) -> AsyncIterator[Caller]:
        if caller.platform is None:
            yield caller
            return
        async with turns.of(caller.platform):
            yield caller

    return take
