"""A grant asked for again, because the answer was lost."""

from dataclasses import replace
from secrets import token_bytes

from standing.ledger.attestations.binding_protocol import BindingRequest, GrantDocument
from standing.ledger.attestations.publication import LocalSigner
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM


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
