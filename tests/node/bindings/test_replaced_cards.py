"""A lost card is replaced: its bindings move to the new number, or end."""

from typing import Any

import pytest

from standing.ledger.attestations.terms import Status
from tests.node.bindings.granted import bound
from tests.node.node_tools import (
    Staffed,
    grant_of,
    status_on_ledger,
    terms_on_ledger,
)
from tests.world import ACCOUNT, Bank, wait_until

_NEW_CARD = "9156026831789191"


@pytest.mark.long
def test_bindings_of_a_lost_card_move_to_the_new_one_with_the_same_id_and_key(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.change({"number": ACCOUNT["number"], "status": "lost"})
    assert status_on_ledger(bank, grant) == Status.LOST
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active"})
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert terms.status == Status.ACTIVE
    # Fields that the new card did not state are unchanged; changes of the old card no longer affect the binding.
    assert terms.limits.transaction_limit_minor == ACCOUNT["transaction_limit_minor"]
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert status_on_ledger(bank, grant) == Status.ACTIVE
    bank.change({"number": _NEW_CARD, "status": "frozen"})
    assert status_on_ledger(bank, grant) == Status.FROZEN
    # The old number can no longer be bound, and the new one is already bound.
    assert staffed.bind(ACCOUNT).json()["mismatches"][0]["field"] == "account"
    assert staffed.bind({**ACCOUNT, "number": _NEW_CARD}).status_code == 409
    # The platform ends it by its original id.
    assert staffed.delete(grant).status_code == 204
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)


@pytest.mark.long
def test_loss_and_replacement_may_come_in_one_entry(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.change(
        {"number": ACCOUNT["number"], "status": "lost"},
        {"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active"},
        {"number": _NEW_CARD, "daily_limit_minor": 5},
    )
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert (terms.status, terms.limits.daily_limit_minor) == (Status.ACTIVE, 5)


@pytest.mark.long
def test_the_bank_may_choose_to_end_the_bindings_of_a_replaced_card(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active", "replaced_bindings": "end"})
    assert status_on_ledger(bank, grant) == Status.UNBOUND
    grant_of(staffed.bind({**ACCOUNT, "number": _NEW_CARD}))


@pytest.mark.long
def test_the_old_binding_ends_if_the_new_card_is_already_bound(staffed: Staffed, bank: Bank) -> None:
    new = {**ACCOUNT, "number": _NEW_CARD}
    bank.feed(ACCOUNT, new)
    old_here, new_here = bound(staffed), bound(staffed, new)
    old_there = bound(staffed, key=staffed.other_key)
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"]})
    assert status_on_ledger(bank, old_here) == Status.UNBOUND
    assert status_on_ledger(bank, new_here) == Status.ACTIVE
    bank.change({"number": _NEW_CARD, "status": "frozen"})
    assert status_on_ledger(bank, old_there) == Status.FROZEN
    assert status_on_ledger(bank, new_here) == Status.FROZEN


BAD_REPLACEMENTS = [
    pytest.param({"number": _NEW_CARD, "replaces": ACCOUNT["number"]}, "number", id="a new card without a status"),
    pytest.param({"number": ACCOUNT["number"], "replaces": ACCOUNT["number"]}, "replaces", id="replaces itself"),
    pytest.param({"number": _NEW_CARD, "replaces": "00-x!", "status": "active"}, "replaces", id="not a number"),
    pytest.param({"number": _NEW_CARD, "replaces": "7300000009", "status": "active"}, "number", id="an unknown one"),
]


@pytest.mark.long
@pytest.mark.parametrize(("change", "field"), BAD_REPLACEMENTS)
def test_an_inconsistent_replacement_is_refused_and_moves_no_binding(
    staffed: Staffed, bank: Bank, change: dict[str, Any], field: str
) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    at = bank.clock.advance(10)
    entry = {"as_of_ms": at, "changes": [{"effective_at_ms": at, **change}]}
    answer = bank.post("/v1/feed", bank.core_key, json=entry)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"changes[0].{field}"
    bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    assert status_on_ledger(bank, grant) == Status.FROZEN
