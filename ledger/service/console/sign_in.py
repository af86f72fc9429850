"""Routes for signing in and out, choosing a language, and the console's static files."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from standing.ledger.service.console.pages import HOME, PATH, static_file
from standing.ledger.service.console.sessions import LockedOut, csrf_of
from standing.ledger.service.console.visits import (
    ActDep,
    ConsoleDep,
    StaleForm,
    address,
    check_visitor,
    console_of,
    forget_cookie,
    frame,
    own_page,
    remember_language,
    set_cookie,
    visitor_token,
)
from standing.ledger.service.console.words import Words
from standing.ledger.service.languages import LANGUAGES

router = APIRouter()

_STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
_UNKNOWN = "unknown"

#: The longest address of a page of its own.
_MAX_PAGE = 2_000
Next = Annotated[str, Query(alias="next", max_length=_MAX_PAGE)]


@router.get("/sign-in")
async def sign_in_page(
    request: Request,
    console: ConsoleDep,
    wanted: Next = HOME,
    out: Annotated[bool, Query()] = False,
    undone: Annotated[bool, Query()] = False,
) -> Response:
    """The ways to sign in. `out`: the visitor has just signed out, and may want to sign out of the provider, too.
    `undone`: they sent a form after their session had ended. A visitor who is signed in, as after Back, is redirected
    to the page they wanted."""
    token = request.cookies.get(console.session_cookie)
    if token is not None and await console.sessions.find(token, touch=False) is not None:
        return RedirectResponse(own_page(wanted), status_code=303)
    there = await console.sign_out_url() if out and console.sign_out_url is not None else None
    words = console.words(request)
    problem = words("sign-in-undone") if undone else ""
    here = own_page(address(request))
    return form(request, words, own_page(wanted), problem, signed_out=out, provider_out=there, here=here)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    console: ConsoleDep,
    key: Annotated[str, Form(max_length=512)] = "",
    csrf: Annotated[str, Form(max_length=128)] = "",
    wanted: Annotated[str, Form(alias="next", max_length=_MAX_PAGE)] = HOME,
) -> Response:
    """Open a session with an API key."""
    words, back = console.words(request), own_page(wanted)
    try:
        check_visitor(request, csrf)
        token = await console.sessions.open(key.strip(), address_of(request))
    except LockedOut as error:
        return locked_out(request, words, error)
    except StaleForm:
        return form(request, words, back, words("sign-in-stale"), status=403)
    if token is None:
        return form(request, words, back, words("sign-in-refused"), status=403)
    response = RedirectResponse(back, status_code=303)
    set_cookie(request, response, console.session_cookie, token)
    forget_cookie(response, console.visitor_cookie)
    return response


@router.post("/sign-out")
async def sign_out(visited: ActDep, console: ConsoleDep) -> Response:
    """End the session."""
    await console.sessions.end(visited.request.cookies[console.session_cookie])
    out = "?out=1" if visited.session.issuer is not None else ""
    response = RedirectResponse(f"{PATH}/sign-in{out}", status_code=303)
    forget_cookie(response, console.session_cookie)
    return response


@router.post("/language")
async def choose_language(
    request: Request,
    to: Annotated[str, Form(max_length=8)],
    back: Annotated[str, Form(max_length=_MAX_PAGE)] = HOME,
) -> Response:
    """Show the same page in another language from now on."""
    response = RedirectResponse(own_page(back), status_code=303)
    if to in LANGUAGES:
        remember_language(request, response, to)
    return response


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """A style sheet, script or picture of the console."""
    if name not in _STATIC:
        raise HTTPException(404)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(static_file(name), media_type=_STATIC[name], headers=kept)


def address_of(request: Request) -> str:
    """The address a request comes from."""
    return request.client.host if request.client is not None else _UNKNOWN


def locked_out(request: Request, words: Words, error: LockedOut) -> Response:
    """The sign-in page for an address that is locked out, with the time left."""
    minutes = -(-error.retry_after_s // 60)
    answer = form(request, words, HOME, words("sign-in-locked-out", minutes=minutes), status=429)
    answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def form(
    request: Request,
    words: Words,
    back: str,
    problem: str = "",
    *,
    status: int = 200,
    signed_out: bool = False,
    provider_out: str | None = None,
    here: str | None = None,
) -> Response:
    """The sign-in page, with every available method. `provider_out`: where to sign out of the provider. `here`: where
    this page is shown again, in another language; by default the plain sign-in page that leads to `back`."""
    token, console = visitor_token(request), console_of(request)
    values = frame(request, None) | {
        "csrf": csrf_of(token),
        "next": back,
        "problem": problem,
        "path": here or f"{PATH}/sign-in?next={quote(back, safe='')}",
        "section": "",
        "by_key": console.by_key,
        "provider": console.provider,
        "signed_out": signed_out,
        "provider_out": provider_out,
    }
    response = console.page("sign_in.html", words, values, status=status)
    set_cookie(request, response, console.visitor_cookie, token)
    return response
