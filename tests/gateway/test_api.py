"""The gateway's API over HTTP: the main story, evidence, banks, readiness, and no secrets anywhere."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import Connection, Engine, event

from standing.gateway.decisions.schemas import DecisionDocument
from standing.gateway.evidence.signing import transaction_digest
from standing.ledger.attestations.terms import Status
from tests.gateway.answers import kind_of
from tests.gateway.fake_bank import PLATFORM
from tests.gateway.gateway_rig import BICS, Rig, rig


def test_a_freeze_on_the_ledger_declines_the_next_payment(a_rig: Rig) -> None:
    """A freeze is in a block; 1 ms later a decision declines. Then the bank falls silent; then the chain goes down."""
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


def test_an_answer_matches_openapi_and_can_be_read_again(a_rig: Rig) -> None:
    person = a_rig.bound()
    for change in ({}, {"currency": "USD"}, {"kind": "withdrawal"}):
        answer = person.decide(**change)
        document = DecisionDocument.model_validate(answer)
        assert set(answer) == set(DecisionDocument.model_fields)
        assert document.model_dump(mode="json") == answer
        assert a_rig.support("GET", f"/v1/decisions/{answer['transaction_id']}").json() == answer


def test_a_client_that_offers_h2c_captures_the_part_that_it_states(a_rig: Rig) -> None:
    """As `curl --http2` and Java's HttpClient do: the offer is ignored, and the body is not."""
    payment = a_rig.bound().decide()["transaction_id"]
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAA"}
    captured = httpx.post(
        f"{a_rig.url}/v1/decisions/{payment}/capture",
        json={"amount_minor": 5},
        headers=offer | {"Authorization": f"Bearer {a_rig.keys['platform']}"},
        timeout=60,
    )
    assert (captured.status_code, captured.json()["reservation"]["captured_minor"]) == (200, 5)


def test_a_payment_is_captured_or_voided_once(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=2_000)
    kept, released = person.decide()["transaction_id"], person.decide()["transaction_id"]
    for _ in range(2):
        captured = a_rig.platform("POST", f"/v1/decisions/{kept}/capture")
        assert (captured.status_code, captured.json()["reservation"]["state"]) == (200, "captured")
        voided = a_rig.platform("POST", f"/v1/decisions/{released}/void")
        assert (voided.status_code, voided.json()["reservation"]["state"]) == (200, "voided")
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{kept}/void")) == (409, "already-settled")
    assert kind_of(a_rig.platform("POST", f"/v1/decisions/{released}/capture")) == (409, "already-settled")
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
        # Each request is sent twice, as by a platform that lost an answer.
        answers = [a_rig.platform("POST", "/v1/decisions", json=body) for _ in range(2)]
        assert answers[0].content == answers[1].content
        decided: dict[str, Any] = answers[0].json()
        return decided

    with ThreadPoolExecutor(8) as pool:
        outcomes = [answer["outcome"] for answer in pool.map(ask, bodies)]
    assert (outcomes.count("approve"), outcomes.count("decline")) == (10, 20)


def test_evidence_is_signed_by_the_published_key(a_rig: Rig) -> None:
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


def test_the_list_of_banks_shows_their_staleness(a_rig: Rig) -> None:
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


def test_readiness_names_what_is_missing(a_rig: Rig) -> None:
    assert a_rig.nobody("GET", "/healthz").json() == {"ok": True, "reason": None}
    assert a_rig.nobody("GET", "/readyz").json() == {"ok": True, "reason": None}
    a_rig.chain.down = True
    ready = a_rig.nobody("GET", "/readyz")
    assert (ready.status_code, ready.json()["ok"]) == (503, False)
    assert ready.json()["reason"].startswith("ledger: ")
    in_chinese = a_rig.nobody("GET", "/readyz", headers={"Accept-Language": "zh-CN"}).json()["reason"]
    assert re.fullmatch("账本：[^a-z]+.*", in_chinese), in_chinese
    assert a_rig.nobody("GET", "/healthz").status_code == 200
    assert kind_of(a_rig.platform("GET", "/v1/banks")) == (503, "ledger-unreachable")


def test_a_gateway_whose_database_answers_but_stores_nothing_is_not_ready(a_rig: Rig) -> None:
    """As with a full disk, or on a server that has become a standby."""
    person, refuses = a_rig.bound(), True

    def set_mode(connection: Connection) -> None:
        sqlite = connection.dialect.name == "sqlite"
        connection.exec_driver_sql(
            f"PRAGMA query_only = {refuses}" if sqlite else f"SET transaction_read_only = {refuses}"
        )

    event.listen(Engine, "begin", set_mode)
    try:
        refused = a_rig.platform("POST", "/v1/decisions", json=person.transaction())
        ready = a_rig.nobody("GET", "/readyz")
        refuses = False
        assert a_rig.nobody("GET", "/readyz").status_code == 200
    finally:
        event.remove(Engine, "begin", set_mode)
    assert kind_of(refused) == (503, "storage-unavailable")
    assert (ready.status_code, ready.json()["ok"]) == (503, False)
    assert ready.json()["reason"].startswith("database: ")


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
    # httpx and httpcore log the test's own requests here too, but no bodies.
    written = stored + (output.out + output.err + caplog.text).encode()
    assert bytes.fromhex(person.binding[2:]) in stored  # the right database was searched
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
    secret += [user.claim[field] for user in (person, refused) for field in ("id_document_number", "phone")]
    for text in secret:
        assert text.encode() not in written, text
        assert json.dumps(text).encode()[1:-1] not in written, text
    assert key not in stored
