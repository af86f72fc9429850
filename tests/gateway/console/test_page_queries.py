"""No query of the account page grows with the number of accounts: each one uses an index."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from standing.gateway.storage import schema
from tests.console_browser import Browser
from tests.gateway.follower_rig import FollowRig, follow_rig

#: Tables with a row per bank, hour of a bank, endpoint, session or setting. A new table counts as growing.
SMALL = {
    "bank_ages",
    "bank_hours",
    "bank_paces",
    "bank_states",
    "console_failures",
    "console_sessions",
    "console_states",
    "followed_blocks",
    "follower",
    "reconcile_runs",
    "risk_model",
    "vault_keys",
    "webhook_endpoints",
}
GROWING = set(schema.metadata.tables) - SMALL


@pytest.fixture
def it(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path, warning={"every_minutes": "never", "busy_percent": 100}) as made:
        yield made


@contextmanager
def _noted(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The queries of a block, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def scanned(connection: Connection, statement: str, parameters: Any) -> set[str]:
    """The growing tables that a query scans, by the database's own plan."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
        lines = [str(row[3]) for row in plan]
        read = [re.match(r"SCAN (\w+)(?! USING (?:COVERING )?INDEX)", line) for line in lines]
        return {found[1] for found in read if found} & GROWING
    # An empty table is scanned because that is cheapest; with scans disabled, only a query without an index scans.
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    plan = connection.exec_driver_sql("EXPLAIN " + statement, parameters).all()
    return {found for row in plan for found in re.findall(r"Seq Scan on (\w+)", str(row[0]))} & GROWING


def test_no_query_of_the_account_page_scans_a_growing_table(it: FollowRig) -> None:
    person = it.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    for _ in range(4):
        it.clock.advance(3_600_000)
        it.heartbeat()
        assert person.decide(amount_minor=50_000)["outcome"] == "approve"
    person.bank.change(person.number, transaction_limit_minor=10_000)
    it.follow()
    it.clock.advance(1_000)
    it.heartbeat()
    gateway = it.app.state.gateway
    gateway.warning.risks.run()
    person.decide(amount_minor=50_000)
    browser = Browser(it.url)
    browser.sign_in(it.keys["support"])
    engine = gateway.storage._database.engine
    with _noted(engine) as asked:
        page = browser.open(f"/console/accounts/{person.binding}")
    browser.http.close()
    assert "Early warning" in page
    assert len(asked) > 10
    with engine.begin() as connection:
        found = {statement: tables for statement, *rest in asked if (tables := scanned(connection, statement, rest[0]))}
    assert found == {}


def test_a_query_without_an_index_is_detected(it: FollowRig) -> None:
    with it.app.state.gateway.storage._database.engine.begin() as connection:
        assert scanned(connection, "SELECT * FROM decisions WHERE amount_minor = 7", ()) == {"decisions"}
        assert scanned(connection, "SELECT * FROM decisions WHERE transaction_id = 'x'", ()) == set()
