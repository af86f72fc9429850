"""A ledger node in front of a real one, that lies, forgets or fails as a test demands."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from standing.ledger.service.serve import served

#: Takes a call and the honest answer; returns the answer to send.
Lie = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@dataclass
class NodeProxy:
    """Passes calls on to `behind`. `lie` may change each answer; while `down`, every answer is an empty 502. A request
    of more than `longest` bytes gets a 413."""

    behind: str
    lie: Lie | None = None
    down: bool = False
    longest: int | None = None
    url: str = ""
    calls: list[str] = field(default_factory=list)
    #: Receives each call and may answer it in place of the node, which then never sees it.
    instead: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        if self.longest is not None and len(body) > self.longest:
            await Response(status_code=413)(scope, receive, send)
            return
        asked = json.loads(body)
        calls = asked if isinstance(asked, list) else [asked]
        self.calls += [call["method"] for call in calls]
        if self.down:
            await Response(status_code=502)(scope, receive, send)
            return
        answers = [await self._answer(call) for call in calls]
        answer = json.dumps(answers if isinstance(asked, list) else answers[0])
        await Response(answer, media_type="application/json")(scope, receive, send)

    async def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        answer = self.instead(call) if self.instead is not None else None
        if answer is None:
            async with httpx.AsyncClient(timeout=30, verify=False) as client:
                answer = (await client.post(self.behind, json=call)).json()
        assert answer is not None
        return answer if self.lie is None else self.lie(call, answer)


@contextmanager
def proxied(behind: str, lie: Lie | None = None) -> Iterator[NodeProxy]:
    """A served proxy of the node at `behind`."""
    proxy = NodeProxy(behind, lie)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await proxy.app(scope, receive, send)

    with served(app) as url:
        proxy.url = url
        yield proxy
