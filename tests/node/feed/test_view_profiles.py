"""A view whose profile is corrected: its words' new meanings count for every account, also for those that never change
(DECISIONS 75)."""

from typing import Any

from standing.ledger.attestations.terms import Status
from standing.node.fault_points import no_faults
from standing.node.feed.profile import Profile
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from tests.node.feed.view_passes import read_pass, stored
from tests.node.node_tools import SqlCore, account, feed_of, grant_of, status_on_ledger
from tests.world import Bank, wait_until

_NAMES = [name for name in account(0) if name not in {"unbind", "replaces"}]


def _source(bank: Bank, core: SqlCore, meaning: str, **words: Any) -> SqlViewSource:
    stated = {"words": {"status": {"active": "active", "dormant": meaning}, **words}}
    profile = Profile.model_validate({"columns": {name: name for name in (*_NAMES, "effective_at_ms")}, **stated})
    settings = SqlViewSettings(**core.settings())
    source = SqlViewSource(settings, feed_of(bank, no_faults), bank.node.database, bank.secrets.vault(), profile)
    core.closing.append(source.close)
    return source


def test_a_word_that_is_corrected_in_a_views_profile_counts_for_rows_that_have_not_changed(
    bank: Bank, core: SqlCore
) -> None:
    core.put(bank.clock.now_ms(), account(0, status="dormant"), account(1))
    source = _source(bank, core, "active")
    read_pass(bank, core, source)
    grant = grant_of(bank.bind(account(0)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    late_window_ms = SqlViewSettings(**core.settings()).late_window_ms
    read_pass(bank, core, source, 2 * late_window_ms)
    corrected = _source(bank, core, "frozen")
    read_pass(bank, core, corrected)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    core.put(1, account(2))  # dated long before what has been read
    read_pass(bank, core, corrected)
    read_pass(bank, core, _source(bank, core, "frozen"))
    assert stored(bank) == 2, "a start alone reads nothing again"
    read_pass(bank, core, _source(bank, core, "lost"))
    assert stored(bank) == 3
