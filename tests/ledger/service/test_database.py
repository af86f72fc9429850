"""One SQLite database used by several processes at once."""

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
