"""A service's database through SQLAlchemy Core and Alembic: SQLite (WAL) embedded, PostgreSQL in production."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import AfterValidator
from sqlalchemy import URL, BigInteger, Connection, Engine, Table, create_engine, event, func, inspect, make_url, select
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.errors import InvalidValue
from standing.ledger.service.settings import SettingsError

_NO_LIMIT_IN_COLUMN = -1

#: PostgreSQL: the advisory lock that every writing transaction holds to its end, exclusively or shared; advisory locks
#: are per database.
_WRITERS_LOCK = int.from_bytes(b"standwr\0")

#: PostgreSQL: time limits, since a session that hangs while it holds the writers' lock would stop all others. Each is
#: far above what a legitimate transaction needs; `take_time` lifts them for exceptions. The keepalives are the
#: server's: it frees the locks of a machine that is gone.
_SESSION = (
    "-c lock_timeout=10s -c statement_timeout=300s -c idle_in_transaction_session_timeout=60s "
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
#: The same for this end of the connection, in seconds; the last one in milliseconds.
_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    # Not the database's own encoding: the driver returns bytes from one that was made in the C locale.
    "client_encoding": "utf8",
}

#: The only encoding that holds every name and message. In SQL_ASCII, the length of a text is counted in bytes.
_ENCODING = "UTF8"


#: SQLite: the most pages that a connection keeps. The default of 2 MiB is less than the indexes of 100,000 bindings, so
#: that a decision on any of them reads pages from the file.
_SQLITE_CACHE_KIB = 32 * 1024

#: How long one waits for another's lock on SQLite.
_BUSY_TIMEOUT_S = 10

#: The revision of a database whose content is in another one by now (`ledger.service.moving`).
MOVED = "moved"


def check_url(url: str) -> str:
    """The URL of a database that outlives the process. Raises: ValueError, without the URL."""
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, ValueError):
        # No `from`: the cause may show a part of the password, which was taken for the port.
        parsed = None
    if parsed is not None and (
        parsed.get_backend_name() not in {"sqlite", "postgresql"}
        or (parsed.get_backend_name() == "sqlite" and parsed.host)  # two slashes, and the file's name is the host
    ):
        parsed = None
    # With an unescaped @ in the password, the rest of it would be the host, and be shown where the host is not found.
    if parsed is None or "@" in (parsed.host or ""):
        raise ValueError(
            "not a database URL; allowed: such as sqlite:////var/lib/standing/db.sqlite3, or "
            "postgresql+psycopg://user:password@host/database with special characters of the password as %40 and so on"
        )
    if is_memory_sqlite(url):
        raise ValueError("in memory, it would be lost with the process; allowed: a file, or PostgreSQL")
    return url


#: A database in the settings of a service, which outlives the process.
DatabaseUrl = Annotated[str, AfterValidator(check_url)]


class LimitMinor(TypeDecorator[int]):
    """A limit in minor units. NO_LIMIT, a u64, does not fit a signed column: it is stored as -1."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return _NO_LIMIT_IN_COLUMN if value == NO_LIMIT else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return NO_LIMIT if value == _NO_LIMIT_IN_COLUMN else value


class Database:
    """One database. Writers are serialised, except those that share; a commit is on disk when it returns.

    Raises: InvalidValue where SQLAlchemy does not know the URL.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = create_engine(url, hide_parameters=True, **_options(url))
        except (ArgumentError, ModuleNotFoundError) as error:
            raise InvalidValue(
                "database_url", "not usable", "such as sqlite:////var/lib/standing/node.sqlite3"
            ) from error
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        if self._is_sqlite:
            if not is_memory_sqlite(url):
                event.listen(self._engine, "do_connect", _make_private)
            event.listen(self._engine, "connect", _configure_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
            self._reading = self._engine
        else:
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writing = self._engine.execution_options(standing_write=True)

    @property
    def engine(self) -> Engine:
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction: one consistent state, without waiting for writers."""
        with self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A writing transaction, exclusive among all writers from its first statement on."""
        # Otherwise two statements of one transaction could see another's commit in between, and a watermark could be
        # signed that is newer than the rows it covers.
        with self._write_holding(func.pg_advisory_xact_lock(_WRITERS_LOCK)) as connection:
            yield connection

    @contextmanager
    def upgrade(self) -> Iterator[Connection]:
        """As `write`, but without time limits, and waiting for as long as another process upgrades."""
        with self._writing.begin() as connection:
            if not self._is_sqlite:
                take_time(connection)
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                connection.execute(select(func.pg_advisory_xact_lock(_WRITERS_LOCK)))
                # A table's lock is bounded as ever: while it is waited for, nobody else can read the table.
                connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
            yield connection

    @contextmanager
    def write_shared(self) -> Iterator[Connection]:
        """A writing transaction that excludes all writers but those that share as well.

        Each of these first locks, all in one order, what it has in common with others.
        """
        with self._write_holding(func.pg_advisory_xact_lock_shared(_WRITERS_LOCK)) as connection:
            yield connection

    @contextmanager
    def _write_holding(self, lock: FunctionElement[None]) -> Iterator[Connection]:
        """A writing transaction that holds `lock` on PostgreSQL; SQLite has one writer anyway."""
        with self._writing.begin() as connection:
            if not self._is_sqlite:
                connection.execute(select(lock))
            yield connection

    def close(self) -> None:
        self._engine.dispose()


def _options(url: str) -> dict[str, Any]:
    """Connection options for a server: test pooled connections before use, and bound every wait.

    Options in the URL take precedence.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return {}
    connection = {name: value for name, value in _CONNECTION.items() if name not in parsed.query}
    options = f"{_SESSION} {parsed.query.get('options', '')}"
    return {
        # Whatever the server's default is: under a stricter one, a writer that has waited for the writers' lock would
        # not see what the one before it wrote.
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "connect_args": {**connection, "options": options},
    }


def _make_private(_dialect: Dialect, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
    """Make a new SQLite file readable by its owner only, as its journals are then too: its rows tell which bindings are
    of one account."""
    with suppress(OSError):  # it exists, or SQLite reports why it cannot be made
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is off; `_begin_sqlite` begins transactions.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000}")
    # Of several processes that switch a new file at once, as the workers of a first start, SQLite refuses all but one
    # without waiting, since each has a part of the lock that the others need.
    for attempt in Retrying(
        retry=retry_if_exception(_is_busy),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_delay(_BUSY_TIMEOUT_S),
        reraise=True,
    ):
        with attempt:
            cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # acknowledged data must survive a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_SQLITE_CACHE_KIB}")
    cursor.close()


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("standing_write", False)
    # IMMEDIATE takes the write lock at once, so a transaction that reads first cannot fail later on a stale snapshot.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def error_kind(error: SQLAlchemyError) -> str:
    """The kind of an error and the database's own code for it. Its text is left out: it may hold a row's data, or the
    database's URL and so a password."""
    original = error.orig if isinstance(error, DBAPIError) else error
    codes = (getattr(original, name, None) for name in ("sqlstate", "sqlite_errorname"))
    code = next((code for code in codes if isinstance(code, str)), None)
    return type(original).__name__ + (f" {code}" if code is not None else "")


def shown(url: str | URL) -> str:
    """A database's URL without its secrets."""
    parsed = make_url(url)
    return parsed.difference_update_query(_secret_names(parsed)).render_as_string(hide_password=True)


def unusable(url: str | URL, error: SQLAlchemyError) -> str:
    """A sentence for an operator: which database cannot be used, what its driver says, and what to look at."""
    parsed = make_url(url)
    secrets = [str(each) for each in (parsed.password, *(parsed.query[name] for name in _secret_names(parsed))) if each]
    text = str(error.orig).partition("\n")[0] if isinstance(error, DBAPIError) else ""
    # The driver's first line; only the kind of error where that holds a secret of the URL.
    why = type(error).__name__ if not text or any(secret in text for secret in secrets) else text
    cannot = f"{shown(parsed)} cannot be used ({why})"
    if parsed.get_backend_name() == "sqlite":
        return f"{cannot}: is it the right file, and may this user write to it and its folder?"
    return f"{cannot}: is the server up, and does the user have access?"


def _secret_names(url: URL) -> list[str]:
    return [name for name in url.query if "password" in name]


def take_time(connection: Connection) -> None:
    """Lift the time limits for a transaction that legitimately takes long or waits for others."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


class Revisions(NamedTuple):
    """A schema's current revision (None: none yet), the newest one, whether this version knows the current one, and
    whether the tables are those of another service, whose revisions have the same names."""

    present: str | None
    newest: str
    known: bool
    are_anothers: bool


def revisions(database: Database, package: str) -> Revisions:
    """The revisions of the schema of `package` in a database. Changes nothing. Raises: SQLAlchemyError."""
    with _migrations(package) as config, database.read() as connection:
        return _revisions(config, connection)


def is_of_this_version(database: Database, package: str) -> bool:
    """Whether the database is there, with the newest schema of `package`. Changes nothing. Raises: SQLAlchemyError."""
    url = database.engine.url
    # A query would make the file.
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return False
    found = revisions(database, package)
    return found.present == found.newest and not found.are_anothers


def _revisions(config: Config, connection: Connection) -> Revisions:
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    newest, base = scripts.get_current_head(), scripts.get_base()
    assert newest is not None  # there is a first revision
    assert base is not None
    if present is None:
        return Revisions(present, newest, known=True, are_anothers=False)
    known = present in {script.revision for script in scripts.walk_revisions()}
    own_table = scripts.get_revision(base).module.OWN_TABLE
    return Revisions(present, newest, known, are_anothers=not inspect(connection).has_table(own_table))


@contextmanager
def _migrations(package: str) -> Iterator[Config]:
    with as_file(files(package) / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        yield config


def migrate(database: Database, package: str) -> None:
    """Upgrade the schema of `package` (with a `migrations` folder) to its newest revision.

    Raises: InvalidValue where a newer version of this program has upgraded it, it is another service's, or its encoding
    is not UTF-8; SettingsError where it cannot be used.
    """
    try:
        encoding = foreign_encoding(database)
        if encoding is not None:
            raise InvalidValue("database_url", f"the database's encoding is {encoding}", _ENCODING)
        with _migrations(package) as config, database.upgrade() as connection:
            found = _revisions(config, connection)
            if found.are_anothers:
                raise InvalidValue(
                    "database_url", "the database is another service's", "one of its own for each node and gateway"
                )
            if found.present == MOVED:
                raise InvalidValue("database_url", "everything in it was moved to another database", "the new one")
            if not found.known:
                raise InvalidValue(
                    "database_url",
                    f"the database was upgraded to revision {found.present} by a newer version of Standing",
                    "that version or a later one, or a backup from before",
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        # Such as a role that may not create tables. The first line only: the others repeat it, or show the statement.
        why = str(error.orig).partition("\n")[0]
        raise SettingsError(f"database_url: the database does not work: {why}") from error


def level_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """Let PostgreSQL continue its sequences after rows that were inserted with ids; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        key = table.autoincrement_column
        if key is None:
            continue
        last = connection.execute(select(func.max(key))).scalar_one()
        if last is not None:
            connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, key.name), last)))


def foreign_encoding(database: Database) -> str | None:
    """The encoding of a database that cannot hold every text; None where it can. Raises: SQLAlchemyError."""
    if database.engine.dialect.name != "postgresql":
        return None
    with database.read() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    return None if encoding == _ENCODING else str(encoding)


def may_create_tables(database: Database) -> bool:
    """Whether the role may create the first tables: since PostgreSQL 15, only a database's owner may by default.

    Raises: SQLAlchemyError.
    """
    if database.engine.dialect.name != "postgresql":
        return True
    with database.read() as connection:
        return bool(connection.scalar(select(func.has_schema_privilege(func.current_schema(), "CREATE"))))


def is_memory_sqlite(url: str) -> bool:
    """Whether the URL names an SQLite database that disappears with the process."""
    parsed = make_url(url)
    return parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}
