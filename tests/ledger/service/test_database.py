"""One SQLite database used by several processes at once."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

from standing.ledger.service.database import Database

_AT_ONCE = 8


@pytest.mark.long
def test_workers_that_make_a_new_database_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """One in twenty new files was refused to one of eight as locked, so that a first start with workers failed."""

    def opened(url: str, together: Barrier) -> int:
        database = Database(url)
        together.wait()
        try:
            with database.write() as connection:
                return int(connection.execute(text("SELECT 1")).scalar_one())
        finally:
            database.close()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for index in range(150):
            together, url = Barrier(_AT_ONCE), f"sqlite:///{tmp_path}/{index}.sqlite3"
            assert list(pool.map(opened, [url] * _AT_ONCE, [together] * _AT_ONCE)) == [1] * _AT_ONCE


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_database_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """The folder that the guides make for it is open to every user of the machine."""
    before = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path}/node.sqlite3")
        with database.write() as connection:
            connection.execute(text("CREATE TABLE bindings (id INTEGER)"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert modes.keys() == {"node.sqlite3", "node.sqlite3-wal", "node.sqlite3-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_database_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "node.sqlite3"
    file.touch()
    file.chmod(0o640)
    database = Database(f"sqlite:///{file}")
    with database.read() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    database.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
