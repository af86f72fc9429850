"""The store is an old backup: the ledger shows what the bank published since."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import make_url, text

from standing.ledger.attestations.terms import Status
from standing.ledger.chain.client import Published
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery.history import CannotRecover, History
from tests.node.stepped_node import CARD, OTHER_CARD, SteppedNode
from tests.world import ACCOUNT, PLATFORM


def test_an_old_store_is_not_to_be_recovered_while_another_node_publishes(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes with one key and a store each: after a recovery, each halts the other, with changes in its outbox."""
    site.feed(dict(ACCOUNT))
    old = site.backup()
    site.publish()
    site.stop()
    site.start(old)
    with pytest.raises(PublishingHalted, match="run `standing-node recover`"):
        site.node.publisher.step()
    state = site.client.bank(site.bank.bic)
    later = replace(state, publication=state.publication + 1, head=bytes(32))
    with monkeypatch.context() as patched:
        patched.setattr(site.node.publisher._client, "bank", lambda _: later)
        for _ in range(2):
            with pytest.raises(PublishingHalted, match=r"1 to 2 by now.*do not recover this store before"):
                site.node.publisher.step()


@pytest.mark.long
def test_an_old_store_signs_nothing_until_recovered_and_fed_again(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    old = site.backup()
    site.feed({"number": CARD, "daily_limit_minor": 5})
    site.publish()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    before = site.client.bank(site.bank.bic)
    site.stop()

    site.start(old)
    with pytest.raises(PublishingHalted, match="must be recovered"):
        site.node.publisher.step()
    looked = site.recovery().run(confirm=False)
    assert looked.rebuilt == before.publication - looked.store_publication > 0
    assert looked.stated_again == 1
    with pytest.raises(PublishingHalted, match="must be recovered"):
        site.node.publisher.step()

    found = site.recover()
    assert found == looked, "the dry run matches the recovery"
    assert found.core_until_ms == before.watermark_ms
    with pytest.raises(PublishingHalted, match="feed again"):
        site.node.publisher.step()
    assert site.client.bank(site.bank.bic).publication == before.publication
    assert site.terms(grant).status is Status.FROZEN


@pytest.mark.postgresql
def test_a_recovery_may_read_the_ledger_beyond_the_idle_transaction_timeout(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    old = site.backup()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    site.stop()
    bound = {"options": "-c idle_in_transaction_session_timeout=500ms"}
    site.start(make_url(old).update_query_dict(bound).render_as_string(hide_password=False))
    rebuild = History.rebuild

    def slowly(*args: Any) -> Any:
        with site.node.database.read() as connection:
            connection.execute(text("SELECT pg_sleep(1)"))
        return rebuild(*args)

    monkeypatch.setattr(History, "rebuild", slowly)
    assert site.recover().rebuilt == 1


@pytest.mark.long
def test_the_current_state_is_published_once_and_no_older_one_after_the_core_feeds_again(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    old = site.backup()
    lost = [
        site.feed({"number": CARD, "daily_limit_minor": 5}),
        site.feed({"number": CARD, "status": "frozen"}),
    ]
    site.publish()
    before = site.client.bank(site.bank.bic)
    site.stop()
    site.start(old)
    found = site.recover()
    with pytest.raises(CannotRecover, match="must feed"):
        site.recovery().fed_again()
    for entry in lost:
        site.node.feed.accept(entry)
    site.recovery().fed_again()
    site.publish()
    events = [
        event
        for event in site.client.published(0, site.client.block_number(), site.bank.bic)
        if event.number > before.publication and event.bindings
    ]
    assert [len(event.bindings) for event in events] == [1], "one restatement covers both changes"
    terms = site.terms(grant)
    assert (terms.status, terms.limits.daily_limit_minor) == (Status.FROZEN, 5)
    assert site.client.bank(site.bank.bic).watermark_ms >= found.core_until_ms
    # Normal operation continues.
    site.feed({"number": CARD, "status": "active"})
    site.publish()
    assert site.terms(grant).status is Status.ACTIVE


@pytest.mark.long
def test_a_binding_granted_after_the_backup_is_ended_on_recovery(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    kept = site.bind(CARD)
    site.publish()
    old = site.backup()
    orphan = site.bind(OTHER_CARD)
    last = site.feed()
    site.publish()
    assert site.terms(orphan).status is Status.ACTIVE
    site.stop()
    site.start(old)
    found = site.recover()
    assert (found.unknown_ended, found.unknown_unreadable) == (1, 0)
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    assert site.terms(orphan).status is Status.UNBOUND
    assert site.terms(kept).status is Status.ACTIVE


@pytest.mark.long
def test_a_binding_that_its_platform_ended_after_the_backup_is_not_revived(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    old = site.backup()
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(grant.binding[2:]))
    last = site.feed()
    site.publish()
    site.stop()
    site.start(old)
    assert site.recover().ended_on_ledger == 1
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    assert site.terms(grant).status is Status.UNBOUND


@pytest.mark.long
def test_recovery_from_a_long_history_reads_only_publications_that_are_not_heartbeats(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.feed(dict(ACCOUNT))
    for _ in range(4):
        site.feed()
        site.publish()
    site.bind()
    site.publish()
    stored = site.known_digests()
    site.lose_store()
    asked: list[int] = []
    whole = site.client.publication_of

    def noted(event: Published, previous: bytes) -> Any:
        asked.append(event.number)
        return whole(event, previous)

    monkeypatch.setattr(site.client, "publication_of", noted)
    found = site.recover()
    assert (found.rebuilt, found.rebuilt_without_content) == (len(stored), 0)
    assert len(stored) >= 5
    assert asked == [len(stored)]
    assert site.known_digests() == stored


def test_recovery_waits_for_pending_transactions(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    site.world.chain.counts_held = site.world.chain.holding = True
    site.feed()
    site.world.clock.advance(60)
    assert site.node.publisher.step() == 1
    with pytest.raises(CannotRecover, match="1 transactions"):
        site.recover()


def test_a_recovery_that_is_repeated_says_again_what_the_core_must_feed(site: SteppedNode) -> None:
    """The first one may have been killed after it took effect, and its report with it."""
    site.feed(dict(ACCOUNT))
    site.publish()
    old = site.backup()
    last = site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    site.stop()
    site.start(old)
    first, again = site.recover(), site.recover()
    assert (first.rebuilt, again.rebuilt) == (1, 0)
    assert not again.nothing_to_do
    assert (again.core_from_ms, again.core_until_ms) == (first.core_from_ms, first.core_until_ms)
    assert first.core_from_ms < first.core_until_ms == site.client.bank(site.bank.bic).watermark_ms
    with pytest.raises(CannotRecover, match="it must feed all that it said after"):
        site.recovery().fed_again()  # the freeze is missing yet
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    assert site.recover().nothing_to_do


def test_an_up_to_date_store_has_nothing_to_recover(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    assert site.recover().nothing_to_do
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()


def test_a_store_that_is_said_to_be_restored_signs_nothing_until_fed_again(site: SteppedNode) -> None:
    """The backup may lack what the core said since, though all that the ledger holds is in it."""
    site.feed(dict(ACCOUNT))
    site.publish()
    last_ms = site.feed().as_of_ms
    found = site.recover(restored=True)
    assert (found.feed_again, found.rebuilt) == (True, 0)
    assert (found.core_from_ms, found.core_until_ms) == (last_ms, last_ms), "the core's time, ahead of the ledger's"
    with pytest.raises(PublishingHalted, match="feed again"):
        site.node.publisher.step()
    site.recovery().fed_again()
    site.publish()
    with pytest.raises(CannotRecover, match="no recovery is waiting"):
        site.recovery().fed_again()


def test_a_recovery_reads_a_ledger_node_that_lets_few_blocks_be_searched_at_once(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Besu allows 5,000 blocks by default, and allowed 1,000; other nodes and operators allow fewer."""
    grant = site.bind_and_publish()
    old = site.backup()
    site.world.chain.devnet.tester.mine_blocks(60)
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    site.stop()
    site.start(old)
    plain, refused = site.world.chain.devnet.call, []

    def call(asked: Any) -> dict[str, Any]:
        if asked["method"] == "eth_getLogs":
            first, last = (int(asked["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
            if last - first >= 20:
                refused.append(last - first)
                error = {"code": -32005, "message": "Requested range exceeds maximum RPC range limit"}
                return {"jsonrpc": "2.0", "id": asked["id"], "error": error}
        return plain(asked)

    monkeypatch.setattr(site.world.chain.devnet, "call", call)
    found = site.recover(from_block=0)
    assert refused, "no range was wide"
    assert (found.stated_again, found.unknown_ended) == (1, 0)
    assert site.terms(grant).status is Status.FROZEN
