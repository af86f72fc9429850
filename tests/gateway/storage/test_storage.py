"""The gateway's database is closed only when unused, and a hanging user does not hold up the others."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, make_url, select, text

from standing.gateway.composition import build
from standing.gateway.errors import StorageUnavailable
from standing.gateway.storage.database import Storage
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import lock_of
from tests.databases import new_database
from tests.gateway.gateway_rig import Rig


@pytest.mark.anyio
async def test_a_read_whose_caller_was_cancelled_ends_before_the_database_is_closed(tmp_path: Path) -> None:
    """Otherwise its connection would return to a disposed pool and never be closed."""
    storage = Storage(Database(new_database(tmp_path, "gateway")))
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def look() -> None:
        with storage.read() as connection:
            connection.execute(select(1))
            began.set()
            may_end.wait()
        ended.set()

    caller = asyncio.create_task(storage.reading(look))
    await asyncio.to_thread(began.wait)
    caller.cancel()
    closing = asyncio.create_task(asyncio.to_thread(storage.close))
    too_early, _ = await asyncio.wait({closing}, timeout=0.2)
    may_end.set()
    await closing
    assert not too_early
    assert ended.is_set()


def test_a_full_disk_is_named_by_the_databases_own_code(tmp_path: Path) -> None:
    storage = Storage(Database(f"sqlite:///{tmp_path}/gateway.sqlite3"))

    def grow(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own stand-in for a full disk
        connection.exec_driver_sql("CREATE TABLE more (number INTEGER)")

    try:
        with pytest.raises(StorageUnavailable, match=r"not available for now \(OperationalError SQLITE_FULL\)"):
            storage.write_all(grow)
    finally:
        storage.close()


def _hurried(url: str, **settings: str) -> str:
    """The URL with session bounds other than the gateway's own."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return make_url(url).update_query_dict({"options": options}).render_as_string(hide_password=False)


@pytest.mark.anyio
async def test_database_requests_beyond_the_bound_are_refused_as_overload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.gateway.storage.database._MAX_WAITING", 3)
    storage, gate = Storage(Database(f"sqlite:///{tmp_path}/gateway.sqlite3")), threading.Event()
    waiting = [asyncio.create_task(run(gate.wait, 20)) for run in (storage.reading, storage.writing, storage.reading)]
    await asyncio.sleep(0)  # each has its slot now
    for run in (storage.reading, storage.writing):
        with pytest.raises(StorageUnavailable, match="3 requests are already waiting"):
            await run(gate.wait, 20)
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await storage.reading(gate.wait, 20)
    storage.close()


@pytest.mark.postgresql
def test_every_wait_of_a_session_is_bounded_and_the_url_may_override_the_bounds(tmp_path: Path) -> None:
    url = new_database(tmp_path, "gateway")
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle")
    for changed, expected in (
        (url, ["10s", "5min", "1min", "30"]),
        (_hurried(url, statement_timeout="7min"), ["10s", "7min", "1min", "30"]),
    ):
        database = Database(changed)
        with database.read() as connection:
            assert [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names] == expected
            driver: Any = connection.connection.driver_connection
            options = {each.keyword: each.val for each in driver.pgconn.info if each.val is not None}
        assert (options[b"tcp_user_timeout"], options[b"keepalives_idle"]) == (b"60000", b"30")
        database.close()
    database = Database(make_url(url).update_query_dict({"tcp_user_timeout": "20000"}).render_as_string(False))
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert driver.info.get_parameters()["tcp_user_timeout"] == "20000"
    database.close()


@pytest.mark.postgresql
def test_a_writer_hanging_in_its_transaction_does_not_block_the_others_for_good(tmp_path: Path) -> None:
    url = _hurried(new_database(tmp_path, "gateway"), idle_in_transaction_session_timeout="200ms")
    hangs, other = Storage(Database(url)), Storage(Database(url))

    def hang() -> None:
        with hangs.write() as connection:
            with other.write():
                pass  # waited for the writers' lock and acquired it
            connection.execute(select(1))

    with pytest.raises(StorageUnavailable):
        hang()
    with hangs.write() as connection:
        connection.execute(select(1))
    hangs.close()
    other.close()


@pytest.mark.postgresql
def test_a_migration_may_take_longer_than_any_other_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"statement_timeout": "200ms", "idle_in_transaction_session_timeout": "200ms"}
    database = Database(_hurried(new_database(tmp_path, "gateway"), **short))
    shown = []

    def upgrade(config: Any, _revision: str) -> None:
        connection: Connection = config.attributes["connection"]
        connection.execute(text("SELECT pg_sleep(0.5)"))
        shown.append(connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one())

    monkeypatch.setattr(command, "upgrade", upgrade)
    migrate(database, "standing.gateway.storage")
    assert shown == ["0"]
    with database.read() as connection:  # for that transaction only, not for its session
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "200ms"
    with pytest.raises(StorageUnavailable), Storage(database).read() as connection:
        connection.execute(text("SELECT pg_sleep(0.5)"))
    database.close()


@pytest.mark.postgresql
def test_leadership_is_held_outside_any_transaction_that_could_be_ended(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "gateway"))
    lock = lock_of(database, "follower")
    for _ in range(2):  # acquired, then checked
        assert lock.hold()
        with database.read() as connection:
            holders = text(
                "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )
            assert connection.execute(holders).scalars().all() == ["idle"]
    lock.release()
    database.close()


@pytest.mark.parametrize("step", ["migrate", "_bindings", "_sessions"])
def test_a_gateway_that_cannot_be_built_closes_its_database(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    closed: list[Storage] = []
    close = Storage.close

    def failing(*_: Any) -> None:
        raise StorageUnavailable("gone", 1)

    def noting(storage: Storage) -> None:
        closed.append(storage)
        close(storage)

    monkeypatch.setattr(f"standing.gateway.composition.{step}", failing)
    monkeypatch.setattr(Storage, "close", noting)
    with pytest.raises(StorageUnavailable, match="gone"):
        build(a_rig.settings, a_rig.clock)
    assert len(closed) == 1
