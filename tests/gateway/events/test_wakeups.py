"""A wake ends every wait, from whichever thread it comes."""

import asyncio

import pytest

from standing.gateway.events.wakeups import Wakeups

pytestmark = pytest.mark.anyio


async def test_a_wake_from_another_thread_ends_every_wait_and_nothing_else_does() -> None:
    wakeups = Wakeups()
    wakeups.wake()  # nobody has opened it, so nobody waits
    wakeups.open()
    waiting = [asyncio.create_task(wakeups.wait(600)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    await asyncio.to_thread(wakeups.wake)
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting)
        await wakeups.wait(0.001)
    wakeups.close()
    wakeups.wake()


async def test_a_wake_between_a_look_for_work_and_the_wait_is_not_missed() -> None:
    wakeups = Wakeups()
    wakeups.open()
    wake = wakeups.next
    wakeups.wake()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await wakeups.wait(600, wake)
