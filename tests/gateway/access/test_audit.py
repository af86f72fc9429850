"""Roles, key rotation, and the audit of every support and admin action with its reason."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from standing.gateway.access.audit import check_reason
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.risk import NewBindingRule, VelocityRule
from standing.gateway.decisions.rules import Reason
from standing.ledger.service.api_keys import new_key
from tests.gateway.gateway_rig import Rig, rig

HOUR_MS = 3_600_000
WHY = {"Standing-Reason": "Ticket 4711"}


def entries(a_rig: Rig, subject: str) -> list[dict[str, Any]]:
    answer = a_rig.client("admin")("GET", f"/v1/audit?subject={subject}")
    assert answer.status_code == 200
    listed: list[dict[str, Any]] = answer.json()["entries"]
    return listed


@pytest.mark.long
def test_a_support_action_is_audited_with_caller_action_reason_and_outcome(a_rig: Rig) -> None:
    person = a_rig.bound()
    path = f"/v1/bindings/{person.binding}/resync"
    assert a_rig.support("POST", path, json={"reason": "  客服工单 4711  "}).status_code == 200
    person.bank.trouble = "503"
    assert a_rig.client("admin")("POST", path, json={"reason": "Once more"}).status_code == 503
    newest, first = entries(a_rig, person.binding)
    position, at_ms = first.pop("position"), a_rig.clock.now_ms()
    assert first == {
        "at_ms": at_ms,
        "caller": "support",
        "role": "support",
        "action": "resync",
        "subject": person.binding,
        "reason": "客服工单 4711",
        "outcome": "done",
        "finished_at_ms": at_ms,
    }
    assert (newest["caller"], newest["reason"], newest["outcome"]) == ("admin", "Once more", "BankNodeUnreachable")
    assert newest["position"] > position
    before = a_rig.client("admin")("GET", f"/v1/audit?before={newest['position']}").json()["entries"]
    assert before[0]["position"] == newest["position"] - 1


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("用户来电\u3000工单４７１１", "用户来电 工单４７１１"),
        ("\ufeffUser called,\u00a0ticket\u200b 4711", "User called, ticket 4711"),
        ("用户\ue863来电", "用户\ue863来电"),
    ],
    ids=["a wide space", "as pasted from a document", "a private-use character of GBK"],
)
def test_a_reason_is_kept_with_plain_spaces_and_without_what_shows_as_nothing(stated: str, kept: str) -> None:
    assert check_reason(stated) == kept


def test_an_action_without_a_reason_is_refused_and_changes_nothing(a_rig: Rig) -> None:
    person = a_rig.bound()
    for reason in (None, "", "  ", "ab", "x" * 301, "line\nbreak", "a\u200b\u200b"):
        body = {} if reason is None else {"reason": reason}
        assert a_rig.support("POST", f"/v1/bindings/{person.binding}/resync", json=body).status_code == 422
    assert entries(a_rig, person.binding) == []


ADMIN_ACTS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("DELETE", "/v1/bindings/{binding}", None, "delete_binding"),
    ("POST", "/v1/decisions/{transaction_id}/capture", None, "capture"),
    ("POST", "/v1/decisions/{transaction_id}/void", None, "void"),
    ("POST", "/v1/decisions/{transaction_id}/refunds", {"refund_id": "r-1", "amount_minor": 1}, "refund"),
]


@pytest.mark.long
@pytest.mark.parametrize(("method", "template", "body", "action"), ADMIN_ACTS)
def test_an_admin_acting_for_a_platform_needs_a_reason_and_is_audited(
    a_rig: Rig, method: str, template: str, body: dict[str, Any] | None, action: str
) -> None:
    person = a_rig.bound()
    name = person.decide()["transaction_id"]
    path = template.replace("{binding}", person.binding).replace("{transaction_id}", name)
    subject = person.binding if "{binding}" in template else name
    admin = a_rig.client("admin")
    refused = admin(method, path, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "header Standing-Reason")
    assert entries(a_rig, subject) == []
    answer = admin(method, path, json=body, headers=WHY)
    (entry,) = entries(a_rig, subject)
    assert (entry["action"], entry["reason"], entry["caller"]) == (action, "Ticket 4711", "admin")
    # Refunding a payment that is only reserved is a conflict, and the audit records that outcome.
    assert (entry["outcome"] == "done") is answer.is_success
    assert answer.is_success or entry["outcome"] == "NothingReserved"


def test_every_route_that_changes_state_requires_a_reason_from_staff(a_rig: Rig) -> None:
    """Read from the OpenAPI document: a new route without a reason fails here."""
    changing = {
        f"{method} {path}": operation
        for path, operations in a_rig.openapi["paths"].items()
        for method, operation in operations.items()
        if method != "get"
    }
    schemas = a_rig.openapi["components"]["schemas"]
    for name, operation in changing.items():
        in_header = "Standing-Reason" in {each["name"] for each in operation.get("parameters", [])}
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        in_body = "reason" in schemas.get(body.get("$ref", "").rpartition("/")[2], {}).get("required", [])
        assert in_header != in_body, name
    assert len(changing) > 15


def test_changes_to_webhook_endpoints_are_audited_with_their_reason(a_rig: Rig) -> None:
    admin = a_rig.client("admin")
    body = {"url": "https://hooks.example.com/standing"}
    assert admin("POST", "/v1/webhook-endpoints", json=body).status_code == 422
    assert admin("GET", "/v1/webhook-endpoints").json() == {"endpoints": []}
    made = admin("POST", "/v1/webhook-endpoints", json=body, headers=WHY)
    assert made.status_code == 201
    name = made.json()["id"]
    path = f"/v1/webhook-endpoints/{name}"
    acts: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/rotate-secret", None),
        ("POST", "/enable", None),
        ("POST", "/replay", {"after": 0}),
        ("DELETE", "", None),
    ]
    for method, act, content in acts:
        assert admin(method, path + act, json=content).status_code == 422
        assert admin(method, path + act, json=content, headers=WHY).is_success
    done = [(entry["action"], entry["caller"], entry["reason"], entry["outcome"]) for entry in entries(a_rig, name)]
    names = ["delete_endpoint", "replay", "enable_endpoint", "rotate_secret"]
    assert done == [(each, "admin", "Ticket 4711", "done") for each in names]
    assert entries(a_rig, "/v1/webhook-endpoints")[0]["action"] == "post_endpoint"


def test_decisions_by_an_admin_are_audited_and_those_by_a_platform_are_not(a_rig: Rig) -> None:
    person = a_rig.bound()
    admin = a_rig.client("admin")
    body = person.transaction()
    assert admin("POST", "/v1/decisions", json=body).status_code == 422
    assert a_rig.platform("GET", f"/v1/decisions/{body['transaction_id']}").status_code == 404
    header = {"Standing-Reason": "核对差错".encode()}
    assert admin("POST", "/v1/decisions", json=body, headers=header).json()["outcome"] == "approve"
    (entry,) = entries(a_rig, body["transaction_id"])
    assert (entry["action"], entry["reason"], entry["outcome"]) == ("post_decision", "核对差错", "done")
    assert entries(a_rig, person.decide()["transaction_id"]) == []
    assert admin("POST", "/v1/decisions", json=body, headers={"Standing-Reason": b"\xff\xff\xff"}).status_code == 422


def test_a_binding_by_an_admin_is_audited_by_the_platforms_user_id_without_personal_data(a_rig: Rig) -> None:
    person, other = a_rig.person(), a_rig.person()
    body = {"bank": person.bank.bic, "user_id": person.user_id, "request_id": "by-admin", **person.claim}
    admin = a_rig.client("admin")
    assert admin("POST", "/v1/bindings", json=body, headers=WHY).status_code == 201
    assert [entry["action"] for entry in entries(a_rig, person.user_id)] == ["post_binding"]
    named = body | {"user_id": other.claim["holder_name"]}  # a name in place of an id
    assert admin("POST", "/v1/bindings", json=named, headers=WHY).status_code == 422
    (entry, *_) = entries(a_rig, "/v1/bindings")
    assert entry["outcome"] == "RequestValidationError"


def test_a_malformed_admin_request_is_audited_as_failed(a_rig: Rig) -> None:
    person = a_rig.bound()
    name = person.decide()["transaction_id"]
    answer = a_rig.client("admin")("POST", f"/v1/decisions/{name}/refunds", json={"refund_id": "r 1"}, headers=WHY)
    assert answer.status_code == 422
    (entry,) = entries(a_rig, name)
    assert entry["outcome"] == "RequestValidationError"


def test_an_audit_entry_is_on_disk_before_the_action_begins(a_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    person = a_rig.bound()
    gateway = a_rig.app.state.gateway
    seen: list[tuple[str, str | None]] = []
    resync = gateway.binding_flow.resync

    async def looked(binding: bytes) -> bool:
        url = a_rig.settings.database_url.removeprefix("sqlite:///")
        with sqlite3.connect(url) as other:  # as another process sees it
            seen.extend(other.execute("SELECT action, outcome FROM audit WHERE subject = ?", (person.binding,)))
        other.close()
        answer: bool = await resync(binding)
        return answer

    monkeypatch.setattr(gateway.binding_flow.__class__, "resync", lambda _self, binding: looked(binding))
    answer = a_rig.support("POST", f"/v1/bindings/{person.binding}/resync", json={"reason": "Ticket 4711"})
    assert answer.status_code == 200
    assert seen == [("resync", None)]
    assert entries(a_rig, person.binding)[0]["outcome"] == "done"


def test_an_audit_reason_is_free_text_and_is_never_stored_in_clear(a_rig: Rig) -> None:
    person = a_rig.bound()
    reason = "欧阳先生来电 13800138000"
    a_rig.support("POST", f"/v1/bindings/{person.binding}/resync", json={"reason": reason})
    assert entries(a_rig, person.binding)[0]["reason"] == reason
    stored = b"".join(path.read_bytes() for path in sorted(a_rig.folder.glob("gateway.sqlite3*")))
    assert bytes.fromhex(person.binding[2:]) in stored
    for text in (reason, "欧阳", "13800138000"):
        assert text.encode() not in stored


# A hold, from the held payment until support lifts it.


@pytest.mark.long
def test_a_held_payment_shows_its_reason_and_end_and_support_can_lift_the_hold(tmp_path: Path) -> None:
    burst = VelocityRule(
        rule="velocity", name="burst", currency="CNY", over_count=2, within_minutes=10, hold_minutes=30
    )
    first_day = NewBindingRule(
        rule="new_binding", name="first-day", currency="CNY", over_minor=5_000, within_hours=24, kinds=("payment",)
    )
    with rig(tmp_path, policy=Policy(name="risky", risk=(first_day, burst))) as made:
        person, other = made.bound(), made.bound()
        large = person.decide(amount_minor=5_001)
        assert (large["outcome"], large["reason"], large["reservation"]) == ("review", "risk_hold", None)
        assert large["hold"]["rule"] == "first-day"
        assert large["hold"]["ends_at_ms"] == made.clock.now_ms() + 24 * HOUR_MS
        assert large["policy"].startswith("risky@")
        assert person.decide(amount_minor=5_002)["hold"] == large["hold"]  # one hold, not one for each payment
        assert person.decide(amount_minor=5_000)["outcome"] == "approve"
        assert person.decide(amount_minor=1)["outcome"] == "approve"
        held = person.decide(amount_minor=1)
        assert held["hold"]["rule"] == "burst"
        made.clock.advance(11 * 60_000)  # the tally has run out, but the hold still applies to both kinds
        made.heartbeat()
        assert person.decide(amount_minor=1, kind="withdrawal")["hold"] == held["hold"]
        assert other.decide(amount_minor=1)["outcome"] == "approve"

        listed = made.support("GET", f"/v1/holds?binding={person.binding}").json()["holds"]
        assert {hold["hold_id"] for hold in listed} == {large["hold"]["hold_id"], held["hold"]["hold_id"]}
        path = f"/v1/holds/{held['hold']['hold_id']}/lift"
        assert made.platform("POST", path, json={"reason": "please"}).status_code == 403
        assert made.support("POST", path, json={"reason": "The user called, ticket 4711"}).status_code == 200
        # Any number is exempt from the rule until the hold's own end; the other rule still applies.
        assert [person.decide(amount_minor=1)["outcome"] for _ in range(4)] == ["approve"] * 4
        assert person.decide(amount_minor=5_001)["hold"] == large["hold"]
        (entry,) = entries(made, held["hold"]["hold_id"])
        assert (entry["action"], entry["caller"], entry["reason"]) == (
            "lift_hold",
            "support",
            "The user called, ticket 4711",
        )
        made.clock.advance(20 * 60_000)
        made.heartbeat()
        assert [person.decide(amount_minor=1)["reason"] for _ in range(3)] == [None, None, Reason.RISK_HOLD]
        unknown = made.support("POST", f"/v1/holds/h_{'0' * 24}/lift", json={"reason": "please"})
        assert unknown.status_code == 404
        again = made.support("POST", path, json={"reason": "please"})
        assert (again.status_code, entries(made, held["hold"]["hold_id"])[0]["outcome"]) == (409, "AlreadyLifted")


# Keys.


@pytest.mark.long
def test_a_key_is_rotated_with_an_overlap_and_the_audit_distinguishes_old_from_new(tmp_path: Path) -> None:
    (old, old_hash), (new, new_hash), (gone, _) = new_key(), new_key(), new_key()
    (admin, admin_hash) = new_key()
    keys = [
        {"name": "support-2026-01", "role": "support", "sha256": old_hash},
        {"name": "support-2026-07", "role": "support", "sha256": new_hash},
        {"name": "admin", "role": "admin", "sha256": admin_hash},
        {"name": "checkout", "role": "platform", "sha256": new_key()[1]},
    ]
    with rig(tmp_path, api_keys=keys) as made:

        def lift(key: str) -> httpx.Response:
            path = f"{made.url}/v1/holds/h_{'0' * 24}/lift"
            return httpx.post(path, json={"reason": "Ticket"}, headers={"Authorization": f"Bearer {key}"}, timeout=30)

        assert [lift(key).status_code for key in (old, new, gone)] == [404, 404, 401]
        audit = httpx.get(f"{made.url}/v1/audit", headers={"Authorization": f"Bearer {admin}"}, timeout=30).json()
        assert [entry["caller"] for entry in audit["entries"]] == ["support-2026-07", "support-2026-01"]
        for key in (old, new):
            assert key not in str(made.settings)
            assert key not in made.settings.model_dump_json()
