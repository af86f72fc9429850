"""The demo page's bank and autoplay: what the core reports over a bad connection, and several visitors at once."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from demo_day import DayWentWrong
from demo_page.bank_core import BankCore
from demo_page.play import Play
from demo_page.visitor import ACCOUNT
from standing.ledger.clock import SystemClock


class Node:
    """A bank's node, and the entries that it has acknowledged. `fails`: what becomes of the next requests."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.fails: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        entry = json.loads(request.content)
        self.asked.append(entry)
        failure = self.fails.pop(0) if self.fails else None
        if failure == "unreachable":
            raise httpx.ConnectError("refused")
        if failure == "busy":
            return httpx.Response(503)
        if entry not in self.entries:
            assert not self.entries or entry["as_of_ms"] > self.entries[-1]["as_of_ms"]
            self.entries.append(entry)
        if failure == "answer lost":
            raise httpx.ReadError("reset")
        return httpx.Response(200)

    def core(self) -> BankCore:
        client = httpx.AsyncClient(base_url="http://node", transport=httpx.MockTransport(self.answer))
        return BankCore(client, SystemClock(), ACCOUNT)


def changes_of(node: Node) -> list[str]:
    return [change["status"] for entry in node.entries for change in entry["changes"]]


@pytest.mark.parametrize("failure", ["unreachable", "busy", "answer lost"])
def test_a_change_that_the_node_did_not_acknowledge_is_reported_before_the_next_heartbeat(failure: str) -> None:
    async def run() -> None:
        node = Node()
        core = node.core()
        node.fails = [failure]
        with pytest.raises((httpx.HTTPError, DayWentWrong)):
            await core.state(status="frozen")
        assert core.keeps_back
        await core.beat()
        assert changes_of(node) == ["frozen"]
        assert node.asked[1] == node.asked[0]  # unchanged, so that the node recognises it
        assert not core.keeps_back

    asyncio.run(run())


def test_a_silent_bank_reports_its_changes_in_their_order_once_it_speaks() -> None:
    async def run() -> None:
        node = Node()
        core = node.core()
        core.fall_silent()
        for status in ("frozen", "active", "frozen"):
            await core.state(status=status)
        await core.beat()
        assert node.asked == []
        assert core.keeps_back
        await core.speak()
        assert changes_of(node) == ["frozen", "active", "frozen"]

    asyncio.run(run())


def test_a_change_is_in_the_banks_book_at_once_though_its_node_hangs_and_is_reported_after_what_hung() -> None:
    async def run() -> None:
        node, hangs = Node(), asyncio.Event()

        async def answer_late(request: httpx.Request) -> httpx.Response:
            await hangs.wait()
            return node.answer(request)

        client = httpx.AsyncClient(base_url="http://node", transport=httpx.MockTransport(answer_late))
        core = BankCore(client, SystemClock(), ACCOUNT)
        beating = asyncio.create_task(core.beat())
        await asyncio.sleep(0)
        stating = asyncio.create_task(core.state(status="frozen"))
        await asyncio.sleep(0)
        assert core.account["status"] == "frozen"
        assert core.keeps_back
        hangs.set()
        await asyncio.gather(beating, stating)
        assert [len(entry["changes"]) for entry in node.entries] == [0, 1]

    asyncio.run(asyncio.wait_for(run(), 20))


class RestlessStage:
    """A stage whose autoplay never rests. `acts` counts what it does."""

    def __init__(self) -> None:
        self.acts = 0
        self.playing = False

    async def changed(self, **values: Any) -> None:
        self.playing = values.get("playing", self.playing)
        await asyncio.sleep(0)

    async def restore(self) -> None:
        while True:
            self.acts += 1
            await asyncio.sleep(0)


def test_no_autoplay_goes_on_once_the_last_of_many_visitors_has_taken_over() -> None:
    async def run() -> None:
        stage = RestlessStage()
        play = Play(stage)  # type: ignore[arg-type]
        for _ in range(5):
            await asyncio.gather(*(play.begin() for _ in range(5)), *(play.end() for _ in range(5)))
        await play.begin()
        await play.end()
        assert not stage.playing
        acts = stage.acts
        for _ in range(5):
            await asyncio.sleep(0)
        assert stage.acts == acts

    asyncio.run(asyncio.wait_for(run(), 20))
