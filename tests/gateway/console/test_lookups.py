"""The search by last four digits uses its index."""

from pathlib import Path

from sqlalchemy import select

from standing.gateway.storage import schema
from standing.ledger.service.database import Database, migrate


def test_an_account_is_found_by_its_last_four_digits_without_a_table_scan(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite3")
    migrate(database, "standing.gateway.storage")
    query = select(schema.bindings.c.binding).where(schema.LAST_FOUR.in_(["4821"]))
    with database.read() as connection:
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    database.close()
    assert "ix_bindings_last_four" in str(plan)
