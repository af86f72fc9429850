"""A service's OpenAPI against the service: no input causes a 5xx or an undocumented answer."""

from collections.abc import Collection, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

#: The checks of a server against its own document. Left out: checks of the requests themselves.
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def ask_everything(url: str, keys: Sequence[str], *, examples: int, leave_out: Collection[str] = ()) -> set[str]:
    """Send `examples` made-up requests to each operation, each with every key.

    Raises: AssertionError at the first undocumented answer. Returns: the labels of the operations tried.
    """
    load_all_checks()
    checks = CHECKS.get_by_names(list(_CHECKS))
    tried = set()
    for found in schemathesis.openapi.from_url(url + "/openapi.json").get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        if operation.label in leave_out:
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],  # no shrinking: it takes long
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            for key in keys:
                answer = case.call(headers={"Authorization": f"Bearer {key}"})
                case.validate_response(answer, checks=checks)

        ask()
        tried.add(operation.label)
    return tried
