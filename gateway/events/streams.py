"""Server-sent events: the event log as a stream, resumed by position (`Last-Event-ID`).

What a client has not seen comes from the database, so a broken connection, a restart or another process loses nothing.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from standing.gateway.access.admission import Admission
from standing.gateway.events.log import EventLog
from standing.gateway.events.settings import StreamSettings
from standing.gateway.events.types import LoggedEvent
from standing.gateway.events.wakeups import Wakeups
from standing.gateway.storage.database import Storage
from standing.ledger.errors import Unavailable

_PAGE = 100
_READS_AT_ONCE = 2
_RETRY_MS = 1_000
#: What another process wrote wakes no stream here, so streams look at this interval.
_LOOK_S = 1.0


class Streams:
    """All streams of this process. Belongs to one event loop."""

    def __init__(self, storage: Storage, log: EventLog, wakeups: Wakeups, settings: StreamSettings) -> None:
        self._storage = storage
        self._log = log
        self._wakeups = wakeups
        self._settings = settings
        self._admission = Admission(settings.max_clients, "event streams")
        # Many streams that wake at once must leave the database's threads to decisions.
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    async def open(self, after: int | None) -> EventSourceResponse:
        """A stream of the events after a position, or (None) of those from now on.

        Raises: Overloaded where all places are taken; StorageUnavailable.
        """
        oldest, newest = await self._storage.reading(self._log.ends)
        # The place is taken here, so that a refusal is a problem document, and is given back with the stream.
        place = ExitStack()
        place.enter_context(self._admission)
        # Nobody has seen more than there is, unless an older database was restored.
        start = newest if after is None else min(after, newest)
        missed = after is not None and after + 1 < oldest
        settings = self._settings
        return _Stream(
            self._events(start, oldest if missed else None),
            place=place,
            ping=settings.heartbeat_ms / 1000,
            ping_message_factory=_heartbeat,
            send_timeout=settings.send_timeout_ms / 1000,
            sep="\n",
        )

    async def _events(self, position: int, oldest: int | None) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="standing events", retry=_RETRY_MS)
        if oldest is not None:
            gap = {"after": position, "oldest": oldest}
            yield ServerSentEvent(json.dumps(gap), event="gap")
        ends = time.monotonic() + self._settings.max_age_ms / 1000
        while (left_s := ends - time.monotonic()) > 0:
            try:
                async with self._reads:
                    events = await self._storage.reading(self._log.page, position, _PAGE)
            except Unavailable:
                return  # the client reconnects and continues where it was
            for event in events:
                yield _message(event)
                position = event.position
            if not events:
                await self._wakeups.wait(min(left_s, _LOOK_S))


class _Stream(EventSourceResponse):
    """A stream that gives its place back however it ends."""

    def __init__(self, content: AsyncIterator[ServerSentEvent], *, place: ExitStack, **options: Any) -> None:
        super().__init__(content, **options)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


def _message(event: LoggedEvent) -> ServerSentEvent:
    return ServerSentEvent(event.body(), event=event.type, id=str(event.position))


def _heartbeat() -> ServerSentEvent:
    return ServerSentEvent(comment="heartbeat")
