"""Pages: templates with autoescape, filled with the words of the visitor's language."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from standing.gateway.console.words import Words
from standing.ledger.service.languages import LANGUAGES

PATH = "/console"
#: The first page.
HOME = PATH + "/"


@cache
def static_file(name: str) -> bytes:
    """A file of the console's own. Raises: FileNotFoundError."""
    return (files("standing.gateway.console") / "static" / name).read_bytes()


@cache
def _static_url(name: str) -> str:
    """A file's address; it changes with the file, so browsers may keep it."""
    return f"{PATH}/static/{name}?{sha256(static_file(name)).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("standing.gateway.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"console": PATH, "static": _static_url, "languages": LANGUAGES}
    return environment


def page(
    template: str,
    words: Words,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page in the words' language; `w` in templates. Every value is escaped."""
    text = _environment().get_template(template).render(w=words, **values)
    return HTMLResponse(text, status_code=status, headers=dict(headers or {}))
