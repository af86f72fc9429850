"""Moves a service's whole database from an SQLite file to another, empty database, as where one machine is no longer
enough.

No process of the service may run meanwhile, and none may use the file afterwards: two gateways on two databases would
allow each limit twice, two nodes would sign two histories under one key. So the locks that a running process holds are
taken, the file is locked for writing, and at the end it gets another name. A process that was started meanwhile, as by
a service manager, may have the file open under any name; so the file also refuses every write from then on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, MetaData, insert, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.ledger.service.commands import tell
from standing.ledger.service.database import (
    MOVED,
    Database,
    check_url,
    is_of_this_version,
    level_sequences,
    migrate,
    revisions,
    take_time,
    unusable,
)
from standing.ledger.service.leader import lock_of
from standing.ledger.service.progress import progress_bar
from standing.ledger.service.settings import SettingsError

_CHUNK = 500

#: Of the commands that move a service's database.
NewDatabase = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="The new, empty database, such as postgresql+psycopg://user@host/name; keep its password in ~/.pgpass",
    ),
]


def move(
    source_url: str,
    target_url: str,
    *,
    package: str,
    metadata: MetaData,
    locks: Sequence[str],
    progress: Callable[[int], None] = lambda _rows: None,
) -> tuple[int, Path]:
    """Copy every row of `metadata` in one transaction, then rename the file, so that nothing uses it by mistake.

    `package`: whose schema it is; `locks`: those of which a running process holds one. `progress` is called with the
    number of rows so far. Where it fails or is killed before the end, the file is as it was. Returns: the number of
    rows, and the file's new name. Raises: InvalidValue, NotFound (no such file, or another version's), Conflict (a
    process is running), SettingsError (a database cannot be used, or the target does not accept a row).
    """
    try:
        check_url(target_url)
    except ValueError as error:
        raise SettingsError(f"database_url: {error}") from None  # without the URL, which may hold a password
    file = Path(make_url(source_url).database or "")
    if make_url(source_url).get_backend_name() != "sqlite":
        raise InvalidValue("database_url", "not an SQLite file", "one; PostgreSQL's own pg_dump moves another database")
    moved = file.with_name(file.name + ".moved")
    if moved.exists():
        raise Conflict(f"{moved} exists already: the file would get this name")
    with ExitStack() as held:
        source, target = Database(source_url), Database(target_url)
        held.callback(source.close)
        held.callback(target.close)
        with _errors_of(source_url):
            _check_source(source, package)
            for name in locks:
                lock = lock_of(source, name)
                if not lock.hold():
                    raise Conflict("a process is running on this database: stop all of them first")
                held.callback(lock.release)
            # A process that starts meanwhile cannot write.
            with source.write() as reading:
                with _errors_of(target_url):
                    _check_target(target, package)
                    migrate(target, package)
                    with target.write() as writing:
                        take_time(writing)
                        rows = _copy(reading, writing, metadata, progress)
                _retire(reading, metadata)
        # Its write-ahead log becomes part of the file, also where a process that was started meanwhile has it open.
        with closing(source.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        source.close()
        file.rename(moved)
    return rows, moved


def move_and_tell(source_url: str, target_url: str, *, package: str, metadata: MetaData, locks: Sequence[str]) -> None:
    """`move` for a command: with a progress bar, and what to do next. Raises: as `move`."""
    with progress_bar("rows moved") as progress:
        rows, left = move(
            source_url,
            target_url,
            package=package,
            metadata=metadata,
            locks=locks,
            progress=lambda count: progress(count, None),
        )
    tell(f"{rows} rows moved; the file is now {left}; now: set database_url to the new database, and start")


@contextmanager
def _errors_of(url: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise SettingsError(unusable(url, error)) from error


def _check_source(source: Database, package: str) -> None:
    """Raises: NotFound, Conflict where it was moved before."""
    if is_of_this_version(source, package):
        return
    if Path(source.engine.url.database or "").exists() and revisions(source, package).present == MOVED:
        raise Conflict("everything in it was moved before; now: set database_url to the new database, and start")
    raise NotFound("the database is not there, or another version's: check database_url, or start the service first")


def _check_target(target: Database, package: str) -> None:
    """Check that the target is none that an older version of the service uses: it would be upgraded under it. Raises:
    Conflict."""
    found = revisions(target, package)
    if not found.are_anothers and found.present not in {None, found.newest}:
        raise Conflict("the new database has the schema of another version; allowed: a new one")


def _retire(connection: Connection, metadata: MetaData) -> None:
    """Let the database refuse every start, and every write of a process that has it open. It can still be read."""
    connection.execute(text("UPDATE alembic_version SET version_num = :moved"), {"moved": MOVED})
    for table in metadata.sorted_tables:
        for act in ("INSERT", "UPDATE", "DELETE"):
            # That table does not exist, so that services take the error for a database that is gone; one that a
            # trigger raises would be a collision of two writers, after which they try again.
            connection.exec_driver_sql(
                f"CREATE TRIGGER moved_{act.lower()}_{table.name} BEFORE {act} ON {table.name} "  # noqa: S608 - our own names
                "BEGIN DELETE FROM this_database_was_moved; END"
            )


def _copy(reading: Connection, writing: Connection, metadata: MetaData, progress: Callable[[int], None]) -> int:
    """Copy all rows into an empty database. Raises: Conflict where it is not empty."""
    for table in metadata.sorted_tables:
        if writing.execute(select(table).limit(1)).first() is not None:
            raise Conflict(f"the new database is not empty ({table.name}); allowed: a new one")
    rows = 0
    for table in metadata.sorted_tables:
        # Closed also where it fails: SQLite keeps a file open while one of its statements is under way.
        with reading.execute(select(table), execution_options={"yield_per": _CHUNK}) as found:
            for part in found.mappings().partitions():
                writing.execute(insert(table), [dict(row) for row in part])
                rows += len(part)
                progress(rows)
    level_sequences(writing, metadata.sorted_tables)
    return rows
