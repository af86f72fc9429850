"""The two hot routes, from a request to its answer on one page: `POST /v1/decisions` and `POST /v1/decisions:batch`.

The ordinary request is a platform's key, a JSON body that is sent as such, and nothing to complain of. It is answered
here, in front of the framework: the framework's own way around a request (layers of middleware, dependencies, request
and response objects, exit stacks) costs more than the decision. Every other request goes on to the route of FastAPI
(`gateway.decisions.routes`) as it came, and is refused, audited or answered there: another role or no key, another type
of content, a body that is too large or malformed in any way. So there is one wording of every refusal, one OpenAPI
document, and nothing is accepted here that would not be accepted there: key, JSON and body are checked by the same
keyring, the same strict reader and the same models. `tests/gateway/decisions/test_hot_path.py` sends the same bytes to
both.
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

_ROLE = "platform"
_BEARER = b"Bearer "
_JSON = b"application/json"
#: The headers that an ordinary request has, each once, and those that it may not have beside them.
_ORDINARY = frozenset({b"authorization", b"content-length", b"content-type"})
_LOOKED_AT = _ORDINARY | {b"transfer-encoding"}

_Body = TypeVar("_Body", bound=BaseModel)
_Decide = Callable[[bytes], Awaitable[bytes | None]]


class HotPath:
    """ASGI middleware that answers ordinary requests for decisions, and passes on everything else unchanged.

    It stands inside of what sheds load and of what ends unexpected errors, and in front of everything else. `table`:
    HTTP status of the service's own errors.
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
        # 1: the body, whole; the server holds it to its declared length
        message = await receive()
        body = message.get("body", b"")
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
        if message["type"] != "http.request":
            return  # the caller has gone
        # 2: the decision; its errors are problems
        try:
            answer = await decide(body)
        except StandingError as error:
            await problem_response(problem_of(error, self._table), asked_for(scope))(scope, receive, send)
            return
        # 3: the answer, or the framework's route where the body is not as it should be
        if answer is None:
            await self._app(scope, _replay(body, receive), send)
            return
        headers = [(b"content-length", str(len(answer)).encode()), (b"content-type", _JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _ordinary(self, scope: Scope, max_bytes: int) -> bool:
        """Whether a platform's key and a body of a declared length that says it is JSON are there, each once."""
        given = [(name, value) for name, value in scope["headers"] if name in _LOOKED_AT]
        found = dict(given)
        if len(given) != len(_ORDINARY) or found.keys() != _ORDINARY or found[b"content-type"] != _JSON:
            return False
        key, length = found[b"authorization"], found[b"content-length"]
        if not key.startswith(_BEARER) or not key.isascii() or not length.isdigit() or int(length) > max_bytes:
            return False
        caller = self._keyring.caller(key.removeprefix(_BEARER).decode())
        return caller is not None and caller.role == _ROLE

    async def _decide(self, body: bytes) -> bytes | None:
        asked = _parsed(DecisionBody, body)
        return await self._decisions.decide(asked.transaction()) if asked is not None else None

    async def _decide_batch(self, body: bytes) -> bytes | None:
        asked = _parsed(BatchBody, body)
        if asked is None:
            return None
        answers = await self._decisions.decide_all([each.transaction() for each in asked.decisions])
        return batch_answer(answers, self._own_table)


def _parsed(model: type[_Body], body: bytes) -> _Body | None:
    """The body; None where it is not one, which the framework's route then says in detail."""
    try:
        return model.model_validate(strict_json(body))
    except (JSONDecodeError, ValidationError):
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, and then goes on."""
    return partial(_next, [{"type": "http.request", "body": body, "more_body": False}], receive)


async def _next(read: list[Message], receive: Receive) -> Message:
    return read.pop() if read else await receive()
