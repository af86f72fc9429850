"""The times of a SQL view: every row is read by its time, or named because its time can be none."""

from collections.abc import Callable

import pytest

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import Profile
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from tests.databases import on_postgresql
from tests.node.feed.view_passes import read_pass, unstated, view_source
from tests.node.node_tools import SqlCore, account, core_as_of_ms, feed_of, grant_of, status_on_ledger
from tests.world import Bank, wait_until

_HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    "stated",
    [
        pytest.param(lambda _: -2_208_988_800_000, id="1900, for never"),
        pytest.param(lambda now_ms: now_ms + 8 * _HOUR_MS, id="local time taken for UTC"),
        pytest.param(lambda _: 253_402_214_400_000, id="9999, for always"),
    ],
)
def test_a_freeze_whose_time_no_pass_would_reach_is_not_passed_over(
    bank: Bank, core: SqlCore, stated: Callable[[int], int]
) -> None:
    core.put(bank.clock.now_ms(), account(1), account(2))
    source = view_source(bank, core, late_window_ms=1_000)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind(account(1)))
    core.put(stated(bank.clock.advance(10)), account(1, status="frozen"))
    as_of_ms = read_pass(bank, core, source)
    assert core_as_of_ms(bank) == as_of_ms
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    (listed,) = unstated(bank)
    assert ("effective_at_ms" in listed.problem, "row of …0001" in listed.source) == (True, True)
    core.put(bank.clock.advance(10), account(1, status="frozen"))
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


def test_a_row_slightly_ahead_of_the_cores_clock_is_read_in_its_turn(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms() + 3_000, account(1))
    source = view_source(bank, core, late_window_ms=1_000)
    read_pass(bank, core, source)
    assert unstated(bank) == []
    read_pass(bank, core, source, later_ms=5_000)
    grant_of(bank.bind(account(1)))


def _timed_source(bank: Bank, core: SqlCore, written: str) -> SqlViewSource:
    """A source over the core's view, whose column `changed` is this expression."""
    kept = [column.name for column in core.table.columns if column.name not in {"changed_ms", "unbind", "replaces"}]
    core.run("DROP VIEW standing_accounts")
    core.run(f"CREATE VIEW standing_accounts AS SELECT {', '.join(kept)}, {written} AS changed FROM core_accounts")
    columns = {**{name: name for name in kept}, "effective_at_ms": "changed"}
    profile = Profile.model_validate({"columns": columns, "times": {"form": "timestamp"}})
    settings = SqlViewSettings(**core.settings(late_window_ms=1_000))
    source = SqlViewSource(settings, feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault(), profile)
    core.closing.append(source.close)
    return source


@pytest.mark.skipif(not on_postgresql(), reason="SQLite has no times with a zone")
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_time_with_its_zone_is_found_whatever_zone_the_session_has(bank: Bank, core: SqlCore, zone: str) -> None:
    core.run(f"DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET timezone TO ''{zone}'''; END $$")
    core.put(bank.clock.now_ms(), account(1))
    source = _timed_source(bank, core, "to_timestamp(changed_ms / 1000.0)")
    read_pass(bank, core, source)
    grant = grant_of(bank.bind(account(1)))
    core.put(bank.clock.advance(10), account(1, status="frozen"))
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert unstated(bank) == []


@pytest.mark.skipif(not on_postgresql(), reason="SQLite has no infinite times")
@pytest.mark.parametrize("time", ["infinity", "-infinity"])
def test_an_infinite_time_affects_its_own_account_alone(bank: Bank, core: SqlCore, time: str) -> None:
    core.put(bank.clock.now_ms(), account(1))
    core.put(None, account(2))
    source = _timed_source(
        bank, core, f"COALESCE(to_timestamp(changed_ms / 1000.0) AT TIME ZONE 'UTC', timestamp '{time}')"
    )
    read_pass(bank, core, source)
    grant_of(bank.bind(account(1)))
    assert [listed.number for listed in unstated(bank)] == [account(2)["number"]]


@pytest.mark.skipif(not on_postgresql(), reason="SQLite's views have no types")
@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("to_timestamp(changed_ms / 1000.0)::date", "changed: a date without a time of day"),
        ("changed_ms", "changed: of the type BIGINT, and profile.times.form is timestamp"),
    ],
)
def test_a_time_column_that_cannot_be_compared_is_refused_by_its_name(
    bank: Bank, core: SqlCore, written: str, problem: str
) -> None:
    core.put(bank.clock.now_ms(), account(1))
    with pytest.raises(InvalidValue, match=problem):
        read_pass(bank, core, _timed_source(bank, core, written))


def test_a_view_that_loses_a_column_while_the_node_runs_is_refused_by_its_name(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), account(1))
    source = view_source(bank, core)
    read_pass(bank, core, source)
    kept = ", ".join(column.name for column in core.table.columns if column.name not in {"changed_ms", "currency"})
    core.run("DROP VIEW standing_accounts")
    core.run(f"CREATE VIEW standing_accounts AS SELECT {kept}, changed_ms AS effective_at_ms FROM core_accounts")
    with pytest.raises(InvalidValue, match="columns missing: currency"):
        read_pass(bank, core, source)
