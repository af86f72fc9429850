"""Open pages of the banks: one lookup of ledger and sessions serves all, and each ends with its session."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from standing.gateway.console.pulse import MAX_WATCHING, Pulse
from standing.ledger.errors import Overloaded, Unavailable


@dataclass
class _Service:
    """Counts lookups. The test starts each round."""

    open: set[str]
    looks: int = 0
    asked: list[set[str]] = field(default_factory=list)
    broken: bool = False
    failure: Exception | None = None
    gate: asyncio.Event | None = None
    being_asked: asyncio.Event = field(default_factory=asyncio.Event)
    _next: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def states(self) -> list[Any] | None:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return None

    async def open_ones(self, tokens: Collection[str]) -> set[str]:
        self.asked.append(set(tokens))
        self.being_asked.set()
        if self.broken:
            raise Unavailable("the database does not work", 1)
        if self.gate is not None:
            await self.gate.wait()
        return set(tokens) & self.open

    async def sleep(self, _seconds: float) -> None:
        await self._next.get()

    def next_round(self) -> None:
        self._next.put_nowait(None)


def _pulse(service: _Service) -> Pulse:
    return Pulse(service.states, service.open_ones, service.sleep)


def test_ten_pages_cost_one_lookup_per_round() -> None:
    async def played() -> None:
        service = _Service(open={f"t{each}" for each in range(10)})
        pulse = _pulse(service)
        streams = [pulse.texts(token) for token in sorted(service.open)]
        for round_ in (1, 2, 3):
            messages = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await asyncio.sleep(0)
            if round_ > 1:
                service.next_round()
            assert {json.dumps(json.loads(each)) for each in await asyncio.gather(*messages)} == {"{}"}
            assert (service.looks, len(service.asked)) == (round_, round_)
        assert service.asked[-1] == service.open
        for stream in streams:
            await stream.aclose()
        assert pulse._task is None
        assert pulse._watching == {}

    asyncio.run(played())


def test_a_page_ends_with_its_session_and_the_others_continue() -> None:
    async def played() -> None:
        service = _Service(open={"mine", "yours"})
        pulse = _pulse(service)
        mine, yours = pulse.texts("mine"), pulse.texts("yours")
        await asyncio.gather(anext(mine), anext(yours))
        service.open.discard("mine")
        messages = asyncio.gather(anext(mine, "over"), anext(yours, "over"))
        await asyncio.sleep(0)
        service.next_round()
        assert list(await messages) == ["over", "{}"]
        await yours.aclose()

    asyncio.run(played())


def test_nothing_is_sent_while_the_sessions_state_is_unknown() -> None:
    async def played() -> None:
        service = _Service(open={"mine"}, broken=True)
        stream = _pulse(service).texts("mine")
        with pytest.raises(Unavailable):
            await anext(stream)
        service.broken = False
        again = _pulse(service).texts("mine")
        assert await anext(again) == "{}"
        await again.aclose()

    asyncio.run(played())


def test_a_page_that_opens_while_the_sessions_are_read_is_not_taken_for_ended() -> None:
    async def played() -> None:
        service = _Service(open={"mine", "yours"}, gate=asyncio.Event())
        pulse = _pulse(service)
        mine, yours = pulse.texts("mine"), pulse.texts("yours")
        first = asyncio.ensure_future(anext(mine))
        await service.being_asked.wait()
        second = asyncio.ensure_future(anext(yours, "over"))
        await asyncio.sleep(0)
        assert service.gate is not None
        service.gate.set()
        assert list(await asyncio.gather(first, second)) == ["{}", "{}"]
        assert service.asked == [{"mine"}]
        await mine.aclose()
        await yours.aclose()

    asyncio.run(played())


@pytest.mark.parametrize("failure", [Unavailable("the database does not work", 1), ZeroDivisionError()])
def test_an_error_ends_every_open_page_and_the_next_one_starts_again(failure: Exception) -> None:
    async def played() -> None:
        service = _Service(open={"mine", "yours"})
        pulse = _pulse(service)
        streams = [pulse.texts(token) for token in sorted(service.open)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        service.failure = failure
        messages = asyncio.gather(*(anext(stream) for stream in streams), return_exceptions=True)
        await asyncio.sleep(0)
        service.next_round()
        assert await messages == [failure, failure]
        assert pulse._watching == {}
        service.failure = None
        again = pulse.texts("mine")
        assert await anext(again) == "{}"
        await again.aclose()

    asyncio.run(played())


def test_the_number_of_open_pages_is_bounded() -> None:
    async def played() -> None:
        service = _Service(open={"mine"})
        pulse = _pulse(service)
        streams = [pulse.texts("mine") for _ in range(MAX_WATCHING)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        with pytest.raises(Overloaded):
            pulse.check_room()
        await streams.pop().aclose()
        pulse.check_room()
        for stream in streams:
            await stream.aclose()

    asyncio.run(played())
