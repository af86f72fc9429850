"""Server-sent events: the event log as a stream, resumed by position (`Last-Event-ID`).

Events that a client has missed are read from the database, so no event is lost by a broken connection, a restart or a
change of process.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
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
#: Events written by another process wake no stream here, so streams also poll at this interval.
_POLL_S = 1.0


class Streams:
    """All streams of this process. Belongs to one event loop."""

    def __init__(self, storage: Storage, log: EventLog, wakeups: Wakeups, settings: StreamSettings) -> None:
        self._storage = storage
        self._log = log
        self._wakeups = wakeups
        self._settings = settings
        self._admission = Admission(settings.max_clients, "event streams")
        # Many streams that wake at once must not occupy the database threads that decisions need.
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    async def open(self, after: int | None, may_listen: Callable[[], bool]) -> EventSourceResponse:
        """A stream of the events after a position, or (None) of later events only. It ends once `may_listen` says no.

        Raises: Overloaded if all places are in use; StorageUnavailable.
        """
        oldest, newest = await self._storage.reading(self._log.ends)
        # The place is acquired here, so that a refusal is a problem document, and is released with the stream.
        place = ExitStack()
        place.enter_context(self._admission)
        # `after` can be beyond the newest event only if an older database was restored.
        start = newest if after is None else min(after, newest)
        # After 0, everything that is kept is asked for.
        missed = after and after + 1 < oldest
        settings = self._settings
        return _Stream(
            self._events(start, oldest if missed else None, may_listen),
            place=place,
            ping=settings.heartbeat_ms / 1000,
            ping_message_factory=_heartbeat,
            send_timeout=settings.send_timeout_ms / 1000,
            sep="\n",
        )

    async def _events(
        self, position: int, oldest: int | None, may_listen: Callable[[], bool]
    ) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="standing events", retry=_RETRY_MS)
        if oldest is not None:
            gap = {"after": position, "oldest": oldest}
            yield ServerSentEvent(json.dumps(gap), event="gap")
        ends = time.monotonic() + self._settings.max_age_ms / 1000
        while (left_s := ends - time.monotonic()) > 0 and may_listen():
            wake = self._wakeups.next
            try:
                async with self._reads:
                    events = await self._storage.reading(self._log.page, position, _PAGE)
            except Unavailable:
                return  # the client reconnects and continues from its last position
            for event in events:
                yield _message(event)
                position = event.position
            if not events:
                await self._wakeups.wait(min(left_s, _POLL_S), wake)


class _Stream(EventSourceResponse):
    """A stream that always releases its place when it ends."""

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
