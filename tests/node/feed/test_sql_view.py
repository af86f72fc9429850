"""The core's view, polled: what it states is told once, in order, and promised no sooner than it was all read."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, func, select

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.node.accounts.quarantine import Quarantine, Unstated
from standing.node.fault_points import no_faults
from standing.node.feed.core_database import CoreUnavailable
from standing.node.feed.records import InvalidRecord, parse_change
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.storage import schema
from tests.databases import on_postgresql
from tests.node.node_tools import Killed, SqlCore, account, die_at, feed_of, grant_of, status_on_ledger, writes
from tests.world import ACCOUNT, Bank, World, wait_until

_GO = threading.Event()


@pytest.fixture
def core(tmp_path: Path, a_world: World) -> Iterator[SqlCore]:
    made = SqlCore(tmp_path, a_world.clock.now_ms())
    yield made
    made.close()


@pytest.fixture
def bank(a_world: World) -> Bank:
    """A bank whose view is read by the test, pass by pass."""
    return a_world.start_bank()


def _source(bank: Bank, core: SqlCore, faults: Any = no_faults, **changed: Any) -> SqlViewSource:
    settings = SqlViewSettings(**core.settings(**changed))
    source = SqlViewSource(settings, feed_of(bank, faults), bank.node.database, bank.secrets.vault())
    core.closing.append(source.close)
    return source


def _pass(bank: Bank, core: SqlCore, source: SqlViewSource, later_ms: int = 1_000) -> int:
    """One pass, some time later. Returns: the core's time then."""
    now_ms = bank.clock.advance(later_ms)
    core.tell_time(now_ms)
    source.step(_GO)
    return now_ms


def _entries(bank: Bank) -> list[Any]:
    with bank.node.database.read() as connection:
        return list(connection.execute(select(schema.feed_entries).order_by(schema.feed_entries.c.as_of_ms)))


def _stored(bank: Bank) -> int:
    with bank.node.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(schema.accounts)).scalar_one())


def _unstated(bank: Bank) -> list[Unstated]:
    with bank.node.database.read() as connection:
        return Quarantine(bank.secrets.vault()).listed(connection, 100)


def test_a_change_in_the_core_reaches_the_ledger_without_the_core_calling_anybody(
    a_world: World, core: SqlCore
) -> None:
    start_ms = a_world.clock.now_ms()
    core.put(start_ms - 5_000, ACCOUNT)
    bank = a_world.start_bank(sql_view=core.settings())
    wait_until(lambda: _stored(bank) == 1)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    core.change(ACCOUNT["number"], bank.clock.advance(1_000), status="frozen")
    core.tell_time(bank.clock.now_ms())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == bank.clock.now_ms())


def test_while_the_node_reads_the_view_nobody_else_speaks_for_the_core(a_world: World, core: SqlCore) -> None:
    bank = a_world.start_bank(sql_view=core.settings())
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": bank.clock.now_ms() + 1, "changes": []})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:standing:problem:feed-taken"


def test_a_row_that_did_not_change_is_told_once_however_often_it_is_read(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT, account(1))
    source = _source(bank, core, late_window_ms=1_000)
    for _ in range(5):
        _pass(bank, core, source)
    assert [entry.changes for entry in _entries(bank)] == [2, 0, 0, 0, 0]


@pytest.mark.long
def test_the_watermark_is_the_cores_time_less_what_its_transactions_may_take(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    read_ms = _pass(bank, core, _source(bank, core, settle_ms=300))
    assert [entry.as_of_ms for entry in _entries(bank)] == [read_ms - 300]
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == read_ms - 300)


@pytest.mark.long
def test_while_a_large_pass_comes_in_nothing_is_promised(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(25)))
    with pytest.raises(Killed):
        _pass(bank, core, _source(bank, core, die_at("feed_committed", 2), page_size=10))
    entry = _entries(bank)[0]
    assert (entry.changes, entry.parts, entry.complete) == (20, 2, False)
    trail = bank.get(f"/v1/feed/{entry.as_of_ms}").json()
    assert not trail["complete"]
    assert not trail["on_ledger"]
    assert bank.get("/v1/status").json()["core_as_of_ms"] == 0
    assert bank.client.bank(bank.bic).watermark_ms == 0
    read_ms = _pass(bank, core, _source(bank, core, page_size=10))
    assert [(entry.changes, entry.complete) for entry in _entries(bank)] == [(20, False), (5, True)]
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == read_ms)
    assert bank.get(f"/v1/feed/{entry.as_of_ms}").json()["complete"]


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_after_any_part_of_a_pass_nothing_is_lost_and_nothing_told_twice(
    bank: Bank, core: SqlCore, times: int
) -> None:
    stated = [account(index) for index in range(25)]
    core.put(bank.clock.now_ms(), *stated)
    _pass(bank, core, _source(bank, core))
    grants = [grant_of(bank.bind(stated[index])) for index in (0, 9, 10, 24)]
    frozen_ms = bank.clock.advance(10)
    for one in stated:
        core.change(one["number"], frozen_ms, status="frozen")
    with pytest.raises(Killed):
        _pass(bank, core, _source(bank, core, die_at("feed_committed", times), page_size=10))
    restarted = _source(bank, core, page_size=10)
    read_ms = _pass(bank, core, restarted)
    _pass(bank, core, restarted)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms >= read_ms)
    for grant in grants:
        assert status_on_ledger(bank, grant) == Status.FROZEN
        assert writes(bank, grant) == 2
    assert sum(entry.changes for entry in _entries(bank)) == 50


@pytest.mark.long
def test_a_row_that_became_visible_after_its_time_was_promised_is_still_told(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT, account(1))
    source = _source(bank, core, late_window_ms=10_000)
    promised_ms = _pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], promised_ms - 400, status="lost")  # committed only now
    _pass(bank, core, source, later_ms=6_000)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.LOST)
    _pass(bank, core, source, later_ms=6_000)
    assert writes(bank, grant) == 2


@pytest.mark.long
def test_a_card_issued_anew_that_became_visible_late_stops_nothing_and_takes_its_bindings_over(
    bank: Bank, core: SqlCore
) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = _source(bank, core, late_window_ms=10_000)
    promised_ms = _pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], promised_ms - 400, status="lost")
    core.put(promised_ms - 500, {**account(1), "replaces": ACCOUNT["number"]})  # committed only now
    _pass(bank, core, source, later_ms=6_000)
    core.change(account(1)["number"], bank.clock.now_ms() + 10, status="frozen")
    _pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
def test_a_row_newer_than_the_promise_is_told_ahead_of_it_and_once(bank: Bank, core: SqlCore) -> None:
    """The view shows only the newest state: to wait for its time would leave out what was before."""
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = _source(bank, core, settle_ms=500)
    _pass(bank, core, source)
    grant = grant_of(bank.bind())
    changed_ms = bank.clock.advance(900)
    core.change(ACCOUNT["number"], changed_ms, status="frozen")
    _pass(bank, core, source, later_ms=100)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert bank.get("/v1/status").json()["core_as_of_ms"] < changed_ms
    _pass(bank, core, source)
    _pass(bank, core, source)
    assert writes(bank, grant) == 2


@pytest.mark.long
def test_a_changed_state_with_an_older_time_than_the_last_is_told_all_the_same(bank: Bank, core: SqlCore) -> None:
    """Two servers of one core, whose clocks differ: the second change carries the earlier time."""
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = _source(bank, core, late_window_ms=10_000)
    _pass(bank, core, source)
    grant = grant_of(bank.bind())
    changed_ms = bank.clock.advance(1_000)
    core.change(ACCOUNT["number"], changed_ms, status="frozen")
    _pass(bank, core, source, later_ms=1)
    core.change(ACCOUNT["number"], changed_ms - 300, status="active")
    _pass(bank, core, source, later_ms=6_000)
    wait_until(lambda: writes(bank, grant) == 3)
    assert status_on_ledger(bank, grant) == Status.ACTIVE


@pytest.mark.long
def test_an_account_that_is_gone_from_the_view_is_not_closed(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = _source(bank, core, late_window_ms=1_000)
    _pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.run("DELETE FROM core_accounts")
    for _ in range(3):
        last_ms = _pass(bank, core, source)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == last_ms)
    assert status_on_ledger(bank, grant) == Status.ACTIVE


@pytest.mark.long
def test_an_unbinding_that_is_read_again_does_not_end_a_binding_that_was_made_after_it(
    bank: Bank, core: SqlCore
) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    source = _source(bank, core, late_window_ms=1_000)
    _pass(bank, core, source)
    grant = grant_of(bank.bind())
    core.change(ACCOUNT["number"], bank.clock.advance(1_000), unbind="jinqiao-pay")
    _pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    again = grant_of(bank.bind())
    for _ in range(3):
        last_ms = _pass(bank, core, source)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == last_ms)
    assert status_on_ledger(bank, again) == Status.ACTIVE


def test_text_that_is_cut_within_a_character_names_its_row_and_is_shown_nowhere(bank: Bank, core: SqlCore) -> None:
    if not core.url.startswith("sqlite"):
        pytest.skip("PostgreSQL stores no such text")
    core.put(bank.clock.now_ms(), account(1), account(2))
    core.run("UPDATE core_accounts SET holder_name = CAST(x'5A48414E4753414E20E5BC' AS TEXT) WHERE number LIKE '%1'")
    _pass(bank, core, _source(bank, core))
    (listed,) = _unstated(bank)
    assert (listed.known, "holder_name" in listed.problem, "row of …0001" in listed.source) == (False, True, True)
    assert "ZHANGSAN" not in listed.problem


BAD_ROWS = [
    pytest.param({"currency": "CNX"}, "currency", id="no such currency"),
    pytest.param({"status": "asleep"}, "status", id="an unknown status"),
    pytest.param({"transaction_limit_minor": -1}, "transaction_limit_minor", id="a negative limit"),
    pytest.param({"daily_limit_minor": "12.5"}, "daily_limit_minor", id="a limit with a fraction"),
    pytest.param({"holder_name": None}, "number", id="a new account without a holder"),
    pytest.param({"unbind": "Not A Platform"}, "unbind", id="no platform"),
]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "field"), BAD_ROWS)
def test_a_bad_row_makes_its_account_unstated_and_is_named_by_its_last_digits_and_column(
    bank: Bank, core: SqlCore, wrong: dict[str, Any], field: str
) -> None:
    core.put(bank.clock.now_ms(), account(0), account(2))
    core.put(bank.clock.now_ms(), {**account(1), **wrong})
    source = _source(bank, core)
    as_of_ms = _pass(bank, core, source)
    assert [entry.as_of_ms for entry in _entries(bank)] == [as_of_ms]
    assert _stored(bank) == 2
    (listed,) = _unstated(bank)
    assert f"{field}:" in listed.problem
    assert "row of …0001" in listed.source
    for private in (ACCOUNT["holder_name"], account(1)["number"]):
        assert private not in listed.problem + listed.source
    assert "cannot say" in bank.bind(account(1)).json()["mismatches"][0]["problem"]
    # Mended in the core, it is stated again by itself.
    core.put(bank.clock.advance(10), account(1))
    _pass(bank, core, source)
    assert (_stored(bank), _unstated(bank)) == (3, [])


@pytest.mark.long
@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("SELECT number, changed_ms AS effective_at_ms FROM core_accounts", "columns missing: number_type"),
        ("SELECT *, changed_ms AS effective_at_ms FROM core_accounts", "unknown: changed_ms"),
    ],
)
def test_a_view_with_other_columns_is_refused_by_their_names(
    bank: Bank, core: SqlCore, statement: str, wrong: str
) -> None:
    core.run("DROP VIEW standing_accounts")
    core.run(f"CREATE VIEW standing_accounts AS {statement}")
    with pytest.raises(InvalidValue, match=wrong):
        _pass(bank, core, _source(bank, core))


def test_a_row_without_a_time_is_said_and_not_overlooked(bank: Bank, core: SqlCore) -> None:
    core.put(None, ACCOUNT)
    core.put(bank.clock.now_ms(), account(1))
    source = _source(bank, core)
    _pass(bank, core, source)
    assert "effective_at_ms" in _unstated(bank)[0].problem
    core.put(bank.clock.advance(10), ACCOUNT)
    _pass(bank, core, source)
    assert (_stored(bank), _unstated(bank)) == (2, [])


def test_an_account_with_two_rows_is_named_and_never_told_as_the_one_that_was_read_last(
    bank: Bank, core: SqlCore
) -> None:
    kept = ", ".join(column.name for column in core.table.columns if column.name not in {"changed_ms", "holder_name"})
    core.run("DROP VIEW standing_accounts")
    core.run(
        f"CREATE VIEW standing_accounts AS SELECT {kept}, changed_ms AS effective_at_ms, holder_name FROM core_accounts"
        f" UNION ALL SELECT {kept}, changed_ms, 'the other holder' FROM core_accounts"
    )
    core.put(bank.clock.now_ms(), account(1))
    with pytest.raises(InvalidValue, match=r"row of …0001 at \d+\.number: stated twice"):
        _pass(bank, core, _source(bank, core))
    assert _entries(bank) == []


def test_rows_whose_times_are_in_microseconds_are_said_and_nothing_is_promised_without_them(
    bank: Bank, core: SqlCore
) -> None:
    core.put(bank.clock.now_ms() * 1_000, ACCOUNT)
    with pytest.raises(InvalidValue, match="effective_at_ms"):
        _pass(bank, core, _source(bank, core))
    assert _entries(bank) == []


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("NaN"), Decimal("1.5"), float("inf"), 1e3])
def test_a_number_of_a_row_that_is_not_whole_is_named_by_its_column(value: Any) -> None:
    row = {**account(1), "effective_at_ms": 1, "daily_limit_minor": value}
    with pytest.raises(InvalidRecord, match="daily_limit_minor: no whole number"):
        parse_change(row)


@pytest.mark.long
def test_a_core_that_takes_the_call_and_says_nothing_is_given_up_in_time(bank: Bank) -> None:
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://standing@127.0.0.1:{silent.getsockname()[1]}/core"
        settings = SqlViewSettings(url=SecretStr(url), timeout_ms=1_000)
        source = SqlViewSource(settings, feed_of(bank, no_faults), bank.node.database, bank.secrets.vault())
        began_s = time.monotonic()
        with pytest.raises(CoreUnavailable):
            source.step(_GO)
        assert time.monotonic() - began_s < 10
        source.close()


def test_a_core_that_does_not_answer_is_trouble_that_passes(a_world: World, core: SqlCore) -> None:
    core.run("ALTER TABLE core_clock RENAME TO core_clock_away")
    bank = a_world.start_bank(sql_view=core.settings())
    trouble = wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert "the core's view cannot be read" in trouble[0]
    assert "sql_view.as_of_query" in trouble[0]
    assert "core_clock" not in trouble[0], "what a driver says may hold a row's data"
    core.run("ALTER TABLE core_clock_away RENAME TO core_clock")
    wait_until(lambda: not bank.get("/v1/status").json()["worker_troubles"])


@pytest.mark.long
@pytest.mark.parametrize("answer", ["'soon'", "NULL"])
def test_a_time_that_is_no_number_is_refused(bank: Bank, core: SqlCore, answer: str) -> None:
    with pytest.raises(InvalidValue, match="as_of_query"):
        _pass(bank, core, _source(bank, core, as_of_query=f"SELECT {answer}"))


@pytest.mark.long
def test_the_cores_own_clock_counts_where_no_query_is_given(bank: Bank, core: SqlCore) -> None:
    core.put(1_000, ACCOUNT)
    source = _source(bank, core, as_of_query=None)
    source.step(_GO)
    entry = _entries(bank)[0]
    # The world's clock stands at the machine's time of a moment ago; the core's database tells the machine's own.
    assert abs(entry.as_of_ms - bank.clock.now_ms()) < 5_000
    assert entry.changes == 1


def test_a_core_whose_clock_is_far_ahead_is_refused_since_its_watermark_could_not_be_published(
    bank: Bank, core: SqlCore
) -> None:
    core.tell_time(bank.clock.now_ms() + 60_000)
    with pytest.raises(InvalidValue, match="ahead of this node's clock"):
        _source(bank, core).step(_GO)
    # Nor does a row get in ahead of the promise: signed, it would block all that comes after it.
    core.put(bank.clock.now_ms() + 59_000, ACCOUNT)
    with pytest.raises(InvalidValue, match="ahead of this node's clock"):
        _source(bank, core, settle_ms=55_000).step(_GO)
    assert _entries(bank) == []
    assert _stored(bank) == 0


def test_the_node_cannot_change_the_core(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), ACCOUNT)
    thief = "DELETE FROM core_accounts RETURNING 1"
    with suppress(CoreUnavailable, InvalidValue):
        _pass(bank, core, _source(bank, core, as_of_query=thief))
    _pass(bank, core, _source(bank, core))
    assert _stored(bank) == 1, "the row is still there"


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
def test_the_view_that_the_documentation_shows_is_one_that_the_node_reads(
    bank: Bank, core: SqlCore, tmp_path: Path
) -> None:
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
    source = _source(bank, core, url=url, as_of_query=f"SELECT {bank.clock.now_ms()}")
    source.step(_GO)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    with engine.begin() as connection:
        at = bank.clock.advance(1_000)
        connection.exec_driver_sql(
            f"UPDATE card SET changed_ms = {at}, unbound_ms = {at}, unbound_platform = 'jinqiao-pay'"
        )
    _source(bank, core, url=url, as_of_query=f"SELECT {at}").step(_GO)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    engine.dispose()
