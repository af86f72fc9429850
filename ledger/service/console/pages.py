"""A console's pages, rendered from templates with autoescape in the visitor's language.

Templates and messages are looked up in the console's own package first, then in the shared one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from standing.ledger.service.console.sessions import Sessions
from standing.ledger.service.console.words import SHARED, Words
from standing.ledger.service.languages import LANGUAGES, preferred

PATH = "/console"
#: The first page.
HOME = PATH + "/"


@dataclass(frozen=True, slots=True)
class Console:
    """The configuration of one console.

    `package`: of its templates and messages. `name`: the prefix of its cookies, so that two consoles on one host do
    not share them. `zone`: the default time zone. `provider`: the name of the identity provider for sign-in;
    `sign_out_url`: where users end their session there, None where they cannot.
    """

    package: str
    name: str
    zone: ZoneInfo
    sessions: Sessions
    by_key: bool = True
    provider: str | None = None
    sign_out_url: Callable[[], Awaitable[str | None]] | None = None

    @property
    def session_cookie(self) -> str:
        return self.name

    @property
    def visitor_cookie(self) -> str:
        """Before sign-in, the form has a token of its own."""
        return f"{self.name}_visitor"

    @property
    def language_cookie(self) -> str:
        return f"{self.name}_language"

    def words(self, request: Request) -> Words:
        """The visitor's language: their choice, otherwise their browser's preference."""
        chosen = request.cookies.get(self.language_cookie)
        for language in LANGUAGES:
            if chosen == language:
                return Words(self.package, language, self.zone)
        return Words(self.package, preferred(request.headers.get("Accept-Language", "")), self.zone)

    def page(
        self,
        template: str,
        words: Words,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page in the visitor's language; `w` in templates. Every value is escaped."""
        text = _environment(self.package).get_template(template).render(w=words, **values)
        return HTMLResponse(text, status_code=status, headers=dict(headers or {}))


def segment(plain: str) -> str:
    """An id as one segment of a path. Browsers resolve segments of one or two dots, even encoded ones, so such an id
    gets a leading tilde, which no id has; `unsegmented` removes it."""
    return f"~{plain}" if plain in {".", ".."} else plain


def unsegmented(stated: str) -> str:
    """The id of which `segment` made a segment."""
    return stated.removeprefix("~")


@cache
def static_file(name: str) -> bytes:
    """A static file. Raises: FileNotFoundError."""
    return (files(SHARED) / "static" / name).read_bytes()


@cache
def _static_url(name: str) -> str:
    """A file's URL; it changes with the content, so browsers may cache it."""
    return f"{PATH}/static/{name}?{sha256(static_file(name)).hexdigest()[:12]}"


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader(SHARED, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"console": PATH, "static": _static_url, "languages": LANGUAGES}
    environment.filters |= {"segment": segment}
    return environment
