"""What commands that call a running service share."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.problems import PROBLEM_PREFIX
from standing.ledger.service.settings import checked_api_key, read_api_key

_RETRY_AFTER_S = 1

_Document = TypeVar("_Document", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Document]):
    """A service's answer, and its text as it came."""

    document: _Document
    text: str


def key_from(file: Path | None, variable: str) -> str:
    """An API key from a file, or from the environment. Raises: InvalidValue, SettingsError."""
    if file is not None:
        return read_api_key(file, "key-file")
    key = os.environ.get(variable)
    if not key:
        raise InvalidValue("--key-file", "missing", f"a file with an API key, or {variable} in the environment")
    return checked_api_key(key, variable)


def call_service(
    method: str,
    url: str,
    path: str,
    key: str,
    answers: type[_Document],
    *,
    reason: str | None = None,
    body: dict[str, Any] | None = None,
    timeout_s: float = 10.0,
) -> Answer[_Document]:
    """Call the service at `url`, whose answers have the form `answers`. `reason`: the reason for the audit, for calls
    whose body has no place for it. Raises: InvalidValue; Unavailable where nothing answers, something else than the
    service does, or the service refuses.
    """
    if reason is not None and not reason.isprintable():
        raise InvalidValue("--reason", "contains a line break or another control character", "text on one line")
    url = url.rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} | ({"Standing-Reason": reason} if reason is not None else {})
    try:
        # As bytes: a reason may be in Chinese, and headers are sent unchanged.
        raw = [(name.encode(), text.encode()) for name, text in headers.items()]
        answer = httpx.request(method, url + path, headers=raw, json=body, timeout=timeout_s)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InvalidValue("--url", "not a URL", "such as http://127.0.0.1:8200") from error
    except httpx.HTTPError as error:
        raise Unavailable(f"no service answers at {url} ({type(error).__name__})", _RETRY_AFTER_S) from error
    if not answer.is_success:
        raise Unavailable(f"the service at {url} answers: {_refusal(url, answer)}", _RETRY_AFTER_S)
    try:
        return Answer(answers.model_validate_json(answer.content), answer.text)
    except ValidationError as error:
        raise _something_else(url, answer) from error


def _refusal(url: str, answer: httpx.Response) -> str:
    """What the service's problem document says. Raises: Unavailable where it is none."""
    try:
        problem = answer.json()
        if not str(problem["type"]).startswith(PROBLEM_PREFIX):
            raise _something_else(url, answer)
        return str(problem.get("detail", answer.status_code))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _something_else(url, answer) from error


def _something_else(url: str, answer: httpx.Response) -> Unavailable:
    return Unavailable(
        f"what answers at {url} is not the service that this command is for (HTTP {answer.status_code})",
        _RETRY_AFTER_S,
    )
