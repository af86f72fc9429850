"""Requests of one platform, however many, hold up neither the core nor another platform."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from standing.node.bindings.turns import AT_ONCE
from tests.node.node_tools import Staffed, account, grant_of
from tests.world import PLATFORM, World, wait_until

#: More than the threads that answer requests.
_MANY = 60


class _Held:
    """Keeps requests from ending after their grant, and counts those that are in progress."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.released = threading.Event()
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        if point != "grant_committed" or self.released.is_set():
            return
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.released.wait(30)
        with self._lock:
            self.inside -= 1


def test_a_platform_that_sends_hundreds_of_requests_holds_up_neither_the_core_nor_another_platform(
    a_world: World, stack: ExitStack
) -> None:
    held = _Held()
    staffed = Staffed(a_world, stack, held.reach)
    accounts = [account(index) for index in range(_MANY)]
    staffed.bank.feed(*accounts)
    with ThreadPoolExecutor(_MANY) as pool:
        try:
            asked = [pool.submit(staffed.bind, stated) for stated in accounts]
            wait_until(lambda: held.inside >= AT_ONCE)
            for status in ("frozen", "active", "frozen"):
                staffed.bank.feed({"number": accounts[0]["number"], "status": status})
            # Another platform's claim is compared and refused, without a grant.
            refused = staffed.bind(accounts[0], staffed.other_key, holder_name="Nobody At All")
            assert refused.json()["outcome"] == "refused"
            assert held.inside == AT_ONCE
        finally:
            held.released.set()
        assert {grant_of(each.result())["platform"] for each in asked} == {PLATFORM}
    assert held.most == AT_ONCE
