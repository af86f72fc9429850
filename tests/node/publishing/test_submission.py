"""Transactions that are held, lost, overtaken or underpriced, and what is signed and sent meanwhile."""

import secrets
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.sender import Sender
from standing.ledger.clock import ManualClock
from standing.ledger.errors import LedgerUnreachable
from standing.node.accounts.changes import FeedEntry
from standing.node.composition import build
from standing.node.fault_points import no_faults
from standing.node.publishing import outbox
from standing.node.publishing.submission import PublishingHalted
from standing.node.publishing.trail import Trail
from standing.node.storage import schema
from tests.node.node_tools import feed_of, grant_of, status_on_ledger
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import ACCOUNT, BANK_ADMIN, PLATFORM, REGISTRAR, World, wait_until


@pytest.mark.long
def test_several_publications_are_in_flight_up_to_the_configured_bound(stepped: Stepped) -> None:
    before = stepped.on_ledger
    flights = [stepped.change_and_step(limit) for limit in range(6)]
    assert flights == [1, 2, 3, 4, 4, 4]
    taken = stepped.world.chain.mempool.taken
    assert len({held.nonce for held in taken}) == 4, "each has its own nonce"
    stepped.world.chain.release()
    stepped.settle()
    # The two changes that had to wait share one publication.
    assert stepped.on_ledger == before + 5


def test_the_publications_of_one_step_cost_one_round_of_calls_to_the_node(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped.node.publisher._options = replace(stepped.node.publisher._options, max_attestations=1)
    asked: list[str] = []
    submitter = stepped.node.publisher._submitter

    def note(owner: Any, name: str) -> None:
        ask = getattr(owner, name)

        def noted(*given: Any) -> Any:
            asked.append(name)
            return ask(*given)

        monkeypatch.setattr(owner, name, noted)

    note(submitter._sender, "next_nonce")
    note(submitter._sender, "gas_price_wei")
    note(submitter._client, "receipt")
    for limit in range(3):
        stepped.feed({"number": NUMBER, "daily_limit_minor": limit})
    assert stepped.node.publisher.step() == 3
    nonces = [held.nonce for held in stepped.world.chain.mempool.taken]
    assert nonces == list(range(nonces[0], nonces[0] + 3))
    assert sorted(asked) == ["gas_price_wei", "next_nonce"]
    asked.clear()
    stepped.node.publisher.step()
    assert asked == ["receipt"], "only the next one can be in a block"
    stepped.world.chain.release()
    stepped.settle()


def test_a_stuck_transaction_is_resent_with_the_same_nonce_and_payload_for_an_eighth_more(stepped: Stepped) -> None:
    assert stepped.change_and_step(1) == 1
    for _ in range(3):
        stepped.make_block()
        stepped.world.clock.advance(1_001)
        stepped.node.publisher.step()
    taken = stepped.world.chain.mempool.taken
    assert len(taken) == 4
    assert len({(held.nonce, held.data) for held in taken}) == 1
    prices = [held.gas_price_wei for held in taken]
    for lower, higher in pairwise(prices):
        assert higher == lower + -(-lower // 8)
    before = stepped.on_ledger
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1


@pytest.mark.long
def test_a_lost_transaction_that_became_too_cheap_is_resent_at_the_current_price(
    stepped: Stepped,
) -> None:
    stepped.change_and_step(1)
    first = stepped.world.chain.mempool.taken[0]
    stepped.world.chain.mempool.drain()
    stepped.world.chain.mempool.least_wei = 3 * first.gas_price_wei
    stepped.node.publisher.send_again()
    stepped.node.publisher.step()
    again = stepped.world.chain.mempool.taken[-1]
    assert (again.nonce, again.data, again.gas_price_wei) == (first.nonce, first.data, 3 * first.gas_price_wei)


@pytest.mark.long
def test_a_fee_never_grows_above_the_maximum(a_world: World) -> None:
    made = Stepped(a_world)
    asked = Sender(a_world.client, made.bank.secrets.sender_key).gas_price_wei()
    made.node.publisher._submitter._sender._max_gas_price_wei = asked + asked // 10
    made.change_and_step(1)
    for _ in range(4):
        made.make_block()
        a_world.clock.advance(1_001)
        made.node.publisher.step()
    assert max(held.gas_price_wei for held in a_world.chain.mempool.taken) == asked + asked // 10
    made.close()


@pytest.mark.long
def test_dropped_transactions_are_resent_in_nonce_order(stepped: Stepped) -> None:
    stepped.world.chain.mempool.no_gaps = True
    for limit in range(3):
        stepped.change_and_step(limit)
    nonces = [held.nonce for held in stepped.world.chain.mempool.taken]
    stepped.world.chain.mempool.drain()
    stepped.world.clock.advance(1_001)
    before = stepped.on_ledger
    stepped.node.publisher.step()
    assert [held.nonce for held in stepped.world.chain.mempool.taken[3:]] == nonces
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 3


def test_a_resync_resends_lost_transactions_at_once_and_adds_none(stepped: Stepped) -> None:
    stepped.change_and_step(1)
    lost = stepped.world.chain.mempool.taken[0]
    stepped.world.chain.lose()
    before = stepped.on_ledger
    assert stepped.node.publisher.step() == 1, "it is not considered lost yet"
    with stepped.node.database.read() as connection:
        (binding,) = connection.execute(select(schema.bindings.c.id)).scalars()
    assert not stepped.node.resync.resync(PLATFORM, binding).queued
    stepped.world.chain.holding = True
    stepped.node.publisher.step()
    (again,) = stepped.world.chain.mempool.taken[1:]
    assert again.hash == lost.hash
    assert stepped.node.publisher.step() == 1, "looked up once, sent once"
    assert len(stepped.world.chain.mempool.taken) == 2
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 1
    assert stepped.node.resync.resync(PLATFORM, binding).queued
    stepped.settle()
    assert stepped.on_ledger == before + 2


@pytest.mark.long
def test_a_transaction_dropped_in_the_middle_is_resent_and_later_ones_still_count(stepped: Stepped) -> None:
    for limit in range(3):
        stepped.change_and_step(limit)
    stepped.world.chain.mempool.forget(stepped.world.chain.mempool.taken[1].nonce)
    stepped.world.clock.advance(1_001)
    stepped.node.publisher.step()
    before = stepped.on_ledger
    stepped.world.chain.release()
    stepped.settle()
    assert stepped.on_ledger == before + 3


def test_a_publication_submitted_by_a_stranger_counts_and_leaves_no_gap_behind(stepped: Stepped) -> None:
    stepped.change_and_step(1)
    theirs = stepped.world.chain.mempool.taken[-1]
    stepped.world.chain.lose()
    stranger = Sender(stepped.world.client, REGISTRAR)  # anyone with money may submit
    prepared = stranger.prepare(theirs.data, gas=1_000_000)
    stranger.transmit(prepared)
    stepped.settle()
    before = stepped.on_ledger
    stepped.change_and_step(2)
    stepped.settle()
    assert stepped.on_ledger == before + 1


def test_a_publication_that_no_ledger_node_takes_does_not_count_as_submitted(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trail had told platforms that it waits for a block."""

    stepped.world.chain.holding = False
    fed_ms = stepped.feed({"number": NUMBER, "daily_limit_minor": 5})

    def submitted_at_ms() -> int | None:
        (hops,) = Trail(stepped.node.database).entry(fed_ms).publications
        return hops.submitted_at_ms

    def cut(*_: Any) -> None:
        raise LedgerUnreachable("the connection was closed")

    with monkeypatch.context() as patched:
        patched.setattr(Sender, "transmit", cut)
        for _ in range(2):
            stepped.world.clock.advance(1_000)
            with pytest.raises(LedgerUnreachable, match="closed"):
                stepped.node.publisher.step()
            assert submitted_at_ms() is None
    stepped.node.publisher.step()
    assert submitted_at_ms() == stepped.world.clock.now_ms()


@pytest.mark.long
def test_publications_in_flight_during_a_key_rotation_arrive_under_the_new_key_with_the_same_digest(
    stepped: Stepped,
) -> None:
    bank, before = stepped.bank, stepped.on_ledger
    for limit in range(2):
        stepped.change_and_step(limit)
    digests = stepped.digests()
    assert len(digests) == before + 2
    stepped.world.chain.lose()
    stepped.close()
    signer = LocalSigner(secrets.token_bytes(32))
    governance.execute(stepped.world.client, governance.rotate_signer(bank.bic, signer.address), BANK_ADMIN)
    stepped.node = build(bank.settings, bank.secrets, bank.clock)
    assert stepped.node.leadership.take()
    with pytest.raises(PublishingHalted, match="rotate the signer on the ledger, or start the node with the right key"):
        stepped.node.publisher.step()
    stepped.close()
    stepped.node = build(bank.settings, replace(bank.secrets, signer=signer), bank.clock)
    assert stepped.node.leadership.take()
    stepped.settle()
    assert stepped.on_ledger == before + 2
    assert stepped.digests() == digests
    assert stepped.world.client.bank(bank.bic).head == digests[-1]


def test_a_stored_row_that_would_go_back_in_time_does_not_block_publishing(stepped: Stepped) -> None:
    """The feed refuses such a row; if one is stored nevertheless, later rows must still get through."""
    stepped.world.chain.release()
    stepped.settle()
    with stepped.node.database.write() as connection:
        binding, terms = connection.exec_driver_sql("SELECT binding_id, terms FROM outbox LIMIT 1").one()
        connection.execute(
            schema.outbox.insert().values(
                binding_id=bytes(binding), effective_at_ms=5, terms=bytes(terms), holds_from_ms=1
            )
        )
    before = stepped.on_ledger
    stepped.settle()
    stepped.change_and_step(3)
    stepped.settle()
    assert stepped.on_ledger == before + 2


def test_batches_wait_for_more_changes_no_longer_than_configured(a_world: World) -> None:
    made = Stepped(a_world, batch_wait_ms=500, max_attestations=3)
    before = made.on_ledger
    assert made.change_and_step(1) == 0
    assert made.change_and_step(2) == 0
    a_world.clock.advance(500)
    assert made.node.publisher.step() == 1, "the oldest has waited long enough"
    assert [made.change_and_step(limit) for limit in (3, 4, 5)] == [1, 1, 2], "a full batch does not wait"
    a_world.chain.release()
    made.settle()
    assert made.on_ledger == before + 2
    made.node.leadership.leave()
    made.node.database.close()


@pytest.mark.long
def test_changes_stored_by_a_command_are_published_soon_however_rare_the_heartbeats(a_world: World) -> None:
    bank = a_world.start_bank(publisher={"heartbeat_ms": 3_600_000})
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    bank.wait_until_published()
    assert status_on_ledger(bank, grant)
    feed = feed_of(bank, no_faults)
    feed._on_change = lambda: None  # as if in a separate process
    at = bank.clock.advance(10)
    frozen = {"number": NUMBER, "status": "frozen", "effective_at_ms": at}
    feed.accept(FeedEntry.model_validate({"as_of_ms": at, "changes": [frozen]}))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
def test_a_clock_set_back_delays_neither_heartbeats_nor_batches_nor_resends(a_world: World) -> None:
    made = Stepped(a_world, batch_wait_ms=500)
    clock = ManualClock(a_world.clock.now_ms())
    made.node.publisher._clock = made.node.publisher._submitter._clock = clock
    hour_ms = 3_600_000

    clock.advance(hour_ms)
    assert made.change_and_step(1) == 0, "it waits for more changes"
    clock._now_ms -= hour_ms
    assert made.node.publisher.step() == 1

    clock.advance(hour_ms)
    made.node.publisher.step()  # resent, as it seems to be overdue
    sent = len(a_world.chain.mempool.taken)
    made.make_block()  # so that it offers more, which is another transaction
    clock._now_ms -= hour_ms
    made.node.publisher.step()
    assert len(a_world.chain.mempool.taken) == sent + 1

    a_world.chain.release()
    made.node.feed._clock = clock
    clock._now_ms = a_world.clock.now_ms() + hour_ms
    made.feed()
    made.settle()
    clock._now_ms = a_world.clock.now_ms()
    as_of_ms = made.feed()
    clock._now_ms = a_world.clock.now_ms()
    made.settle()
    assert a_world.client.bank(made.bank.bic).watermark_ms == as_of_ms
    made.close()


def test_a_store_that_lost_pending_publications_never_signs_other_content_under_their_numbers(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = stepped.world.chain.mempool.taken
    copy = stepped.copy()
    assert stepped.change_and_step(1) == 1
    lost = {transaction.nonce for transaction in held}
    counts = {"latest": min(lost), "pending": max(lost) + 1}
    for node in (stepped.node, copy):
        monkeypatch.setattr(node.publisher._submitter._sender, "next_nonce", lambda block="pending": counts[block])
    stepped.node.publisher._checked_at_ms = None
    stepped.node.publisher.step()  # the node's own store knows them
    stepped.node.leadership.leave()
    assert copy.leadership.take()
    as_of_ms = stepped.world.clock.advance(10)
    frozen = {"number": NUMBER, "status": "frozen", "effective_at_ms": as_of_ms}
    copy.feed.accept(FeedEntry.model_validate({"as_of_ms": as_of_ms, "changes": [frozen]}))
    with pytest.raises(PublishingHalted, match="pending that this store does not know"):
        copy.publisher.step()
    with copy.database.read() as connection:
        last = outbox.last_publication(connection)
    assert last is not None
    assert last.number == stepped.on_ledger, "nothing more was signed"
    counts["latest"] = counts["pending"]
    stepped.world.chain.release()
    with pytest.raises(PublishingHalted, match="standing-node recover"):
        copy.publisher.step()
    copy.leadership.leave()
    copy.database.close()
