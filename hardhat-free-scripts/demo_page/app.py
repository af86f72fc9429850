"""The page's small server, on loopback: the page, its stream, and the actions behind its buttons."""

import asyncio
import json
import os
import sys
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_day import DayWentWrong
from demo_page import visitor
from demo_page.play import Play
from demo_page.stage import GOODS, Stage
from localnet import LocalNet
from standing.ledger.service.serve import served

_STATIC = Path(__file__).with_name("static")
_FILES = {"page.css": "text/css", "page.js": "text/javascript", "words.json": "application/json"}
_MAX_BODY_BYTES = 500
_MAX_STREAMS = 20
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


class _Headers:
    """ASGI middleware: adds the headers of every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in _HEADERS]
                message["headers"] = [*kept, *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, with_headers)


class Refused(Exception):
    """An invalid request; the text says why."""


class Page:
    """The page on top of one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._play = Play(stage)
        self._streams = 0
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name}", self._file),
                Route("/stream", self._stream),
                Route("/act", self._act, methods=["POST"]),
                Route("/pay", self._pay, methods=["POST"]),
                Route("/play", self._play_on, methods=["POST"]),
            ],
            middleware=[
                Middleware(_Headers),
                # Refuse other host names, so that nobody can reach the page through DNS that points here.
                Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            ],
            exception_handlers={Refused: self._refused, DayWentWrong: self._wrong, httpx.HTTPError: self._wrong},
            lifespan=self._live,
        )

    @asynccontextmanager
    async def _live(self, _app: Starlette) -> AsyncIterator[None]:
        ready = asyncio.Event()
        watching = asyncio.create_task(self._stage.live(ready.set))
        await ready.wait()
        await self._play.begin()
        yield
        await self._play.end()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def _page(self, _request: Request) -> Response:
        return Response((_STATIC / "page.html").read_bytes(), media_type="text/html")

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return Response(status_code=404)
        return Response((_STATIC / name).read_bytes(), media_type=_FILES[name])

    async def _stream(self, _request: Request) -> Response:
        if self._streams >= _MAX_STREAMS:
            return JSONResponse({"problem": f"{_MAX_STREAMS} pages are open"}, status_code=503)
        return EventSourceResponse(self._documents())

    async def _documents(self) -> AsyncIterator[dict[str, str]]:
        self._streams += 1
        try:
            version = 0
            while not self._stage.closing:
                version = await self._stage.beyond(version)
                yield {"data": json.dumps(self._stage.document(), ensure_ascii=False)}
        finally:
            self._streams -= 1

    async def _act(self, request: Request) -> Response:
        body = await self._body(request, {"what": str, "on": bool})
        if body["what"] not in {"freeze", "limit", "phone", "silence"}:
            raise Refused("what: unknown; allowed: freeze, limit, phone, silence")
        await self._play.end()
        await self._stage.act(body["what"], on=body["on"])
        return Response(status_code=204)

    async def _pay(self, request: Request) -> Response:
        body = await self._body(request, {"item": str})
        if body["item"] not in GOODS:
            raise Refused(f"item: unknown; allowed: {', '.join(GOODS)}")
        await self._play.end()
        return JSONResponse(await self._stage.pay(body["item"]))

    async def _play_on(self, request: Request) -> Response:
        body = await self._body(request, {"on": bool})
        await (self._play.begin() if body["on"] else self._play.end())
        return Response(status_code=204)

    async def _body(self, request: Request, fields: dict[str, type]) -> dict[str, Any]:
        """A small JSON body sent by this page. Raises: Refused."""
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            raise Refused("origin: a page of another site")
        if request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise Refused("Content-Type: not application/json")
        if int(request.headers.get("Content-Length", _MAX_BODY_BYTES + 1)) > _MAX_BODY_BYTES:
            raise Refused(f"body: allowed: up to {_MAX_BODY_BYTES} bytes")
        try:
            body = json.loads(await request.body())
        except ValueError as error:
            raise Refused("body: not JSON") from error
        if not isinstance(body, dict) or any(type(body.get(name)) is not kind for name, kind in fields.items()):
            raise Refused(f"body: allowed: {', '.join(fields)}")
        return body

    async def _refused(self, _request: Request, error: Exception) -> Response:
        return JSONResponse({"problem": str(error)}, status_code=400)

    async def _wrong(self, request: Request, error: Exception) -> Response:
        """What is done at the bank goes to its node, and a payment to the gateway."""
        party = "node" if request.url.path == "/act" else "gateway"
        return JSONResponse({"problem": str(error), "failing": [party]}, status_code=502)


def add_bank(net: LocalNet) -> None:
    """Add the visitor's bank to a network whose gateway has not started yet."""
    publisher = {"heartbeat_ms": 500, "poll_ms": 20}
    net.start_bank(net.add_bank(visitor.BIC, visitor.NAME["en"], name_zh=visitor.NAME["zh"], publisher=publisher))


@contextmanager
def opened(net: LocalNet, day_total: int) -> Iterator[tuple[str, Stage]]:
    """Serve the page on a network that includes the visitor's bank. Yields: its address and the stage.

    Raises: DayWentWrong.
    """
    bank = net.banks[visitor.BIC]
    stage = Stage(net, bank, visitor.open_account(net, bank), day_total)
    with served(Page(stage).app) as url:
        try:
            yield url + "/", stage
        finally:
            stage.close()


def show(url: str) -> None:
    """Open the page in the user's browser, where there is a display."""
    if sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
