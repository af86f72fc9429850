"""The core's database as the node sees it: one view, read in one snapshot, timed by that database's own clock.

The node changes nothing there, not even a setting. A driver's error text is never shown: it may hold a row's data.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
    Numeric,
    RowMapping,
    Select,
    column,
    create_engine,
    event,
    inspect,
    literal,
    make_url,
    null,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    NoSuchTableError,
    SQLAlchemyError,
)
from sqlalchemy.types import NullType, TypeEngine

from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.database import error_kind
from standing.node.accounts.changes import AccountChange
from standing.node.feed.profile import Profile, Times
from standing.node.feed.profile_values import Translator
from standing.node.feed.records import FIELDS
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.unread_columns import heading_problem

#: Each dialect's expression for the current time in milliseconds, not later than the snapshot of the transaction. A
#: PostgreSQL standby uses the time of the last replayed transaction, because its clock does not show how far it has
#: followed its primary.
_AS_OF = {
    "sqlite": "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "SELECT CAST(floor(extract(epoch FROM CASE WHEN pg_is_in_recovery()"
    " THEN pg_last_xact_replay_timestamp() ELSE now() END) * 1000) AS bigint)",
    "mysql": "SELECT CAST(floor(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)",
    "mariadb": "SELECT CAST(floor(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)",
    "mssql": "SELECT DATEDIFF_BIG(millisecond, '1970-01-01', SYSUTCDATETIME())",
}
#: The isolation level under which all statements of a transaction see one state.
_ISOLATION = {
    "postgresql": "REPEATABLE READ",
    "mysql": "REPEATABLE READ",
    "mariadb": "REPEATABLE READ",
    "mssql": "SNAPSHOT",
    "oracle": "SERIALIZABLE",
}
#: Each driver's name for its connect timeout, in seconds.
_CONNECT_TIMEOUT = {
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
    "mysqlconnector": "connection_timeout",
    "pyodbc": "timeout",
    "oracledb": "tcp_connect_timeout",
}
#: With these, the loss of the core's machine in the middle of a pass is noticed within about a minute. The last one is
#: in milliseconds.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_RETRY_AFTER_S = 5
#: How far a row's time may be ahead of the core's own time: the clocks of a core's servers may differ by this much.
_AHEAD_MS = 60_000


class CoreUnavailable(Unavailable):
    """The core's database cannot be reached, or gave no valid answer. Nothing was loaded."""


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """The columns that are read. `zoned`: whether the database states the zone of the times."""

    names: Sequence[str]
    zoned: bool


class Snapshot:
    """One state of the view. Every method raises CoreUnavailable where the database fails."""

    def __init__(self, connection: Connection, view: "CoreView") -> None:
        self._connection = connection
        self._view = view
        self._found: ViewColumns | None = None

    def now_ms(self) -> int:
        """The core's own time, not later than this snapshot. Raises: InvalidValue."""
        with core_errors():
            answer = self._connection.execute(text(self._view.as_of_query)).scalar_one_or_none()
        try:
            return int(answer)  # type: ignore[arg-type]  # the database may answer anything
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidValue("as_of_query", "not a whole number", "one row, one column: milliseconds") from error

    @contextmanager
    def pages(self, after_ms: int, up_to_ms: int) -> Iterator[Iterator[list[dict[str, Any]]]]:
        """The rows that took effect after one time and up to another, oldest first, one page at a time in memory.

        Reading may stop early: the cursor at the core's database is closed with the block.

        Raises: InvalidValue where the view is missing, or its columns are not those that are needed.
        """
        effective: ColumnElement[Any] = column(self._view.times.column)
        wanted = (effective >= self._bound(after_ms + 1), effective < self._bound(up_to_ms + 1))
        with self._streamed(self._rows().where(*wanted).order_by(effective)) as pages:
            yield pages

    @contextmanager
    def untimed(self, now_ms: int) -> Iterator[Iterator[list[dict[str, Any]]]]:
        """The rows whose time cannot be right: null, before 1970, or ahead of the core's present time. `pages` would
        never find them, or find them too late. Their time itself is not read, because a driver may have no value for
        it, such as infinity. Raises: as `pages`.
        """
        effective: ColumnElement[Any] = column(self._view.times.column)
        # Microseconds are above every valid time; in SQLite, so is any text.
        untimed = or_(effective.is_(None), effective < self._bound(0), effective >= self._bound(now_ms + _AHEAD_MS + 1))
        with self._streamed(self._rows(with_time=False).where(untimed)) as pages:
            yield pages

    def is_empty(self) -> bool:
        """Whether the view has no row at all."""
        source = table(self._view.name, schema=self._view.schema)
        with core_errors():
            return self._connection.execute(select(literal(1)).select_from(source).limit(1)).first() is None

    def _columns(self) -> ViewColumns:
        if self._found is None:
            with core_errors():
                self._found = self._view.columns(self._connection)
        return self._found

    def _bound(self, at_ms: int) -> Any:
        return self._view.times.bound(at_ms, zoned=self._columns().zoned)

    def _rows(self, *, with_time: bool = True) -> Select[Any]:
        names, time = self._columns().names, self._view.times.column
        source = table(self._view.name, *(column(name) for name in names), schema=self._view.schema)
        if with_time:
            return select(source)
        return select(*(null().label(name) if name == time else source.c[name] for name in names)).select_from(source)

    @contextmanager
    def _streamed(self, query: Select[Any]) -> Iterator[Iterator[list[dict[str, Any]]]]:
        with core_errors():
            streamed = self._connection.execution_options(stream_results=True, max_row_buffer=self._view.page_size)
            result = streamed.execute(query)
        try:
            yield _pages(result.mappings().partitions(self._view.page_size))
        finally:
            result.close()


class ViewTimes:
    """How a view states when a row took effect: in which `column`, and as what. Raises: InvalidValue."""

    def __init__(self, profile: Profile | None, dialect: str) -> None:
        stated = "effective_at_ms" if profile is None else profile.columns.get("effective_at_ms")
        if not isinstance(stated, str):
            allowed = "one column: it is how the node finds what changed"
            raise InvalidValue("profile.columns.effective_at_ms", "missing, or a list", allowed)
        times = Times() if profile is None else profile.times
        if times.form not in {"epoch_ms", "epoch_s", "timestamp"}:
            allowed = "epoch_ms, epoch_s or timestamp: the database must be able to compare it"
            raise InvalidValue("profile.times.form", "not for a view", allowed)
        self.column = stated
        self._form = times.form
        self._zone = ZoneInfo(times.zone)
        self._as_text = dialect == "sqlite"

    def check_type(self, found: TypeEngine[Any]) -> None:
        """Check that the database can compare the column with times of this form. Raises: InvalidValue."""
        kind = getattr(found, "data_type", found)  # of a domain
        form = self._form
        if isinstance(kind, Date) and form == "timestamp":
            problem = "a date without a time of day: changes during a day would not be found"
            raise InvalidValue(f"sql_view.view: {self.column}", problem, "date and time")
        fits = isinstance(kind, DateTime) if form == "timestamp" else isinstance(kind, Integer | Numeric)
        if not (fits or self._as_text or isinstance(kind, NullType)):
            problem = f"of the type {type(kind).__name__}, and profile.times.form is {form}"
            allowed = "a number for epoch_ms and epoch_s; date and time for timestamp, in a profile"
            raise InvalidValue(f"sql_view.view: {self.column}", problem, allowed)

    def bound(self, at_ms: int, *, zoned: bool) -> Any:
        """A time as a value of the column, rounded up, with a zone if the column states one."""
        if self._form == "epoch_ms":
            return at_ms
        if self._form == "epoch_s":
            return -(-at_ms // 1000)
        latest_ms = 253_402_214_400_000  # the last day of year 9999, beyond which there are no timestamps
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=max(0, min(at_ms, latest_ms)))
        if zoned and not self._as_text:
            return moment  # without a zone, the database would assume the zone of its session
        local = moment.astimezone(self._zone).replace(tzinfo=None)
        return local.isoformat(sep=" ") if self._as_text else local


def _pages(partitions: Iterator[Sequence[RowMapping]]) -> Iterator[list[dict[str, Any]]]:
    while True:
        with core_errors():
            page = next(partitions, None)
        if page is None:
            return
        yield [dict(row) for row in page]


class CoreView:
    """The view of the settings. Raises: InvalidValue where the URL or its dialect is not usable."""

    def __init__(self, settings: SqlViewSettings, profile: Profile | None) -> None:
        url = settings.url.get_secret_value()
        try:
            dialect = make_url(url).get_backend_name()
            self._engine = _engine(url, dialect, settings.timeout_ms)
        except (ArgumentError, ModuleNotFoundError) as error:
            # Without the error's own text, which may hold the URL and so a password.
            raise InvalidValue("sql_view.url", "not usable", "a SQLAlchemy URL whose driver is installed") from error
        query = settings.as_of_query or _AS_OF.get(dialect)
        if query is None:
            raise InvalidValue(
                "sql_view.as_of_query", f"missing, and {dialect} has no default", "a query that returns one number"
            )
        self.as_of_query = query
        schema, _, self.name = settings.view.rpartition(".")
        self.schema = schema or None
        self.page_size = settings.page_size
        self.times = ViewTimes(profile, dialect)
        self._profile = profile

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One transaction that only reads. Raises: CoreUnavailable."""
        with core_errors():
            connection = self._engine.connect()
        try:
            yield Snapshot(connection, self)
        finally:
            connection.close()  # nothing was changed, so there is nothing to commit

    def columns(self, connection: Connection) -> ViewColumns:
        """The view's columns, each a field of a change. Looked up in each snapshot, for a view may be replaced.

        Raises: InvalidValue where one is missing or unknown, or cannot be compared with a time.
        """
        try:
            columns = inspect(connection).get_columns(self.name, schema=self.schema)
        except NoSuchTableError as error:
            raise InvalidValue("sql_view.view", "the core has no such view", "one that its user may read") from error
        types = {str(item["name"]): item["type"] for item in columns}
        names = _native(list(types)) if self._profile is None else _needed(self._profile, list(types))
        kind = types[self.times.column]
        self.times.check_type(kind)
        return ViewColumns(names, zoned=bool(getattr(kind, "timezone", False)))

    def close(self) -> None:
        self._engine.dispose()


def _native(found: Sequence[str]) -> Sequence[str]:
    """The columns of a view in the feed's own format. Raises: InvalidValue where one is missing or unknown."""
    needed = ("number", "effective_at_ms", *AccountChange.STATE_FIELDS)
    missing = [name for name in needed if name not in found]
    unknown = [name for name in found if name not in FIELDS]
    if missing or unknown:
        others = sorted(set(FIELDS) - set(needed))
        allowed = f"{', '.join(needed)}; optional: {', '.join(others)}"
        problem = f"columns missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        raise InvalidValue("sql_view.view", problem, allowed)
    return found


def _needed(profile: Profile, found: Sequence[str]) -> Sequence[str]:
    """The columns of a view that its profile reads. Raises: InvalidValue where one is missing, or where another may
    restrict accounts."""
    needed = sorted(Translator(profile).columns)
    missing = [name for name in needed if name not in found]
    if missing:
        raise InvalidValue("sql_view.view", f"columns missing: {', '.join(missing)}", "the columns of the profile")
    if (gained := heading_problem(profile, found)) is not None:
        raise InvalidValue("sql_view.view", gained.problem, gained.allowed)
    return needed


def _engine(url: str, dialect: str, timeout_ms: int) -> Engine:
    if dialect == "sqlite":
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    if dialect not in _ISOLATION:
        raise InvalidValue("sql_view.url", f"no snapshot known for {dialect}", f"sqlite, {', '.join(_ISOLATION)}")
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=1,
        max_overflow=1,
        connect_args=_connect_args(make_url(url), timeout_ms),
    )
    options: dict[str, Any] = {"isolation_level": _ISOLATION[dialect]}
    if dialect == "postgresql":
        options["postgresql_readonly"] = True
    return engine.execution_options(**options)


def _connect_args(url: URL, timeout_ms: int) -> dict[str, Any]:
    """Time limits of a connection to a server, under its driver's names. Options in the URL take precedence."""
    driver = url.get_driver_name()
    bounds = {_CONNECT_TIMEOUT[driver]: -(-timeout_ms // 1000)} if driver in _CONNECT_TIMEOUT else {}
    if driver in {"psycopg", "psycopg2"}:
        bounds |= _KEEPALIVE
    return {name: value for name, value in bounds.items() if name not in url.query}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the engine's own BEGIN makes the snapshot
    # Text that is not UTF-8 is kept, so that its row can be named. The driver's own error would show the text.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA busy_timeout = 10000")


@contextmanager
def core_errors() -> Iterator[None]:
    """Translate what SQLAlchemy raises about the core into CoreUnavailable."""
    try:
        yield
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise CoreUnavailable(f"the core's view cannot be read: {_kind(error)}", _RETRY_AFTER_S) from error


def _kind(error: SQLAlchemyError | UnicodeDecodeError) -> str:
    """The kind of an error and the database's own code for it. Its text is never shown: it may hold a row's data."""
    if isinstance(error, UnicodeDecodeError):
        return "a row holds text that is not in the connection's encoding; set the encoding in sql_view.url"
    return f"{error_kind(error)}; check sql_view.url, sql_view.view and sql_view.as_of_query, and the core's own log"
