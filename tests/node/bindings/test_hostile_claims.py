"""No string in a claim makes the node fail or reveals whether an account is known."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from standing.ledger.attestations.binding_protocol import Claim
from tests.world import ACCOUNT, Bank, World

_KNOWN = ACCOUNT["number"]
_UNKNOWN = "73000000000000001"
_STRINGS = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["\ud800", "\x00", "none", "6.22E+18", "1" * 5_000, "\u202e", "+", "-", "＋８６", "{}", "' OR 1=1 --"]
    ),
)


@pytest.fixture
def bank(a_world: World) -> Bank:
    # The bounds on guessing are tested elsewhere; here every claim must be answered.
    made = a_world.start_bank(velocity={"platform_capacity": 10_000_000})
    made.feed(ACCOUNT)
    return made


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_string_in_a_claim_causes_an_error_or_reveals_whether_the_account_exists(
    bank: Bank, data: st.DataObject
) -> None:
    right = {name: ACCOUNT[name] for name in Claim.model_fields if name in ACCOUNT}
    names = [name for name in Claim.model_fields if name not in {"number", "number_type"}]
    wrong = {name: data.draw(_STRINGS) for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))}
    # A name that no holder has: whatever else is right or wrong, neither account may be granted.
    claim = {**right, "holder_name": "Nobody At All", **wrong, "as_written": True}
    answers = [_ask(bank, {**claim, "number": number}) for number in (_KNOWN, _UNKNOWN)]
    for status, answer in answers:
        assert status in {200, 422, 429}, answer
        assert answer.get("outcome") in {None, "refused", "looks_mistyped"} or wrong.get("holder_name") is not None
    known, unknown = answers
    assert known[0] == unknown[0], "the status reveals whether the account is known"
    if known[0] == 422:
        assert known[1] == unknown[1], "a validation error depends on the claim alone"


def test_only_a_feed_entry_may_be_as_large_as_the_settings_allow(bank: Bank) -> None:
    """A claim of megabytes takes longer to refuse than a core's freeze may wait."""
    body = json.dumps({"as_of_ms": 1, "changes": [], "padding": "x" * 100_000})
    for path, key, status in (("/v1/bindings", bank.platform_key, 413), ("/v1/feed", bank.core_key, 422)):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        assert httpx.post(bank.url + path, content=body, headers=headers, timeout=30).status_code == status


def _ask(bank: Bank, claim: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"request_id": f"request-{next(_REQUESTS)}", **claim})
    headers = {"Authorization": f"Bearer {bank.platform_key}", "Content-Type": "application/json"}
    answer = httpx.post(bank.url + "/v1/bindings", content=body, headers=headers, timeout=30)
    return answer.status_code, answer.json()


_REQUESTS = iter(range(10**9))
