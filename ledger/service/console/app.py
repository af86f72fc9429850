"""A console's ASGI application: pages, errors as pages, and the headers of every response."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from standing.ledger.errors import StandingError
from standing.ledger.service.console import sign_in
from standing.ledger.service.console.pages import HOME, PATH, Console
from standing.ledger.service.console.sessions import LockedOut
from standing.ledger.service.console.visits import (
    SignInNeeded,
    StaleForm,
    address,
    check_origin,
    console_of,
    frame,
    own_page,
)
from standing.ledger.service.problem_language import localized
from standing.ledger.service.problems import UnexpectedErrors, merged, problem_of

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
_TOO_MANY_REQUESTS = 429
_NOT_THIS_WAY = 405
#: The messages of errors that the framework raises, by status.
_NAMES = {400: "malformed-request", 404: "not-found", _NOT_THIS_WAY: "not-this-way"}


def create(
    console: Console,
    services: Mapping[type, object],
    routers: Iterable[APIRouter],
    problems: Mapping[type[StandingError], tuple[int, str]],
) -> FastAPI:
    """A console on top of a service's services (`ledger.service.injection`), to be mounted at PATH.

    `routers`: its pages, besides those for sign-in. `problems`: HTTP status and title of the service's own errors.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.console = console
    # Errors that only a console has come first.
    app.state.problems = merged({LockedOut: (_TOO_MANY_REQUESTS, "Locked out"), **problems})
    for router in (sign_in.router, *routers):
        app.include_router(router)
    app.add_exception_handler(SignInNeeded, _sign_in_needed)
    app.add_exception_handler(StandingError, _standing_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(_SameSite)
    app.add_middleware(UnexpectedErrors, answer=lambda request: error_page(request, 500, "unexpected"))
    app.add_middleware(_Headers)
    return app


def mount(app: FastAPI, console: FastAPI) -> None:
    """Serve a console at PATH. The redirect that adds the slash names only a path, because the service does not know
    its address as the browser sees it."""
    app.add_route(PATH, lambda _request: RedirectResponse(HOME), methods=["GET"], include_in_schema=False)
    app.mount(PATH, console)


def error_page(
    request: Request,
    status: int,
    name: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Response:
    """An error as a page. `name`: of its message; `title`: in place of a message, where there is none."""
    console = console_of(request)
    words = console.words(request)
    values: dict[str, Any] = {"status": status, "title": words.named("error", name, title), "detail": detail}
    values["back"] = None if request.method == "GET" else _sent_from(request)
    return console.page("error.html", words, frame(request, None) | values, status=status, headers=headers)


async def _sign_in_needed(request: Request, _error: Exception) -> Response:
    if request.method == "GET":
        return RedirectResponse(f"{PATH}/sign-in?next={quote(own_page(address(request)))}", status_code=303)
    if request.url.path == f"{PATH}/sign-out":  # they are signed out already, as in another tab
        return RedirectResponse(f"{PATH}/sign-in?out=1", status_code=303)
    return RedirectResponse(f"{PATH}/sign-in?next={_sent_from(request)}&undone=1", status_code=303)


def _sent_from(request: Request) -> str:
    """The page of a form, if the browser names it: where to do again what the form has not done."""
    beyond_host = request.headers.get("Referer", "").partition("://")[2].partition("/")[2]
    return own_page("/" + beyond_host.partition("?")[0])


async def _standing_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StandingError)
    problem = problem_of(error, request.app.state.problems)
    document, _ = localized(problem.marshal(), console_of(request).words(request).language)
    # Of a stale form the title says everything; the detail is about tokens.
    detail = "" if isinstance(error, StaleForm) else document["detail"]
    return error_page(request, problem.status, str(problem.type), detail, problem.headers, document["title"])


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(item["loc"][0] in {"path", "query"} for item in error.errors()):
        return error_page(request, 404, "not-found")  # a mistyped link, not a form
    # The input may be personal data, so only the names of the fields are shown.
    fields = sorted({str(item["loc"][-1]) for item in error.errors()})
    return error_page(request, 422, "malformed-request", ", ".join(fields))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == _NOT_THIS_WAY and request.method == "GET":
        # The address of a form was opened directly, for example by Enter in the address bar of the page that the form
        # led to.
        return RedirectResponse(HOME, status_code=303)
    return error_page(request, error.status_code, _NAMES.get(error.status_code, f"http-{error.status_code}"))


class _SameSite:
    """ASGI middleware: refuses forms of other sites."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            try:
                check_origin(request)
            except StandingError as error:
                await (await _standing_error(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Headers:
    """ASGI middleware: adds the headers of every response. Pages are never cached; the console's static files may
    be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                own = _HEADERS if b"cache-control" in present else _HEADERS | {b"cache-control": b"no-store"}
                message["headers"] = [*message["headers"], *own.items()]
            await send(message)

        await self._app(scope, receive, with_headers)
