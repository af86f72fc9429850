"""What commands that call a running service share."""

import os
from pathlib import Path
from typing import Any

import httpx

from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.settings import read_text_secret

_RETRY_AFTER_S = 1


def key_from(file: Path | None, variable: str) -> str:
    """An API key from a file, or from the environment. Raises: InvalidValue, SettingsError."""
    if file is not None:
        return read_text_secret(file, "key-file")
    key = os.environ.get(variable)
    if not key:
        raise InvalidValue("--key-file", "missing", f"a file with an API key, or {variable} in the environment")
    return key


def call_service(
    method: str,
    url: str,
    path: str,
    key: str,
    *,
    reason: str | None = None,
    body: dict[str, Any] | None = None,
    timeout_s: float = 10.0,
) -> httpx.Response:
    """The answer of the service at `url`, a JSON object. Raises: Unavailable where none answers, or it refuses.

    `reason`: why, for the audit, of calls that have no place for it in their body.
    """
    url = url.rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} | ({"Standing-Reason": reason} if reason is not None else {})
    try:
        # As bytes: a reason may be in Chinese, and headers are sent unchanged.
        raw = [(name.encode(), text.encode()) for name, text in headers.items()]
        answer = httpx.request(method, url + path, headers=raw, json=body, timeout=timeout_s)
        detail = answer.json().get("detail", answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as error:
        raise Unavailable(f"no service answers at {url} ({type(error).__name__})", _RETRY_AFTER_S) from error
    if not answer.is_success:
        raise Unavailable(f"the service at {url} answers: {detail}", _RETRY_AFTER_S)
    return answer
