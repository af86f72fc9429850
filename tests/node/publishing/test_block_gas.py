"""A publication always fits into a block of the ledger, and an oversized signed one can be abandoned."""

import pytest
from sqlalchemy import select

from standing.ledger.chain.sender import GAS_FIXED, GAS_PER_ATTESTATION, MAX_TRANSACTION_GAS, publication_gas
from standing.node.publishing import outbox, publications
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery.history import CannotRecover
from standing.node.storage import schema
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT

#: Small, so that a few accounts exceed one publication. Real networks have 4,700,000 and more.
BLOCK_GAS = 700_000
FITTING = (BLOCK_GAS - GAS_FIXED) // GAS_PER_ATTESTATION


def test_a_change_too_large_for_a_block_is_split_into_publications_that_fit(site: SteppedNode) -> None:
    site.limit_blocks(BLOCK_GAS)
    grants = site.bind_many(FITTING + 1)
    before = site.client.bank(site.bank.bic).publication
    site.feed(*({"number": number, "status": "frozen"} for number in grants))
    site.publish()
    sizes = site.sizes_after(before)
    assert sum(sizes) == FITTING + 1
    assert max(sizes) == FITTING
    assert {site.status(grant) for grant in grants.values()} == {"frozen"}


def test_no_transaction_asks_for_more_gas_than_the_protocol_allows(site: SteppedNode) -> None:
    site.limit_blocks(10**9)
    assert site.node.publisher._submitter.max_attestations() == (MAX_TRANSACTION_GAS - GAS_FIXED) // GAS_PER_ATTESTATION


def test_blocks_too_small_for_one_attestation_stop_publishing_with_a_clear_error(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.bind()
    site.limit_blocks(publication_gas(1) - 1)
    with pytest.raises(PublishingHalted, match="higher block gas limit"):
        site.publish()
    site.limit_blocks(publication_gas(1))
    site.publish()


def test_an_oversized_signed_publication_halts_with_a_clear_error_and_goes_through_after_a_raise(
    site: SteppedNode,
) -> None:
    grants = site.bind_many(FITTING + 1)
    site.sign_frozen(grants)
    site.limit_blocks(BLOCK_GAS)
    site.node.publisher.send_again()
    with pytest.raises(PublishingHalted, match=r"--give-up-oversized"):
        site.publish()
    with pytest.raises(CannotRecover, match=r"--give-up-oversized"):
        site.recover()
    site.limit_blocks(None)
    site.node.publisher.send_again()
    site.publish()
    assert {site.status(grant) for grant in grants.values()} == {"frozen"}


def test_an_oversized_signed_publication_can_be_abandoned_and_republished_in_parts(site: SteppedNode) -> None:
    grants = site.bind_many(FITTING + 1)
    before = site.client.bank(site.bank.bic)
    site.sign_frozen(grants)
    site.limit_blocks(BLOCK_GAS)
    looked = site.recovery().run(confirm=False, give_up_oversized=True)
    assert (looked.given_up, looked.nothing_to_do) == (1, False)
    assert site.recover(give_up_oversized=True).given_up == 1
    site.publish()
    assert {site.status(grant) for grant in grants.values()} == {"frozen"}
    with site.node.database.read() as connection:
        first = connection.execute(
            select(schema.publications).where(schema.publications.c.number == before.publication + 1)
        ).one()
        assert outbox.waiting(connection) == 0
        assert publications.unfinished(connection) == []
    assert first.previous == before.head, "the chain of digests is unbroken"
    assert max(site.sizes_after(before.publication)) <= FITTING
    assert site.recover().nothing_to_do
