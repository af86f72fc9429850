"""Passes over a core's SQL view, and the node's stored state after them."""

import threading
from typing import Any

from sqlalchemy import func, select

from standing.node.accounts.quarantine import Quarantine, Unstated
from standing.node.fault_points import no_faults
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.storage import schema
from tests.node.node_tools import SqlCore, feed_of
from tests.world import Bank

GO = threading.Event()


def view_source(bank: Bank, core: SqlCore, faults: Any = no_faults, **changed: Any) -> SqlViewSource:
    settings = SqlViewSettings(**core.settings(**changed))
    source = SqlViewSource(settings, feed_of(bank, faults), bank.node.database, bank.secrets.vault())
    core.closing.append(source.close)
    return source


def read_pass(bank: Bank, core: SqlCore, source: SqlViewSource, later_ms: int = 1_000) -> int:
    """One pass, some time later. Returns: the core's time then."""
    now_ms = bank.clock.advance(later_ms)
    core.set_time(now_ms)
    source.step(GO)
    return now_ms


def stored(bank: Bank) -> int:
    with bank.node.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(schema.accounts)).scalar_one())


def unstated(bank: Bank) -> list[Unstated]:
    with bank.node.database.read() as connection:
        return Quarantine(bank.secrets.vault()).listed(connection, 1_000)
