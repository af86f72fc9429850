"""One account's trouble is that account's: what cannot be understood makes it unstated, and nothing else stops."""

import csv
import io
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.node.accounts.quarantine import Quarantine, Unstated
from standing.node.feed.drop_file import FileName
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected, FileReport
from standing.node.feed.profile import Profile
from standing.node.feed.records import FIELDS
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.storage import schema
from tests.node.node_tools import (
    Killed,
    SqlCore,
    account,
    die_at,
    feed_of,
    grant_of,
    status_on_ledger,
    terms_on_ledger,
    writes,
)
from tests.world import Bank, World, wait_until

_GO = threading.Event()


@pytest.fixture
def bank(a_world: World) -> Bank:
    return a_world.start_bank()


@pytest.fixture
def core(tmp_path: Path, a_world: World) -> Iterator[SqlCore]:
    made = SqlCore(tmp_path, a_world.clock.now_ms())
    yield made
    made.close()


def _unstated(bank: Bank) -> list[Unstated]:
    with bank.node.database.read() as connection:
        return Quarantine(bank.secrets.vault()).listed(connection, 1_000)


def _load(bank: Bank, folder: Path, kind: Any, rows: list[dict[str, Any]], **options: Any) -> FileReport:
    """Take a file of rows in, some time later."""
    as_of_ms = bank.clock.advance(1_000)
    path = folder / f"{as_of_ms}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loader = FileLoader(feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault(), **options)
    return loader.load(path, FileName(kind, as_of_ms, "jsonl"), lambda _a, _b: None, _GO)


def _watermark(bank: Bank) -> int:
    """How far the core has spoken: what the watermark moves to."""
    as_of_ms: int = bank.get("/v1/status").json()["core_as_of_ms"]
    return as_of_ms


def test_a_bad_line_makes_a_bound_account_unstated_until_a_mended_one_states_it_again(
    bank: Bank, tmp_path: Path
) -> None:
    rows = [account(index) for index in range(5)]
    _load(bank, tmp_path, "full", rows)
    grants = [grant_of(bank.bind(row)) for row in rows]
    wait_until(lambda: all(status_on_ledger(bank, grant) == Status.ACTIVE for grant in grants))
    bad = [*rows[:2], {**rows[2], "status": "asleep"}, *rows[3:]]
    report = _load(bank, tmp_path, "full", bad)
    assert (report.outcome, report.bad_lines, report.unstated, report.missing) == ("loaded", 1, 1, 0)
    assert [(each.line, each.field) for each in report.problems] == [(3, "status")]
    wait_until(lambda: status_on_ledger(bank, grants[2]) == Status.UNSTATED)
    terms = terms_on_ledger(bank, grants[2])
    assert terms is not None
    assert (terms.debit_allowed, terms.credit_allowed) == (False, False), "nothing is allowed of what nobody knows"
    assert bank.get("/v1/status").json()["unstated_accounts"] == 1
    (listed,) = _unstated(bank)
    assert (listed.number, listed.known, "status:" in listed.problem) == (rows[2]["number"], True, True)
    assert _watermark(bank) == report.as_of_ms
    # Said again and again, it is published once.
    _load(bank, tmp_path, "full", bad)
    assert writes(bank, grants[2]) == 2
    _load(bank, tmp_path, "full", rows)
    wait_until(lambda: status_on_ledger(bank, grants[2]) == Status.ACTIVE)
    assert _unstated(bank) == []
    assert [writes(bank, grant) for grant in grants] == [1, 1, 3, 1, 1]


def test_what_a_bad_change_spoke_of_must_all_be_said_again(bank: Bank, tmp_path: Path) -> None:
    _load(bank, tmp_path, "full", [account(1), account(2)])
    grant = grant_of(bank.bind(account(1)))
    number = account(1)["number"]
    # It froze the account and said something of a limit that nobody understands: the freeze must not get lost.
    _load(bank, tmp_path, "changes", [{"number": number, "status": "frozen", "daily_limit_minor": "much"}])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    _load(bank, tmp_path, "changes", [{"number": number, "daily_limit_minor": 5}])
    assert _unstated(bank)[0].fields == ("status",)
    wait_until(lambda: writes(bank, grant) == 3)
    assert status_on_ledger(bank, grant) == Status.UNSTATED
    _load(bank, tmp_path, "changes", [{"number": number, "status": "frozen"}])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert _unstated(bank) == []


def test_an_account_that_was_never_understood_cannot_be_bound_and_the_answer_says_why(
    bank: Bank, tmp_path: Path
) -> None:
    _load(bank, tmp_path, "full", [account(1), {**account(2), "currency": "CNX"}])
    refused = bank.bind(account(2)).json()
    assert (refused["outcome"], refused["mismatches"][0]["field"]) == ("refused", "account")
    assert "cannot say at the moment" in refused["mismatches"][0]["problem"]
    assert bank.bind(account(3)).json()["mismatches"][0]["problem"] == "no such account"
    _load(bank, tmp_path, "changes", [account(2)])
    assert grant_of(bank.bind(account(2)))


def test_a_full_file_with_a_line_that_names_no_account_unstates_those_that_are_missing(
    bank: Bank, tmp_path: Path
) -> None:
    rows = [account(index) for index in range(6)]
    _load(bank, tmp_path, "full", [*rows, account(7, status="closed")])
    grants = [grant_of(bank.bind(row)) for row in rows]
    # A spreadsheet made one number 6.22E+18; account 5 is missing, and so is the closed one.
    report = _load(bank, tmp_path, "full", [*rows[:5], {**rows[5], "number": "6.22E+18"}])
    assert (report.outcome, report.untold_lines, report.missing, report.unstated) == ("loaded", 1, 1, 1)
    wait_until(lambda: status_on_ledger(bank, grants[5]) == Status.UNSTATED)
    assert [status_on_ledger(bank, grant) for grant in grants[:5]] == [Status.ACTIVE] * 5
    assert [each.number for each in _unstated(bank)] == [rows[5]["number"]]
    _load(bank, tmp_path, "full", rows)
    wait_until(lambda: status_on_ledger(bank, grants[5]) == Status.ACTIVE)


def test_a_file_of_changes_with_a_line_that_names_no_account_is_rejected(bank: Bank, tmp_path: Path) -> None:
    spoken_ms = _load(bank, tmp_path, "full", [account(1)]).as_of_ms
    with pytest.raises(FileRejected) as caught:
        _load(bank, tmp_path, "changes", [account(2), {"number": "6.22E+18", "status": "frozen"}])
    assert caught.value.report.problems[0].line == 2
    assert _watermark(bank) == spoken_ms


@pytest.mark.parametrize(("bad", "taken"), [(10, True), (11, False)])
def test_a_file_of_which_too_much_cannot_be_understood_is_a_wrong_one(
    bank: Bank, tmp_path: Path, bad: int, taken: bool
) -> None:
    rows = [account(index, **({"status": "?"} if index < bad else {})) for index in range(100)]
    if taken:
        assert _load(bank, tmp_path, "full", rows).unstated == bad
        return
    with pytest.raises(FileRejected, match="11 of 100 lines cannot be understood"):
        _load(bank, tmp_path, "full", rows)
    assert _unstated(bank) == []
    assert _load(bank, tmp_path, "full", rows, max_bad_share=0.11).unstated == bad


def test_an_account_on_two_lines_is_unstated_whichever_of_them_is_right(bank: Bank, tmp_path: Path) -> None:
    twice = [account(1), account(2), account(1, status="frozen"), account(3)]
    report = _load(bank, tmp_path, "full", twice, page_size=2)
    assert (report.bad_lines, [each.number for each in _unstated(bank)]) == (2, [account(1)["number"]])
    assert grant_of(bank.bind(account(2)))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["full", "changes"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_at_any_part_of_a_file_with_bad_lines_nothing_is_lost_and_nothing_told_twice(
    bank: Bank, tmp_path: Path, kind: str, times: int
) -> None:
    rows = [account(index) for index in range(6)]
    _load(bank, tmp_path, "full", rows)
    grants = [grant_of(bank.bind(row)) for row in rows]
    frozen = [{**row, "status": "frozen"} for row in rows]
    frozen[1]["status"], frozen[4]["daily_limit_minor"] = "asleep", "much"
    as_of_ms = bank.clock.advance(1_000)
    path = tmp_path / "again.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in frozen))
    name = FileName("full" if kind == "full" else "changes", as_of_ms, "jsonl")
    for faults in (die_at("feed_committed", times), lambda _: None):
        loader = FileLoader(feed_of(bank, faults), bank.node.database, bank.secrets.vault(), page_size=2)
        with suppress(Killed):
            report = loader.load(path, name, lambda _a, _b: None, _GO)
    assert (report.outcome, report.bad_lines, report.unstated, report.lines) == ("loaded", 2, 2, 6)
    expected = [Status.UNSTATED if index in {1, 4} else Status.FROZEN for index in range(6)]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)
    assert [writes(bank, grant) for grant in grants] == [2] * 6
    assert {each.number for each in _unstated(bank)} == {rows[1]["number"], rows[4]["number"]}


def test_files_dropped_in_the_cores_own_words_are_read_by_the_profile_of_the_settings(
    a_world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    profile = tmp_path / "core.toml"
    names = {"number": "账号", "status": "状态"} | {
        name: name for name in account(1) if name not in {"number", "status"}
    }
    words = {"status": {"正常": "active"}}
    profile.write_text(tomli_w.dumps({"profile": {"encoding": "gb18030", "columns": names, "words": words}}))
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50, "profile": profile})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([names[name] for name in account(1)])
    for index, word in ((1, "正常"), (2, "不明")):
        writer.writerow(account(index, status=word).values())
    (tmp_path / "ready").write_bytes(text.getvalue().encode("gb18030"))
    time = datetime.fromtimestamp(a_world.clock.advance(1_000) / 1000, UTC)
    (tmp_path / "ready").rename(folder / f"full-{time:%Y%m%dT%H%M%S}Z.txt")
    wait_until(lambda: bank.get("/v1/status").json()["unstated_accounts"] == 1)
    assert grant_of(bank.bind(account(1)))
    assert "standing_node_unstated_accounts 1.0" in httpx.get(f"{bank.url}/metrics", timeout=10).text


def _push(bank: Bank, *changes: dict[str, Any], **entry: Any) -> httpx.Response:
    at = bank.clock.advance(1_000)
    stated = [{"effective_at_ms": at, **change} for change in changes]
    return bank.post("/v1/feed", bank.core_key, json={"as_of_ms": at, "changes": stated, **entry})


@pytest.mark.parametrize(
    "wrong",
    [{"status": "asleep"}, {"currency": "CNX"}, {"daily_limit_minor": "much"}, {"effective_at_ms": 1}],
    ids=["a word", "a currency", "a limit", "a time long ago"],
)
def test_http_push_refuses_a_bad_change_unless_it_is_told_to_unstate_its_account(
    bank: Bank, wrong: dict[str, Any]
) -> None:
    assert _push(bank, account(1), account(2)).status_code == 200
    grants = [grant_of(bank.bind(account(index))) for index in (1, 2)]
    changes = [{"number": account(1)["number"], "status": "frozen", **wrong}, {**account(2), "status": "lost"}]
    assert _push(bank, *changes).status_code == 422
    assert _push(bank, *changes, on_bad_change="unstate").status_code == 200
    wait_until(lambda: [status_on_ledger(bank, one) for one in grants] == [Status.UNSTATED, Status.LOST])
    assert _push(bank, account(1)).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grants[0]) == Status.ACTIVE)


def test_http_push_refuses_a_change_that_names_no_account_whatever_it_is_told(bank: Bank) -> None:
    refused = _push(bank, account(1), {"number": "6.22E+18", "status": "frozen"}, on_bad_change="unstate")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith("changes[1].number")
    assert _watermark(bank) == 0


def test_a_core_may_say_itself_that_it_cannot_say_how_an_account_is(bank: Bank) -> None:
    _push(bank, account(1))
    grant = grant_of(bank.bind(account(1)))
    assert _push(bank, {"number": account(1)["number"], "unstated": ["status"]}).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    assert _push(bank, {"number": account(1)["number"], "status": "active"}).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)


def _source(bank: Bank, core: SqlCore, **changed: Any) -> SqlViewSource:
    made = SqlViewSettings(**core.settings(**changed))
    source = SqlViewSource(made, feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault())
    core.closing.append(source.close)
    return source


def _pass(bank: Bank, core: SqlCore, source: SqlViewSource) -> None:
    core.tell_time(bank.clock.advance(1_000))
    source.step(_GO)


def test_with_a_bad_row_in_the_view_another_account_that_is_frozen_is_told_at_once(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(5)))
    source = _source(bank, core, page_size=2)
    _pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(5)]
    core.put(bank.clock.advance(10), account(1, status="asleep"))
    core.put(bank.clock.advance(10), account(2, status="frozen"))
    _pass(bank, core, source)
    expected = [Status.ACTIVE, Status.UNSTATED, Status.FROZEN, Status.ACTIVE, Status.ACTIVE]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)
    for _ in range(3):
        _pass(bank, core, source)
    assert writes(bank, grants[1]) == 2, "it is told once"
    core.put(bank.clock.advance(10), account(1))
    _pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grants[1]) == Status.ACTIVE)


def test_a_row_that_names_no_account_unstates_those_that_are_in_no_row(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(5)))
    source = _source(bank, core, page_size=2)
    _pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(5)]
    core.run(
        f"UPDATE core_accounts SET number = '6.22E+18', changed_ms = {bank.clock.advance(10)}"
        f" WHERE number = '{account(3)['number']}'"
    )
    _pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grants[3]) == Status.UNSTATED)
    assert [each.number for each in _unstated(bank)] == [account(3)["number"]]


def test_a_view_of_which_too_much_cannot_be_understood_is_a_wrong_one(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index, **({"status": "?"} if index < 11 else {})) for index in range(30)))
    with pytest.raises(InvalidValue, match="11 of 30 rows cannot be understood"):
        _pass(bank, core, _source(bank, core, page_size=7))
    assert (_watermark(bank), _unstated(bank)) == (0, [])


def test_a_view_in_the_cores_own_words_is_read_by_its_profile(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms() // 1_000, *(account(index, status="正常") for index in range(2)))
    core.run("DROP VIEW standing_accounts")
    core.run(
        "CREATE VIEW standing_accounts AS SELECT number AS acct_no, changed_ms AS changed_s, status AS state,"
        " holder_name, id_document_number, phone, 'branch 7' AS branch, '1,000.50' AS day_limit FROM core_accounts"
    )
    allowed = {"正常": True, "冻结": False}
    profile = Profile.model_validate(
        {
            "columns": {
                "number": "acct_no",
                "effective_at_ms": "changed_s",
                "status": "state",
                "debit_allowed": "state",
                "credit_allowed": "state",
                "holder_name": "holder_name",
                "id_document_number": "id_document_number",
                "phone": "phone",
                "daily_limit_minor": "day_limit",
            },
            "constants": {
                "number_type": "account",
                "currency": "CNY",
                "transaction_limit_minor": "none",
                "id_document_scheme": "NIDN",
                "id_document_country": "CN",
            },
            "words": {
                "status": {"正常": "active", "冻结": "frozen"},
                "debit_allowed": allowed,
                "credit_allowed": allowed,
            },
            "amounts": {"unit": "major", "thousands": ","},
            "times": {"form": "epoch_s"},
        }
    )
    source = SqlViewSource(
        SqlViewSettings(**core.settings()),
        feed_of(bank, lambda _: None),
        bank.node.database,
        bank.secrets.vault(),
        profile,
    )
    core.closing.append(source.close)
    _pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(2)]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == [Status.ACTIVE] * 2)
    terms = terms_on_ledger(bank, grants[0])
    assert terms is not None
    assert terms.limits.daily_limit_minor == 100_050
    for index, word in enumerate(("冻结", "不明")):
        bank.clock.advance(2_000)
        core.put(bank.clock.now_ms() // 1_000, account(index, status=word))
    _pass(bank, core, source)
    expected = [Status.FROZEN, Status.UNSTATED]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)


#: Anything that a file can hold, and what is known to break readers.
_STRINGS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec="utf-8"), max_size=400),
    st.sampled_from(["\ud800", "\x00", '"', '"\n', "\r", "\u2028", "=1+1", "1" * 5_000, "NaN", "-0", "1e400", "none"]),
)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_string_in_any_field_stops_the_feed_or_touches_another_account(
    bank: Bank, tmp_path: Path, form: str, data: st.DataObject
) -> None:
    fields = data.draw(st.lists(st.sampled_from([name for name in FIELDS if name != "number"]), min_size=1, max_size=3))
    bad = {**account(5), **{name: data.draw(_STRINGS) for name in fields}}
    others = [account(index) for index in range(5)]
    as_of_ms = bank.clock.advance(1_000)
    path = tmp_path / f"{as_of_ms}.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in [*others, bad]))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(FIELDS))
        writer.writeheader()
        writer.writerows([*others, bad])
        path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    loader = FileLoader(feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault())
    report = loader.load(path, FileName("full", as_of_ms, form), lambda _a, _b: None, _GO)  # type: ignore[arg-type]
    assert report.outcome == "loaded"
    assert (report.untold_lines, report.bad_lines in {0, 1}) == (0, True)
    assert _watermark(bank) == as_of_ms
    assert {each.number for each in _unstated(bank)} <= {account(5)["number"]}
    with bank.node.database.read() as connection:
        assert len(connection.execute(select(schema.accounts.c.id)).all()) in {5, 6}


def _others_stand(bank: Bank, as_of_ms: int) -> None:
    """The source went on, and nobody but account 5 is in trouble."""
    assert _watermark(bank) == as_of_ms
    assert {each.number for each in _unstated(bank)} <= {account(5)["number"]}
    with bank.node.database.read() as connection:
        assert len(connection.execute(select(schema.accounts.c.id)).all()) in {5, 6}


#: What a SQLite column can hold where a view states a field: text of any kind, bytes, and numbers of any size.
_CELLS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=400),
    st.sampled_from(["\x00", '"', "\r\n", "\u2028", "1" * 5_000, "NaN", "none", "00000000", "6.22E+18"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=40),
)


@pytest.fixture
def loose(tmp_path: Path, bank: Bank) -> Iterator[tuple[sqlite3.Connection, SqlViewSource]]:
    """A core whose view has columns without a type, as SQLite allows, and the source that reads it."""
    path = tmp_path / "loose.sqlite3"
    made = sqlite3.connect(path, isolation_level=None)
    columns = [name for name in FIELDS if name != "replaced_bindings"]
    made.execute(f"CREATE TABLE standing_accounts ({', '.join(columns)})")
    made.execute("CREATE TABLE core_clock (now_ms INTEGER)")
    stated = SqlViewSettings(url=f"sqlite:///{path}", settle_ms=0, as_of_query=SqlCore.AS_OF_QUERY)
    source = SqlViewSource(stated, feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault())
    yield made, source
    source.close()
    made.close()


def _put_row(core: sqlite3.Connection, row: dict[str, Any]) -> None:
    core.execute("DELETE FROM standing_accounts WHERE number = ?", (row["number"],))
    names = ", ".join(row)
    core.execute(f"INSERT INTO standing_accounts ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_in_any_field_of_a_view_stops_it_or_touches_another_account(
    bank: Bank, loose: tuple[sqlite3.Connection, SqlViewSource], data: st.DataObject
) -> None:
    core, source = loose
    names = [name for name in FIELDS if name not in {"number", "effective_at_ms", "replaced_bindings"}]
    fields = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    at = bank.clock.advance(1_000)
    for index in range(5):
        _put_row(core, {**account(index), "effective_at_ms": at})
    bad = {**account(5), "effective_at_ms": at, **{name: data.draw(_CELLS) for name in fields}}
    _put_row(core, bad)
    core.execute("DELETE FROM core_clock")
    core.execute("INSERT INTO core_clock VALUES (?)", (as_of_ms := bank.clock.advance(10),))
    source.step(_GO)
    _others_stand(bank, as_of_ms)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_in_any_field_of_a_push_that_unstates_stops_it_or_touches_another_account(
    bank: Bank, data: st.DataObject
) -> None:
    names = [name for name in FIELDS if name != "number"]
    values = st.one_of(_STRINGS, st.integers(), st.floats(), st.none(), st.booleans(), st.lists(_STRINGS, max_size=2))
    fields = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    at = bank.clock.advance(1_000)
    stated = [{**account(index), "effective_at_ms": at} for index in range(5)]
    bad = {**account(5), "effective_at_ms": at, **{name: data.draw(values) for name in fields}}
    body = json.dumps({"as_of_ms": at, "on_bad_change": "unstate", "changes": [*stated, bad]})
    headers = {"Authorization": f"Bearer {bank.core_key}", "Content-Type": "application/json"}
    answer = httpx.post(bank.url + "/v1/feed", content=body, headers=headers, timeout=30)
    try:
        json.loads(body, parse_constant=_no_json)
        body.encode().decode("utf-8")
        assert "\\ud800" not in body
    except (ValueError, AssertionError):
        # No JSON, or no Unicode text: the call is refused, and changes nothing.
        assert answer.status_code in {200, 422}, answer.text
        if answer.status_code == 422:
            return
    assert answer.status_code == 200, answer.text
    _others_stand(bank, at)


def _no_json(constant: str) -> None:
    raise ValueError(constant)
