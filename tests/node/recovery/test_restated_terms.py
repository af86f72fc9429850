"""What a recovery states again: when it takes effect, and what becomes of bindings that the store lacks."""

import pytest

from standing.ledger.attestations.terms import Status
from standing.ledger.clock import ManualClock
from standing.ledger.errors import TermsUnreadable
from standing.node.accounts.changes import FeedEntry
from tests.node.stepped_node import CARD, SteppedNode, bound_after_a_backup
from tests.world import PLATFORM


def test_a_binding_that_a_recovery_ends_ends_now_and_breaks_no_watermark(site: SteppedNode) -> None:
    old, orphan, last = bound_after_a_backup(site)
    vouched_ms = site.client.bank(site.bank.bic).watermark_ms
    assert site.terms(orphan).effective_at_ms <= vouched_ms
    site.stop()
    site.start(old)
    assert site.recover().unknown_ended == 1
    site.node.feed.accept(last)
    site.recovery().fed_again()
    ended_from_ms = site.world.clock.now_ms()
    site.publish()
    assert site.terms(orphan).status is Status.UNBOUND
    assert site.terms(orphan).effective_at_ms >= ended_from_ms > vouched_ms


@pytest.mark.long
def test_a_binding_that_a_recovery_ends_ends_after_its_last_terms_though_the_clock_was_set_back(
    site: SteppedNode,
) -> None:
    old, orphan, last = bound_after_a_backup(site)
    seen_ms = site.terms(orphan).effective_at_ms
    site.stop()
    site.bank.clock = ManualClock(site.world.clock.now_ms() - 1_000)
    site.start(old)
    assert site.recover().unknown_ended == 1
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.node.publisher.step()
    assert (site.terms(orphan).status, site.terms(orphan).effective_at_ms) == (Status.UNBOUND, seen_ms)


@pytest.mark.long
def test_terms_stated_again_take_effect_no_earlier_than_the_record_that_platforms_have_seen(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    old = site.backup()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    seen_ms = site.terms(grant).effective_at_ms
    site.stop()
    site.start(old)
    site.recover()
    site.feed()  # the core was restored as well, and states no freeze
    site.recovery().fed_again()
    site.publish()
    assert (site.terms(grant).status, site.terms(grant).effective_at_ms) == (Status.ACTIVE, seen_ms)


@pytest.mark.long
def test_a_herd_that_is_stated_again_in_parts_covers_with_no_state_of_the_old_store(site: SteppedNode) -> None:
    parts = site.bank.settings.publisher.model_copy(update={"herd_size": 3, "max_attestations": 2, "max_in_flight": 1})
    site.stop()
    site.bank.settings = site.bank.settings.model_copy(update={"publisher": parts})
    site.start()
    grants = site.bind_many(3)
    old = site.backup()
    frozen = site.feed(*({"number": number, "status": "frozen"} for number in grants))
    site.publish()
    before = site.client.bank(site.bank.bic).publication
    site.stop()
    site.start(old)
    assert site.recover().stated_again == 3
    site.node.feed.accept(frozen)
    site.recovery().fed_again()
    for _ in range(4):
        site.world.clock.advance(60)
        site.node.publisher.step()
        assert {site.status(grant) for grant in grants.values()} == {"frozen"}
    assert len(site.sizes_after(before)) >= 3, "stated again in fewer parts"


@pytest.mark.long
def test_a_binding_that_nobody_can_open_after_a_recovery_is_made_unreadable(site: SteppedNode) -> None:
    old, orphan, last = bound_after_a_backup(site)
    site.stop()
    site.start(old)
    recovery = site.recovery()
    recovery._platforms = []  # that of the binding has left the settings
    assert recovery.run(confirm=True).unknown_unreadable == 1
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    with pytest.raises(TermsUnreadable):
        site.terms(orphan)


@pytest.mark.long
def test_a_change_of_a_clock_ahead_that_a_recovery_covers_leaves_later_ones_at_their_own_time(
    site: SteppedNode,
) -> None:
    grant = site.bind_and_publish()
    old = site.backup()
    site.feed({"number": CARD, "daily_limit_minor": 5})
    site.publish()
    site.stop()
    right, site.bank.clock = site.bank.clock, ManualClock(site.world.clock.now_ms() + 3_600_000)
    site.start(old)
    site.recover()
    at_ms = site.bank.clock.now_ms()
    change = {"number": CARD, "status": "frozen", "effective_at_ms": at_ms}
    site.node.feed.accept(FeedEntry.model_validate({"as_of_ms": at_ms, "changes": [change]}))
    site.recovery().fed_again()
    site.node.publisher.step()
    assert site.terms(grant).status is Status.FROZEN
    site.stop()
    site.bank.clock = right
    site.start()
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(grant.binding[2:]))
    site.node.publisher.step()
    assert site.terms(grant).status is Status.UNBOUND
    assert site.terms(grant).effective_at_ms <= site.client.latest_allowed_ms()
