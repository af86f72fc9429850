"""The demo's support story: a payment fails, the trail shows the stalled hop, and a resync fixes it.

After the day one bank's node works behind a network that loses what it sends. The bank lifts a freeze, its
publication is lost on the way to the ledger, and the next payment fails although the bank says that the account is
active. Support opens the trail, sees which hop is stalled, and requests a resync. Everything uses the public
clients.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from eth_utils import keccak
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from demo_day import PATIENCE_S, Core, DayWentWrong, wait_for
from localnet import LocalBank, LocalNet
from standing.ledger.service.serve import served

#: How long a publication may be on its way into a block before the demo's trail calls that hop stalled. A node itself
#: treats a transaction as lost after 15 s.
TRAIL = {"in_block_ms": 1_500}
_FROZEN = {"status": "frozen", "debit_allowed": False, "credit_allowed": False}
_ACTIVE = {"status": "active", "debit_allowed": True, "credit_allowed": True}


class BadNetwork:
    """The way from a node to the ledger. While it `loses`, transactions are accepted and dropped."""

    def __init__(self, ledger_url: str) -> None:
        self.loses = False
        self._ledger_url = ledger_url
        self._http: httpx.AsyncClient | None = None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app: JSON-RPC in, JSON-RPC out."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._http is not None  # made when the app started
        body = await Request(scope, receive).body()
        call = json.loads(body)
        if self.loses and call["method"] == "eth_sendRawTransaction":
            taken = "0x" + keccak(hexstr=call["params"][0]).hex()
            answer = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": taken}).encode()
        else:
            answer = (await self._http.post(self._ledger_url, content=body)).content
        await Response(answer, media_type="application/json")(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_S, headers={"Content-Type": "application/json"}) as self._http:
            for part in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{part}.complete"})


@contextmanager
def behind_a_bad_network(net: LocalNet, bank: LocalBank, core: Core) -> Iterator[BadNetwork]:
    """Restart a bank's node with a network between it and the ledger. It stays there until the block ends."""
    network = BadNetwork(net.ledger_url)
    with served(network.app) as url:
        core.fall_silent()
        if bank.process is not None:
            bank.process.stop()
        bank.settings["ledger_url"] = url
        net.start_bank(bank)
        core.speak()
        yield network


@dataclass
class SupportStory:
    """One user's story. `lines` grows as it proceeds."""

    net: LocalNet
    core: Core
    network: BadNetwork
    number: str
    binding: str
    lines: list[str] = field(default_factory=list)
    _step: int = 0

    def play(self) -> None:
        """Play it to its good end. Raises: DayWentWrong."""
        self._state(_FROZEN)
        wait_for(lambda: self._pay() == "account_frozen", "the freeze on the ledger")
        self._add("The bank freezes the account. A payment: declined, account_frozen.")

        self.network.loses = True
        self._state(_ACTIVE)
        wait_for(lambda: self._newest_change()["hops"][3]["state"] == "done", "the publication to be sent")
        self._expect("account_frozen")
        self._add("The bank lifts the freeze; what its node sends to the ledger is lost on the way.")
        self._add('A payment: declined, account_frozen. The user calls: "My bank says that all is well!"')

        wait_for(lambda: self._trail()["stalled"] is not None, "the trail to name the stalled hop")
        trail = self._trail()
        if trail["stalled"] != "in_block":
            raise DayWentWrong(f"the trail names {trail['stalled']}, not in_block")
        self._add("Support opens the account's trail:")
        self.lines += [f"    {line}" for line in (*trail["plain"]["en"], trail["plain"]["zh"][0])]

        self.network.loses = False
        reason = {"reason": "the user calls: the bank says that the account is active"}
        self._ask("POST", f"/v1/bindings/{self.binding}/resync", self.net.support_key, reason)
        self._add("Support asks the bank for a resync; its node sends again what is missing.")
        wait_for(lambda: self._pay() is None, "the payment after the resync")
        wait_for(lambda: self._pay() is None and self._newest_change()["hops"][-1]["state"] == "done", "the last hop")
        if self._trail()["stalled"] is not None:
            raise DayWentWrong("a hop is stalled after the resync")
        self._add("A payment: approved. The trail: no hop is stalled.")

    def _add(self, line: str) -> None:
        self._step += 1
        self.lines.append(f"{self._step}. {line}")

    def _state(self, what: dict[str, Any]) -> None:
        self.core.state([{"number": self.number, **what}])

    def _pay(self) -> str | None:
        """Try a small payment, and void it where it is approved. Returns: the reason against it."""
        name = f"story-{secrets.token_hex(6)}"
        asked = {"transaction_id": name, "binding": self.binding, "kind": "payment"}
        body = {**asked, "amount_minor": 100, "currency": "CNY"}
        decided = self._ask("POST", "/v1/decisions", self.net.gateway_key, body)
        if decided["outcome"] == "approve":
            self._ask("POST", f"/v1/decisions/{name}/void", self.net.gateway_key)
        reason: str | None = decided["reason"]
        return reason

    def _expect(self, reason: str) -> None:
        found = self._pay()
        if found != reason:
            raise DayWentWrong(f"a payment of the support story: {found}, expected {reason}")

    def _trail(self) -> dict[str, Any]:
        return self._ask("GET", f"/v1/bindings/{self.binding}/trail", self.net.support_key)

    def _newest_change(self) -> dict[str, Any]:
        newest: dict[str, Any] = self._trail()["changes"][0]
        return newest

    def _ask(self, method: str, path: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.request(method, self.net.gateway_url + path, headers=headers, json=body, timeout=PATIENCE_S)
        if not answer.is_success:
            raise DayWentWrong(f"{method} {path}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found
