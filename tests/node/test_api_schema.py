"""The node's OpenAPI against the node: no 5xx, and no answer that is not documented, whatever a caller sends."""

from tests.openapi_fuzz import ask_everything
from tests.world import ACCOUNT, World

#: Enough to try each parameter and field at its edges, and few enough for the suite to stay quick.
_EXAMPLES = 12


def test_whatever_is_asked_the_answer_is_documented_and_no_fault_of_the_node(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.feed(ACCOUNT)
    assert bank.bind().json()["outcome"] == "granted"
    tried = ask_everything(bank.url, (bank.core_key, bank.platform_key, "sk_wrong"), examples=_EXAMPLES)
    assert {"POST /v1/feed", "POST /v1/bindings", "GET /readyz", "GET /metrics"} <= tried
