"""The nonces of the sending account: gaps, other programs that use its key, and the key's replacement."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain.codec import encode_read
from standing.ledger.chain.sender import NonceUsed, Sender, Underpriced
from standing.node.composition import build
from standing.node.publishing.trail import Trail
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import BANK_ADMIN, REGISTRAR


def test_a_nonce_that_another_program_took_a_moment_before_is_left_to_it_at_once(stepped: Stepped) -> None:
    """The publication had counted as submitted, and was sent under the next nonce only when it was late."""
    before, other = stepped.on_ledger, Sender(stepped.world.client, stepped.bank.secrets.sender_key)
    read = encode_read([])  # a call that succeeds
    taken = other.prepare(read, gas=100_000, gas_price_wei=10 * other.gas_price_wei())
    other.transmit(taken)
    fed_ms = stepped.feed({"number": NUMBER, "daily_limit_minor": 5})
    with pytest.raises(Underpriced, match=f"refuses nonce {taken.nonce}"):
        stepped.node.publisher.step()
    (hops,) = Trail(stepped.node.database).entry(fed_ms).publications
    assert (hops.submitted_at_ms, hops.transaction_hash) == (None, None)
    stepped.world.chain.release()
    stepped.world.chain.holding = True
    stepped.node.publisher.step()
    assert stepped.world.chain.mempool.taken[-1].nonce == taken.nonce + 1
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1


def test_a_publication_whose_nonce_another_program_used_is_sent_under_the_next_before_it_is_late(
    stepped: Stepped,
) -> None:
    """Both were accepted, by different ledger nodes. Each time, the bank had been silent until its own was late."""
    before, other = stepped.on_ledger, Sender(stepped.world.client, stepped.bank.secrets.sender_key)
    stepped.change_and_step(1)
    lost = stepped.world.chain.mempool.taken[-1]
    stepped.world.chain.lose()
    other.transmit(other.prepare(encode_read([]), gas=100_000, nonce=lost.nonce))
    stepped.world.chain.holding = True
    assert stepped.node.publisher.step() == 1, "it may be in no block yet"
    stepped.world.clock.advance(201)
    with pytest.raises(
        NonceUsed, match=f"has the nonce {lost.nonce} of .* another program uses this bank's sending key"
    ):
        stepped.node.publisher.step()
    stepped.node.publisher.step()
    again = stepped.world.chain.mempool.taken[-1]
    assert (again.nonce, again.data) == (lost.nonce + 1, lost.data)
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1


@pytest.mark.parametrize("holding", [False, True], ids=["blocks at once", "a pool that refuses gaps"])
def test_a_nonce_that_nothing_will_ever_precede_is_replaced_where_nodes_refuse_gaps(
    stepped: Stepped, holding: bool
) -> None:
    """Once a node had refused such a transaction, as networks over CometBFT do, the bank published nothing more."""
    stepped.world.chain.mempool.no_gaps = True
    for limit in range(2):
        stepped.change_and_step(limit)
    first, second = stepped.world.chain.mempool.taken
    before = stepped.on_ledger
    stepped.world.chain.lose()
    stranger = Sender(stepped.world.client, REGISTRAR)
    stranger.transmit(stranger.prepare(first.data, gas=1_000_000))
    assert stepped.on_ledger == before + 1
    stepped.world.chain.holding = holding
    # It passes each transaction to its node again.
    stepped.close()
    stepped.node = build(stepped.bank.settings, stepped.bank.secrets, stepped.bank.clock)
    assert stepped.node.leadership.take()
    with capture_logs() as logged:
        assert stepped.node.publisher.step() == 1
    assert "nonce_gap_closed" in [line["event"] for line in logged]
    if holding:
        again = stepped.world.chain.mempool.taken[-1]
        assert (again.data, again.nonce) == (second.data, first.nonce)
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 2


def test_publications_in_flight_when_the_sending_key_is_replaced_are_sent_from_the_new_account_at_once(
    stepped: Stepped,
) -> None:
    """With the old account's nonces they would wait for transactions that nobody sends, and so would all later ones."""
    chain = stepped.world.chain
    for limit in range(3):
        stepped.change_and_step(limit)
    old = chain.mempool.taken[-1]
    chain.lose()
    new = LocalSigner(BANK_ADMIN)  # an account with money, and with another number of transactions
    first = Sender(stepped.world.client, BANK_ADMIN).next_nonce()
    assert first != old.nonce - 2
    stepped.close()
    stepped.bank.secrets = replace(stepped.bank.secrets, sender_key=BANK_ADMIN)
    chain.holding = True
    stepped.node = build(stepped.bank.settings, stepped.bank.secrets, stepped.bank.clock)
    assert stepped.node.leadership.take()
    assert stepped.node.publisher.step() == 3
    assert stepped.change_and_step(3) == 4
    sent = [(held.sender, held.nonce) for held in chain.mempool.taken[chain.mempool.taken.index(old) + 1 :]]
    assert sent == [(new.address, nonce) for nonce in range(first, first + 4)]
    before = stepped.on_ledger
    chain.release()
    stepped.settle()
    assert stepped.on_ledger >= before + 4
