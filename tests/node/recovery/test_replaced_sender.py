"""A recovery after the sending key was replaced, while the account before it still has a publication on its way."""

from dataclasses import replace

import pytest
from eth_account import Account

from standing.ledger.attestations.terms import Status
from standing.ledger.chain.sender import Sender
from standing.node.recovery.history import CannotRecover
from tests.node.stepped_node import CARD, SteppedNode
from tests.world import BANK_ADMIN


@pytest.fixture
def old(site: SteppedNode) -> str:
    """The account before. Its last publication, a freeze, is in no block when store and key are lost."""
    account = Sender(site.client, site.bank.secrets.sender_key).address
    site.bind_and_publish()
    site.world.chain.counts_held = site.world.chain.holding = True
    site.feed({"number": CARD, "status": "frozen"})
    site.world.clock.advance(60)
    assert site.node.publisher.step() == 1
    site.bank.secrets = replace(site.bank.secrets, sender_key=BANK_ADMIN)
    return account


def test_a_lost_store_is_not_recovered_while_the_account_before_has_a_publication_on_its_way(
    site: SteppedNode, old: str
) -> None:
    """The node signed other content under the same number, and stopped for good when the old one entered a block: two
    histories under one key."""
    site.lose_store()
    with pytest.raises(CannotRecover, match=f"1 transactions of {old}"):
        site.recover()
    freeze = site.entries[-1]
    site.world.chain.release()
    site.recover()
    for entry in site.entries:
        site.node.feed.accept(entry)
    site.recovery().fed_again()
    site.publish()
    assert site.client.bank(site.bank.bic).watermark_ms == freeze.as_of_ms


def test_an_old_store_is_not_recovered_while_the_account_before_has_a_publication_on_its_way(
    site: SteppedNode,
) -> None:
    account = Sender(site.client, site.bank.secrets.sender_key).address
    grant = site.bind_and_publish()
    backup = site.backup()
    site.world.chain.counts_held = site.world.chain.holding = True
    site.feed({"number": CARD, "status": "frozen"})
    site.world.clock.advance(60)
    assert site.node.publisher.step() == 1
    site.bank.secrets = replace(site.bank.secrets, sender_key=BANK_ADMIN)
    site.stop()
    site.start(backup)
    with pytest.raises(CannotRecover, match=f"1 transactions of {account}"):
        site.recover(restored=True)
    site.world.chain.release()
    site.recover()
    assert site.status(grant) == Status.FROZEN.word


def test_an_account_that_is_said_to_be_a_strangers_holds_up_no_recovery(site: SteppedNode, old: str) -> None:
    """Whoever submits a bank's publication is its account by the ledger; so is a thief of the key that was replaced."""
    site.lose_store()
    other = Account.create().address
    with pytest.raises(CannotRecover, match=old):
        site.recover(strangers=[other])
    assert site.recover(strangers=[other, old]).rebuilt > 0
    site.world.chain.lose()
