"""Statements on the driver's own cursor fail as SQLAlchemy's do, on either database."""

from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, bindparam, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from standing.gateway.storage.bulk import Bulk, Lookup
from standing.ledger.service.database import Database
from tests.databases import new_database

_NAMES = Table(
    "names", MetaData(), Column("number", BigInteger, primary_key=True), Column("name", Text, nullable=False)
)
_INSERT = Bulk(insert(_NAMES), "number", "name")
_FIND = Lookup(select(_NAMES).where(_NAMES.c.number.in_(bindparam("numbers", expanding=True))))
_SECRET = "Wang Xiaoming"


def test_a_refused_statement_raises_sqlalchemys_error_without_values_and_leaves_nothing(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "gateway"))
    with database.write() as connection:
        _NAMES.create(connection)
        _INSERT.run(connection, [(1, "Li Na")])
    with pytest.raises(IntegrityError) as taken, database.write() as connection:
        _INSERT.run(connection, [(2, _SECRET), (1, _SECRET)])
    assert _SECRET not in str(taken.value)
    with database.read() as connection:
        assert list(_FIND.rows(connection, numbers=[1, 2])) == [(1, "Li Na")]
        assert list(_FIND.rows(connection, numbers=[3])) == []
    with database.write() as connection:
        _NAMES.drop(connection)
    for use in (lambda c: _INSERT.run(c, [(3, _SECRET)]), lambda c: _FIND.rows(c, numbers=[3])):
        with pytest.raises(DBAPIError) as missing, database.write() as connection:
            use(connection)
        assert _SECRET not in str(missing.value)
    database.close()
