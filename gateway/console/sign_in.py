"""Routes to sign in and out, to choose a language, and of the console's own files."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from standing.gateway.access.sessions import LockedOut, csrf_of
from standing.gateway.console.pages import HOME, PATH, page, static_file
from standing.gateway.console.visits import (
    SESSION_COOKIE,
    VISITOR_COOKIE,
    ActDep,
    SessionsDep,
    check_visitor,
    console_zone,
    frame,
    own_page,
    remember_language,
    set_cookie,
    visitor_token,
    words_of,
)
from standing.gateway.console.words import Words
from standing.ledger.service.languages import LANGUAGES

router = APIRouter()

_STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
_UNKNOWN = "unknown"

Next = Annotated[str, Query(alias="next", max_length=200)]


@router.get("/sign-in")
async def sign_in_page(request: Request, wanted: Next = HOME) -> Response:
    """The form to sign in."""
    words = words_of(request, console_zone(request))
    return _form(request, words, own_page(wanted))


@router.post("/sign-in")
async def sign_in(
    request: Request,
    sessions: SessionsDep,
    key: Annotated[str, Form(max_length=512)] = "",
    csrf: Annotated[str, Form(max_length=128)] = "",
    wanted: Annotated[str, Form(alias="next", max_length=200)] = HOME,
) -> Response:
    """Open a session with an API key of support or admin."""
    check_visitor(request, csrf)
    words, back = words_of(request, console_zone(request)), own_page(wanted)
    address = request.client.host if request.client is not None else _UNKNOWN
    try:
        token = await sessions.open(key.strip(), address)
    except LockedOut as error:
        minutes = -(-error.retry_after_s // 60)
        answer = _form(request, words, back, words("sign-in-locked-out", minutes=minutes), status=429)
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer
    if token is None:
        return _form(request, words, back, words("sign-in-refused"), status=403)
    response = RedirectResponse(back, status_code=303)
    set_cookie(request, response, SESSION_COOKIE, token)
    response.delete_cookie(VISITOR_COOKIE, path=PATH)
    return response


@router.post("/sign-out")
async def sign_out(visited: ActDep, sessions: SessionsDep) -> Response:
    """End the session."""
    await sessions.end(visited.request.cookies[SESSION_COOKIE])
    response = RedirectResponse(f"{PATH}/sign-in", status_code=303)
    response.delete_cookie(SESSION_COOKIE, path=PATH)
    return response


@router.post("/language")
async def choose_language(
    request: Request,
    to: Annotated[str, Form(max_length=8)],
    back: Annotated[str, Form(max_length=200)] = HOME,
) -> Response:
    """Show the same page in another language from now on."""
    response = RedirectResponse(own_page(back), status_code=303)
    if to in LANGUAGES:
        remember_language(request, response, to)
    return response


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """A style sheet, script or picture of the console's own."""
    if name not in _STATIC:
        raise HTTPException(404)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(static_file(name), media_type=_STATIC[name], headers=kept)


def _form(request: Request, words: Words, back: str, problem: str = "", *, status: int = 200) -> Response:
    token = visitor_token(request)
    values = frame(request, None) | {"csrf": csrf_of(token), "next": back, "problem": problem, "section": ""}
    if request.method != "GET":
        values["path"] = f"{PATH}/sign-in"
    response = page("sign_in.html", words, values, status=status)
    set_cookie(request, response, VISITOR_COOKIE, token)
    return response
