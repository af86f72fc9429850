"""No content of any field, in a file, a view or a push, stops the feed or affects another account."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from standing.node.feed.drop_file import FileName
from standing.node.feed.file_load import FileLoader
from standing.node.feed.records import FIELDS
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.storage import schema
from tests.node.feed.view_passes import GO, unstated
from tests.node.node_tools import SqlCore, account, core_as_of_ms, feed_of
from tests.world import Bank

pytestmark = pytest.mark.long

#: Arbitrary file content, and content known to break parsers.
_STRINGS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec="utf-8"), max_size=400),
    st.sampled_from(["\ud800", "\x00", '"', '"\n', "\r", "\u2028", "=1+1", "1" * 5_000, "NaN", "-0", "1e400", "none"]),
)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    report = loader.load(path, FileName("full", as_of_ms, form), lambda _a, _b: None, GO)  # type: ignore[arg-type]
    assert report.outcome == "loaded"
    assert (report.lines_without_account, report.bad_lines in {0, 1}) == (0, True)
    assert core_as_of_ms(bank) == as_of_ms
    assert {each.number for each in unstated(bank)} <= {account(5)["number"]}
    with bank.node.database.read() as connection:
        assert len(connection.execute(select(schema.accounts.c.id)).all()) in {5, 6}


def _assert_others_unaffected(bank: Bank, as_of_ms: int) -> None:
    """The source continued, and only account 5 is affected."""
    assert core_as_of_ms(bank) == as_of_ms
    assert {each.number for each in unstated(bank)} <= {account(5)["number"]}
    with bank.node.database.read() as connection:
        assert len(connection.execute(select(schema.accounts.c.id)).all()) in {5, 6}


#: Values that a SQLite column can hold in a field of a view: any text, bytes, and numbers of any size.
_CELLS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=400),
    st.sampled_from(["\x00", '"', "\r\n", "\u2028", "1" * 5_000, "NaN", "none", "00000000", "6.22E+18"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=40),
)


@pytest.fixture
def untyped_view(tmp_path: Path, bank: Bank) -> Iterator[tuple[sqlite3.Connection, SqlViewSource]]:
    """A core whose view has columns without a type, as SQLite allows, and the source that reads it."""
    path = tmp_path / "untyped_view.sqlite3"
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


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_in_any_field_of_a_view_stops_it_or_touches_another_account(
    bank: Bank, untyped_view: tuple[sqlite3.Connection, SqlViewSource], data: st.DataObject
) -> None:
    core, source = untyped_view
    names = [name for name in FIELDS if name not in {"number", "effective_at_ms", "replaced_bindings"}]
    fields = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    at = bank.clock.advance(1_000)
    for index in range(5):
        _put_row(core, {**account(index), "effective_at_ms": at})
    bad = {**account(5), "effective_at_ms": at, **{name: data.draw(_CELLS) for name in fields}}
    _put_row(core, bad)
    core.execute("DELETE FROM core_clock")
    core.execute("INSERT INTO core_clock VALUES (?)", (as_of_ms := bank.clock.advance(10),))
    source.step(GO)
    _assert_others_unaffected(bank, as_of_ms)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_in_any_field_of_an_unstating_push_stops_it_or_touches_another_account(
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
        # Not JSON, or not Unicode text: the call is refused and changes nothing.
        assert answer.status_code in {200, 422}, answer.text
        if answer.status_code == 422:
            return
    assert answer.status_code == 200, answer.text
    _assert_others_unaffected(bank, at)


def _no_json(constant: str) -> None:
    raise ValueError(constant)
