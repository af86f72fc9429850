"""The gateway's API over HTTP: the roles of every route, and a complete OpenAPI document."""

from standing.gateway.bindings.schemas import BindAnswer, BindBody
from standing.gateway.decisions.schemas import DecisionDocument
from tests.gateway.answers import kind_of
from tests.gateway.gateway_rig import Rig

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
