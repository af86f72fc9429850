"""Taking a core's file in: rows a second, durable, beside the same file read and stored by Python alone.

The peer reads each line with the csv module and inserts its fields into SQLite in the same steps. It checks nothing,
encrypts nothing and remembers nothing. It is the limit of what any reader of such a file can do here.
"""

import csv
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from bench.figures import Figure, Ratio
from standing.ledger.clock import SystemClock
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.feed.drop_file import parse_name
from standing.node.feed.file_load import FileLoader
from standing.node.feed.service import Feed
from standing.node.storage.database import opened

ROWS = 100_000
#: Rows a second: what a file was taken in at before any core's own form was understood.
AIM_PER_SECOND = 2_700
_PAGE = 1_000
_NAMES = (
    *("number", "number_type", "status", "debit_allowed", "credit_allowed", "currency"),
    *("transaction_limit_minor", "daily_limit_minor", "holder_name"),
    *("id_document_scheme", "id_document_country", "id_document_number", "phone"),
)


def write_file(path: Path, rows: int) -> None:
    """A full file of accounts, in the feed's own form."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_NAMES)
        for index in range(rows):
            holder = f"欧阳测试{chr(0x4E00 + index % 5_000)}"
            document = ("CCPT", "CN", f"E{index:08d}", f"+86138{index:08d}")
            writer.writerow(
                [f"73{index:010d}", "account", "active", "true", "true", "CNY", 500_000, 2_000_000, holder, *document]
            )


def standing(folder: Path, file: Path) -> int:
    """Take the file in as `standing-node feed send` does. Returns: how many accounts it stated."""
    vault = Vault([secrets.token_bytes(32)], "node")
    with opened(f"sqlite:///{folder / secrets.token_hex(4)}.sqlite3") as database:
        keys = BankSecrets([secrets.token_bytes(32)])
        feed = Feed(database, vault, keys, SystemClock(), max_waiting=ROWS, on_change=lambda: None)
        loader = FileLoader(feed, database, vault, page_size=_PAGE)
        report = loader.load(file, parse_name(file.name), lambda _done, _all: None, threading.Event())
    return report.new_accounts


def alone(folder: Path, file: Path) -> int:
    """The csv module and sqlite3, a durable commit for each page. Returns: how many rows."""
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


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """The figures for `bench.py`."""
    file = folder / "full-20260101T020000Z.csv"
    write_file(file, ROWS)
    load = f"a full file of {ROWS:,} new accounts"
    ours = Figure("intake", load, "Standing, durable", unit="rows per second", ours=True)
    peer = Figure("intake", load, "csv and sqlite3 alone", unit="rows per second")
    contenders: list[tuple[Figure, Callable[[Path, Path], int]]] = [(ours, standing), (peer, alone)]
    for _ in range(min(rounds, 3)):
        for figure, take in contenders:
            began_s = time.perf_counter()
            taken = take(folder, file)
            if taken != ROWS:
                raise RuntimeError(f"{figure.contender}: {taken} rows were taken in, {ROWS} are in the file")
            figure.rates.append(ROWS / (time.perf_counter() - began_s))
    return [ours, peer], [Ratio(f"intake: rows a second / {AIM_PER_SECOND:,}", ours.rate / AIM_PER_SECOND, 1.0)]
