"""The page's contents and the visitors' actions: the bank, the trail of the last change, the shop, the demo's day."""

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx

from demo_day import POLICY, DayWentWrong, Decided
from demo_page import visitor
from demo_page.bank_core import BankCore
from demo_snapshot import Snapshot
from localnet import LocalBank, LocalNet
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Outcome
from standing.ledger.attestations.money import currency_number
from standing.ledger.clock import SystemClock

#: The shop's goods, with prices in fen.
GOODS = {"coffee": 1_800, "book": 8_800, "headphones": 29_900, "camera": 128_000}
_CURRENCY = "CNY"
_SHOWN = 5
_BANKS_EVERY_S = 0.4
_TRAIL_EVERY_S = 0.08
_TRAIL_IDLE_S = 1.0
#: How long the trail is polled often after an action.
_CLOSELY_S = 3.0
_RETRY_S = 1.0
#: After this the page says that a service does not respond. The age is worth less time: meanwhile it counts up.
_ANSWER_S, _AGE_S = 10.0, 3.0
#: After these events the platform scores its bindings: the bank has changed the account.
_ACCOUNT_CHANGED = {
    f"binding.{what}" for what in ("frozen", "cleared", "changed", "limits_changed", "identity_changed")
}
_WHY_SCORED = "the demo scores after each change at the bank, and not once a day"


class Stage:
    """The state of the page and its actions. All methods run in the page's event loop, except
    `show_decision` and `close`."""

    def __init__(self, net: LocalNet, bank: LocalBank, binding: str, day_total: int) -> None:
        self.net, self._bank, self.binding = net, bank, binding
        self._policy = Policy.model_validate(POLICY)
        self._snapshot = Snapshot.of({**visitor.ACCOUNT, "bank": bank.bic}, visitor.CLAIM)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._version = 0
        self._condition = asyncio.Condition()
        self._acting = asyncio.Lock()
        self._watch_trail_until = 0.0
        self._trail_due = asyncio.Event()
        self.closing = False
        self.playing, self.scene = True, ""
        self.bank_state: dict[str, Any] = {}
        self.trail: dict[str, Any] = {}
        #: By the party that is watched: the one that does not respond, which is the ledger where the gateway says so.
        self._failing: dict[str, str] = {}
        self.warned: dict[str, Any] | None = None
        self._sales: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._events: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._day: dict[str, Any] = {"done": 0, "total": day_total, "snapshot_wrong": 0, "standing_wrong": 0}
        self._notifying: set[asyncio.Future[None]] = set()
        self._latest: deque[dict[str, Any]] = deque(maxlen=_SHOWN)

    async def live(self, ready: Callable[[], None]) -> None:
        """Watch until cancelled. `ready` is called once actions are possible."""
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as opened:

            async def client(url: str, key: str) -> httpx.AsyncClient:
                headers = {"Authorization": f"Bearer {key}"}
                made = httpx.AsyncClient(base_url=url, headers=headers, timeout=_ANSWER_S)
                return await opened.enter_async_context(made)

            self._gateway = await client(self.net.gateway_url, self.net.gateway_key)
            self._support = await client(self.net.gateway_url, self.net.support_key)
            self._admin = await client(self.net.gateway_url, self.net.admin_key)
            self.core = BankCore(await client(self._bank.url, self._bank.core_key), SystemClock(), visitor.ACCOUNT)
            async with asyncio.TaskGroup() as watching:
                watching.create_task(self._again("node", self.core.beat))
                watching.create_task(self._again("gateway", self._watch_bank))
                for watch in (self._watch_trail, self._watch_events):
                    watching.create_task(self._again("", watch))
                ready()

    async def act(self, what: str, on: bool) -> None:
        """Perform an action at the bank, or undo it. Raises: DayWentWrong, KeyError, httpx.HTTPError."""
        async with self._acting:
            core = self.core
            if what == "freeze":
                await core.state(status="frozen" if on else "active", debit_allowed=not on, credit_allowed=not on)
            elif what == "limit":
                await core.state(transaction_limit_minor=visitor.LOW_LIMIT_MINOR if on else visitor.LIMIT_MINOR)
            elif what == "phone":
                await core.state(phone=visitor.NEW_PHONE if on else visitor.PHONE)
            elif what == "silence":
                if on:
                    core.fall_silent()
                else:
                    await core.speak()
            else:
                raise KeyError(what)
        await self._look_closely()

    def is_on(self, what: str) -> bool:
        """Whether this action has been performed and not undone."""
        account = self.core.account
        on: dict[str, bool] = {
            "freeze": account["status"] != "active",
            "limit": account["transaction_limit_minor"] != visitor.LIMIT_MINOR,
            "phone": account["phone"] != visitor.PHONE,
            "silence": self.core.silent,
        }
        return on[what]

    async def restore(self) -> None:
        """Reset the bank to its initial state. Raises: DayWentWrong, httpx.HTTPError."""
        for what in ("silence", "freeze", "limit", "phone"):
            if self.is_on(what):
                await self.act(what, on=False)

    async def pay(self, item: str) -> dict[str, Any]:
        """Buy something: ask Standing, and compare with last night's snapshot. Raises: DayWentWrong, KeyError."""
        amount_minor = GOODS[item]
        question = Question(Kind.PAYMENT, amount_minor, currency_number(_CURRENCY))
        name = f"shop-{secrets.token_hex(6)}"
        body = {"transaction_id": name, "binding": self.binding, "kind": "payment"}
        async with self._acting:
            book = Snapshot.of({**self.core.account, "bank": self._bank.bic}, visitor.CLAIM)
            changed_at_ms = self.core.changed_at_ms
            began = time.perf_counter()
            decided = await self._ask("/v1/decisions", body | {"amount_minor": amount_minor, "currency": _CURRENCY})
            took_ms = round((time.perf_counter() - began) * 1_000)
            if decided["outcome"] == Outcome.APPROVE:
                await self._ask(f"/v1/decisions/{name}/capture")
        sale = {
            "id": name,
            "item": item,
            "amount_minor": amount_minor,
            "outcome": decided["outcome"],
            "reason": decided["reason"],
            "message": decided["message"],
            "staleness_ms": decided["staleness_ms"],
            "took_ms": took_ms,
            "snapshot": self._snapshot.decide(question, self._policy),
            "book": book.decide(question, self._policy),
            "changed_at_ms": changed_at_ms,
        }
        self._sales.appendleft(sale)
        await self._look_closely()  # the verdicts first: whether a warning came true can wait for one more request
        await self._look_at_warnings()
        await self.changed()
        return sale

    def show_decision(self, decided: Decided) -> None:
        """Record a decision of the demo's day. Thread-safe."""
        assert self._loop is not None  # only while the page is served
        self._loop.call_soon_threadsafe(self._show_decision, decided)

    def close(self) -> None:
        """End all open streams, so that the server can stop. Thread-safe."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.changed(closing=True), self._loop).result()

    def document(self) -> dict[str, Any]:
        """The page's current contents."""
        account, core = self.core.account, self.core
        return {
            "playing": self.playing,
            "scene": self.scene,
            "on": {what: self.is_on(what) for what in ("freeze", "limit", "phone", "silence")},
            "account": {name: account[name] for name in ("status", "transaction_limit_minor", "phone", "number")},
            "changed_at_ms": core.changed_at_ms,
            "kept_back": core.keeps_back,
            "bank_name": visitor.NAME,
            "bank_state": self.bank_state,
            "bound_ms": self._policy.widest_staleness_ms,
            "trail": self.trail,
            "warned": self.warned,
            "sales": list(self._sales),
            "events": list(self._events),
            "day": self._day | {"latest": list(self._latest)},
            "failing": sorted(set(self._failing.values())),
        }

    async def changed(self, **values: Any) -> None:
        """Change what is shown, and wake all waiting tasks."""
        for name, value in values.items():
            setattr(self, name, value)
        async with self._condition:
            self._version += 1
            self._condition.notify_all()

    async def beyond(self, version: int) -> int:
        """Wait for a state newer than `version`. Returns: the newest."""
        async with self._condition:
            await self._condition.wait_for(lambda: self._version > version)
            return self._version

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until a condition holds for what is shown."""
        async with self._condition:
            await self._condition.wait_for(true)

    def publication(self) -> int:
        """The number of the newest publication of the account that the ledger holds; 0 where none is known."""
        for change in self.trail.get("changes", ()):
            if any(hop["name"] == "in_block" and hop["state"] == "done" for hop in change["hops"]):
                return int(change["publication"] or 0)
        return 0

    def _show_decision(self, decided: Decided) -> None:
        event = decided.event
        wrong = {"accept": Outcome.DECLINE, "refuse": Outcome.APPROVE}[event["bank_would"]]
        self._day["done"] += 1
        self._day["snapshot_wrong"] += decided.snapshot == wrong
        self._day["standing_wrong"] += decided.standing == wrong
        line = {name: event[name] for name in ("at", "id", "transaction", "amount_minor", "currency", "bank_would")}
        self._latest.appendleft(line | {"standing": decided.standing, "snapshot": decided.snapshot})
        notifying = asyncio.ensure_future(self.changed())
        self._notifying.add(notifying)  # the event loop keeps only weak references to tasks
        notifying.add_done_callback(self._notifying.discard)

    async def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._gateway.post(path, json=body)
        if not answer.is_success:
            raise DayWentWrong(f"{path}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    async def _score(self) -> None:
        """Let the gateway score its bindings now. Raises: httpx.HTTPError."""
        (await self._admin.post("/v1/scoring", headers={"Standing-Reason": _WHY_SCORED})).raise_for_status()

    async def _look_at_warnings(self) -> None:
        """Show the newest warning about the account, with its outcome, and what the user was told then.

        Raises: httpx.HTTPError.
        """
        answer = (await self._gateway.get(f"/v1/bindings/{self.binding}/warnings")).raise_for_status()
        warned = next(iter(answer.json()["warnings"]), None)
        if warned is not None and (failure := warned["failure"]) is not None:
            decided = (await self._gateway.get(f"/v1/decisions/{failure['transaction_id']}")).raise_for_status()
            failure["message"] = decided.json()["message"]
        self.warned = warned

    async def _look_closely(self) -> None:
        self._watch_trail_until = time.monotonic() + _CLOSELY_S
        self._trail_due.set()
        await self.changed()

    async def _again(self, party: str, watch: Callable[[], Any]) -> None:
        """Keep watching after a failure. `party`: whom the page then names; empty where another watch tells of it."""
        while True:
            try:
                await watch()
                if self._failing.pop(party, None) is not None:
                    await self.changed()
            except (httpx.HTTPError, DayWentWrong) as error:
                if party:
                    self._failing[party] = "ledger" if _is_the_ledgers(error) else party
                    await self.changed()
                await asyncio.sleep(_RETRY_S)

    async def _watch_bank(self) -> None:
        answer = (await self._gateway.get("/v1/banks", timeout=_AGE_S)).raise_for_status()
        self.bank_state = next(bank for bank in answer.json()["banks"] if bank["bic"] == self._bank.bic)
        await self.changed()
        await asyncio.sleep(_BANKS_EVERY_S)

    async def _watch_trail(self) -> None:
        path = f"/v1/bindings/{self.binding}/trail"
        while True:
            found = (await self._support.get(path)).raise_for_status().json()
            shown = {name: found[name] for name in ("stalled", "to_do")} | {"changes": found["changes"][:2]}
            if shown != self.trail:
                await self.changed(trail=shown)
            closely = time.monotonic() < self._watch_trail_until
            self._trail_due.clear()
            try:
                await asyncio.wait_for(self._trail_due.wait(), _TRAIL_EVERY_S if closely else _TRAIL_IDLE_S)
            except TimeoutError:
                continue  # no action in the meantime: poll again

    async def _watch_events(self) -> None:
        async with self._gateway.stream("GET", "/v1/events/stream", timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                name, _, value = line.partition(":")
                if name != "data" or not value.strip():
                    continue
                event = json.loads(value)
                if event.get("data", {}).get("bank") == self._bank.bic:
                    if event["type"] in _ACCOUNT_CHANGED:
                        await self._score()
                    await self._look_at_warnings()
                    self._events.appendleft({"type": event["type"], "timestamp": event["timestamp"]})
                    await self.changed()


def _is_the_ledgers(error: Exception) -> bool:
    """Whether the gateway answered that it cannot read the ledger."""
    return isinstance(error, httpx.HTTPStatusError) and "ledger-unreachable" in error.response.text
