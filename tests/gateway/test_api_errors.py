"""The gateway's API over HTTP: invalid bodies and unknown resources."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from standing.ledger.attestations.money import MAX_AMOUNT_MINOR
from tests.gateway.answers import kind_of
from tests.gateway.gateway_rig import Rig

BAD_DECISIONS: list[tuple[dict[str, Any], str]] = [
    ({"amount_minor": 0}, "amount_minor"),
    ({"amount_minor": -1}, "amount_minor"),
    ({"amount_minor": MAX_AMOUNT_MINOR + 1}, "amount_minor"),
    ({"amount_minor": 10**30}, "amount_minor"),
    ({"amount_minor": 1.5}, "amount_minor"),
    ({"amount_minor": 1.0}, "amount_minor"),
    ({"amount_minor": "100"}, "amount_minor"),
    ({"amount_minor": True}, "amount_minor"),
    ({"amount_minor": None}, "amount_minor"),
    ({"currency": "cny"}, "currency"),
    ({"currency": "XQX"}, "currency"),
    ({"currency": ""}, "currency"),
    ({"kind": "refund"}, "kind"),
    ({"binding": "0x12"}, "binding"),
    ({"binding": "zz" * 33}, "binding"),
    ({"binding": "0x" + "zz" * 32}, "binding"),
    ({"transaction_id": ""}, "transaction_id"),
    ({"transaction_id": "x" * 65}, "transaction_id"),
    ({"transaction_id": "a b"}, "transaction_id"),
    ({"transaction_id": "a\n"}, "transaction_id"),
    ({"extra": 1}, "extra"),
]


@pytest.mark.parametrize(("change", "field"), BAD_DECISIONS)
def test_an_invalid_decision_body_is_reported_by_field_and_cause(
    a_rig: Rig, change: dict[str, Any], field: str
) -> None:
    body = {
        "transaction_id": "t-bad",
        "binding": "0x" + "11" * 32,
        "kind": "payment",
        "amount_minor": 100,
        "currency": "CNY",
    }
    answer = a_rig.platform("POST", "/v1/decisions", json=body | change)
    assert kind_of(answer)[0] == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert kind_of(a_rig.platform("GET", "/v1/decisions/t-bad")) == (404, "not-found")


BAD_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"bank": "NOTABICATALL"}, "bank"),
    ({"bank": "BKCHCNBJ"}, "bank"),  # a BIC, but none of this platform's banks
    ({"number": "12"}, "number"),
    ({"number_type": "wallet"}, "number_type"),
    ({"holder_name": "···"}, "holder_name"),
    ({"id_document_country": "china"}, "id_document_country"),
    ({"phone": "1" * 65}, "phone"),
    ({"user_id": "someone@example.org"}, "user_id"),
    ({"request_id": "short"}, "request_id"),
    ({"sex": "f"}, "sex"),
]


@pytest.mark.long
@pytest.mark.parametrize(("change", "field"), BAD_CLAIMS)
def test_an_invalid_claim_is_reported_by_field_and_cause_without_its_content(
    a_rig: Rig, change: dict[str, Any], field: str
) -> None:
    person = a_rig.person()
    answer = person.bind(**change)
    assert kind_of(answer)[0] == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    for personal in (*person.claim.values(), *change.values()):
        if personal not in {"card", "CN", "CCPT", "NIDN", "12", "short", "f", "wallet", "china"}:
            assert personal not in answer.text
    listed = a_rig.platform("GET", f"/v1/bindings?user_id={person.user_id}")
    assert kind_of(listed) == (404, "not-found")  # an attempt that never reached a bank registers no user


@pytest.mark.parametrize(
    ("content", "status", "problem_type"),
    [
        (b"", 422, "malformed-request"),
        (b"[]", 422, "malformed-request"),
        (b"{", 422, "malformed-request"),
        (b"\xff\xfe", 422, "malformed-request"),
        (b'{"transaction_id": "\xff"}', 422, "malformed-request"),
        (b"9" * 5_000, 422, "malformed-request"),
        (b"[" * 60_000, 422, "malformed-request"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    a_rig: Rig, content: bytes, status: int, problem_type: str
) -> None:
    answer = a_rig.platform("POST", "/v1/decisions", content=content, headers={"Content-Type": "application/json"})
    assert kind_of(answer) == (status, problem_type)


def test_a_body_with_a_duplicate_key_is_refused_everywhere(a_rig: Rig) -> None:
    admin = replace(a_rig.client("admin"), why="Ticket 4711")
    unknown = "0x" + "11" * 32
    taking = {
        ("POST", path) for path, methods in a_rig.openapi["paths"].items() if "requestBody" in methods.get("post", {})
    } | {("PUT", "/v1/users/{user_id}/identity")}
    assert len(taking) > 12
    for method, template in taking:
        path = template.replace("{binding}", unknown).replace("{transaction_id}", "t-none").replace("{user_id}", "u")
        path = path.replace("{hold_id}", "h_" + "0" * 24).replace("{endpoint}", "we_" + "0" * 20)
        for content in (b'{"reason": "first", "reason": "second"}', b'{"reason": "\xff"}'):
            answer = admin(method, path, content=content, headers={"Content-Type": "application/json"})
            assert kind_of(answer) == (422, "malformed-request"), (path, content)
            assert answer.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"reason": 1, "reason": 2}', "不是 JSON：键 'reason' 重复"),
        (b"[" * 60_000, "不是 JSON：嵌套过深"),
        (b"9" * 5_000, "不是 JSON：数字过长"),
        (b"\xef\xbb\xbf{}", "不是 JSON：以字节顺序标记（BOM）开头，位于第 0 个字符"),
        (b'{"transaction_id": "\\ud800"}', "应为有效的 Unicode 文本"),
    ],
)
def test_what_is_wrong_with_a_body_is_told_in_one_language_and_names_no_invented_place(
    a_rig: Rig, content: bytes, problem: str
) -> None:
    headers = {"Content-Type": "application/json", "Accept-Language": "zh"}
    answer = a_rig.platform("POST", "/v1/decisions", content=content, headers=headers)
    assert problem in [error["problem"] for error in answer.json()["errors"]]
    assert "at character" not in a_rig.platform("POST", "/v1/decisions", content=b'{"a": 1, "a": 2}').text


@pytest.mark.parametrize("path", ["/v1/decisions/", "/v1/bindings/", "/v1/decisions:batch/", "/healthz/", "/docs/"])
def test_a_slash_too_many_does_not_send_a_body_and_a_key_to_the_host_that_the_request_names(
    a_rig: Rig, path: str
) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, a_rig.url + path, headers={"Host": "elsewhere.example"})
        assert kind_of(answer) == (404, "http-not-found")
        assert "location" not in answer.headers


def test_the_console_is_found_without_its_last_slash_behind_any_proxy(a_rig: Rig) -> None:
    answer = httpx.get(a_rig.url + "/console", headers={"Host": "upstream"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")


def test_a_wrong_method_is_answered_with_every_allowed_method(a_rig: Rig) -> None:
    for path, allowed in (
        ("/v1/decisions", "GET, POST"),
        ("/v1/bindings/0x" + "11" * 32, "DELETE, GET"),
        ("/v1/webhook-endpoints", "GET, POST"),
        ("/v1/decisions:batch", "POST"),
    ):
        answer = httpx.request("PATCH", a_rig.url + path)
        assert kind_of(answer) == (405, "http-method-not-allowed")
        assert answer.headers["allow"] == allowed


def test_openapi_is_valid_and_every_name_in_it_is_unique(a_rig: Rig) -> None:
    validate(a_rig.openapi)
    names = list(a_rig.openapi["components"]["schemas"])
    assert [name for name in names if not re.fullmatch("[A-Z][A-Za-z]+", name)] == []
    operations = [
        operation["operationId"] for methods in a_rig.openapi["paths"].values() for operation in methods.values()
    ]
    assert len(set(operations)) == len(operations)
    assert [name for name in operations if "v1" in name] == []
    text = json.dumps(a_rig.openapi)
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= set(names)


def test_a_body_over_the_size_limit_is_refused(a_rig: Rig) -> None:
    for path in ("/v1/decisions", "/v1/bindings"):
        assert kind_of(a_rig.platform("POST", path, content=b"x" * (64 * 1024 + 1)))[0] == 413


def test_unknown_resources_are_not_found(a_rig: Rig) -> None:
    person = a_rig.person()
    unknown = "0x" + "11" * 32
    answer = a_rig.platform("POST", "/v1/decisions", json=person.transaction(binding=unknown, transaction_id="t-none"))
    assert kind_of(answer) == (404, "not-found")
    assert kind_of(a_rig.platform("GET", "/v1/decisions/t-none")) == (404, "not-found")
    for method in ("GET", "DELETE"):
        assert kind_of(a_rig.platform(method, f"/v1/bindings/{unknown}")) == (404, "not-found")
        assert kind_of(a_rig.platform(method, "/v1/bindings/0x11")) == (422, "malformed-request")
    assert kind_of(a_rig.platform("GET", "/v1/bindings?user_id=")) == (422, "malformed-request")
    assert kind_of(a_rig.platform("GET", "/v1/bindings")) == (422, "malformed-request")


def test_a_transaction_id_with_another_body_is_a_conflict(a_rig: Rig) -> None:
    person = a_rig.bound()
    first = person.decide(transaction_id="t-twice")
    body = person.transaction(transaction_id="t-twice", amount_minor=1_001)
    assert kind_of(a_rig.platform("POST", "/v1/decisions", json=body)) == (409, "conflict")
    assert a_rig.platform("GET", "/v1/decisions/t-twice").json() == first
