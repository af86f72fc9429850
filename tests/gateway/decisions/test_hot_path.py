"""The hot path against the framework's own route: both give the same answer to a request, byte for byte.

Each request is sent twice, with the same bytes: to the served app, whose hot path may answer, and to the
framework's middleware and routes behind it.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from starlette.types import ASGIApp, Message

from standing.gateway.access.admission import Admission
from standing.gateway.decisions.hot_path import HotPath
from standing.gateway.decisions.service import DecisionService
from tests.gateway.gateway_rig import Person, Rig

_ONE, _BATCH = "/v1/decisions", "/v1/decisions:batch"
_OTHER_BINDING = "0x" + "11" * 32


@dataclass(frozen=True)
class Sent:
    """A request. `headers` extend or replace the usual ones; None removes one."""

    body: bytes
    path: str = _ONE
    headers: dict[str, str | bytes | None] = field(default_factory=dict)
    method: str = "POST"
    whole: bool = True  # False: the body arrives in many parts


@dataclass(frozen=True)
class Answer:
    """The response; headers in lower case and unordered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def _asked(app: ASGIApp, rig: Rig, sent: Sent) -> Answer:
    usual: dict[str, str | bytes | None] = {
        "authorization": f"Bearer {rig.keys['platform']}",
        "content-length": str(len(sent.body)),
        "content-type": "application/json",
        "host": "gateway.test",
    }
    given = {name: value for name, value in (usual | sent.headers).items() if value is not None}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), v if isinstance(v, bytes) else v.encode()) for name, v in given.items()],
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 80),
        "state": {},
        "app": rig.app,
    }
    size = len(sent.body) if sent.whole else 7
    parts = [sent.body[at : at + size] for at in range(0, len(sent.body), size or 1)] or [b""]
    coming: list[Message] = [
        {"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)
    ]
    sent_messages: list[Message] = []

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent_messages.append(message)

    await app(scope, receive, send)
    start, *bodies = sent_messages
    return Answer(
        start["status"],
        {name.lower(): value for name, value in start["headers"]},
        b"".join(each.get("body", b"") for each in bodies),
    )


class Both:
    """Both routes to an answer, run in the gateway's own event loop."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        served = rig.app.middleware_stack
        assert served is not None
        self._served: ASGIApp = served
        self._framework = rig.app.build_middleware_stack()
        # Tasks of the served loop are started in it.
        self._loop: asyncio.AbstractEventLoop = rig.app.state.gateway.reader.nodes._looking.get_loop()

    def _run(self, app: ASGIApp, sent: Sent) -> Answer:
        return asyncio.run_coroutine_threadsafe(_asked(app, self.rig, sent), self._loop).result(60)

    def hot(self, sent: Sent) -> Answer:
        return self._run(self._served, sent)

    def framework(self, sent: Sent) -> Answer:
        return self._run(self._framework, sent)

    def same(self, sent: Sent, *, framework_first: bool = False) -> Answer:
        """The answer, after checking that both give the same."""
        if framework_first:
            answer = self.framework(sent)
            assert self.hot(sent) == answer
        else:
            answer = self.hot(sent)
            assert self.framework(sent) == answer
        return answer


@pytest.fixture
def both(a_rig: Rig) -> Both:
    return Both(a_rig)


@pytest.fixture(scope="module")
def someone(shared_rig: Rig) -> Person:
    return shared_rig.bound()


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.fixture
def by_the_framework() -> Iterator[list[str]]:
    """The paths of requests that the hot path passed on."""
    passed_on: list[str] = []
    plain = HotPath._ordinary

    def ordinary(self: HotPath, scope: Any, max_bytes: int) -> bool:
        found = plain(self, scope, max_bytes)
        if not found:
            passed_on.append(scope["path"])
        return found

    with patch.object(HotPath, "_ordinary", ordinary):
        yield passed_on


@pytest.mark.parametrize("framework_first", [False, True])
@pytest.mark.parametrize("changes", [{}, {"currency": "USD"}, {"kind": "withdrawal"}, {"amount_minor": 10**14}])
def test_the_hot_path_and_the_framework_make_the_same_decision(
    both: Both, someone: Person, changes: dict[str, Any], by_the_framework: list[str], *, framework_first: bool
) -> None:
    sent = Sent(_json(someone.transaction(**changes)))
    answer = both.same(sent, framework_first=framework_first)
    assert answer.status == 200
    assert answer.headers.keys() == {b"content-length", b"content-type"}
    assert by_the_framework == []  # the hot path answered by itself
    # Fresh decisions differ only in the transaction's id, its usage and its signature.
    fresh = {**someone.transaction(**changes)}
    names = both.framework(Sent(_json(fresh))) if not framework_first else both.hot(Sent(_json(fresh)))
    decided, other = json.loads(answer.body), json.loads(names.body)
    assert list(decided) == list(other)
    assert {name for name in decided if decided[name] != other[name]} <= {"transaction_id", "evidence", "remaining"}


def test_both_read_a_body_in_many_parts_completely(both: Both, someone: Person) -> None:
    assert both.same(Sent(_json(someone.transaction()), whole=False)).status == 200


def test_a_repeat_with_another_body_is_a_conflict_from_both(both: Both, someone: Person) -> None:
    first = someone.transaction()
    assert both.same(Sent(_json(first))).status == 200
    answer = both.same(Sent(_json(first | {"amount_minor": 1})))
    assert answer.status == 409
    assert answer.headers[b"content-type"] == b"application/problem+json"
    chinese = both.same(Sent(_json(first | {"amount_minor": 1}), headers={"accept-language": "zh"}))
    assert chinese.headers[b"content-language"] == b"zh"


def _bodies() -> dict[str, tuple[int, Callable[[dict[str, Any]], bytes]]]:
    """Refused bodies by their fault: the expected status, and how to turn a valid body into it."""

    def changed(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
        return lambda good: _json(good | changes)

    def raw(old: str, new: str) -> Callable[[dict[str, Any]], bytes]:
        return lambda good: _json(good).replace(old.encode(), new.encode())

    return {
        "empty": (422, lambda _: b""),
        "no JSON": (422, lambda _: b"amount=1"),
        "cut short": (422, lambda good: _json(good)[:-1]),
        "something behind": (422, lambda good: _json(good) + b"x"),
        "not UTF-8": (422, lambda good: _json(good).replace(b"CNY", b"\xff\xfe")),
        "a byte order mark": (422, lambda good: b"\xef\xbb\xbf" + _json(good)),
        "a list": (422, lambda good: _json([good])),
        "null": (422, lambda _: b"null"),
        "a key twice": (422, raw('"kind":', '"amount_minor": 1, "kind":')),
        "nested too deeply": (422, lambda _: b"[" * 5_000),
        "a field more": (422, changed(note="x")),
        "a field less": (422, lambda good: _json({k: v for k, v in good.items() if k != "kind"})),
        "amount 0": (422, changed(amount_minor=0)),
        "amount below 0": (422, changed(amount_minor=-1)),
        "amount too large": (422, changed(amount_minor=10**30)),
        "amount of 5,000 digits": (422, raw("1000", "9" * 5_000)),
        "amount with a point": (422, changed(amount_minor=1000.0)),
        "amount as text": (422, changed(amount_minor="1000")),
        "amount true": (422, changed(amount_minor=True)),
        "amount NaN": (422, raw("1000", "NaN")),
        "another kind": (422, changed(kind="gift")),
        "a binding of 31 bytes": (422, changed(binding="0x" + "11" * 31)),
        "a binding with a line feed": (422, changed(binding=_OTHER_BINDING + "\n")),
        "a transaction's id with a space": (422, changed(transaction_id="a b")),
        "a transaction's id of 65": (422, changed(transaction_id="a" * 65)),
        "a lone surrogate": (422, raw('"CNY"', '"\\ud800"')),
        "a currency in lower case": (422, changed(currency="cny")),
        "an unknown currency": (422, changed(currency="QQQ")),
        "an unknown binding": (404, changed(binding=_OTHER_BINDING)),
    }


@pytest.mark.parametrize("language", [None, "zh-CN"])
@pytest.mark.parametrize("wrong", _bodies())
def test_both_refuse_an_invalid_body_alike(both: Both, someone: Person, wrong: str, language: str | None) -> None:
    status, make = _bodies()[wrong]
    answer = both.same(Sent(make(someone.transaction()), headers={"accept-language": language}))
    assert answer.status == status, answer.body
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert json.loads(answer.body)["status"] == status


_HEADERS: dict[str, tuple[int, dict[str, str | bytes | None]]] = {
    "no key": (401, {"authorization": None}),
    "an unknown key": (401, {"authorization": "Bearer sk_unknown"}),
    "an empty key": (401, {"authorization": "Bearer "}),
    "another scheme": (401, {"authorization": "Basic c2s6c2s="}),
    "a key beyond ASCII": (401, {"authorization": "Bearer schlüssel".encode("latin-1")}),
    "no type of content": (422, {"content-type": None}),
    "a form": (422, {"content-type": "application/x-www-form-urlencoded"}),
    "a length that is not a number": (413, {"content-length": "many"}),
    "a length above the bound": (413, {"content-length": str(2**30)}),
    "a length of thousands of digits": (413, {"content-length": "0" * 5_000 + "2"}),
    "JSON with its character set": (200, {"content-type": "application/json; charset=utf-8"}),
    "a key whose scheme is in lower case": (200, {"authorization": "bearer"}),
}


@pytest.mark.parametrize("named", _HEADERS)
def test_both_answer_unusual_headers_alike(both: Both, someone: Person, named: str) -> None:
    status, headers = _HEADERS[named]
    if headers.get("authorization") == "bearer":
        headers = {"authorization": f"bearer {both.rig.keys['platform']}"}
    answer = both.same(Sent(_json(someone.transaction()), headers=headers))
    assert answer.status == status, answer.body


@pytest.mark.parametrize(("role", "status"), [("support", 403), ("admin", 422)])
def test_both_answer_another_role_alike(both: Both, someone: Person, role: str, status: int) -> None:
    headers: dict[str, str | bytes | None] = {"authorization": f"Bearer {both.rig.keys[role]}"}
    answer = both.same(Sent(_json(someone.transaction()), headers=headers))
    assert answer.status == status, answer.body


def test_both_refuse_a_body_one_byte_over_the_limit_and_accept_one_at_it(both: Both, someone: Person) -> None:
    bound = both.rig.settings.max_body_bytes
    good = _json(someone.transaction())
    assert both.same(Sent(good.ljust(bound))).status == 200
    assert both.same(Sent(good.ljust(bound + 1))).status == 413
    batch, bound = _json({"decisions": [someone.transaction()]}), both.rig.settings.max_batch_body_bytes
    assert both.same(Sent(batch.ljust(bound), _BATCH)).status == 200
    assert both.same(Sent(batch.ljust(bound + 1), _BATCH)).status == 413


def test_both_answer_a_body_without_a_declared_length_alike(both: Both, someone: Person) -> None:
    headers: dict[str, str | bytes | None] = {"content-length": None, "transfer-encoding": "chunked"}
    assert both.same(Sent(_json(someone.transaction()), headers=headers, whole=False)).status == 200


def test_both_answer_other_methods_alike(both: Both) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert both.same(Sent(b"", method=method)).status == 405


@pytest.mark.parametrize("language", [None, "zh-CN"])
def test_both_answer_a_batch_of_every_kind_of_item_alike(both: Both, someone: Person, language: str | None) -> None:
    first = someone.transaction()
    mixed = [first, someone.transaction(), first, first | {"amount_minor": 2}]
    mixed += [someone.transaction(binding=_OTHER_BINDING), someone.transaction(currency="QQQ")]
    answer = both.same(Sent(_json({"decisions": mixed}), _BATCH, headers={"accept-language": language}))
    assert answer.status == 200
    kinds_seen = {each.get("type") or each.get("outcome") for each in map(_inner, json.loads(answer.body)["answers"])}
    assert len(kinds_seen) > 3, kinds_seen  # an approval, a conflict, nobody's binding, no currency


def _inner(item: dict[str, Any]) -> dict[str, Any]:
    found = item.get("decision") or item.get("problem")
    assert isinstance(found, dict), item
    return found


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"decisions": []}, 422),
        ({"decisions": [{}]}, 422),
        ({"decisions": None}, 422),
        ({}, 422),
        ({"decisions": 1}, 422),
    ],
)
def test_both_refuse_an_invalid_batch_alike(both: Both, wrong: dict[str, Any], status: int) -> None:
    assert both.same(Sent(_json(wrong), _BATCH)).status == status


def test_both_refuse_an_oversized_batch_alike(both: Both, someone: Person) -> None:
    assert both.same(Sent(_json({"decisions": [someone.transaction()] * 501}), _BATCH)).status == 422


@pytest.mark.parametrize("path", [_ONE, _BATCH])
def test_both_refuse_overload_alike_with_retry_after(both: Both, someone: Person, path: str) -> None:
    decisions = both.rig.app.state.gateway.decisions
    no_room, no_batch = Admission(0, "transactions"), Admission(0, "batches of transactions")
    body = someone.transaction() if path == _ONE else {"decisions": [someone.transaction()]}
    with patch.object(decisions, "_admission", no_room), patch.object(decisions, "_batches", no_batch):
        answer = both.same(Sent(_json(body), path))
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"1"
    assert json.loads(answer.body)["type"] == "urn:standing:problem:overloaded"
    assert both.same(Sent(_json(body), path)).status == 200


@pytest.mark.parametrize("path", [_ONE, _BATCH])
def test_both_reveal_nothing_of_an_unexpected_error(both: Both, someone: Person, path: str) -> None:
    async def fails(*_: object) -> bytes:
        raise RuntimeError(f"6222-{secrets.token_hex(4)}")

    body = someone.transaction() if path == _ONE else {"decisions": [someone.transaction()]}
    with patch.object(DecisionService, "decide", fails), patch.object(DecisionService, "decide_all", fails):
        answer = both.same(Sent(_json(body), path))
    assert answer.status == 500
    assert b"6222" not in answer.body
