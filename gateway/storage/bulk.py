"""Statements that are run for many rows at once, on the driver's own cursor: compiled once, rows as tuples.

SQLAlchemy's `execute` takes each row as a dictionary, and looks at each value of each row; for the hot path that costs
as much as the database does. What a column's type does to a value on its way to the driver is done here too, but only
where it does something: of the types in use, dates on SQLite.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase

_Rows = Callable[[Sequence[tuple[Any, ...]]], list[Any]]


class Bulk:
    """A statement for many rows, each a tuple of the values of `names`, the statement's parameters, in their order."""

    def __init__(self, statement: UpdateBase, *names: str) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, _Rows]] = {}  # by dialect; one in production, two in the tests

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for `rows`; for none it does nothing. Raises: as `connection.execute`."""
        if rows:
            compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
            text, to_driver = compiled
            connection.exec_driver_sql(text, to_driver(rows))

    def _compile(self, dialect: Dialect) -> tuple[str, _Rows]:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        assert set(compiled.binds) == set(self._names), compiled.binds
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in self._names]
        change = [(at, found) for at, each in enumerate(types) if (found := each.bind_processor(dialect)) is not None]
        # sqlite3.Binary only wraps bytes, which the driver takes as they are.
        change = [(at, how) for at, how in change if types[at].python_type is not bytes]
        order: list[str] | None = compiled.positiontup
        places = [self._names.index(name) for name in order] if order is not None else None

        def to_driver(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
            if change:
                rows = [_changed(row, change) for row in rows]
            if places is None:
                return [dict(zip(self._names, row, strict=True)) for row in rows]
            if places == list(range(len(self._names))):
                return list(rows)
            return [tuple([row[at] for at in places]) for row in rows]

        self._compiled[dialect.name] = str(compiled), to_driver
        return self._compiled[dialect.name]


def _changed(row: tuple[Any, ...], change: Sequence[tuple[int, Callable[[Any], Any]]]) -> tuple[Any, ...]:
    values = list(row)
    for at, how in change:
        values[at] = how(values[at])
    return tuple(values)
