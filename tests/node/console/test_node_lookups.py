"""The queries behind the console's pages, each on a few rows: what counts, and in which order."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, insert

from standing.node.console.lookups import (
    core_statements,
    deposits_to_pay,
    oldest_waiting_ms,
    platforms,
    publications,
)
from standing.node.storage import schema

_NOW_MS = 1_000


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as made:
        schema.metadata.create_all(made)
        yield made
    engine.dispose()


def _add(connection: Connection, table: Table, **stated: Any) -> None:
    """A row; what is not stated and has no default is empty or zero."""
    left = [each for each in table.columns if not (each.name in stated or each.nullable or each.server_default)]
    connection.execute(insert(table).values({each.name: each.type.python_type() for each in left} | stated))


def test_an_open_deposit_led_to_nothing_and_is_not_over_and_only_what_was_not_ordered_is_to_be_paid(
    connection: Connection,
) -> None:
    open_until = {"expires_at_ms": _NOW_MS + 1}
    rows: dict[bytes, dict[str, Any]] = {
        b"\1": open_until,
        b"\2": open_until | {"paid_at_ms": 5},
        b"\3": open_until | {"paid_at_ms": 5, "binding_id": b"b"},
        b"\4": {"expires_at_ms": _NOW_MS},
    }
    for key, values in rows.items():
        _add(connection, schema.micro_deposits, id=key, request_id=key.hex(), platform="p", **values)
    (line,) = platforms(connection, [], _NOW_MS)
    assert (line.deposits_open, line.deposits_unpaid) == (2, 1)
    assert [each.id for each in deposits_to_pay(connection, _NOW_MS)] == ["0x01"]


def test_a_platform_has_active_and_ended_bindings(connection: Connection) -> None:
    for key, ended_at_ms in ((b"1", None), (b"2", 7), (b"3", 8)):
        values = {"request_id": key.hex(), "granted_at_ms": key[0], "ended_at_ms": ended_at_ms}
        _add(connection, schema.bindings, id=key, platform="p", **values)
    _add(connection, schema.off_boardings, platform="p")
    _add(connection, schema.off_boardings, platform="q", finished_at_ms=9)
    lines = {line.platform: line for line in platforms(connection, ["named"], _NOW_MS)}
    assert (lines["p"].active, lines["p"].ended, lines["p"].last_granted_ms) == (1, 2, ord("3"))
    assert {name: line.off_boarding for name, line in lines.items()} == {"p": "leaving", "q": "left", "named": None}


def test_publications_are_listed_newest_first_each_with_its_own_transactions(connection: Connection) -> None:
    for number in (1, 2):
        _add(connection, schema.publications, number=number, attestations=bytes(96 * number))
    for index, number in enumerate((1, 2, 2)):
        _add(connection, schema.transactions, hash=bytes([index]), publication=number)
    listed = [(line.number, line.attestations, line.transactions) for line in publications(connection)]
    assert listed == [(2, 2, 2), (1, 1, 1)]


def test_what_is_published_waits_no_more(connection: Connection) -> None:
    assert oldest_waiting_ms(connection) is None
    for key, publication, queued_at_ms in ((1, 1, 10), (2, None, 20), (3, None, 30)):
        _add(connection, schema.outbox, id=key, publication=publication, queued_at_ms=queued_at_ms)
    assert oldest_waiting_ms(connection) == 20


def test_the_cores_last_statement_is_a_complete_one(connection: Connection) -> None:
    for as_of_ms, changes, complete in ((1, 3, True), (2, 0, True), (3, 4, False), (4, 0, False)):
        _add(connection, schema.feed_entries, as_of_ms=as_of_ms, changes=changes, complete=complete)
    stated = core_statements(connection)
    assert stated.last is not None
    assert stated.last_change is not None
    assert (stated.last.as_of_ms, stated.last_change.as_of_ms) == (2, 3)
