"""PostgreSQL as its administrators set it up: other defaults, other encodings."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

from standing.ledger.errors import InvalidValue
from standing.ledger.service import diagnosis
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import lock_of
from tests.databases import new_database
from tests.world import wait_until

pytestmark = pytest.mark.postgresql

_PACKAGE = "standing.node.storage"
_WAITS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("default", ["repeatable read", "serializable"])
def test_a_writer_sees_what_the_one_before_it_wrote_whatever_the_servers_default_isolation(
    tmp_path: Path, default: str
) -> None:
    """Its snapshot was from before it waited: a fence was not seen, and decisions at once failed with 40001."""
    url = new_database(tmp_path, "isolation")
    alter = f"ALTER DATABASE {make_url(url).database} SET default_transaction_isolation = '{default}'"
    _run(url, "CREATE TABLE fence (epoch int)", alter)
    database, seen = Database(url), []

    def second() -> None:
        with database.write() as connection:
            seen.append(connection.execute(text("SELECT count(*) FROM fence")).scalar_one())

    waiting = threading.Thread(target=second)
    with database.write() as first:
        waiting.start()
        wait_until(lambda: first.execute(_WAITS).scalar_one())
        first.execute(text("INSERT INTO fence VALUES (1)"))
    waiting.join()
    with database.read() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"
    database.close()
    assert seen == [1]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN"])
def test_a_database_that_cannot_hold_every_text_is_refused_before_it_is_used(tmp_path: Path, encoding: str) -> None:
    """In LATIN1 every decision with a Chinese sentence was an unexpected error; SQL_ASCII gave a traceback."""
    server = make_url(new_database(tmp_path, "encoding"))
    name = f"other_{server.database}"[:63]
    _run(
        server.render_as_string(hide_password=False),
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    url = server.set(database=name).render_as_string(hide_password=False)
    database = Database(url)
    with pytest.raises(InvalidValue, match=f"database's encoding is {encoding}; allowed: UTF8"):
        migrate(database, _PACKAGE)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one() == 0
    database.close()
    (finding,) = diagnosis.database(url, _PACKAGE)
    assert (finding.state.name, f"is {encoding}: create another" in finding.text) == ("WRONG", True)


def test_a_limit_on_idle_sessions_ends_no_leadership(tmp_path: Path) -> None:
    """A leading node's lock is a session that says nothing: two nodes took turns, once in each such period."""
    url = new_database(tmp_path, "idle")
    _run(url, f"ALTER DATABASE {make_url(url).database} SET idle_session_timeout = '50ms'")
    first, second, observer = (Database(url) for _ in range(3))
    held, wanted = lock_of(first, "leader"), lock_of(second, "leader")
    assert held.hold()
    idle = create_engine(url)
    with idle.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.rollback()

    def is_ended() -> bool:
        with observer.read() as connection:
            query = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            return not connection.execute(query, {"pid": pid}).scalar_one()

    wait_until(is_ended)
    assert not wanted.hold()
    assert held.hold()
    held.release()
    assert wanted.hold()
    wanted.release()
    for database in (first, second, observer):
        database.close()
    idle.dispose()


def test_a_process_waits_for_another_that_upgrades_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two gateways that were started anew ended after ten seconds: "the database does not work"."""
    url = new_database(tmp_path, "upgrade")
    hurried = make_url(url).update_query_dict({"options": "-c lock_timeout=50ms"})
    first, second = (Database(hurried.render_as_string(hide_password=False)) for _ in range(2))
    observer, slow = Database(url), command.upgrade
    begun, ended = threading.Event(), threading.Event()
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' "
        "AND clock_timestamp() - query_start > interval '500ms'"
    )

    def upgrade(config: Config, revision: str) -> None:
        begun.set()
        if not ended.wait(60):
            raise AssertionError("nobody waited")
        slow(config, revision)

    def has_waited() -> bool:
        with observer.read() as connection:
            return waiting.done() or connection.execute(waits).scalar_one() == 1

    monkeypatch.setattr(command, "upgrade", upgrade)
    with ThreadPoolExecutor(2) as pool:
        upgrading = pool.submit(migrate, first, _PACKAGE)
        begun.wait(60)
        waiting = pool.submit(migrate, second, _PACKAGE)
        try:
            wait_until(has_waited)
        finally:
            ended.set()
        upgrading.result()
        waiting.result()
    with second.read() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "50ms"
    for database in (first, second, observer):
        database.close()


def test_two_services_in_schemas_of_their_own_both_lead(tmp_path: Path) -> None:
    """Advisory locks are per database: of two nodes in two schemas, the second stood by for ever."""
    url = new_database(tmp_path, "schemas")
    _run(url, "CREATE SCHEMA first", "CREATE SCHEMA second")
    databases = [
        Database(make_url(url).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False))
        for schema in ("first", "second", "second", "public")
    ]
    locks = [lock_of(database, "leader") for database in databases]
    assert [lock.hold() for lock in locks] == [True, True, False, True]
    for lock, database in zip(locks, databases, strict=True):
        lock.release()
        database.close()
