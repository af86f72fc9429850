"""The gateway's database is closed only once nobody uses it any more."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.storage import Storage
from ledger.service.database import Database
from tests.databases import new_database


@pytest.mark.anyio
async def test_a_read_whose_caller_went_away_ends_before_the_database_is_closed(tmp_path: Path) -> None:
    """Else its connection would come back to a pool that is gone, and never be closed."""
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
