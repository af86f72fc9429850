"""Ids are found by their beginning through an index: on a large table nothing is scanned."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from standing.gateway.console.lookups import Lookups
from standing.gateway.storage.database import Storage
from standing.ledger.service.database import Database, migrate
from tests.databases import new_database, on_postgresql


@pytest.mark.anyio
async def test_the_beginnings_of_ids_are_looked_up_by_their_indexes(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "gateway"))
    migrate(database, "standing.gateway.storage")
    storage = Storage(database)
    asked: list[tuple[str, Any]] = []
    with storage.read() as connection:
        engine = connection.engine

    def note(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        asked.append((text, values))

    event.listen(engine, "before_cursor_execute", note)
    found = await Lookups(storage).beginning_with("Pay-%_1")
    assert (found.users, found.transactions, found.cut) == ([], [], False)
    searches = [each for each in asked if "EXPLAIN" not in each[0]]
    plans = ""
    with storage.read() as connection:
        if on_postgresql():
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # the tables are empty
        for text, values in searches:
            prefix = "EXPLAIN" if on_postgresql() else "EXPLAIN QUERY PLAN"
            plans += str(connection.exec_driver_sql(f"{prefix} {text}", values).all())
    storage.close()
    for index in ("ix_bindings_folded_user", "ix_binding_failures_folded_user", "ix_decisions_decided"):
        assert index in plans, plans
