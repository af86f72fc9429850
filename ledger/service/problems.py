"""Problem documents (RFC 9457): the one place where errors become HTTP.

Every problem has a stable `type`, `urn:standing:problem:<word>`: the error's class name in kebab case. `title` and
`detail` are in the language that the request prefers (`ledger.service.problem_language`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from fastapi_problem.error import Problem, StatusProblem
from fastapi_problem.handler import ExceptionHandler, add_exception_handler, new_exception_handler
from rfc9457 import error_class_to_type
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from standing.ledger.attestations.code_patterns import allowed_by, code_problem
from standing.ledger.errors import (
    Conflict,
    InvalidValue,
    LedgerError,
    NotAllowed,
    NotFound,
    Overloaded,
    StandingError,
    Unavailable,
)
from standing.ledger.service.json_bodies import SOMEWHERE
from standing.ledger.service.languages import Language
from standing.ledger.service.problem_language import asked_for, localized

PROBLEM_PREFIX = "urn:standing:problem:"
PROBLEM_TYPE = PROBLEM_PREFIX + "{type}"
MEDIA_TYPE = "application/problem+json"

#: HTTP status and title of each error; the first matching class counts. Services put their own entries first.
_SHARED: Mapping[type[StandingError], tuple[int, str]] = {
    InvalidValue: (422, "A value is not allowed"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflicts with existing data"),
    NotAllowed: (403, "Not allowed"),
    Overloaded: (503, "Temporarily overloaded"),
    Unavailable: (503, "Temporarily unavailable"),
    LedgerError: (503, "The ledger cannot be used at the moment"),
}


class Unexpected(StatusProblem):
    """Shown instead of an unexpected error, whose text could contain anything."""

    status = 500
    title = "Internal error"

    def __init__(self, _detail: str | None = None, **_: Any) -> None:
        super().__init__("The error was logged with its request; no details are disclosed here.")


def merged(table: Mapping[type[StandingError], tuple[int, str]]) -> Mapping[type[StandingError], tuple[int, str]]:
    """A service's own table, followed by the shared one."""
    return {**table, **_SHARED}


def problem_of(error: StandingError, table: Mapping[type[StandingError], tuple[int, str]] = _SHARED) -> Problem:
    """The problem document of an error."""
    status, title = next((entry for kind, entry in table.items() if isinstance(error, kind)), (500, "Failed"))
    extras: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, InvalidValue):
        extras["errors"] = [{"field": error.field, "problem": error.problem, "allowed": error.allowed}]
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    return Problem(
        title=title, type_=error_class_to_type(error), detail=str(error), status=status, headers=headers, **extras
    )


#: The allowed values, by error type, where pydantic's message lacks them.
_ALLOWED = {
    "json_invalid": "JSON (RFC 8259)",
    "missing": "it must be stated",
    "extra_forbidden": "only the fields that the API documents",
    "model_attributes_type": "a JSON object, sent as application/json",
}


def _place(loc: Sequence[str | int], kind: str) -> str:
    """`changes[3].status` for pydantic's ("body", "changes", 3, "status").

    Parts that are not fields of the body are left out, such as the branches of a union, which only pydantic names.
    """
    place = ""
    for part in loc[1:]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part.isidentifier() or loc[0] != "body" or kind == "extra_forbidden":
            place += f".{part}"
    return place.removeprefix(".") or str(loc[0])


def _described(item: Mapping[str, Any]) -> dict[str, str]:
    """One of pydantic's errors: where, what is wrong, and what is allowed."""
    kind, problem = item["type"], str(item["msg"])
    if kind == "json_invalid":  # its location is a character of the body
        what, place = item["ctx"]["error"], item["loc"][-1]
        problem = f"not JSON: {what}" if place == SOMEWHERE else f"not JSON: {what}, at character {place}"
        return {"field": "body", "problem": problem, "allowed": _ALLOWED[kind]}
    if kind == "value_error":  # raised by our own check, which states what is allowed
        return {"field": _place(item["loc"], kind), "problem": "not allowed", "allowed": str(item["ctx"]["error"])}
    code = code_problem(item)
    if code is not None:
        return {"field": _place(item["loc"], kind), "problem": code[0], "allowed": code[1]}
    allowed = _ALLOWED.get(kind) or allowed_by(problem) or problem
    return {"field": _place(item["loc"], kind), "problem": problem, "allowed": allowed}


def _sentence(error: Mapping[str, str]) -> str:
    more = "" if error["allowed"] in error["problem"] else f"; allowed: {error['allowed']}"
    return f"{error['field']}: {error['problem']}{more}"


#: The most errors of a malformed request that are named.
_MAX_ERRORS = 50


def _validation_problem(_handler: ExceptionHandler, _request: Request, error: RequestValidationError) -> Problem:
    """The problem document of pydantic's errors, without the input, which may be personal data."""
    # A body may have hundreds of thousands of them.
    errors = [_described(item) for item in error.errors()[:_MAX_ERRORS]]
    return Problem(
        title="The request is malformed",
        type_="malformed-request",
        detail="; ".join(_sentence(item) for item in errors[:5]),
        status=422,
        errors=errors,
    )


def install(app: FastAPI, table: Mapping[type[StandingError], tuple[int, str]]) -> None:
    """Make `app` answer every error with a problem document; `table` maps the service's own errors."""
    known = merged(table)
    handler = new_exception_handler(
        handlers={
            StandingError: lambda _handler, _request, error: problem_of(error, known),
        },
        request_validation_handler=_validation_problem,
        post_hooks=[_in_its_language],
        documentation_uri_template=PROBLEM_TYPE,
    )
    add_exception_handler(app, handler, generic_swagger_defaults=False)
    app.add_exception_handler(StandingError, handler)
    app.add_exception_handler(405, _wrong_method)
    app.add_middleware(UnexpectedErrors)


def _in_its_language(problem: dict[str, Any], request: Request, response: Response) -> tuple[dict[str, Any], Response]:
    document, headers = localized(problem, asked_for(request.scope))
    if document != problem:
        response.body = response.render(document)
    response.headers.update(headers)
    return document, response


def _unexpected(request: Request) -> Response:
    return problem_response(Unexpected(), asked_for(request.scope))


def _wrong_method(request: Request, _error: Exception) -> Response:
    """405 with every method of the path; each method is a separate route, which knows only itself."""
    allowed = sorted(_methods(request))
    problem = Problem(
        title="The path has no such method",
        type_="http-method-not-allowed",
        status=405,
        detail=f"{request.method} is not a method of this path; allowed: {', '.join(allowed)}",
        headers={"Allow": ", ".join(allowed)},
    )
    return problem_response(problem, asked_for(request.scope))


def _methods(request: Request) -> set[str]:
    return {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.path is not None and compile_path(route.path)[0].match(request.url.path)
        for method in route.methods or ()
    }


class UnexpectedErrors:
    """ASGI middleware that handles every error that nothing else has caught.

    The response has no details (`answer` makes it; a problem document by default), and the log shows only the
    error's type and place, since its text may contain personal data. The error must not reach the server, which
    would log all of it.
    """

    def __init__(self, app: ASGIApp, answer: Callable[[Request], Response] | None = None) -> None:
        self._app = app
        self._answer = answer if answer is not None else _unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - it goes no further on purpose, see above
            structlog.get_logger().error(
                "unexpected_error", path=scope.get("path"), error=type(error).__name__, place=_innermost(error)
            )
            if started or scope["type"] != "http":
                raise RuntimeError("an answer was broken off by an unexpected error") from None
            await self._answer(Request(scope))(scope, receive, send)


def _innermost(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "?"


@dataclass(frozen=True, slots=True)
class Documented:
    """A problem without an error class of its own, as shown in OpenAPI."""

    status: int
    word: str
    title: str


MALFORMED = Documented(422, "malformed-request", "The request is malformed")
BODY_TOO_LARGE = Documented(413, "body-too-large", "The body is too large")


def responses(*errors: type[StandingError] | type[StatusProblem] | Documented) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that may answer with these errors, each with an example."""
    documented: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = error if isinstance(error, Documented) else _document(error)
        example = {
            "type": PROBLEM_TYPE.format(type=known.word),
            "title": known.title,
            "status": known.status,
            "detail": "What was wrong, where, and what is allowed.",
        }
        entry = documented.setdefault(
            known.status,
            {
                "description": known.title,
                "headers": {
                    "Content-Language": {
                        "description": "`en`, or `zh` where Accept-Language prefers it; both where a sentence is not "
                        "known in Chinese",
                        "schema": {"type": "string", "maxLength": 16},
                    }
                },
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][known.word] = {"value": example}
    return documented


def _document(error: type[StandingError] | type[StatusProblem]) -> Documented:
    word = error_class_to_type(error.__new__(error))
    if issubclass(error, StatusProblem):
        return Documented(error.status, word, error.title)
    status, title = next((entry for kind, entry in _SHARED.items() if issubclass(error, kind)), (500, "Failed"))
    return Documented(status, word, title)


def problem_response(problem: Problem, language: Language) -> Response:
    """A problem as a response, for middleware that answers before any route; the same bytes as from a route."""
    document, headers = localized(problem.marshal(uri=PROBLEM_TYPE), language)
    return JSONResponse(
        document,
        status_code=problem.status,
        headers=dict(problem.headers or {}) | headers,
        media_type=MEDIA_TYPE,
    )
