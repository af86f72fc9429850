"""Importing a core's accounts from a file and from a view: rows a second, durable, compared with Python and SQLite
alone.

The file's peer reads each line with the csv module and inserts its fields into SQLite in the same steps. The view's
peer reads the view, page by page, and does nothing with the rows. They check nothing, encrypt nothing and remember
nothing: no reader of such a file or view can be faster here.
"""

import csv
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from bench.figures import Figure, Ratio
from standing.ledger.clock import SystemClock
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.feed.drop_file import parse_name
from standing.node.feed.file_load import FileLoader
from standing.node.feed.service import Feed
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.storage.database import NodeDatabase, opened

ROWS = 100_000
#: Fewer, so that the section ends in minutes; the rate is the same.
VIEW_ROWS = 50_000
AIM_PER_SECOND = 8_000
_PAGE = 1_000
_NAMES = (
    *("number", "number_type", "status", "debit_allowed", "credit_allowed", "currency"),
    *("transaction_limit_minor", "daily_limit_minor", "holder_name"),
    *("id_document_scheme", "id_document_country", "id_document_number", "phone"),
)
_EFFECTIVE_AT_MS = 1_767_225_600_000


def _accounts(count: int) -> Iterator[list[str | int]]:
    """Invented accounts, as cells in the order of `_NAMES`."""
    for index in range(count):
        holder = f"欧阳测试{chr(0x4E00 + index % 5_000)}"
        document = ("CCPT", "CN", f"E{index:08d}", f"+86138{index:08d}")
        yield [f"73{index:010d}", "account", "active", "true", "true", "CNY", 500_000, 2_000_000, holder, *document]


def write_file(path: Path, rows: int) -> None:
    """A full file of accounts, in the feed's own form."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_NAMES)
        writer.writerows(_accounts(rows))


def make_view(path: Path, rows: int) -> None:
    """A core's database, whose view states the same accounts."""
    names, marks = ", ".join(_NAMES), ",".join("?" * len(_NAMES))
    with closing(sqlite3.connect(path)) as core:
        core.execute(f"CREATE TABLE accounts ({names}, effective_at_ms INTEGER)")
        stated = f"INSERT INTO accounts VALUES ({marks}, {_EFFECTIVE_AT_MS})"  # noqa: S608 - our own names
        core.executemany(stated, _accounts(rows))
        core.execute("CREATE INDEX accounts_changed ON accounts (effective_at_ms)")
        core.execute("CREATE VIEW standing_accounts AS SELECT * FROM accounts")
        core.commit()


@contextmanager
def _node(folder: Path) -> Iterator[tuple[Feed, NodeDatabase, Vault]]:
    """A node's feed on a store of its own."""
    vault = Vault([secrets.token_bytes(32)], "node")
    with opened(f"sqlite:///{folder / secrets.token_hex(4)}.sqlite3") as database:
        keys = BankSecrets([secrets.token_bytes(32)])
        yield Feed(database, vault, keys, SystemClock(), max_waiting=ROWS, on_change=lambda: None), database, vault


def standing(folder: Path, file: Path) -> int:
    """Import the file as `standing-node feed send` does. Returns: the number of new accounts."""
    with _node(folder) as (feed, database, vault):
        loader = FileLoader(feed, database, vault, page_size=_PAGE)
        report = loader.load(file, parse_name(file.name), lambda _done, _all: None, threading.Event())
    return report.new_accounts


def standing_view(folder: Path, core: Path) -> int:
    """Import the view as the node's own source does, in one pass. Returns: the number of accounts in the store."""
    settings = SqlViewSettings.model_validate({"url": f"sqlite:///{core}", "page_size": _PAGE})
    with _node(folder) as (feed, database, vault):
        with closing(SqlViewSource(settings, feed, database, vault)) as source:
            source.step(threading.Event())
        with database.read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one())


def alone(folder: Path, file: Path) -> int:
    """The csv module and sqlite3, a durable commit for each page. Returns: the number of rows."""
    count = 0
    with sqlite3.connect(folder / f"{secrets.token_hex(4)}.sqlite3") as database, file.open(newline="") as lines:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"CREATE TABLE accounts (number TEXT PRIMARY KEY, {', '.join(_NAMES[1:])})")
        reader = csv.reader(lines)
        next(reader)
        while page := list(islice(reader, _PAGE)):
            marks = ",".join("?" * len(_NAMES))
            database.executemany(f"INSERT INTO accounts VALUES ({marks})", page)  # noqa: S608 - our own names
            database.commit()
            count += len(page)
    return count


def view_alone(_folder: Path, core: Path) -> int:
    """sqlite3, a page in memory at a time. Returns: the number of rows."""
    count = 0
    with closing(sqlite3.connect(core)) as database:
        rows = database.execute("SELECT * FROM standing_accounts ORDER BY effective_at_ms")
        while page := rows.fetchmany(_PAGE):
            count += len(page)
    return count


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """The figures for `bench.py`."""
    file, core = folder / "full-20260101T020000Z.csv", folder / "core.sqlite3"
    write_file(file, ROWS)
    make_view(core, VIEW_ROWS)
    load, viewed = f"a full file of {ROWS:,} new accounts", f"a view of {VIEW_ROWS:,} new accounts"
    ours = Figure("intake", load, "Standing, durable", unit="rows per second", ours=True)
    peer = Figure("intake", load, "csv and sqlite3 alone", unit="rows per second")
    ours_view = Figure("intake", viewed, "Standing, view", unit="rows per second", ours=True)
    peer_view = Figure("intake", viewed, "sqlite3 alone, read only", unit="rows per second")
    contenders: list[tuple[Figure, Callable[[Path, Path], int], Path, int]] = [
        (ours, standing, file, ROWS),
        (peer, alone, file, ROWS),
        (ours_view, standing_view, core, VIEW_ROWS),
        (peer_view, view_alone, core, VIEW_ROWS),
    ]
    for _ in range(min(rounds, 3)):
        for figure, take, source, rows in contenders:
            began_s, began_processor_s = time.perf_counter(), time.process_time()
            taken = take(folder, source)
            if taken != rows:
                raise RuntimeError(f"{figure.contender}: {taken} rows were taken in, {rows} are in the core")
            figure.rates.append(rows / (time.perf_counter() - began_s))
            figure.extra["processor_us_a_row"] = (time.process_time() - began_processor_s) / rows * 1e6
    return [figure for figure, _, _, _ in contenders], [
        Ratio(f"intake: rows a second / {AIM_PER_SECOND:,}", ours.rate / AIM_PER_SECOND, 1.0),
        Ratio(f"intake: a view's rows a second / {AIM_PER_SECOND:,}", ours_view.rate / AIM_PER_SECOND, 1.0),
    ]
