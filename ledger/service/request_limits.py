"""Limits on requests, applied before anything else handles them: body size, and requests in progress."""

from collections.abc import Callable, Mapping

from fastapi_problem.error import Problem
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from standing.ledger.errors import Overloaded
from standing.ledger.service.languages import LANGUAGES
from standing.ledger.service.problem_language import asked_for
from standing.ledger.service.problems import problem_of, problem_response

#: No real length has more; Python refuses to parse a number of thousands of digits.
_MAX_LENGTH_DIGITS = 19


def is_length(declared: bytes) -> bool:
    """Whether a Content-Length is a number."""
    return declared.isdigit() and len(declared) <= _MAX_LENGTH_DIGITS


class LoadShedding:
    """ASGI middleware: at most `limit` requests to `path` are in progress at once; further ones get 503.

    A request counts from when it has arrived: otherwise a few whose bodies never end, of anybody without a key, would
    occupy all places.

    Install it outermost. A refusal must cost far less than an answer, or an overloaded service would answer less
    than it could: see `ledger.service.shedding`.
    """

    def __init__(
        self, app: ASGIApp, path: str, limit: int, retry_after_s: int = 1, on_refusal: Callable[[], None] | None = None
    ) -> None:
        """`on_refusal` is called for each refused request, to count it."""
        self._app = app
        self._on_refusal = on_refusal
        self.path = path
        self._limit = limit
        self._inside = 0
        refusal = Overloaded(f"{limit} requests are in progress already", retry_after_s)
        self._refusals = {each: problem_response(problem_of(refusal), each) for each in LANGUAGES}  # made once

    @property
    def is_full(self) -> bool:
        """Whether the next request is refused."""
        return self._inside >= self._limit

    @property
    def refusal(self) -> Response:
        """The response to a refused request that states no language."""
        return self._refusals["en"]

    def note_refusal(self) -> None:
        """Count a request that was refused."""
        if self._on_refusal is not None:
            self._on_refusal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self._app(scope, receive, send)
            return
        first = await receive()
        if self.is_full:
            self.note_refusal()
            await self._refusals[asked_for(scope)](scope, receive, send)
            return
        counts = False

        def noted(message: Message) -> Message:
            nonlocal counts
            if not counts and not message.get("more_body", False):
                counts = True
                self._inside += 1
            return message

        read = [noted(first)]

        async def arriving() -> Message:
            return read.pop() if read else noted(await receive())

        try:
            await self._app(scope, arriving, send)
        finally:
            if counts:
                self._inside -= 1


class BodyLimit:
    """ASGI middleware: answers 413 to a body over `max_bytes`, before all of it is read.

    `larger`: the bounds of paths with their own.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bound = self._larger.get(scope["path"], self._max_bytes)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not is_length(declared) or int(declared) > bound:
            await self._refuse(bound, scope, receive, send)
            return
        # A body without a declared length is read here, up to the bound, and passed on.
        messages: list[Message] = []
        size = 0
        if b"transfer-encoding" in dict(scope["headers"]):
            more = True
            while more:
                message = await receive()
                messages.append(message)
                size += len(message.get("body", b""))
                if size > bound:
                    await self._refuse(bound, scope, receive, send)
                    return
                more = message["type"] == "http.request" and message.get("more_body", False)

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, bound: int, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            title="The body is too large",
            type_="body-too-large",
            status=413,
            detail=f"The body is larger than {bound} bytes, or its Content-Length is not a number.",
            max_bytes=bound,
        )
        await problem_response(problem, asked_for(scope))(scope, receive, send)
