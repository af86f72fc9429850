"""The gateway's clients: decisions on a real chain, bad input, roles, and that what it says of itself is true."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from openapi_spec_validator import validate

from standing.gateway.bindings.schemas import BindAnswer, BindBody
from standing.gateway.decisions.schemas import DecisionDocument
from standing.gateway.evidence.signing import transaction_digest
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR
from standing.ledger.attestations.terms import Status
from tests.gateway.fake_bank import PLATFORM
from tests.gateway.gateway_rig import BICS, Rig, rig


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and type word of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:standing:problem:")


def test_the_story(a_rig: Rig) -> None:
    """A freeze is in a block; 1 ms later a decision declines. Then the bank is silent; then the chain is down."""
    person = a_rig.bound()
    approved = person.decide()
    assert (approved["outcome"], approved["reason"], approved["iso20022"]) == ("approve", None, None)
    assert approved["reservation"]["state"] == "reserved"
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    a_rig.clock.advance(1)
    frozen = person.decide()
    assert (frozen["outcome"], frozen["reason"], frozen["iso20022"]) == ("decline", "account_frozen", "AC06")
    assert (frozen["staleness_ms"], frozen["publication"]) == (1, person.bank.number)
    assert frozen["watermark_ms"] == a_rig.clock.now_ms() - 1
    assert person.decide(kind="withdrawal")["outcome"] == "approve"
    a_rig.clock.advance(300_000)
    silent = person.decide()
    assert (silent["outcome"], silent["reason"], silent["staleness_ms"]) == ("review", "bank_silent", 300_001)
    a_rig.chain.down = True
    down = person.decide()
    assert (down["outcome"], down["reason"], down["block_number"]) == ("review", "ledger_unreachable", None)
    a_rig.chain.down = False
    a_rig.heartbeat()
    assert person.decide()["reason"] == "account_frozen"


def test_the_answer_is_what_openapi_says_and_is_found_again(a_rig: Rig) -> None:
    person = a_rig.bound()
    for change in ({}, {"currency": "USD"}, {"kind": "withdrawal"}):
        answer = person.decide(**change)
        document = DecisionDocument.model_validate(answer)
        assert set(answer) == set(DecisionDocument.model_fields)
        assert document.model_dump(mode="json") == answer
        assert a_rig.support("GET", f"/v1/decisions/{answer['transaction_id']}").json() == answer


def test_capture_and_void(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=2_000)
    kept, given_back = person.decide()["transaction_id"], person.decide()["transaction_id"]
    for _ in range(2):
        captured = a_rig.platform("POST", f"/v1/decisions/{kept}/capture")
        assert (captured.status_code, captured.json()["reservation"]["state"]) == (200, "captured")
        voided = a_rig.platform("POST", f"/v1/decisions/{given_back}/void")
        assert (voided.status_code, voided.json()["reservation"]["state"]) == (200, "voided")
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{kept}/void")) == (409, "already-settled")
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{given_back}/capture")) == (409, "already-settled")
    assert kind_of(a_rig.platform("POST", "/v1/decisions/t-none/void")) == (404, "not-found")
    withdrawal = person.decide(kind="withdrawal")["transaction_id"]
    assert a_rig.platform("POST", f"/v1/decisions/{withdrawal}/void").json()["reservation"]["state"] == "voided"
    declined = person.decide(amount_minor=1_001)["transaction_id"]
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{declined}/capture")) == (409, "nothing-reserved")
    assert person.decide(amount_minor=1_001)["reason"] == "over_daily_limit"
    assert person.decide(amount_minor=1_000)["remaining"] == {
        "transaction_limit_minor": 500_000,
        "daily_limit_minor": 0,
        "monthly_limit_minor": "none",
        "yearly_limit_minor": "none",
    }


def test_concurrent_decisions_over_http_never_overspend(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=10_000)
    bodies = [person.transaction(transaction_id=f"t-{person.user_id}-{index}") for index in range(30)]

    def ask(body: dict[str, Any]) -> dict[str, Any]:
        # Each is asked twice, as by a platform that lost an answer.
        answers = [a_rig.platform("POST", "/v1/decisions", json=body) for _ in range(2)]
        assert answers[0].content == answers[1].content
        decided: dict[str, Any] = answers[0].json()
        return decided

    with ThreadPoolExecutor(8) as pool:
        outcomes = [answer["outcome"] for answer in pool.map(ask, bodies)]
    assert (outcomes.count("approve"), outcomes.count("decline")) == (10, 20)


def test_evidence_is_signed_by_the_key_that_is_told(a_rig: Rig) -> None:
    person = a_rig.bound()
    answer = person.decide(currency="USD")
    key = jwt.PyJWK(a_rig.nobody("GET", "/v1/evidence-key").json())
    signed = jwt.PyJWS().decode_complete(answer["evidence"], key, algorithms=["EdDSA"])
    assert (signed["header"]["kid"], signed["header"]["typ"]) == (key.key_id, "standing-evidence")
    assert (
        json.loads(signed["payload"]).items()
        >= {
            "transaction_sha256": transaction_digest(answer["transaction_id"]),
            "platform": PLATFORM,
            "bank": person.bank.bic,
            "contract": a_rig.contract,
            "chain_id": a_rig.ledger.domain.chain_id,
            **{
                name: answer[name]
                for name in (
                    "binding",
                    "kind",
                    "amount_minor",
                    "currency",
                    "publication",
                    "block_number",
                    "watermark_ms",
                    "staleness_ms",
                    "outcome",
                    "reason",
                    "decided_at_ms",
                )
            },
        }.items()
    )
    head, payload, signature = answer["evidence"].split(".")
    forged = ".".join((head, payload[:-2] + ("AA" if payload[-2:] != "AA" else "BB"), signature))
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.PyJWS().decode(forged, key, algorithms=["EdDSA"])


def test_banks_say_how_lately_they_have_spoken(a_rig: Rig) -> None:
    a_rig.clock.advance(300_000)
    a_rig.banks[BICS[0]].publish()
    banks = {bank["bic"]: bank for bank in a_rig.support("GET", "/v1/banks").json()["banks"]}
    assert banks[BICS[0]]["staleness_ms"] == 0
    assert banks[BICS[1]] | {"block_number": 0, "pace": None} == {
        "bic": BICS[1],
        "name": {"en": f"Bank {BICS[1]}", "zh": f"银行 {BICS[1]}"},
        "time_zone": "Asia/Shanghai",
        "watermark_ms": a_rig.clock.now_ms() - 300_000,
        "staleness_ms": 300_000,
        "suspended": False,
        "within_widest_bound": True,
        "block_number": 0,
        "pace": None,
    }
    a_rig.clock.advance(1)
    within = {bank["bic"]: bank["within_widest_bound"] for bank in a_rig.support("GET", "/v1/banks").json()["banks"]}
    assert within == {BICS[0]: True, BICS[1]: False}


def test_readiness_says_why_not(a_rig: Rig) -> None:
    assert a_rig.nobody("GET", "/healthz").json() == {"ok": True, "reason": None}
    assert a_rig.nobody("GET", "/readyz").json() == {"ok": True, "reason": None}
    a_rig.chain.down = True
    ready = a_rig.nobody("GET", "/readyz")
    assert (ready.status_code, ready.json()["ok"]) == (503, False)
    assert ready.json()["reason"].startswith("ledger: ")
    assert a_rig.nobody("GET", "/healthz").status_code == 200
    assert kind_of(a_rig.platform("GET", "/v1/banks")) == (503, "ledger-unreachable")


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
def test_a_bad_decision_body_is_told_where_and_why(a_rig: Rig, change: dict[str, Any], field: str) -> None:
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
def test_a_bad_claim_is_told_where_and_why_without_its_content(a_rig: Rig, change: dict[str, Any], field: str) -> None:
    person = a_rig.person()
    answer = person.bind(**change)
    assert kind_of(answer)[0] == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    for personal in (*person.claim.values(), *change.values()):
        if personal not in {"card", "CN", "CCPT", "NIDN", "12", "short", "f", "wallet", "china"}:
            assert personal not in answer.text
    listed = a_rig.platform("GET", f"/v1/bindings?user_id={person.user_id}")
    assert kind_of(listed) == (404, "not-found")  # an attempt that never reached a bank makes nobody known


@pytest.mark.parametrize(
    ("content", "status", "word"),
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
def test_a_body_that_is_no_document(a_rig: Rig, content: bytes, status: int, word: str) -> None:
    answer = a_rig.platform("POST", "/v1/decisions", content=content, headers={"Content-Type": "application/json"})
    assert kind_of(answer) == (status, word)


def test_a_body_with_one_key_twice_is_refused_everywhere(a_rig: Rig) -> None:
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


def test_a_wrong_method_is_told_every_method_of_the_path(a_rig: Rig) -> None:
    for path, allowed in (
        ("/v1/decisions", "GET, POST"),
        ("/v1/bindings/0x" + "11" * 32, "DELETE, GET"),
        ("/v1/webhook-endpoints", "GET, POST"),
        ("/v1/decisions:batch", "POST"),
    ):
        answer = httpx.request("PATCH", a_rig.url + path)
        assert kind_of(answer) == (405, "http-method-not-allowed")
        assert answer.headers["allow"] == allowed


def test_openapi_validates_and_everything_in_it_has_a_name_of_its_own(a_rig: Rig) -> None:
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


def test_a_body_over_the_bound(a_rig: Rig) -> None:
    for path in ("/v1/decisions", "/v1/bindings"):
        assert kind_of(a_rig.platform("POST", path, content=b"x" * (64 * 1024 + 1)))[0] == 413


def test_what_is_not_here(a_rig: Rig) -> None:
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


def test_one_transaction_id_with_another_body(a_rig: Rig) -> None:
    person = a_rig.bound()
    first = person.decide(transaction_id="t-twice")
    body = person.transaction(transaction_id="t-twice", amount_minor=1_001)
    assert kind_of(a_rig.platform("POST", "/v1/decisions", json=body)) == (409, "conflict")
    assert a_rig.platform("GET", "/v1/decisions/t-twice").json() == first


MAY: dict[tuple[str, str], set[str | None]] = {
    ("POST", "/v1/bindings"): {"platform", "admin"},
    ("GET", "/v1/bindings"): {"platform", "support", "admin"},
    ("GET", "/v1/bindings/{binding}"): {"platform", "support", "admin"},
    ("DELETE", "/v1/bindings/{binding}"): {"platform", "admin"},
    ("POST", "/v1/decisions"): {"platform", "admin"},
    ("GET", "/v1/decisions"): {"platform", "support", "admin"},
    ("GET", "/v1/reviews"): {"platform", "support", "admin"},
    ("POST", "/v1/decisions/{transaction_id}/review"): {"support", "admin"},
    ("GET", "/v1/decisions/{transaction_id}"): {"platform", "support", "admin"},
    ("POST", "/v1/decisions/{transaction_id}/capture"): {"platform", "admin"},
    ("POST", "/v1/decisions/{transaction_id}/void"): {"platform", "admin"},
    ("POST", "/v1/decisions/{transaction_id}/refunds"): {"platform", "admin"},
    ("POST", "/v1/decisions:batch"): {"platform", "admin"},
    ("POST", "/v1/bindings:confirm"): {"platform", "admin"},
    ("POST", "/v1/bindings/{binding}/rebind"): {"platform", "support", "admin"},
    ("POST", "/v1/decisions/{transaction_id}/export"): {"admin"},
    ("POST", "/v1/bindings/{binding}/resync"): {"platform", "support", "admin"},
    ("GET", "/v1/users/{user_id}/accounts"): {"platform", "support", "admin"},
    ("GET", "/v1/users/{user_id}/check-up"): {"platform", "support", "admin"},
    ("PUT", "/v1/users/{user_id}/prediction"): {"platform", "support", "admin"},
    ("GET", "/v1/banks/{bic}/scorecard"): {"platform", "support", "admin"},
    ("GET", "/v1/bindings/{binding}/warnings"): {"platform", "support", "admin"},
    ("GET", "/v1/scoring"): {"support", "admin"},
    ("POST", "/v1/scoring"): {"admin"},
    ("PUT", "/v1/users/{user_id}/identity"): {"platform", "support", "admin"},
    ("GET", "/v1/holds"): {"platform", "support", "admin"},
    ("POST", "/v1/holds/{hold_id}/lift"): {"support", "admin"},
    ("POST", "/v1/holds/{hold_id}/prove"): {"platform", "support", "admin"},
    ("GET", "/v1/audit"): {"admin"},
    ("GET", "/v1/banks"): {"platform", "support", "admin"},
    ("POST", "/v1/settings:reload"): {"admin"},
    ("GET", "/v1/status"): {"platform", "support", "admin"},
    ("GET", "/v1/decisions/{transaction_id}/evidence"): {"platform", "support", "admin"},
    ("GET", "/v1/reconciliation"): {"support", "admin"},
    ("GET", "/v1/reconciliation.html"): {"support", "admin"},
    ("GET", "/metrics"): {"platform", "support", "admin", None},
    ("GET", "/v1/bindings/{binding}/trail"): {"platform", "support", "admin"},
    ("GET", "/v1/events"): {"platform", "support", "admin"},
    ("GET", "/v1/events/stream"): {"platform", "admin"},
    ("POST", "/v1/webhook-endpoints"): {"admin"},
    ("GET", "/v1/webhook-endpoints"): {"admin"},
    ("GET", "/v1/webhook-endpoints/{endpoint}"): {"admin"},
    ("DELETE", "/v1/webhook-endpoints/{endpoint}"): {"admin"},
    ("POST", "/v1/webhook-endpoints/{endpoint}/enable"): {"admin"},
    ("POST", "/v1/webhook-endpoints/{endpoint}/replay"): {"admin"},
    ("POST", "/v1/webhook-endpoints/{endpoint}/rotate-secret"): {"admin"},
    ("GET", "/v1/evidence-key"): {"platform", "support", "admin", None},
    ("GET", "/healthz"): {"platform", "support", "admin", None},
    ("GET", "/readyz"): {"platform", "support", "admin", None},
}


@pytest.mark.long
def test_every_route_is_open_to_its_roles_and_to_no_other(a_rig: Rig) -> None:
    routes = {(method.upper(), path) for path, methods in a_rig.openapi["paths"].items() for method in methods}
    assert routes == MAY.keys()
    for (method, template), roles in MAY.items():
        path = template.replace("{binding}", "0x" + "11" * 32).replace("{transaction_id}", "t-none")
        path = path.replace("{user_id}", "u-none").replace("{hold_id}", "h_" + "0" * 24)
        path = path.replace("{endpoint}", "we_" + "0" * 20)
        path = path.replace("/stream", "/stream?after=x")  # a stream that opens has no end
        for role in ("platform", "support", "admin", None):
            status = a_rig.client(role)(method, path).status_code
            if role in roles:
                assert status in {200, 404, 422}, (method, path, role)
            else:
                assert status == (401 if role is None else 403), (method, path, role)
    wrong = a_rig.nobody("GET", "/v1/banks", headers={"Authorization": "Bearer sk_wrong"})
    assert kind_of(wrong) == (401, "missing-key")
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_openapi_is_complete(a_rig: Rig) -> None:
    operations = [
        (f"{method} {path}", operation)
        for path, methods in a_rig.openapi["paths"].items()
        for method, operation in methods.items()
    ]
    tags = {tag["name"] for tag in a_rig.openapi["tags"]}
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        assert operation["tags"], name
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "application/problem+json" in response.get("content", {}):
                assert response["content"]["application/problem+json"]["examples"], (name, status)
    schemas = a_rig.openapi["components"]["schemas"]
    decision = a_rig.openapi["paths"]["/v1/decisions"]["post"]
    body = decision["requestBody"]["content"]["application/json"]["examples"]
    assert {example["value"]["kind"] for example in body.values()} == {"payment", "withdrawal"}
    answers = decision["responses"]["200"]["content"]["application/json"]["examples"]
    for example in answers.values():
        DecisionDocument.model_validate(example["value"])
    assert {example["value"]["outcome"] for example in answers.values()} == {"approve", "decline", "review"}
    for status in ("200", "201"):
        bound = a_rig.openapi["paths"]["/v1/bindings"]["post"]["responses"][status]["content"]["application/json"]
        for example in bound["examples"].values():
            BindAnswer.model_validate(example["value"])
    BindBody.model_validate(schemas["BindBody"]["examples"][0])
    assert set(schemas["Reason"]["enum"]) >= {"ledger_unreachable", "over_daily_limit"}


@pytest.mark.long
def test_no_personal_data_and_no_secret_in_the_database_or_on_any_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    with rig(tmp_path) as made:
        person, refused = made.bound(), made.person()
        refused.bind(holder_name="另一个人名")
        refused.bind(phone="13")
        person.decide()
        person.bank.trouble = "garbage"
        refused.bind()
        person.bank.trouble = None
        made.chain.down = True
        person.decide()
        refused.bind()
        made.chain.down = False
        made.platform("DELETE", f"/v1/bindings/{person.binding}")
        key = person.bank.key(bytes.fromhex(person.binding[2:]))
        stored = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("gateway.sqlite3*")))
    output = capfd.readouterr()
    # httpx and httpcore log the test's own requests here, too; what they know of a body is nothing.
    written = stored + (output.out + output.err + caplog.text).encode()
    assert bytes.fromhex(person.binding[2:]) in stored  # it is this database that was looked at
    assert b"ledger_unreachable" in written
    secret = [
        person.number,
        refused.number,
        "欧阳",
        "另一个人名",
        made.keys["platform"],
        person.bank.node_key,
        key.hex(),
    ]
    secret += [who.claim[field] for who in (person, refused) for field in ("id_document_number", "phone")]
    for text in secret:
        assert text.encode() not in written, text
        assert json.dumps(text).encode()[1:-1] not in written, text
    assert key not in stored
