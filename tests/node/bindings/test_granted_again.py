"""A grant asked for again, because the answer was lost; and by how many platforms."""

from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest

from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest, GrantDocument
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.errors import InvalidValue, Overloaded
from standing.node.bindings.granting import MAX_BINDINGS_PER_ACCOUNT
from standing.node.bindings.regranting import RegrantRequest
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, World


def _ask(site: SteppedNode) -> GrantDocument:
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
    grant = site.node.bindings.bind(PLATFORM, BindingRequest(request_id="request-1", **claim)).grant
    assert grant is not None
    return grant


def test_a_grant_whose_answer_was_lost_is_accepted_after_the_signing_key_was_rotated(site: SteppedNode) -> None:
    """Platforms compare its signer with the bank's present one, and the account counts as bound."""
    site.feed(dict(ACCOUNT))
    lost = _ask(site)
    assert _ask(site) == lost
    site.stop()
    new = LocalSigner(token_bytes(32))
    site.bank.secrets = replace(site.bank.secrets, signer=new)
    site.start()
    again = _ask(site)
    assert again.grant().signer == new.address
    assert again.model_dump(exclude={"signature"}) == lost.model_dump(exclude={"signature"})


def test_an_account_is_bound_at_no_more_platforms_than_its_bound_allows(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}

    def bind(index: int, **changes: str) -> BindingAnswer:
        return site.node.bindings.bind(
            f"platform-{index}", BindingRequest(**{"request_id": "request-1", **claim, **changes})
        )

    first, *_ = [bind(index).grant for index in range(MAX_BINDINGS_PER_ACCOUNT)]
    assert first is not None
    with pytest.raises(InvalidValue, match="bound at too many platforms"):
        bind(MAX_BINDINGS_PER_ACCOUNT)
    # One that is replaced makes room for its successor.
    assert bind(0, request_id="request-2", replaces=first.binding).outcome == "granted"


def test_replaced_bindings_leave_half_of_the_outbox_to_the_core(a_world: World, tmp_path: Path) -> None:
    """A platform that replaces many bindings delays no freeze."""
    site = SteppedNode(a_world, tmp_path, max_waiting=2)
    site.feed(dict(ACCOUNT))
    granted = bytes.fromhex(_ask(site).binding[2:])  # its first attestation waits
    with pytest.raises(Overloaded):
        site.node.regranting.regrant(PLATFORM, granted, RegrantRequest(request_id="regrant-1"))
    site.feed({"number": ACCOUNT["number"], "status": "frozen"})
    site.stop()
