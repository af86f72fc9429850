"""Routes for signing in through an OpenID Connect provider."""

from hashlib import sha256
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from standing.gateway.access.id_token import OpenIdError, ProviderMisconfigured, ProviderUnavailable, TokenRefused
from standing.gateway.access.openid import LIFETIME_MS, Answer, OpenId
from standing.gateway.composition import Gateway
from standing.gateway.console.visits import GatewayDep
from standing.ledger.service.console.pages import HOME
from standing.ledger.service.console.sessions import LockedOut
from standing.ledger.service.console.sign_in import Next, address_of, form, locked_out
from standing.ledger.service.console.visits import ConsoleDep, console_of, forget_cookie, frame, own_page, set_cookie

#: Set while the browser is at the provider's page; one for each sign-in, so that two tabs can sign in at once.
SIGN_IN_COOKIE = "standing_sign_in"
#: More are left over from abandoned tabs. All are deleted then, so that the browser's requests stay small.
_MAX_COOKIES = 4

router = APIRouter()

_Text = Annotated[str, Query(max_length=4_000)]


@router.get("/sign-in/openid")
async def begin(request: Request, gateway: GatewayDep, wanted: Next = HOME) -> Response:
    """Send the browser to the provider."""
    try:
        begun = await _provider(gateway).begin(own_page(wanted))
    except OpenIdError as error:
        return _refused(request, error, own_page(wanted))
    response = RedirectResponse(begun.url, status_code=303)
    left = [name for name in request.cookies if name.startswith(SIGN_IN_COOKIE)]
    for name in left if len(left) >= _MAX_COOKIES else ():
        forget_cookie(response, name)
    # Lax: the provider's answer is a navigation from another site, for which browsers send no strict cookie.
    cookie = _cookie_of(begun.state)
    set_cookie(request, response, cookie, begun.sealed, max_age_s=LIFETIME_MS // 1_000, samesite="lax")
    return response


def _cookie_of(state: str) -> str:
    """The name of a sign-in's cookie."""
    return f"{SIGN_IN_COOKIE}_{sha256(state.encode()).hexdigest()[:12]}"


@router.get("/sign-in/openid/callback")
async def callback(
    request: Request,
    gateway: GatewayDep,
    console: ConsoleDep,
    state: _Text = "",
    code: _Text = "",
    iss: Annotated[str | None, Query(max_length=1_000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Handle the provider's answer: open a session for the person whom it vouches for."""
    provider, words, cookie = _provider(gateway), console.words(request), _cookie_of(state)
    try:
        await console.sessions.check_address(address_of(request))
        vouched = await provider.finish(Answer(state, code, iss, error), request.cookies.get(cookie, ""))
    except LockedOut as lock:
        return locked_out(request, words, lock)
    except OpenIdError as refusal:
        if isinstance(refusal, TokenRefused):
            await console.sessions.failed(address_of(request))
        response = _refused(request, refusal, own_page(refusal.wanted or HOME))
        forget_cookie(response, cookie)
        return response
    token = await console.sessions.open_for(vouched.caller, provider.settings.issuer)
    # A page, not a redirect: the request came from another site, so after a redirect no strict cookie would be sent.
    values = frame(request, None) | {"wanted": own_page(vouched.wanted), "path": HOME, "section": ""}
    response = console.page("signed_in.html", words, values)
    set_cookie(request, response, console.session_cookie, token)
    forget_cookie(response, cookie)
    return response


def _provider(gateway: Gateway) -> OpenId:
    """Raises: HTTPException if none is configured."""
    if gateway.openid is None:
        raise HTTPException(404)
    return gateway.openid


def _refused(request: Request, error: OpenIdError, back: str = HOME) -> Response:
    structlog.get_logger().warning("console_sign_in_refused", kind=type(error).__name__, problem=str(error))
    words = console_of(request).words(request)
    broken = isinstance(error, ProviderUnavailable | ProviderMisconfigured)
    return form(request, words, back, words.named("openid", error.sentence), status=503 if broken else 403)
