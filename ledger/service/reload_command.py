"""`reload` of both services: makes the running service read its settings again."""

import os
from pathlib import Path

import httpx
import typer

from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.commands import one_line_errors, say
from standing.ledger.service.reloading import PATH, SettingsState
from standing.ledger.service.settings import read_text_secret

_TIMEOUT_S = 10.0
_RETRY_AFTER_S = 1


def key_from(file: Path | None, variable: str) -> str:
    """An API key from a file, or from the environment. Raises: InvalidValue, SettingsError."""
    if file is not None:
        return read_text_secret(file, "key-file")
    key = os.environ.get(variable)
    if not key:
        raise InvalidValue("--key-file", "missing", f"a file with an API key, or {variable} in the environment")
    return key


def reload(url: str, key_file: Path | None, variable: str, reason: str | None = None) -> None:
    """Ask the service at `url` to reload, and print the result. Exit code 2 where something needs a restart."""
    with one_line_errors():
        state = _ask(url.rstrip("/"), key_from(key_file, variable), reason)
    say(f"read again; changed: {', '.join(state.changed) or 'nothing'}")
    if state.needs_restart:
        say(f"needs a restart: {', '.join(state.needs_restart)}")
        raise typer.Exit(2)


def _ask(url: str, key: str, reason: str | None) -> SettingsState:
    headers = {"Authorization": f"Bearer {key}"}
    if reason is not None:
        headers["Standing-Reason"] = reason
    try:
        # As bytes: a reason may be in Chinese, and headers are sent verbatim.
        raw = [(name.encode(), text.encode()) for name, text in headers.items()]
        answer = httpx.post(url + PATH, headers=raw, timeout=_TIMEOUT_S)
        document = answer.json()
        if answer.status_code == httpx.codes.OK:
            return SettingsState.model_validate(document)
        detail = document.get("detail", answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as error:
        raise Unavailable(f"no service answers at {url} ({type(error).__name__})", _RETRY_AFTER_S) from error
    raise Unavailable(f"{url} answers: {detail}", _RETRY_AFTER_S)
