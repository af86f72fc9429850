"""Leadership: one process at a time, and another takes over as soon as it is gone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from standing.ledger.service.database import Database
from standing.ledger.service.leader import Leader, NoLock, _key, lock_of
from with_postgres import PostgresMissing, postgres

_HOLD = """
import sys
from standing.ledger.service.database import Database
from standing.ledger.service.leader import lock_of
lock = lock_of(Database(sys.argv[1]), "follower")
assert lock.hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_only_one_process_leads_until_it_resigns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.sqlite3"
    first, second = (Leader(lock_of(Database(url), "follower"), "follower") for _ in range(2))
    assert [first.leads(), second.leads(), first.leads()] == [True, False, True]
    assert [first.led, second.led] == [True, False]
    first.resign()
    assert [second.leads(), first.leads()] == [True, False]
    second.resign()
    assert not second.led


def test_different_resources_have_separate_locks(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite3")
    follower, reconciler = (Leader(lock_of(database, name), name) for name in ("follower", "reconcile"))
    assert follower.leads()
    assert reconciler.leads()
    follower.resign()
    reconciler.resign()


def test_in_one_postgresql_each_task_of_each_services_schema_has_a_lock_of_its_own() -> None:
    """Advisory locks are of the whole database: two gateways in schemas of their own would take turns."""
    places = [(name, place) for name in ("follower", "reconcile") for place in ("public", "gateway_a", "gateway_b")]
    assert len({_key(name, place) for name, place in places}) == len(places)
    assert _key("follower", None) == _key("follower", "public")


@pytest.mark.long
def test_a_killed_leader_releases_leadership(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.sqlite3"
    mine = Leader(lock_of(Database(url), "follower"), "follower")
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "held\n"
    assert not mine.leads()
    other.kill()
    other.wait()
    other.stdout.close()
    other.stdin.close()
    assert mine.leads()
    mine.resign()


def test_a_lock_file_that_cannot_be_opened_is_asked_for_again(tmp_path: Path) -> None:
    """At the limit of open files, the thread that asked had ended for good."""
    leader = Leader(lock_of(Database(f"sqlite:///{tmp_path}/gateway.sqlite3"), "follower"), "follower")
    (tmp_path / "gateway.sqlite3.follower").mkdir()
    assert not leader.leads()
    (tmp_path / "gateway.sqlite3.follower").rmdir()
    assert leader.leads()
    leader.resign()


def test_a_leader_whose_lock_cannot_be_checked_leads_no_longer() -> None:
    """As when the session that holds it was cut: the lock may be another's by now."""

    class Cut(NoLock):
        def hold(self) -> bool:
            if leader.led:
                raise OperationalError("SELECT 1", None, Exception("server closed the connection"))
            return True

    leader = Leader(Cut(), "follower")
    assert [leader.leads(), leader.leads()] == [True, False]
    assert not leader.led


def test_a_link_to_a_database_has_the_databases_own_lock(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "gateway.sqlite3")
    urls = [f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("gateway", "link")]
    first, second = (Leader(lock_of(Database(url), "follower"), "follower") for url in urls)
    assert [first.leads(), second.leads()] == [True, False]
    first.resign()


def test_an_in_memory_database_needs_no_lock() -> None:
    assert isinstance(lock_of(Database("sqlite://"), "follower"), NoLock)


@pytest.mark.npm
def test_a_lost_postgresql_session_is_noticed_and_another_process_leads() -> None:
    with postgres_or_skip() as url:
        first, second = Database(url), Database(url)
        one, other = (Leader(lock_of(database, "follower"), "follower") for database in (first, second))
        assert [one.leads(), other.leads(), one.leads()] == [True, False, True]
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
        engine.dispose()
        assert [one.leads(), other.leads(), one.leads()] == [False, True, False]
        other.resign()
        assert one.leads()
        one.resign()
        first.close()
        second.close()


@contextmanager
def postgres_or_skip() -> Iterator[str]:
    try:
        server = postgres()
        url = server.__enter__()
    except PostgresMissing as error:
        pytest.skip(str(error))
    try:
        yield url
    finally:
        server.__exit__(None, None, None)
