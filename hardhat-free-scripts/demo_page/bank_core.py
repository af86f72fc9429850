"""The bank's core, with one account, operated by a visitor's clicks."""

import asyncio
from collections import deque
from typing import Any

import httpx

from demo_day import DayWentWrong
from standing.ledger.clock import Clock

_HEARTBEAT_S = 0.3


class BankCore:
    """A core that states changes, and sends heartbeats several times a second until it is silenced."""

    def __init__(self, node: httpx.AsyncClient, clock: Clock, account: dict[str, Any]) -> None:
        """`node`: a client of the bank's node, with the core's key."""
        self.account = dict(account)
        self.silent = False
        #: When the newest change in the bank's book took effect; 0 where nothing has changed yet.
        self.changed_at_ms = 0
        self._node = node
        self._clock = clock
        self._last_ms = 0
        #: Not acknowledged yet, oldest first. The node may have the first one: its answer can have been lost.
        self._entries: deque[dict[str, Any]] = deque()
        self._reporting = asyncio.Lock()

    @property
    def keeps_back(self) -> bool:
        """Whether there is a change that the node has not acknowledged."""
        return any(entry["changes"] for entry in self._entries)

    async def state(self, **changes: Any) -> None:
        """Change the account in the bank's records, and report it to the node unless the bank is silent. What cannot
        be reported is reported before the next heartbeat.

        Raises: DayWentWrong, httpx.HTTPError.
        """
        self.account |= changes
        self.changed_at_ms = self._next_ms()
        self._add({"number": self.account["number"], "effective_at_ms": self.changed_at_ms, **changes})
        await self._report()

    def fall_silent(self) -> None:
        """Send nothing until `speak`."""
        self.silent = True

    async def speak(self) -> None:
        """Resume, and report everything that happened in the meantime. Raises: DayWentWrong, httpx.HTTPError."""
        self.silent = False
        await self._report()

    async def beat(self) -> None:
        """Send a heartbeat, unless the bank is silent. Raises: DayWentWrong, httpx.HTTPError."""
        if not self.silent and not self._entries:
            self._add()
        await self._report()
        await asyncio.sleep(_HEARTBEAT_S)

    def _next_ms(self) -> int:
        return max(self._clock.now_ms(), self._last_ms + 1)

    def _add(self, *changes: dict[str, Any]) -> None:
        self._last_ms = self._next_ms()
        self._entries.append({"as_of_ms": self._last_ms, "changes": list(changes)})

    async def _report(self) -> None:
        """Send all entries in their order. One that was not acknowledged is sent again unchanged, so that the node
        recognises it."""
        async with self._reporting:
            while self._entries and not self.silent:
                answer = await self._node.post("/v1/feed", json=self._entries[0])
                if not answer.is_success:
                    raise DayWentWrong(f"the bank's node refused a feed entry: {answer.text}")
                self._entries.popleft()
