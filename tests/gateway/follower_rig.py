"""A gateway whose follower moves only when a test moves it, on a real chain with fake banks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from standing.gateway.following.assembly import Following
from standing.gateway.following.follower import Follower
from standing.gateway.following.observing import Observer
from standing.gateway.ledger_reading.nodes import LATEST, BlockRule
from standing.ledger.chain.client import LedgerClient
from tests.gateway.fake_bank import FakeBank
from tests.gateway.gateway_rig import BICS, Person, Rig
from tests.timeouts import patient_ledger

FAST_WEBHOOKS = {"allow_http": True, "allow_private_addresses": True, "poll_ms": 10, "timeout_ms": 10_000}

Call = dict[str, Any]


class FollowRig(Rig):
    """A rig whose follower has no thread: `follow` runs it to the head and does what is due there.

    Nor does it score or reconcile by a schedule: the manual clock runs ahead, and a warning or a report would come
    between what a test does itself.
    """

    def __init__(self, stack: ExitStack, folder: Path, **settings_changed: Any) -> None:
        follower = {"enabled": False, **settings_changed.pop("follower", {})}
        webhooks = FAST_WEBHOOKS | settings_changed.pop("webhooks", {})
        warning = {"every_minutes": "never", **settings_changed.pop("warning", {})}
        settings_changed.setdefault("reconcile_every_minutes", "never")
        super().__init__(stack, folder, follower=follower, webhooks=webhooks, warning=warning, **settings_changed)
        self.admin = replace(self.client("admin"), why="Ticket 4711")
        self._last_position = 0
        self.calls: list[Call] = []
        self._plain_call = self.chain.devnet.call
        self.undo()
        self.chain.devnet.call = self._call  # type: ignore[method-assign]

    def _call(self, call: Any) -> dict[str, Any]:
        """Answer as the chain does, unless `refuse` intervenes, and record the call."""
        self.calls.append(call)
        if self.refuse(call):
            error = {"code": -32005, "message": "refused by the test"}
            return {"jsonrpc": "2.0", "id": call.get("id"), "error": error}
        return self.alter(call, self._plain_call(call))

    def undo(self) -> None:
        """Let the chain answer normally again."""
        self.refuse: Callable[[Call], bool] = lambda _call: False
        self.alter: Callable[[Call, Call], Call] = lambda _call, answer: answer

    def asked(self, method: str) -> list[Any]:
        """The parameters of every call of a method."""
        return [call["params"] for call in self.calls if call["method"] == method]

    @property
    def following(self) -> Following:
        following: Following = self.app.state.gateway.following
        return following

    @property
    def bank(self) -> FakeBank:
        return self.banks[BICS[0]]

    def follow(self, follower: Follower | None = None) -> list[dict[str, Any]]:
        """Let the follower do all pending work. Returns: the events not returned before."""
        follower = follower or self.following.follower
        while follower.step():
            pass
        return self.new_events()

    def new_events(self) -> list[dict[str, Any]]:
        """The events not returned before."""
        events: list[dict[str, Any]] = self.platform("GET", f"/v1/events?after={self._last_position}&limit=500").json()[
            "events"
        ]
        self._last_position = events[-1]["position"] if events else self._last_position
        return events

    def another_follower(
        self, rule: BlockRule = LATEST, *, ledger: LedgerClient | None = None, **settings_changed: Any
    ) -> Follower:
        """A follower as another process has it, or as this one has it after a restart."""
        gateway = self.app.state.gateway
        ledger = ledger or patient_ledger(self.chain_url, self.contract)
        return Follower(
            storage=gateway.storage,
            ledger=ledger,
            observer=Observer(gateway.storage, gateway.bindings._vault, ledger),
            banks=list(self.banks),
            policy=gateway.policy,
            clock=self.clock,
            settings=self.settings.follower.model_copy(update=settings_changed),
            rule=rule,
            on_events=self.following.wakeups.wake,
        )

    @contextmanager
    def other_chain(self) -> Iterator[None]:
        """Everything in the block happens on a chain that is abandoned at its end, and the banks roll back too."""
        tester = self.chain.devnet.tester
        snapshot = tester.take_snapshot()
        before = [(bank, bank.number, bank.head, dict(bank.accounts)) for bank in self.banks.values()]
        yield
        tester.revert_to_snapshot(snapshot)
        for bank, number, head, accounts in before:
            bank.number, bank.head, bank.accounts = number, head, accounts

    def settle(self) -> "FollowRig":
        """Follow to the head and discard the events."""
        self.follow()
        self.calls.clear()
        return self


def kinds(events: list[dict[str, Any]], person: Person | None = None) -> list[str]:
    """The types of events; only those of one person's binding, if given."""
    wanted = [event for event in events if person is None or event["data"]["binding"] == person.binding]
    return [event["type"] for event in wanted]


@contextmanager
def follow_rig(folder: Path, **settings_changed: Any) -> Iterator[FollowRig]:
    """A new rig with its files in `folder`."""
    with ExitStack() as stack:
        yield FollowRig(stack, folder, **settings_changed)


def unlike(person: Person, **changes: Any) -> Any:
    """The holder of a person's account, changed."""
    account = person.bank.accounts[person.number]
    return replace(account, holder=account.holder.model_copy(update=changes))
