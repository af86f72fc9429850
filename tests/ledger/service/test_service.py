"""Shared parts of both services: secrets at rest, API keys, settings, problem documents."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service import problems
from standing.ledger.service.api_keys import ApiKey, Caller, Keyring, new_key, require
from standing.ledger.service.private_files import write_private
from standing.ledger.service.request_limits import BodyLimit, LoadShedding
from standing.ledger.service.serve import served
from standing.ledger.service.settings import (
    ServiceSettings,
    SettingsError,
    load,
    read_secret,
    read_text_secret,
)
from standing.ledger.service.vault import Vault, VaultError

_OLD, _NEW = b"\x01" * 32, b"\x02" * 32


def test_a_vault_opens_what_it_sealed_and_no_other_vault_does() -> None:
    stored = Vault([_OLD], "node").seal_text("张伟")
    assert "张伟".encode() not in stored
    assert Vault([_OLD], "node").unseal_text(stored) == "张伟"
    for other in (Vault([_NEW], "node"), Vault([_OLD], "gateway")):
        with pytest.raises(VaultError):
            other.unseal_text(stored)


def test_a_new_first_secret_still_opens_and_finds_values_of_the_older_one() -> None:
    old, both = Vault([_OLD], "node"), Vault([_NEW, _OLD], "node")
    assert both.unseal_text(old.seal_text("x")) == "x"
    assert both.lookup("number", "1") == old.lookup("number", "1")
    with pytest.raises(VaultError):
        old.unseal_text(both.seal_text("x"))


def test_lookup_hashes_of_different_fields_or_values_never_collide() -> None:
    vault = Vault([_OLD], "node")
    assert len({vault.lookup(field, value) for field in ("a", "b") for value in ("1", "2")}) == 4


@pytest.mark.parametrize("secrets", [[], [b"\x01" * 31], [_OLD, b""]])
def test_a_vault_without_good_secrets_is_refused(secrets: list[bytes]) -> None:
    with pytest.raises(InvalidValue):
        Vault(secrets, "node")


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("an even number")
    return number


@contextmanager
def _client(*keys: ApiKey) -> Iterator[httpx.Client]:
    app = FastAPI()
    app.state.keyring = Keyring(keys)
    app.add_middleware(BodyLimit, max_bytes=100)
    problems.install(app, {})

    class Body(BaseModel):
        model_config = ConfigDict(extra="forbid")

        name: str
        limits: list[Annotated[int, Field(ge=0)] | Literal["none"]] = []
        even: Annotated[int, AfterValidator(_even)] = 0

    @app.get("/who")
    def who(caller: Annotated[Caller, Depends(require("core"))]) -> str:
        return caller.name

    @app.post("/echo")
    def echo(body: Body) -> str:
        raise {"full": Overloaded("full", 7), "gone": NotFound("not here"), "bug": KeyError("secret detail")}[body.name]

    with served(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_key_is_rotated_by_listing_both_for_a_while() -> None:
    (old, old_hash), (new, new_hash) = new_key(), new_key()
    keys = [ApiKey(name="core", role="core", sha256=digest) for digest in (old_hash, new_hash)]
    for listed, expected in ((keys, [200, 200]), (keys[1:], [401, 200])):
        with _client(*listed) as client:
            answers = [client.get("/who", headers={"Authorization": f"Bearer {key}"}) for key in (old, new)]
        assert [answer.status_code for answer in answers] == expected


@pytest.mark.parametrize("header", [None, "Bearer x", "Bearer nobody", "Basic eDp5", "nonsense"])
def test_a_request_without_a_known_key_gets_401_and_the_scheme_to_use(header: str | None) -> None:
    key, digest = new_key()
    with _client(ApiKey(name="core", role="core", sha256=digest)) as client:
        answer = client.get("/who", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:standing:problem:missing-key"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert key not in answer.text


@pytest.mark.parametrize(
    ("name", "status", "problem"),
    [("full", 503, "overloaded"), ("gone", 404, "not-found"), ("bug", 500, "unexpected")],
)
def test_every_error_is_a_problem_document_and_an_unexpected_one_reveals_nothing(
    name: str, status: int, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with _client() as client:
        answer = client.post("/echo", json={"name": name})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:standing:problem:{problem}"
    assert answer.json()["status"] == status
    assert "secret detail" not in answer.text + "".join(capfd.readouterr())
    assert (answer.headers.get("retry-after") == "7") == (name == "full")


def test_a_malformed_request_is_reported_by_field_and_never_echoed() -> None:
    with _client() as client:
        answer = client.post("/echo", json={"name": ["张伟"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"
    assert "张伟" not in answer.text


@pytest.mark.parametrize(
    ("body", "field", "allowed"),
    [
        (b'{"name": ["a"]}', "name", "a valid string"),
        (b'{"name": "a", "limits": [-1]}', "limits[0]", "greater than or equal to 0"),
        (b'{"name": "a", "limits": ["x"]}', "limits[0]", "'none'"),
        (b'{"name": "a", "no-such": 1}', "no-such", "only the fields that the API documents"),
        (b"{}", "name", "it must be stated"),
        (b'{"name": "a", "even": 3}', "even", "an even number"),
        (b'{"name": ', "body", "JSON (RFC 8259)"),
        (b"[]", "body", "a JSON object, sent as application/json"),
    ],
)
def test_a_malformed_request_is_answered_with_the_field_and_what_is_allowed(
    body: bytes, field: str, allowed: str
) -> None:
    with _client() as client:
        answer = client.post("/echo", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert {one["field"] for one in errors} == {field}
    assert allowed in {one["allowed"] for one in errors}
    assert all(one["problem"] for one in errors)
    assert field in answer.json()["detail"]
    assert allowed in answer.json()["detail"]


@pytest.mark.parametrize(("size", "status"), [(100, 422), (101, 413)])
def test_a_body_at_the_size_limit_is_read_and_a_larger_one_is_not(size: int, status: int) -> None:
    with _client() as client:
        assert client.post("/echo", content=b" " * size).status_code == status
        assert client.post("/echo", content=iter([b" "] * size)).status_code == status


@pytest.mark.anyio
async def test_a_body_in_pieces_without_a_length_arrives_whole() -> None:
    arrived = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.append(await Request(scope, receive, send).body())

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(_message: Message) -> None:
        raise AssertionError("refused")

    pieces = [b"one, ", b"two, ", b"three"]
    scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    await BodyLimit(app, max_bytes=100)(scope, receive, send)
    assert arrived == [b"one, two, three"]


class _Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="STANDING_TRY_", extra="forbid")

    port: int
    name: str = "unnamed"
    shelves: tuple[int, ...] = ()


def test_environment_variables_override_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nname = "file"\n')
    assert load(_Settings, file) == _Settings(port=1, name="file")
    monkeypatch.setenv("STANDING_TRY_PORT", "2")
    assert load(_Settings, file).port == 2
    assert load(_Settings, None).name == "unnamed"


def test_a_settings_file_may_begin_with_a_byte_order_mark_and_must_be_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes("\ufeffport = 1\r\nname = '银行'\r\n".encode())
    assert load(_Settings, file) == _Settings(port=1, name="银行")
    file.write_bytes("port = 1\nname = '银行'\n".encode("gbk"))
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(_Settings, file)


def test_a_password_that_is_not_text_is_refused_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"secret\xff")
    with pytest.raises(SettingsError, match=r"password: .* is not UTF-8") as caught:
        read_text_secret(file, "password")
    assert caught.value.__cause__ is None


def test_malformed_json_in_the_environment_is_reported_by_variable_without_the_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STANDING_TRY_SHELVES", "[1, hidden")
    with pytest.raises(SettingsError, match="STANDING_TRY_SHELVES: not JSON") as caught:
        load(_Settings, None)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('port = "x"', "port: "),
        ("name = 'x'", "port: "),
        ("port = 1\ncolour = 2", "colour: "),
        ("port = ", "settings.toml: "),
        (None, "No such file"),
    ],
)
def test_wrong_settings_are_reported_in_one_line_by_field_without_the_value(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        load(_Settings, file)
    assert "\n" not in str(caught.value)


def test_a_secret_file_is_private_and_never_overwritten_or_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "ab" * 32)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_secret(file, "secret") == b"\xab" * 32
    with pytest.raises(SettingsError, match="exists already"):
        write_private(file, "x")
    for wrong in ("abc", "zz" * 32, "ab" * 31):
        file.write_text(wrong)
        with pytest.raises(SettingsError) as caught:
            read_secret(file, "secret")
        assert wrong not in str(caught.value)
    file.write_text("\n")
    with pytest.raises(SettingsError, match="empty"):
        read_text_secret(file, "password")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_text_secret(file, "password")
    with pytest.raises(SettingsError, match="UTF-8"):
        load(_Settings, file)


@pytest.mark.anyio
async def test_excess_requests_are_refused_unread_and_later_ones_are_served() -> None:
    gate, inside = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        inside.set()
        await gate.wait()
        await PlainTextResponse("done")(scope, receive, send)

    app = LoadShedding(slow, path="/hot", limit=1)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        first = asyncio.create_task(client.post("/hot"))
        await inside.wait()
        refused = await client.post("/hot", content=b"never parsed")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json()["type"] == "urn:standing:problem:overloaded"
        gate.set()
        assert (await client.post("/elsewhere")).text == "done"
        assert (await first).text == "done"
        assert (await client.post("/hot")).text == "done"


@pytest.mark.anyio
async def test_clients_that_hang_up_take_no_places() -> None:
    """An app that waits for a response to be ready learns by the message after the body that its client has gone."""

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        assert load.is_full
        while (await receive())["type"] != "http.disconnect":
            pass

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_message: Message) -> None:
        raise AssertionError("nobody listens")

    load = LoadShedding(listening, path="/hot", limit=1)
    for _ in range(2):
        messages: list[Message] = [{"type": "http.request", "body": b"x"}, {"type": "http.disconnect"}]
        await load({"type": "http", "path": "/hot", "headers": []}, receive, send)
        assert not load.is_full


_TALKATIVE = """
import logging, threading, structlog
from standing.ledger.service import logs

def fail():
    try:
        raise ValueError("张伟")
    except ValueError as error:
        raise RuntimeError("13912345678") from error

logs.configure("info")
structlog.get_logger().info("ours", name="张伟")
logging.getLogger("sqlalchemy.pool").warning("a library's, %s lines", 1)
logging.getLogger("uvicorn.error").info("not said")
thread = threading.Thread(target=fail, name="publisher")
thread.start()
thread.join()
"""


def test_every_log_line_is_json_including_library_and_thread_errors_and_holds_no_error_text() -> None:
    logged = subprocess.run([sys.executable, "-c", _TALKATIVE], capture_output=True, text=True, check=True).stderr
    ours, library, end = (json.loads(line) for line in logged.splitlines())
    assert (ours["event"], ours["level"], ours["name"]) == ("ours", "info", "张伟")
    assert (library["event"], library["level"]) == ("a library's, 1 lines", "warning")
    assert library["logger"] == "sqlalchemy.pool"
    assert end["level"] == "critical"
    assert "publisher" in end["event"]
    assert [each["type"] for each in end["exception"]] == ["RuntimeError", "ValueError"]
    assert all(each["frames"][-1]["name"] == "fail" for each in end["exception"])
    assert "张伟" not in str(end)
    assert "13912345678" not in str(end)
    assert all(line["time"].endswith("Z") for line in (ours, library, end))


_LOGS_TO_A_FULL_DISK = """
import logging, structlog
from standing.ledger.service import logs

logs.configure("info")
structlog.get_logger().info("ours")
structlog.get_logger().bind(worker="publisher").critical("ours too")
logging.getLogger("sqlalchemy.pool").warning("a library's")
print("goes on")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_log_loses_lines_and_not_the_work_that_logs() -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", _LOGS_TO_A_FULL_DISK], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert ended.stdout == "goes on\n"


@pytest.mark.parametrize(
    "program",
    [
        "standing.node.cli",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("standing.gateway.cli", "standing.gateway.evidence.verification.commands")
        ),
    ],
)
def test_endlessly_nested_json_is_an_error_and_does_not_crash_the_process(program: str) -> None:
    parse = f"import json, {program}; json.loads('[' * 200_000)"
    ended = subprocess.run([sys.executable, "-c", parse], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "RecursionError" in ended.stderr) == (1, True)
