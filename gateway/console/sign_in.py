"""Routes to sign in and out, to choose a language, and of the console's own files."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from standing.gateway.access.sessions import LockedOut, csrf_of
from standing.gateway.composition import Gateway
from standing.gateway.console.pages import HOME, PATH, page, static_file
from standing.gateway.console.visits import (
    SESSION_COOKIE,
    VISITOR_COOKIE,
    ActDep,
    GatewayDep,
    SessionsDep,
    check_visitor,
    console_zone,
    forget_cookie,
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
async def sign_in_page(
    request: Request, gateway: GatewayDep, wanted: Next = HOME, out: Annotated[bool, Query()] = False
) -> Response:
    """The ways to sign in. `out`: somebody has just signed out, and may want to with the provider, too."""
    words = words_of(request, console_zone(request))
    there = await gateway.openid.sign_out_url() if out and gateway.openid is not None else None
    return form(request, gateway, words, own_page(wanted), signed_out=out, provider_out=there)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    gateway: GatewayDep,
    sessions: SessionsDep,
    key: Annotated[str, Form(max_length=512)] = "",
    csrf: Annotated[str, Form(max_length=128)] = "",
    wanted: Annotated[str, Form(alias="next", max_length=200)] = HOME,
) -> Response:
    """Open a session with an API key of support or admin."""
    check_visitor(request, csrf)
    words, back = words_of(request, console_zone(request)), own_page(wanted)
    try:
        token = await sessions.open(key.strip(), address_of(request))
    except LockedOut as error:
        return locked_out(request, gateway, words, error)
    if token is None:
        return form(request, gateway, words, back, words("sign-in-refused"), status=403)
    response = RedirectResponse(back, status_code=303)
    set_cookie(request, response, SESSION_COOKIE, token)
    forget_cookie(response, VISITOR_COOKIE)
    return response


@router.post("/sign-out")
async def sign_out(visited: ActDep, sessions: SessionsDep) -> Response:
    """End the session."""
    await sessions.end(visited.request.cookies[SESSION_COOKIE])
    out = "?out=1" if visited.session.issuer is not None else ""
    response = RedirectResponse(f"{PATH}/sign-in{out}", status_code=303)
    forget_cookie(response, SESSION_COOKIE)
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


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else _UNKNOWN


def locked_out(request: Request, gateway: Gateway, words: Words, error: LockedOut) -> Response:
    """The page to sign in, which says how long nobody of this address may."""
    minutes = -(-error.retry_after_s // 60)
    answer = form(request, gateway, words, HOME, words("sign-in-locked-out", minutes=minutes), status=429)
    answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def form(
    request: Request,
    gateway: Gateway,
    words: Words,
    back: str,
    problem: str = "",
    *,
    status: int = 200,
    signed_out: bool = False,
    provider_out: str | None = None,
) -> Response:
    """The page to sign in, by every way that is open. `provider_out`: where to sign out with the provider."""
    token, settings = visitor_token(request), gateway.settings.console
    values = frame(request, None) | {
        "csrf": csrf_of(token),
        "next": back,
        "problem": problem,
        "path": f"{PATH}/sign-in",
        "section": "",
        "by_key": settings.key_sign_in,
        "provider": settings.openid.label if settings.openid is not None else None,
        "signed_out": signed_out,
        "provider_out": provider_out,
    }
    response = page("sign_in.html", words, values, status=status)
    set_cookie(request, response, VISITOR_COOKIE, token)
    return response
