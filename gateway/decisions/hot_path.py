"""The two hot routes, from request to answer in one module: `POST /v1/decisions` and `POST /v1/decisions:batch`.

An ordinary request has a platform's key, the JSON content type, and a valid body. It is answered here, in front of the
framework: the framework's own handling (layers of middleware, dependencies, request and response objects, exit stacks)
costs more than the decision. Every other request is passed unchanged to the FastAPI route (`gateway.decisions.routes`),
which refuses, audits or answers it: another role or no key, another content type, a body that is too large or
malformed. Refusals are therefore worded in one place, and there is one OpenAPI document. Nothing is accepted here that
the route would not accept: key, JSON and body are checked by the same keyring, the same strict reader and the same
models. `tests/gateway/decisions/test_hot_path.py` sends the same bytes to both.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from json import JSONDecodeError
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from standing.gateway.decisions.batch import batch_answer
from standing.gateway.decisions.routes import BATCH_PATH, DECISIONS_PATH
from standing.gateway.decisions.schemas import BatchBody, DecisionBody
from standing.gateway.decisions.service import DecisionService
from standing.ledger.errors import StandingError
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.json_bodies import strict_json
from standing.ledger.service.problem_language import asked_for
from standing.ledger.service.problems import merged, problem_of, problem_response
from standing.ledger.service.request_limits import is_length

_ROLE = "platform"
_BEARER = b"Bearer "
_JSON = b"application/json"
#: The headers that an ordinary request has, each once, and those that it must not have in addition.
_ORDINARY = frozenset({b"authorization", b"content-length", b"content-type"})
_CHECKED_HEADERS = _ORDINARY | {b"transfer-encoding"}

_Body = TypeVar("_Body", bound=BaseModel)
_Decide = Callable[[bytes, Scope], Awaitable[bytes | None]]


class HotPath:
    """ASGI middleware that answers ordinary requests for decisions, and passes on everything else unchanged.

    It runs inside the middleware for load shedding and for unexpected errors, and before all other middleware.
    `table`: HTTP status of the service's own errors.
    """

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        decisions: DecisionService,
        table: Mapping[type[StandingError], tuple[int, str]],
        *,
        max_body_bytes: int,
        max_batch_body_bytes: int,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._decisions = decisions
        self._own_table = table
        self._table = merged(table)
        self._routes: Mapping[str, tuple[_Decide, int]] = {
            DECISIONS_PATH: (self._decide, max_body_bytes),
            BATCH_PATH: (self._decide_batch, max_batch_body_bytes),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None or not self._ordinary(scope, route[1]):
            await self._app(scope, receive, send)
            return
        decide = route[0]
        # 1: the whole body; the server enforces its declared length
        message = await receive()
        body = message.get("body", b"")
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
        if message["type"] != "http.request":
            return  # the caller has disconnected
        # 2: the decision; errors become problem documents
        try:
            answer = await decide(body, scope)
        except StandingError as error:
            await problem_response(problem_of(error, self._table), asked_for(scope))(scope, receive, send)
            return
        # 3: the answer; an invalid body goes to the framework's route
        if answer is None:
            await self._app(scope, _replay(body, receive), send)
            return
        headers = [(b"content-length", str(len(answer)).encode()), (b"content-type", _JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _ordinary(self, scope: Scope, max_bytes: int) -> bool:
        """Whether the request has a platform's key, a declared length and the JSON content type, each once."""
        given = [(name, value) for name, value in scope["headers"] if name in _CHECKED_HEADERS]
        found = dict(given)
        if len(given) != len(_ORDINARY) or found.keys() != _ORDINARY or found[b"content-type"] != _JSON:
            return False
        key, length = found[b"authorization"], found[b"content-length"]
        if not key.startswith(_BEARER) or not key.isascii() or not is_length(length) or int(length) > max_bytes:
            return False
        caller = self._keyring.caller(key.removeprefix(_BEARER).decode())
        return caller is not None and caller.role == _ROLE

    async def _decide(self, body: bytes, _scope: Scope) -> bytes | None:
        asked = _parsed(DecisionBody, body)
        return await self._decisions.decide(asked.transaction()) if asked is not None else None

    async def _decide_batch(self, body: bytes, scope: Scope) -> bytes | None:
        asked = _parsed(BatchBody, body)
        if asked is None:
            return None
        answers = await self._decisions.decide_all([each.transaction() for each in asked.decisions])
        return batch_answer(answers, self._own_table, asked_for(scope))


def _parsed(model: type[_Body], body: bytes) -> _Body | None:
    """The parsed body; None if it is invalid, which the framework's route then reports in detail."""
    try:
        return model.model_validate(strict_json(body))
    except (JSONDecodeError, ValidationError):
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first returns the body already read, then continues with the original one."""
    return partial(_next, [{"type": "http.request", "body": body, "more_body": False}], receive)


async def _next(read: list[Message], receive: Receive) -> Message:
    return read.pop() if read else await receive()
