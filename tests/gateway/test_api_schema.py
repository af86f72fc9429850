"""The gateway's OpenAPI against the gateway: no 5xx, and no answer that is not documented, whatever a caller sends."""

from pathlib import Path

import pytest

from tests.gateway.gateway_rig import rig
from tests.openapi_fuzz import ask_everything

#: Enough to try each parameter and field at its edges, and few enough for the suite to stay quick.
_EXAMPLES = 8
#: It does not end; tests/gateway/events/test_streams.py reads it.
_STREAM = "GET /v1/events/stream"


@pytest.mark.long
def test_any_request_gets_a_documented_answer_and_no_internal_error(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        payer = made.bound()
        assert payer.decide()["outcome"] == "approve"
        keys = (made.keys["platform"], made.keys["support"], made.keys["admin"], "sk_wrong")
        tried = ask_everything(made.url, keys, examples=_EXAMPLES, leave_out=[_STREAM])
        assert {path.split(" ", 1)[1] for path in tried} | {"/v1/events/stream"} == set(made.openapi["paths"])
