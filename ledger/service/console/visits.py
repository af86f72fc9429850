"""A visit: one request by somebody who is signed in, or about to sign in, with their language."""

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from standing.ledger.errors import NotAllowed, StandingError
from standing.ledger.service.api_keys import Caller
from standing.ledger.service.console.pages import HOME, PATH, Console
from standing.ledger.service.console.sessions import Session, csrf_of
from standing.ledger.service.console.words import Words

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "testserver")
#: A page of the console that a form may lead back to, with its query.
_OWN_PAGE = re.compile(r"/console(/[A-Za-z0-9._:~/-]*)?(\?[A-Za-z0-9._:~/=&%-]*)?")
_LANGUAGE_LIFETIME_S = 365 * 24 * 3600


def console_of(request: Request) -> Console:
    """The console that a request is for."""
    console: Console = request.app.state.console
    return console


ConsoleDep = Annotated[Console, Depends(console_of)]


class SignInNeeded(StandingError):
    """The visitor is not signed in, or no longer."""


class ForgedRequest(NotAllowed):
    """A form that does not come from a page of this console."""


class StaleForm(ForgedRequest):
    """A form that does not come from a page of this session: mostly of one before it, in another tab."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in."""

    console: Console
    request: Request
    session: Session
    words: Words

    @property
    def caller(self) -> Caller:
        return self.session.caller

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page for this visitor."""
        return self.console.page(template, self.words, frame(self.request, self.session) | values, status=status)


def frame(request: Request, session: Session | None) -> dict[str, Any]:
    """The values of every page besides its own."""
    own = request.method == "GET"
    path = own_page(request.url.path) if own else HOME
    return {
        "caller": session.caller if session is not None else None,
        "csrf": session.csrf if session is not None else "",
        "opened_at_ms": session.now_ms if session is not None else None,
        # Without a session, a query may be a provider's answer, which is no page to come back to.
        "path": own_page(address(request)) if own and session is not None else path,
        "section": path.removeprefix(PATH).strip("/").partition("/")[0],
    }


def address(request: Request) -> str:
    """The path of a request, with its query."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def own_page(path: str) -> str:
    """`path` where it is a page of the console, otherwise the console's first page: no open redirects."""
    return path if _OWN_PAGE.fullmatch(path) and "//" not in path else HOME


async def visit(request: Request, console: ConsoleDep) -> Visit:
    """The visit of a request. Raises: SignInNeeded; what the database raises where it does not work."""
    session = await console.sessions.find(request.cookies.get(console.session_cookie, ""))
    if session is None:
        raise SignInNeeded("nobody is signed in")
    return Visit(console, request, session, console.words(request))


VisitDep = Annotated[Visit, Depends(visit)]


async def act(visited: VisitDep, csrf: Annotated[str, Form(max_length=128)] = "") -> Visit:
    """The visit of a form that changes something. Raises: StaleForm."""
    if not hmac.compare_digest(csrf.encode(), visited.session.csrf.encode()):
        raise StaleForm("csrf: not the token of this session; allowed: a form from a page of this session")
    return visited


ActDep = Annotated[Visit, Depends(act)]


def check_origin(request: Request) -> None:
    """Refuse a form from another site, judged by the browser's headers. Raises: ForgedRequest."""
    if request.method in {"GET", "HEAD"}:
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in {"same-origin", "none"} or (
        origin is not None and origin.partition("://")[2] != request.headers.get("Host")
    ):
        raise ForgedRequest("origin: a page of another site; allowed: pages of this console")


def set_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    *,
    max_age_s: int | None = None,
    samesite: Literal["strict", "lax"] = "strict",
) -> None:
    """Set a cookie that scripts cannot read and other sites do not send.

    It is sent over HTTPS only, except on this machine itself, which has no TLS.
    """
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=PATH,
        httponly=True,
        samesite=samesite,
        secure=request.url.hostname not in _LOOPBACK,
    )


def forget_cookie(response: Response, name: str) -> None:
    """Delete a cookie."""
    response.delete_cookie(name, path=PATH)


def remember_language(request: Request, response: Response, language: str) -> None:
    """Keep the chosen language."""
    set_cookie(request, response, console_of(request).language_cookie, language, max_age_s=_LANGUAGE_LIFETIME_S)


def visitor_token(request: Request) -> str:
    """The form token of a visitor who is not signed in: the existing one, or a new one."""
    known = request.cookies.get(console_of(request).visitor_cookie, "")
    return known if re.fullmatch(r"[A-Za-z0-9_-]{43}", known) else secrets.token_urlsafe(32)


def check_visitor(request: Request, csrf: str) -> None:
    """Check the sign-in form against the visitor's cookie. Raises: StaleForm."""
    token = request.cookies.get(console_of(request).visitor_cookie, "")
    if not token or not hmac.compare_digest(csrf.encode(), csrf_of(token).encode()):
        raise StaleForm("csrf: not the token of this form; allowed: the form as the page showed it")
