"""Statements of the hot path on the driver's own cursor: compiled once, rows as tuples.

SQLAlchemy's `execute` expects each row as a dictionary, inspects each value of it, and expands the list of each IN on
every call; on the hot path that costs as much as the database itself. The column types' conversions to and from the
driver's values are made here too, but only where they change something: of the types in use, dates on SQLite.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

_Rows = Callable[[Sequence[tuple[Any, ...]]], list[Any]]
_Change = tuple[int, Callable[[Any], Any]]


class Bulk:
    """A statement for many rows, each a tuple of the values of `names`, the statement's parameters, in their order."""

    def __init__(self, statement: UpdateBase, *names: str) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, _Rows]] = {}  # by dialect; one in production, two in the tests

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for `rows`; does nothing for none. Raises: as `connection.execute`."""
        if rows:
            compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
            text, to_driver = compiled
            on_driver(connection, text, to_driver(rows), many=True)

    def _compile(self, dialect: Dialect) -> tuple[str, _Rows]:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        assert set(compiled.binds) == set(self._names), compiled.binds
        change = _to_driver([compiled.binds[name].type for name in self._names], dialect)
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a parameter of the text comes from: the value of `name`, or the one at an index of its list."""

    name: str
    index: int | None


class _Query(NamedTuple):
    """A compiled query. `places`: a place for each parameter, by its name in the text, or a value that never changes;
    `order` of the names where the driver goes by position. `to_driver`, `from_driver`: values that are changed."""

    text: str
    places: Mapping[str, Any]
    order: Sequence[str] | None
    to_driver: Mapping[str, Callable[[Any], Any]]
    from_driver: Sequence[_Change]


class Lookup:
    """A query whose parameters are single values and lists (`bindparam(…, expanding=True)`), none of them empty.

    The text depends on how long each list is. Lists are filled up to a power of two by their last value, which does not
    change an IN. So there are few texts, and driver and database keep each one prepared.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        self._compiled: dict[tuple[object, ...], _Query] = {}

    def rows(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """The rows for these values, each with the query's columns in their order. Raises: as `connection.execute`."""
        given = {name: _filled(each) if isinstance(each, list) else each for name, each in values.items()}
        key = (connection.dialect.name, *[len(each) for each in given.values() if isinstance(each, list)])
        query = self._compiled.get(key) or self._compile(connection.dialect, key, given)
        changed = {name: _all(how, given[name]) for name, how in query.to_driver.items()}
        given |= changed
        parameters = {name: _value(place, given) for name, place in query.places.items()}
        order = query.order
        ordered = parameters if order is None else tuple([parameters[name] for name in order])
        rows = on_driver(connection, query.text, ordered)
        return [_changed(row, query.from_driver) for row in rows] if query.from_driver else rows

    def _compile(self, dialect: Dialect, key: tuple[object, ...], given: Mapping[str, Any]) -> _Query:
        places = {
            name: [_Place(name, at) for at in range(len(each))] if isinstance(each, list) else _Place(name, None)
            for name, each in given.items()
        }
        compiled = self._statement.compile(dialect=dialect)
        expanded = compiled.construct_expanded_state(places)
        query = _Query(
            expanded.statement,
            expanded.parameters,
            expanded.positiontup,
            {name: how for name in given for _, how in _to_driver([compiled.binds[name].type], dialect)},
            _from_driver([column.type for column in self._statement.selected_columns], dialect),
        )
        self._compiled[key] = query
        return query


def _filled(values: list[Any]) -> list[Any]:
    """The list, as long as the next power of two."""
    wanted = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (wanted - len(values))


def _all(how: Callable[[Any], Any], given: Any) -> Any:
    return [how(each) for each in given] if isinstance(given, list) else how(given)


def _value(place: Any, given: Mapping[str, Any]) -> Any:
    if not isinstance(place, _Place):
        return place
    return given[place.name] if place.index is None else given[place.name][place.index]


def _to_driver(types: Sequence[TypeEngine[Any]], dialect: Dialect) -> list[_Change]:
    """The conversions of values for the driver, by their position; sqlite3.Binary only wraps bytes, which the driver
    accepts unwrapped."""
    found = [(at, each.dialect_impl(dialect)) for at, each in enumerate(types)]
    return [
        (at, how)
        for at, each in found
        if each.python_type is not bytes and (how := each.bind_processor(dialect)) is not None
    ]


def _from_driver(types: Sequence[TypeEngine[Any]], dialect: Dialect) -> list[_Change]:
    """The conversions of the driver's values, by their position."""
    found = [(at, each.dialect_impl(dialect)) for at, each in enumerate(types)]
    return [
        (at, how)
        for at, each in found
        if each.python_type is not bytes and (how := each.result_processor(dialect, None)) is not None
    ]


def _changed(row: Sequence[Any], change: Sequence[_Change]) -> tuple[Any, ...]:
    values = list(row)
    for at, how in change:
        values[at] = how(values[at])
    return tuple(values)


def on_driver(connection: Connection, text: str, given: Any, *, many: bool = False) -> Sequence[Sequence[Any]]:
    """Run a statement once, or `many` times for as many rows, and return what it yields. Raises: as
    `connection.execute`.

    SQLite's driver is called directly: SQLAlchemy's handling of a statement takes four times as long as the statement.
    On PostgreSQL SQLAlchemy must see each failure, to discard a connection that is lost; beside a round trip its part
    is small.
    """
    if connection.dialect.name != "sqlite":
        done = connection.exec_driver_sql(text, given)
        return done.all() if done.returns_rows else ()
    driver: sqlite3.Connection | None = connection.connection.driver_connection
    assert driver is not None  # a connection of an open transaction has one
    try:
        return (driver.executemany if many else driver.execute)(text, given).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True) from error
