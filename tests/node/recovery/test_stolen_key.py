"""Somebody published with the stolen signing key."""

from dataclasses import replace
from secrets import token_bytes

import pytest

from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.sender import Sender, publication_gas
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery.history import CannotRecover
from tests.node.stepped_node import CARD, OTHER_CARD, SteppedNode
from tests.world import ACCOUNT, BANK_ADMIN, GUARDIAN, REGISTRAR


def steal(site: SteppedNode, grant: GrantDocument) -> Publication:
    """Publish records that nobody can open, under the bank's own key, on top of the ledger's current history."""
    state = site.client.bank(site.bank.bic)
    words = Attestation(bytes.fromhex(grant.binding[2:]), bytes(26), bytes(32))
    theft = Publication(
        site.client.domain, site.bank.bic, state.publication + 1, state.head, state.watermark_ms, (words,)
    )
    thief = Sender(site.client, BANK_ADMIN)
    prepared = thief.prepare(
        site.client.publish_calldata(theft, site.bank.signer.sign(theft.digest)), gas=publication_gas(1)
    )
    thief.transmit(prepared)
    thief.wait(prepared, timeout_s=20)
    return theft


def reinstate(site: SteppedNode) -> None:
    """Suspend and reinstate the bank with a new signer, and put that signer into the node's settings."""
    signer = LocalSigner(token_bytes(32))
    governance.execute(site.client, governance.suspend(site.bank.bic), GUARDIAN)
    step = governance.reinstate(site.bank.bic, signer.address, LocalSigner(BANK_ADMIN).address)
    governance.execute(site.client, step, REGISTRAR)
    site.bank.secrets = replace(site.bank.secrets, signer=signer)


@pytest.mark.long
def test_a_store_continues_from_a_thiefs_publications_and_restates_the_truth(
    site: SteppedNode,
) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    robbed, other = site.bind(CARD), site.bind(OTHER_CARD)
    site.publish()
    # The node's next publication is never mined: the thief's publication takes its number.
    site.world.chain.holding = True
    site.feed({"number": OTHER_CARD, "status": "frozen"})
    site.world.clock.advance(60)
    site.node.publisher.step()
    signed = site.known_digests()[-1]
    site.world.chain.lose()
    theft = steal(site, robbed)
    assert theft.number == signed[0]
    assert theft.digest != signed[1]

    with pytest.raises(PublishingHalted, match="two histories"):
        site.node.publisher.step()
    with pytest.raises(CannotRecover, match="two histories"):
        site.recover()
    with pytest.raises(CannotRecover, match="still accepts"):
        site.recover(take_ledger=True)
    site.stop()
    reinstate(site)
    site.start()
    with pytest.raises(PublishingHalted, match="two histories"):
        site.node.publisher.step()
    with pytest.raises(CannotRecover, match="two histories"):
        site.recover()
    assert site.known_digests()[-1] == signed, "a refusal changes nothing"

    looked = site.recovery().run(confirm=False, take_ledger=True)
    assert site.known_digests()[-1] == signed, "a dry run changes nothing"
    found = site.recover(take_ledger=True)
    assert found == looked
    assert (found.given_up, found.rebuilt, found.stated_again) == (1, 1, 2)
    assert site.known_digests()[-1] == (theft.number, theft.digest)
    with pytest.raises(PublishingHalted, match="feed again"):
        site.node.publisher.step()
    site.feed()
    site.recovery().fed_again()
    site.publish()
    assert site.terms(robbed).status is Status.ACTIVE, "the binding that the thief overwrote"
    assert site.terms(other).status is Status.FROZEN, "the change that the thief overtook"
    events = site.client.published(0, site.client.block_number(), site.bank.bic)
    assert site.known_digests() == [(event.number, event.digest) for event in events]


@pytest.mark.long
def test_a_store_far_behind_a_theft_finds_where_the_histories_diverge(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    site.world.chain.holding = True
    for daily_limit_minor in (1, 2):
        site.feed({"number": CARD, "daily_limit_minor": daily_limit_minor})
        site.world.clock.advance(60)
        site.node.publisher.step()
    own = site.known_digests()
    # The first of the two is mined, unseen by the node; then the thief publishes three times.
    held = site.world.chain.mempool.drain()
    site.world.chain.lose()
    site.world.chain.devnet.call(held[0])
    thefts = [steal(site, grant) for _ in range(3)]
    assert thefts[0].number == own[-1][0]
    site.stop()
    reinstate(site)
    site.start()
    found = site.recover(take_ledger=True)
    assert (found.given_up, found.rebuilt) == (1, 3)
    assert site.known_digests() == own[:-1] + [(theft.number, theft.digest) for theft in thefts]
    site.feed()
    site.recovery().fed_again()
    site.publish()
    assert site.terms(grant).limits.daily_limit_minor == 2
