"""Problem documents in the caller's language: the real gateway called in Chinese, and the catalogue checked against the
messages that the code can raise."""

import ast
import importlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi_problem.error import StatusProblem

from standing.ledger.errors import InvalidValue, StandingError
from standing.ledger.service.problem_language import chinese
from tests.gateway.gateway_rig import Rig

_ROOT = Path(__file__).parents[2]
#: The HTTP code of a gateway, and the part of a node's that a platform or a core calls.
_ANSWERING = (
    "gateway",
    "ledger/service",
    "ledger/attestations",
    "ledger/chain/client.py",
    "ledger/chain/codec.py",
    "node/accounts",
    "node/bindings",
    "node/feed/entries.py",
    "node/feed/now.py",
    "node/feed/service.py",
    "node/storage/leadership.py",
)
#: Commands, settings and start-up code: their messages are for operators, on a terminal or in a log.
_ELSEWHERE = re.compile(
    r"(cli|settings|\w*commands?|doctor|init_\w+|rekey|moving|policy_file|vault|database|diagnosis|files|bank_secrets|payout)\.py$"
    r"|auditing|verification|migrations|/console/words\.py|ledger/service/client_command"
    r"|attestations/(sealing|publication|terms|grant)\.py"
)
#: No caller of the API sees these: they belong to the console or are handled inside the service.
_INSIDE = {
    "AnswerRefused",
    "Cancelled",
    "_ChainChanged",
    "LeadershipLost",
    "LedgerRejected",
    "MissingSentence",
    "NoRole",
    "Overtaken",
    "ProviderMisconfigured",
    "ProviderUnavailable",
    "SettingsError",
    "SignInNeeded",
    "TermsUnreadable",
    "TokenRefused",
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _files() -> Iterator[Path]:
    for place in _ANSWERING:
        path = _ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if not _ELSEWHERE.search(file.relative_to(_ROOT).as_posix()):
                yield file


def text_of(node: ast.expr, module: Any) -> str | None:
    """A message with its placeholders filled in; None if the code does not state it here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and isinstance(getattr(module, node.id, None), str):
        return str(getattr(module, node.id))
    if isinstance(node, ast.JoinedStr):
        parts = [
            text_of(each.value, module) if isinstance(each, ast.FormattedValue) else text_of(each, module) or ""
            for each in node.values
        ]
        return "".join(part if part is not None else "7" for part in parts)
    return None


def raised(file: Path, inside: Collection[str] = _INSIDE) -> Iterator[tuple[str, str]]:
    """The messages of the errors that a file raises, with their places; except the kinds handled `inside`."""
    name = "standing." + ".".join(file.relative_to(_ROOT).with_suffix("").parts)
    module = importlib.import_module(name.removesuffix(".__init__"))
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        kind = getattr(module, node.func.id, None)
        if not isinstance(kind, type) or not issubclass(kind, StandingError | StatusProblem):
            continue
        if kind.__name__ in inside:
            continue
        for argument in node.args[1:3] if issubclass(kind, InvalidValue) else node.args[:1]:
            text = text_of(argument, module)
            if text is not None and re.search("[a-z]{2} ", text):  # otherwise a protocol keyword
                yield f"{file.relative_to(_ROOT)}:{node.lineno}", text


def test_every_message_a_service_answers_with_is_in_the_catalogue() -> None:
    found = [entry for file in _files() for entry in raised(file)]
    assert len(found) > 150
    missing = [f"{place}: {text}" for place, text in found if chinese().of(text) is None]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/problems.toml:", *missing])


def test_what_is_filled_into_a_message_in_words_is_translated_too() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for place in ("gateway", "node") for path in (_ROOT / place).rglob("*.py")
    )
    filled = set(re.findall(r"\bAdmission\([^\"\n]*\"([a-z ]+)\"\)|\bBucket\([^,\n]*, \"([a-z ]+)\"", code))
    words = sorted({one or other for one, other in filled})
    assert len(words) >= 8
    for each in words:
        for english in (f"7 {each} are in progress already", f"too many attempts of {each}; allowed: again at 7"):
            assert not re.search("[a-z]{3}", chinese().of(english) or english), english


def test_every_problem_in_the_gateways_openapi_has_a_title(a_rig: Rig) -> None:
    named = set(re.findall(r"urn:standing:problem:([a-z0-9-]+)", str(a_rig.openapi)))
    assert "too-many-attempts" in named
    assert named <= chinese().titles.keys()


def _admin(rig: Rig, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {rig.keys['admin']}", "Standing-Reason": "a test", **more.pop("headers", {})}
    return httpx.request(method, rig.url + path, headers=headers, timeout=60, **more)


def _asked(rig: Rig, method: str, path: str, **more: Any) -> dict[str, Any]:
    """A problem, in Chinese for one caller and in English for another."""
    english = _admin(rig, method, path, **more)
    translated = _admin(rig, method, path, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, **more)
    assert translated.status_code == english.status_code >= 400
    assert (english.headers["Content-Language"], english.headers["Vary"]) == ("en", "Accept-Language")
    assert translated.headers["Content-Language"] == "zh", translated.text
    here, there = translated.json(), english.json()
    assert (here["type"], here["status"]) == (there["type"], there["status"])
    assert int(translated.headers["Content-Length"]) == len(translated.content)
    for part in ("title", "detail"):
        assert _CHINESE.search(here[part]), here
        assert not _CHINESE.search(there[part]), there
    return dict(here)


def test_a_gateway_answers_problems_in_the_callers_language(a_rig: Rig) -> None:
    unknown = _asked(a_rig, "GET", "/v1/bindings?user_id=nobody-1")
    assert unknown["title"] == "未找到"
    assert unknown["detail"].startswith("user_id：没有该用户")
    claim = {**a_rig.person().claim, "bank": "NONECNB0", "user_id": "u-1", "request_id": "bind-0001"}
    bank = _asked(a_rig, "POST", "/v1/bindings", json=claim)
    assert bank["errors"] == [
        {"field": "bank", "problem": "不是本平台支持的银行", "allowed": "GET /v1/banks 列出的银行"}
    ]
    assert bank["detail"] == "bank：不是本平台支持的银行；允许：GET /v1/banks 列出的银行"
    assert _asked(a_rig, "GET", "/v1/nothing")["title"] == "路径不存在"
    assert _asked(a_rig, "PUT", "/v1/decisions")["detail"] == "该路径不支持 PUT；允许：GET, POST"
    assert _asked(a_rig, "POST", "/v1/decisions", content=b"x" * 70_000)["max_bytes"] > 0
    twice = a_rig.client("platform")(
        "POST",
        "/v1/decisions",
        content=b'{"a": 1, "a": 2}',
        headers={"Content-Type": "application/json", "Accept-Language": "zh"},
    )
    assert twice.json()["detail"] == "body：不是 JSON：键 'a' 重复；允许：JSON（RFC 8259）"
    assert _asked(a_rig, "POST", "/v1/decisions/t-none/void")["detail"] == "transaction_id：没有该交易的决策结果"
    nobody = a_rig.nobody("GET", "/v1/banks", headers={"Accept-Language": "zh"})
    assert nobody.json()["title"] == "需要有效的 API 密钥"


def test_a_message_of_a_banks_node_is_translated_for_the_caller(a_rig: Rig) -> None:
    person = a_rig.bound()
    settled = person.decide()["transaction_id"]
    a_rig.platform("POST", f"/v1/decisions/{settled}/capture")
    answer = _asked(a_rig, "POST", f"/v1/decisions/{settled}/void")
    assert answer["detail"] == "该预留已扣款，不能再作其他处理"


def _wrong(schema: dict[str, Any]) -> Iterator[Any]:
    yield from ({}, [], "", "\u0000", "x" * 500, -1, 1.5, True, None, 2**70)


def _bodies(rig: Rig) -> Iterator[tuple[str, str, dict[str, Any]]]:
    schemas = rig.openapi["components"]["schemas"]
    for path, methods in rig.openapi["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None and "$ref" in content["schema"]:
                yield method.upper(), path, schemas[content["schema"]["$ref"].rpartition("/")[2]]


@pytest.mark.parametrize("whole", [b"[]", b"{", b"{}", b'"\xff"', b"", b'{"nobody-knows": 1}'])
def test_a_malformed_body_is_reported_in_chinese(a_rig: Rig, whole: bytes) -> None:
    _check_translated(a_rig, [(method, path, whole) for method, path, _ in _bodies(a_rig)])


@pytest.mark.long
def test_a_malformed_field_is_reported_in_chinese(a_rig: Rig) -> None:
    asked = []
    for method, path, schema in _bodies(a_rig):
        for field, stated in schema.get("properties", {}).items():
            asked += [(method, path, {field: wrong}) for wrong in _wrong(stated)]
    assert len(asked) > 300
    _check_translated(a_rig, asked)


def _check_translated(rig: Rig, asked: list[tuple[str, str, Any]]) -> None:
    seen = 0
    for method, path, body in asked:
        filled = re.sub(r"\{\w+\}", "0x" + "00" * 32, path)
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Accept-Language": "zh", "Content-Type": "application/json"}
        answer = _admin(rig, method, filled, headers=headers, **sent)
        if answer.status_code < 400:
            continue
        seen += 1
        assert answer.headers["Content-Language"] == "zh", (method, path, body, answer.text)
        for each in answer.json().get("errors", []):
            assert _CHINESE.search(each["problem"]), each
    assert seen > len(asked) / 2
