"""What the sending account pays: a halted ledger, and an account without money."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import InsufficientFunds, Prepared, Sender
from standing.node.publishing.trail import Trail
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import ACCOUNT, World, wait_until


def test_no_fee_grows_while_the_ledger_is_halted(stepped: Stepped) -> None:
    """After a quarter of an hour it had been a thousand times the price, and the account was empty once blocks came."""
    stepped.change_and_step(1)
    for _ in range(20):
        stepped.world.clock.advance(1_001)
        stepped.node.publisher.step()
    first, *_, last = stepped.world.chain.mempool.taken
    assert last.gas_price_wei <= first.gas_price_wei + -(-first.gas_price_wei // 8), "more than the first eighth"
    stepped.make_block()
    stepped.world.clock.advance(1_001)
    stepped.node.publisher.step()
    assert stepped.world.chain.mempool.taken[-1].gas_price_wei > last.gas_price_wei, "blocks come, and leave it out"
    stepped.world.chain.release()
    stepped.settle()


def test_nodes_of_a_halted_ledger_at_different_blocks_raise_no_fee(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped.change_and_step(1)
    heights = itertools.cycle([7, 5])
    monkeypatch.setattr(LedgerClient, "block_number", lambda _: next(heights))
    for _ in range(6):
        stepped.world.clock.advance(1_001)
        stepped.node.publisher.step()
    prices = {held.gas_price_wei for held in stepped.world.chain.mempool.taken}
    assert len(prices) == 2, "the price at first, and one eighth more"


def test_an_account_that_can_pay_what_the_ledger_asks_publishes_whatever_was_offered_before(stepped: Stepped) -> None:
    """The eighth more was beyond its balance, so it published nothing, and the error named a price it could pay."""
    before = stepped.on_ledger
    stepped.change_and_step(1)
    (held,) = stepped.world.chain.mempool.taken
    stepped.world.chain.mempool.drain()  # a node drops what an account can no longer pay for
    stepped.world.clock.advance(1_001)
    with _can_pay(held.gas_price_wei):
        stepped.node.publisher.step()
    assert stepped.world.chain.mempool.taken[-1].hash == held.hash
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1


def test_publications_of_an_account_without_money_are_tried_at_each_step_for_no_more_and_stay_unsent_in_the_trail(
    stepped: Stepped,
) -> None:
    """Each refused attempt had cost an eighth more than the one before, and the trail said that it was just sent."""
    fed_ms = stepped.feed({"number": NUMBER, "daily_limit_minor": 5})
    stepped.node.publisher.step()
    sent_ms = stepped.world.clock.now_ms()
    stepped.change_and_step(6)
    first = stepped.world.chain.mempool.taken[0]
    stepped.world.chain.mempool.drain()
    stepped.world.clock.advance(1_001)
    with _can_pay(0):
        for _ in range(5):
            with pytest.raises(InsufficientFunds):
                stepped.node.publisher.step()
            stepped.world.clock.advance(1_001)
    (hops,) = Trail(stepped.node.database).entry(fed_ms).publications
    assert hops.submitted_at_ms == sent_ms
    assert stepped.node.publisher.step() == 2, "at once, without waiting until it is late again"
    again = stepped.world.chain.mempool.taken[-2:]
    assert [held.nonce for held in again] == [first.nonce, first.nonce + 1]
    assert all(held.gas_price_wei <= first.gas_price_wei * 9 // 8 + 1 for held in again)
    before = stepped.on_ledger
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 2


def test_an_account_without_money_is_the_trouble_until_it_is_funded(a_world: World) -> None:
    """Between two attempts it had been none, and the log said that publishing was resumed."""
    bank = a_world.start_bank(publisher={"resend_after_ms": 1_000})
    bank.change(dict(ACCOUNT))
    assert wait_until(lambda: bank.bind().json().get("outcome") == "granted")
    bank.wait_until_published()
    a_world.chain.holding = True
    bank.feed({"number": NUMBER, "status": "frozen"})
    wait_until(lambda: a_world.chain.mempool.taken)
    a_world.chain.mempool.drain()
    with _can_pay(0), capture_logs() as logs:
        a_world.clock.advance(1_001)
        bank.node.publisher.wake()
        wait_until(lambda: "without money" in (bank.get("/readyz").json()["reason"] or ""))
        refused = bank.node.publisher._meters.ledger_errors.labels("InsufficientFunds")
        seen = refused._value.get()
        wait_until(lambda: refused._value.get() >= seen + 3)
        assert "without money" in bank.get("/readyz").json()["reason"]
    assert [line["event"] for line in logs if line["event"].startswith("publishing")] == ["publishing_stopped"]
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    a_world.chain.release()


@contextmanager
def _can_pay(wei: int) -> Iterator[None]:
    """A sending account that can pay no more than this for a unit of gas."""
    transmit = Sender.transmit

    def judged(self: Sender, prepared: Prepared) -> None:
        if prepared.gas_price_wei > wei:
            raise InsufficientFunds("without money")
        transmit(self, prepared)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Sender, "transmit", judged)
        yield
