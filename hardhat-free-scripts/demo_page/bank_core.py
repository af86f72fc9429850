"""The bank's core, with one account, operated by a visitor's clicks."""

import asyncio
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
        self.kept_back: list[dict[str, Any]] = []
        #: When the newest change in the bank's book took effect; 0 where nothing has changed yet.
        self.changed_at_ms = 0
        self._node = node
        self._clock = clock
        self._last_ms = 0
        self._lock = asyncio.Lock()

    async def state(self, **changes: Any) -> None:
        """Change the account in the bank's records, and report it to the node unless the bank is silent. Raises:
        DayWentWrong."""
        async with self._lock:
            self.account |= changes
            as_of_ms = self.changed_at_ms = self._next_ms()
            change = {"number": self.account["number"], "effective_at_ms": as_of_ms, **changes}
            if self.silent:
                self._last_ms = as_of_ms
                self.kept_back.append(change)
            else:
                await self._send(as_of_ms, [change])

    async def fall_silent(self) -> None:
        """Send nothing until `speak`."""
        async with self._lock:
            self.silent = True

    async def speak(self) -> None:
        """Resume, and report everything that happened in the meantime. Raises: DayWentWrong."""
        async with self._lock:
            if self.silent:
                await self._send(self._next_ms(), self.kept_back)
                self.silent, self.kept_back = False, []

    async def beat(self) -> None:
        """Send heartbeats until cancelled. Raises: DayWentWrong."""
        while True:
            async with self._lock:
                if not self.silent:
                    await self._send(self._next_ms(), [])
            await asyncio.sleep(_HEARTBEAT_S)

    def _next_ms(self) -> int:
        return max(self._clock.now_ms(), self._last_ms + 1)

    async def _send(self, as_of_ms: int, changes: list[dict[str, Any]]) -> None:
        answer = await self._node.post("/v1/feed", json={"as_of_ms": as_of_ms, "changes": changes})
        if not answer.is_success:
            raise DayWentWrong(f"the bank's node refused a feed entry: {answer.text}")
        self._last_ms = as_of_ms
