"""Commands that call a running service: each answer that is not the service's is reported for what it is."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from standing.gateway.cli import app as gateway
from standing.ledger.errors import InvalidValue, StandingError, Unavailable
from standing.ledger.service.client_command import call_service, key_from
from standing.ledger.service.serve import served
from standing.ledger.service.settings import SettingsError


class _State(BaseModel):
    ready: bool


_ANSWERS: dict[str, Response] = {
    "page": PlainTextResponse("<html>"),
    "page-502": PlainTextResponse("<html>", 502),
    "other": JSONResponse({"status": "ok"}),
    "list": JSONResponse([]),
    "other-404": JSONResponse({"detail": "Not Found"}, 404),
    "list-404": JSONResponse([], 404),
    "refused": JSONResponse({"type": "urn:standing:problem:missing-key", "detail": "No API key was given."}, 401),
    "well": JSONResponse({"ready": True, "of_a_later_version": 1}),
}


def _app() -> Starlette:
    return Starlette(routes=[Route("/{name}", lambda request: _ANSWERS[request.path_params["name"]])])


def test_a_service_that_is_another_one_is_not_taken_for_silence() -> None:
    with served(_app()) as url:
        assert call_service("GET", url, "/well", "sk_x", _State).document.ready
        for name in ("page", "page-502", "other", "list", "other-404", "list-404"):
            with pytest.raises(Unavailable, match=f"what answers at {url} is not the service"):
                call_service("GET", url, f"/{name}", "sk_x", _State)
        with pytest.raises(Unavailable, match="answers: No API key was given"):
            call_service("GET", url, "/refused", "sk_x", _State)


@pytest.mark.parametrize("command", [["status"], ["scoring", "show"], ["reload"]])
def test_the_status_of_another_service_is_one_line_without_a_traceback(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDING_GATEWAY_KEY", "sk_x")
    everything = Route("/{path:path}", lambda _request: JSONResponse({"status": "ok"}), methods=["GET", "POST"])
    with served(Starlette(routes=[everything])) as url:
        result = CliRunner().invoke(gateway, [*command, "--url", url])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: what answers at {url} is not the service that this command is for (HTTP 200)\n"


@pytest.mark.parametrize(
    ("url", "reason", "error", "message"),
    [
        ("127.0.0.1:8200", None, InvalidValue, "--url: not a URL"),
        ("http://127.0.0.1:9", None, Unavailable, "no service answers at http://127.0.0.1:9 .ConnectError"),
        ("http://127.0.0.1:9", "two\nlines", InvalidValue, "--reason: contains a line break"),
    ],
)
def test_what_cannot_be_asked_says_why(url: str, reason: str | None, error: type[StandingError], message: str) -> None:
    with pytest.raises(error, match=message):
        call_service("GET", url, "/", "sk_x", _State, reason=reason)


def test_a_key_file_from_an_editor_is_read_and_one_without_a_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xef\xbb\xbf sk_x \r\n")
    assert key_from(file, "KEY") == "sk_x"
    for wrong in ("sk_钥匙", "sk_one\nsk_two", "the key", "\ufeff"):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(SettingsError, match="not an API key") as caught:
            key_from(file, "KEY")
        assert wrong not in str(caught.value)
    monkeypatch.setenv("KEY", "sk_\r\n")
    assert key_from(None, "KEY") == "sk_"
