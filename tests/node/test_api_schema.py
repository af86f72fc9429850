"""The node's OpenAPI against the node: no 5xx, and no answer that is not documented, whatever a caller sends."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from tests.world import ACCOUNT, World

#: Enough to try each parameter and field at its edges, and few enough for the suite to stay quick.
_EXAMPLES = 12

#: What a server that follows its own document owes its callers. Left out: checks on what a caller should have sent.
_OWED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def test_whatever_is_asked_the_answer_is_documented_and_no_fault_of_the_node(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.feed(ACCOUNT)
    assert bank.bind().json()["outcome"] == "granted"
    load_all_checks()
    checks = CHECKS.get_by_names(list(_OWED))
    document = schemathesis.openapi.from_url(bank.url + "/openapi.json")
    tried = []
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],  # a failure is shown as it is; making it smaller takes long
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            for key in (bank.core_key, bank.platform_key, "sk_wrong"):
                answer = case.call(headers={"Authorization": f"Bearer {key}"})
                case.validate_response(answer, checks=checks)

        ask()
        tried.append(operation.label)
    assert {"POST /v1/feed", "POST /v1/bindings", "GET /readyz", "GET /metrics"} <= set(tried)
