"""The SQL view: changes are read once, in order, and the watermark never runs ahead of them."""

import pytest

from standing.ledger.attestations.terms import Status
from tests.node.feed.view_passes import read_pass, stored, unstated, view_source
from tests.node.node_tools import Killed, SqlCore, account, die_at, feed_entries, grant_of, status_on_ledger, writes
from tests.world import ACCOUNT, Bank, World, wait_until


def test_a_change_in_the_core_is_published_without_the_core_calling_anybody(a_world: World, core: SqlCore) -> None:
    start_ms = a_world.clock.now_ms()
    core.put(start_ms - 5_000, ACCOUNT)
    bank = a_world.start_bank(sql_view=core.settings())
    wait_until(lambda: stored(bank) == 1)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    core.change(ACCOUNT["number"], bank.clock.advance(1_000), status="frozen")
    core.set_time(bank.clock.now_ms())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == bank.clock.now_ms())


def test_other_sources_are_refused_while_the_node_reads_the_view(a_world: World, core: SqlCore) -> None:
    bank = a_world.start_bank(sql_view=core.settings())
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": bank.clock.now_ms() + 1, "changes": []})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:standing:problem:feed-taken"


def test_an_unchanged_row_is_published_once_however_often_it_is_read(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT, account(1))
    source = view_source(bank, core, late_window_ms=1_000)
    for _ in range(5):
        read_pass(bank, core, source)
    assert [entry.changes for entry in feed_entries(bank)] == [2, 0, 0, 0, 0]


@pytest.mark.long
def test_the_watermark_trails_the_cores_time_by_its_longest_transaction(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    read_ms = read_pass(bank, core, view_source(bank, core, settle_ms=300))
    assert [entry.as_of_ms for entry in feed_entries(bank)] == [read_ms - 300]
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == read_ms - 300)


@pytest.mark.long
def test_the_watermark_does_not_move_during_a_large_pass(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(25)))
    with pytest.raises(Killed):
        read_pass(bank, core, view_source(bank, core, die_at("feed_committed", 2), page_size=10))
    entry = feed_entries(bank)[0]
    assert (entry.changes, entry.parts, entry.complete) == (20, 2, False)
    trail = bank.get(f"/v1/feed/{entry.as_of_ms}").json()
    assert not trail["complete"]
    assert not trail["on_ledger"]
    assert bank.get("/v1/status").json()["core_as_of_ms"] == 0
    assert bank.client.bank(bank.bic).watermark_ms == 0
    read_ms = read_pass(bank, core, view_source(bank, core, page_size=10))
    assert [(entry.changes, entry.complete) for entry in feed_entries(bank)] == [(20, False), (5, True)]
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == read_ms)
    assert bank.get(f"/v1/feed/{entry.as_of_ms}").json()["complete"]


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_node_killed_after_any_part_of_a_pass_loses_and_repeats_nothing(
    bank: Bank, core: SqlCore, times: int
) -> None:
    stated = [account(index) for index in range(25)]
    core.put(bank.clock.now_ms(), *stated)
    read_pass(bank, core, view_source(bank, core))
    grants = [grant_of(bank.bind(stated[index])) for index in (0, 9, 10, 24)]
    frozen_ms = bank.clock.advance(10)
    for one in stated:
        core.change(one["number"], frozen_ms, status="frozen")
    with pytest.raises(Killed):
        read_pass(bank, core, view_source(bank, core, die_at("feed_committed", times), page_size=10))
    restarted = view_source(bank, core, page_size=10)
    read_ms = read_pass(bank, core, restarted)
    read_pass(bank, core, restarted)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms >= read_ms)
    for grant in grants:
        assert status_on_ledger(bank, grant) == Status.FROZEN
        assert writes(bank, grant) == 2
    assert sum(entry.changes for entry in feed_entries(bank)) == 50


@pytest.mark.long
def test_a_row_that_became_visible_behind_the_watermark_is_still_published(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT, account(1))
    source = view_source(bank, core, late_window_ms=10_000)
    promised_ms = read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], promised_ms - 400, status="lost")  # committed only now
    read_pass(bank, core, source, later_ms=6_000)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.LOST)
    read_pass(bank, core, source, later_ms=6_000)
    assert writes(bank, grant) == 2


@pytest.mark.long
def test_a_replacement_card_that_became_visible_late_still_takes_over_its_bindings(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = view_source(bank, core, late_window_ms=10_000)
    promised_ms = read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], promised_ms - 400, status="lost")
    core.put(promised_ms - 500, {**account(1), "replaces": ACCOUNT["number"]})  # committed only now
    read_pass(bank, core, source, later_ms=6_000)
    core.change(account(1)["number"], bank.clock.now_ms() + 10, status="frozen")
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
def test_a_row_newer_than_the_watermark_is_published_at_once_and_only_once(bank: Bank, core: SqlCore) -> None:
    """The view shows only the newest state: waiting until the watermark reaches it could skip it."""
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = view_source(bank, core, settle_ms=500)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    changed_ms = bank.clock.advance(900)
    core.change(ACCOUNT["number"], changed_ms, status="frozen")
    read_pass(bank, core, source, later_ms=100)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert bank.get("/v1/status").json()["core_as_of_ms"] < changed_ms
    read_pass(bank, core, source)
    read_pass(bank, core, source)
    assert writes(bank, grant) == 2


@pytest.mark.long
def test_a_change_with_an_older_time_than_the_last_is_still_published(bank: Bank, core: SqlCore) -> None:
    """Two servers of one core, whose clocks differ: the second change carries the earlier time."""
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = view_source(bank, core, late_window_ms=10_000)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    changed_ms = bank.clock.advance(1_000)
    core.change(ACCOUNT["number"], changed_ms, status="frozen")
    read_pass(bank, core, source, later_ms=1)
    core.change(ACCOUNT["number"], changed_ms - 300, status="active")
    read_pass(bank, core, source, later_ms=6_000)
    wait_until(lambda: writes(bank, grant) == 3)
    assert status_on_ledger(bank, grant) == Status.ACTIVE


@pytest.mark.long
def test_an_account_missing_from_the_view_is_not_closed(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT, account(1))
    source = view_source(bank, core, late_window_ms=1_000)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.run(f"DELETE FROM core_accounts WHERE number = '{ACCOUNT['number']}'")
    for _ in range(3):
        last_ms = read_pass(bank, core, source)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == last_ms)
    assert status_on_ledger(bank, grant) == Status.ACTIVE


@pytest.mark.long
def test_an_unbinding_read_again_does_not_end_a_later_binding(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = view_source(bank, core, late_window_ms=1_000)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], bank.clock.advance(1_000), unbind="jinqiao-pay")
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    again = grant_of(bank.bind())
    for _ in range(3):
        last_ms = read_pass(bank, core, source)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == last_ms)
    assert status_on_ledger(bank, again) == Status.ACTIVE


def test_text_cut_within_a_character_is_reported_by_row_and_never_shown(bank: Bank, core: SqlCore) -> None:
    if not core.url.startswith("sqlite"):
        pytest.skip("PostgreSQL stores no such text")
    core.put(bank.clock.now_ms(), account(1), account(2))
    core.run("UPDATE core_accounts SET holder_name = CAST(x'5A48414E4753414E20E5BC' AS TEXT) WHERE number LIKE '%1'")
    read_pass(bank, core, view_source(bank, core))
    (listed,) = unstated(bank)
    assert (listed.known, "holder_name" in listed.problem, "row of …0001" in listed.source) == (False, True, True)
    assert "ZHANGSAN" not in listed.problem
