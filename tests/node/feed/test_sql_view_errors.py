"""The SQL view: wrong rows, wrong columns, and a core that fails."""

import socket
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from standing.ledger.attestations.terms import Status
from standing.ledger.clock import SystemClock
from standing.ledger.errors import InvalidValue
from standing.node.fault_points import no_faults
from standing.node.feed.core_database import CoreUnavailable
from standing.node.feed.records import read_record
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from tests.databases import on_postgresql
from tests.node.feed.view_passes import GO, read_pass, stored, unstated, view_source
from tests.node.node_tools import SqlCore, account, feed_entries, feed_of, grant_of, status_on_ledger, writes
from tests.world import ACCOUNT, Bank, World, wait_until

BAD_ROWS = [
    pytest.param({"currency": "CNX"}, "currency", id="unknown currency"),
    pytest.param({"status": "asleep"}, "status", id="an unknown status"),
    pytest.param({"transaction_limit_minor": -1}, "transaction_limit_minor", id="a negative limit"),
    pytest.param({"daily_limit_minor": "12.5"}, "daily_limit_minor", id="a limit with a fraction"),
    pytest.param({"holder_name": None}, "number", id="a new account without a holder"),
    pytest.param({"unbind": "Not A Platform"}, "unbind", id="not a platform"),
]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "field"), BAD_ROWS)
def test_a_bad_row_unstates_its_account_and_is_named_by_last_digits_and_column(
    bank: Bank, core: SqlCore, wrong: dict[str, Any], field: str
) -> None:
    core.put(bank.clock.now_ms(), account(0), account(2))
    core.put(bank.clock.now_ms(), {**account(1), **wrong})
    source = view_source(bank, core)
    as_of_ms = read_pass(bank, core, source)
    assert [entry.as_of_ms for entry in feed_entries(bank)] == [as_of_ms]
    assert stored(bank) == 2
    (listed,) = unstated(bank)
    assert f"{field}:" in listed.problem
    assert "row of …0001" in listed.source
    for private in (ACCOUNT["holder_name"], account(1)["number"]):
        assert private not in listed.problem + listed.source
    assert "cannot state" in bank.bind(account(1)).json()["mismatches"][0]["problem"]
    # Once corrected in the core, it is stated again automatically.
    core.put(bank.clock.advance(10), account(1))
    read_pass(bank, core, source)
    assert (stored(bank), unstated(bank)) == (3, [])


@pytest.mark.long
@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("SELECT number, changed_ms AS effective_at_ms FROM core_accounts", "columns missing: number_type"),
        ("SELECT *, changed_ms AS effective_at_ms FROM core_accounts", "unknown: changed_ms"),
    ],
)
def test_a_view_with_wrong_columns_is_refused_by_their_names(
    bank: Bank, core: SqlCore, statement: str, wrong: str
) -> None:
    core.run("DROP VIEW standing_accounts")
    core.run(f"CREATE VIEW standing_accounts AS {statement}")
    with pytest.raises(InvalidValue, match=wrong):
        read_pass(bank, core, view_source(bank, core))


def test_a_row_without_a_time_is_reported(bank: Bank, core: SqlCore) -> None:
    core.put(None, ACCOUNT)
    core.put(bank.clock.now_ms(), account(1))
    source = view_source(bank, core)
    read_pass(bank, core, source)
    assert "effective_at_ms" in unstated(bank)[0].problem
    core.put(bank.clock.advance(10), ACCOUNT)
    read_pass(bank, core, source)
    assert (stored(bank), unstated(bank)) == (2, [])


def test_an_account_with_two_rows_is_reported_and_neither_row_is_published(bank: Bank, core: SqlCore) -> None:
    kept = ", ".join(column.name for column in core.table.columns if column.name not in {"changed_ms", "holder_name"})
    core.run("DROP VIEW standing_accounts")
    core.run(
        f"CREATE VIEW standing_accounts AS SELECT {kept}, changed_ms AS effective_at_ms, holder_name FROM core_accounts"
        f" UNION ALL SELECT {kept}, changed_ms, 'the other holder' FROM core_accounts"
    )
    core.put(bank.clock.now_ms(), account(1))
    with pytest.raises(InvalidValue, match=r"row of …0001 at \d+\.number: stated twice"):
        read_pass(bank, core, view_source(bank, core))
    assert feed_entries(bank) == []


def test_an_account_with_rows_on_two_pages_is_unstated_and_neither_row_is_published(bank: Bank, core: SqlCore) -> None:
    kept = ", ".join(column.name for column in core.table.columns if column.name not in {"changed_ms", "holder_name"})
    core.put(bank.clock.now_ms() - 5_000, *(account(index) for index in range(5)))
    source = view_source(bank, core, page_size=2, late_window_ms=1_000)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind(account(1)))
    # A second holder: the account's row is in the view twice, with the time at which each holder changed.
    core.run("DROP VIEW standing_accounts")
    core.run(
        f"CREATE VIEW standing_accounts AS SELECT {kept}, changed_ms AS effective_at_ms, holder_name FROM core_accounts"
        f" UNION ALL SELECT {kept}, changed_ms + 2, 'the other holder' FROM core_accounts WHERE number LIKE '%1'"
    )
    core.put(bank.clock.advance(10), *(account(index) for index in range(5)))
    as_of_ms = read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    (listed,) = unstated(bank)
    assert ("stated twice" in listed.problem, "row of …0001" in listed.source) == (True, True)
    assert feed_entries(bank)[-1].as_of_ms == as_of_ms
    assert writes(bank, grant) == 2, "neither of the two holders was published"


def test_a_view_that_is_empty_for_a_moment_promises_nothing(bank: Bank, core: SqlCore) -> None:
    source = view_source(bank, core)
    read_pass(bank, core, source)
    core.put(bank.clock.advance(10), account(1))
    told_ms = read_pass(bank, core, source)
    core.run("DELETE FROM core_accounts")
    with pytest.raises(InvalidValue, match="has no row, although accounts are known"):
        read_pass(bank, core, source)
    assert feed_entries(bank)[-1].as_of_ms == told_ms
    core.put(bank.clock.now_ms() - 500, account(1, status="frozen"))  # filled anew: what changed meanwhile is not late
    as_of_ms = read_pass(bank, core, source)
    assert (feed_entries(bank)[-1].as_of_ms, feed_entries(bank)[-1].changes) == (as_of_ms, 1)


def test_a_core_whose_clock_was_set_back_is_reported_until_it_has_caught_up(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), account(1))
    source = view_source(bank, core)
    told_ms = read_pass(bank, core, source)
    core.set_time(told_ms - 4_000)  # as after a fail-over
    source.step(GO)
    core.set_time(told_ms - 3_600_000)
    with pytest.raises(CoreUnavailable, match="check whether the core's clock was set back"):
        source.step(GO)
    assert feed_entries(bank)[-1].as_of_ms == told_ms
    assert read_pass(bank, core, source) == feed_entries(bank)[-1].as_of_ms


def test_rows_with_times_in_microseconds_are_reported_and_hold_the_watermark(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms() * 1_000, ACCOUNT)
    with pytest.raises(InvalidValue, match="effective_at_ms"):
        read_pass(bank, core, view_source(bank, core))
    assert feed_entries(bank) == []


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("NaN"), Decimal("1.5"), float("inf"), 1e3])
def test_a_fractional_number_in_a_row_is_reported_by_column(value: Any) -> None:
    row = {**account(1), "effective_at_ms": 1, "daily_limit_minor": value}
    change, problems = read_record(row)
    assert change is None
    assert [str(problem).partition(";")[0] for problem in problems] == ["daily_limit_minor: not a whole number"]


@pytest.mark.long
def test_a_core_that_accepts_the_connection_and_stays_silent_times_out(bank: Bank) -> None:
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://standing@127.0.0.1:{silent.getsockname()[1]}/core"
        settings = SqlViewSettings(url=SecretStr(url), timeout_ms=1_000)
        source = SqlViewSource(settings, feed_of(bank, no_faults), bank.node.database, bank.secrets.vault())
        began_s = time.monotonic()
        with pytest.raises(CoreUnavailable):
            source.step(GO)
        assert time.monotonic() - began_s < 10
        source.close()


def test_an_unreachable_core_is_a_transient_failure(a_world: World, core: SqlCore) -> None:
    core.run("ALTER TABLE core_clock RENAME TO core_clock_away")
    bank = a_world.start_bank(sql_view=core.settings())
    trouble = wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert "the core's view cannot be read" in trouble[0]
    assert "sql_view.as_of_query" in trouble[0]
    assert "core_clock" not in trouble[0], "a driver's message may contain a row's data"
    core.run("ALTER TABLE core_clock_away RENAME TO core_clock")
    wait_until(lambda: not bank.get("/v1/status").json()["worker_troubles"])


@pytest.mark.long
@pytest.mark.parametrize("answer", ["'soon'", "NULL"])
def test_a_time_that_is_not_a_number_is_refused(bank: Bank, core: SqlCore, answer: str) -> None:
    with pytest.raises(InvalidValue, match="as_of_query"):
        read_pass(bank, core, view_source(bank, core, as_of_query=f"SELECT {answer}"))


@pytest.mark.long
def test_the_database_clock_is_used_without_a_clock_query(bank: Bank, core: SqlCore) -> None:
    core.put(1_000, ACCOUNT)
    source = view_source(bank, core, as_of_query=None)
    # The world's clock stands still at the machine's earlier time. An entry ahead of it would be refused.
    bank.clock.advance(3_600_000)
    before_ms = SystemClock().now_ms()
    source.step(GO)
    entry = feed_entries(bank)[0]
    # SQLite counts in days as a float: a millisecond may be lost.
    assert before_ms - 1 <= entry.as_of_ms <= SystemClock().now_ms()
    assert entry.changes == 1


def test_a_core_whose_clock_is_far_ahead_is_refused_since_its_watermark_could_not_be_published(
    bank: Bank, core: SqlCore
) -> None:
    core.set_time(bank.clock.now_ms() + 60_000)
    with pytest.raises(InvalidValue, match="ahead of this node's clock"):
        view_source(bank, core).step(GO)
    # A row ahead of the watermark is not accepted either: once signed, it would block everything after it.
    core.put(bank.clock.now_ms() + 59_000, ACCOUNT)
    with pytest.raises(InvalidValue, match="ahead of this node's clock"):
        view_source(bank, core, settle_ms=55_000).step(GO)
    assert feed_entries(bank) == []
    assert stored(bank) == 0


def test_the_node_cannot_change_the_core(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    thief = "DELETE FROM core_accounts RETURNING 1"
    with suppress(CoreUnavailable, InvalidValue):
        read_pass(bank, core, view_source(bank, core, as_of_query=thief))
    read_pass(bank, core, view_source(bank, core))
    assert stored(bank) == 1, "the row is still there"


def test_passwords_in_the_url_are_in_no_error_and_no_settings_dump(core: SqlCore) -> None:
    settings = SqlViewSettings(url="postgresql+psycopg://reader:hunter2@127.0.0.1:1/core")
    assert "hunter2" not in repr(settings)
    if not on_postgresql():
        with pytest.raises(InvalidValue) as caught:
            SqlViewSource(
                SqlViewSettings(url="nosuch://reader:hunter2@core/db"),
                *(None, None, None),  # type: ignore[arg-type]  # it ends before it needs them
            )
        assert "hunter2" not in str(caught.value)


@pytest.mark.long
def test_the_view_in_the_documentation_is_readable_by_the_node(bank: Bank, core: SqlCore, tmp_path: Path) -> None:
    example = (Path(__file__).parents[3] / "docs" / "FEED.md").read_text().split("```sql\n")[1].split("```")[0]
    url = f"sqlite:///{tmp_path}/documented.sqlite3"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customer (id, name, resident_no, mobile, changed_ms)")
        connection.exec_driver_sql(
            "CREATE TABLE card (card_no, customer_id, state, may_debit, may_credit, currency, limit_once, limit_day,"
            " changed_ms, unbound_ms, unbound_platform, reissue_of)"
        )
        holder = (1, ACCOUNT["holder_name"], ACCOUNT["id_document_number"], ACCOUNT["phone"], 1_000)
        connection.exec_driver_sql("INSERT INTO customer VALUES (?, ?, ?, ?, ?)", holder)
        card = (ACCOUNT["number"], 1, "A", 1, 1, "CNY", 500_000, None, 2_000, None, None, None)
        connection.exec_driver_sql(f"INSERT INTO card VALUES ({', '.join('?' * len(card))})", card)
        connection.exec_driver_sql(example)
    source = view_source(bank, core, url=url, as_of_query=f"SELECT {bank.clock.now_ms()}")
    source.step(GO)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    with engine.begin() as connection:
        at = bank.clock.advance(1_000)
        connection.exec_driver_sql(
            f"UPDATE card SET changed_ms = {at}, unbound_ms = {at}, unbound_platform = 'jinqiao-pay'"
        )
    view_source(bank, core, url=url, as_of_query=f"SELECT {at}").step(GO)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    engine.dispose()
