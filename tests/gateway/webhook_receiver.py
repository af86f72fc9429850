"""A platform's webhook receiver: a real HTTP server that verifies every message with the standardwebhooks library."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from standing.ledger.service.serve import served


@dataclass
class Receiver:
    """Received messages. `answers`: the statuses to answer with, one each, then 200; `gate` holds answers back."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        self.paths.append(request.url.path)
        document = json.loads(body)
        self.received.append(document)
        await anyio.to_thread.run_sync(self.gate.wait)
        self._verify(body, request)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.accepted.append(document)
        await Response(status_code=status, headers=self.headers)(scope, receive, send)

    def _verify(self, body: bytes, request: Request) -> None:
        for secret in self.secrets:
            try:
                document = Webhook(secret).verify(body, dict(request.headers))
            except WebhookVerificationError as error:
                self.broken.append(str(error))
            else:
                if document["id"] != request.headers["webhook-id"]:
                    self.broken.append("the id in the header is not the event's")

    @property
    def positions(self) -> list[int]:
        """Of the accepted events."""
        return [event["position"] for event in self.accepted]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A served receiver."""
    made = Receiver()
    made.gate.set()
    with served(made.app) as url:
        made.url = url + "/hook"
        try:
            yield made
        finally:
            made.gate.set()
