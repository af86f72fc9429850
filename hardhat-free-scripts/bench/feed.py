"""How fast, and in how much memory, a bank node imports a large core: N new accounts behind a SQL view.

    python -m bench.feed --accounts 100000 --bound 2000

The node is a process of its own, started by its own command, so its peak memory is its own. Then all accounts change
in the same millisecond, as after an interest run, and `--bound` of them have a binding whose change must reach the
ledger.
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine, create_engine, text

from localnet import LocalBank, LocalNet

_PLATFORM = "jinqiao-pay"
_PATIENCE_S = 1_800.0
_LOOK_EVERY_S = 0.1

_SCHEMA = """
CREATE TABLE accounts (
    number TEXT PRIMARY KEY, number_type TEXT, status TEXT, debit_allowed INTEGER, credit_allowed INTEGER,
    currency TEXT, transaction_limit_minor INTEGER, daily_limit_minor INTEGER, holder_name TEXT,
    id_document_scheme TEXT, id_document_country TEXT, id_document_number TEXT, phone TEXT, effective_at_ms INTEGER
);
CREATE INDEX accounts_changed ON accounts (effective_at_ms);
CREATE VIEW standing_accounts AS SELECT * FROM accounts;
"""


def _row(index: int) -> dict[str, Any]:
    return {
        "number": f"73{index:010d}",
        "number_type": "account",
        "status": "active",
        "debit_allowed": 1,
        "credit_allowed": 1,
        "currency": "CNY",
        "transaction_limit_minor": 500_000,
        "daily_limit_minor": 2_000_000,
        "holder_name": f"Holder Number {'abcdefghij'[index % 10]}",
        "id_document_scheme": "CCPT",
        "id_document_country": "CN",
        "id_document_number": f"E{index:08d}",
        "phone": f"+86138{index:08d}",
        "effective_at_ms": 1_767_225_600_000,
    }


def _make_core(path: Path, accounts: int) -> Engine:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                connection.execute(text(statement))
        names = list(_row(0))
        insertion = text(
            f"INSERT INTO accounts ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"  # noqa: S608
        )
        for start in range(0, accounts, 5_000):
            connection.execute(insertion, [_row(index) for index in range(start, min(accounts, start + 5_000))])
    return engine


class Bench:
    """A chain, a bank's node and its core."""

    def __init__(self, folder: Path, accounts: int, page_size: int) -> None:
        self.accounts = accounts
        self.core = _make_core(folder / "core.sqlite3", accounts)
        self.net = LocalNet(folder, _PLATFORM)
        self.net.start_ledger()
        view = {"url": f"sqlite:///{folder}/core.sqlite3", "poll_ms": 200, "page_size": page_size}
        self.bank: LocalBank = self.net.add_bank("YUNXCNB0", "Yunxi", sql_view=view)
        self.store = create_engine(self.bank.settings["database_url"])

    def wait(self, what: str, total: int, look: Callable[[], tuple[int, bool]]) -> float:
        """Wait, with a progress bar, until `look` reports that it is done. Returns: seconds. Raises: TimeoutError."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        begun = time.perf_counter()
        with Progress(*columns) as progress:
            task = progress.add_task(what, total=total)
            while True:
                count, done = look()
                progress.update(task, completed=count)
                if done:
                    return time.perf_counter() - begun
                if time.perf_counter() - begun > _PATIENCE_S:
                    raise TimeoutError(f"{what}: not done after {_PATIENCE_S} s")
                time.sleep(_LOOK_EVERY_S)

    def number(self, query: str) -> int:
        """One number from the node's store."""
        with self.store.connect() as connection:
            return int(connection.execute(text(query)).scalar_one() or 0)

    def bind(self, count: int) -> None:
        """Bind some of the accounts."""
        headers = {"Authorization": f"Bearer {self.bank.platform_key}"}
        with httpx.Client(base_url=self.bank.url, headers=headers, timeout=60) as client:
            for index in range(count):
                skipped = ("status", "effective_at_ms", "currency", "debit_allowed", "credit_allowed")
                claim = {k: v for k, v in _row(index).items() if k not in skipped and not k.endswith("_minor")}
                answer = client.post("/v1/bindings", json={"request_id": secrets.token_hex(8), **claim})
                assert answer.json()["outcome"] == "granted", answer.text


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--bound", type=int, default=2_000)
    parser.add_argument("--page-size", type=int, default=1_000)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.accounts, options.page_size)
        try:
            _run(bench, options.bound, console)
        finally:
            bench.net.stop()


def _run(bench: Bench, bound: int, console: Console) -> None:
    stored = "SELECT count(*) FROM accounts"
    promised = "SELECT coalesce(max(as_of_ms), 0) FROM feed_entries WHERE complete"
    process = bench.net.start_bank(bench.bank)
    idle = process.memory_mib("VmRSS")
    seconds = bench.wait("initial load", bench.accounts, lambda: (bench.number(stored), bench.number(promised) > 0))
    assert bench.number(stored) == bench.accounts
    peak = process.memory_mib("VmHWM")
    console.print(f"{bench.accounts} new accounts: {seconds:.1f} s, {bench.accounts / seconds:.0f} accounts/s")
    console.print(f"the node's memory: {idle:.0f} MiB at the start, {peak:.0f} MiB at the most")

    bench.bind(bound)
    bench.wait(f"{bound} bindings published", bound, lambda: _published(bench, bound))
    changed_ms = time.time_ns() // 1_000_000
    with bench.core.begin() as connection:
        connection.execute(text("UPDATE accounts SET daily_limit_minor = 1, effective_at_ms = :at"), {"at": changed_ms})
    changed = f"SELECT count(*) FROM accounts WHERE effective_at_ms >= {changed_ms}"  # noqa: S608 - a number
    seconds = bench.wait("all change at once", bench.accounts, lambda: _counted(bench.number(changed), bench.accounts))
    console.print(f"{bench.accounts} changed accounts: {seconds:.1f} s, {bench.accounts / seconds:.0f} accounts/s")
    seconds = bench.wait(f"{bound} changes published", 2 * bound, lambda: _published(bench, 2 * bound))
    console.print(f"the {bound} bindings' changes were on the ledger {seconds:.1f} s after the last account was read")
    console.print(f"the node's memory: {process.memory_mib('VmHWM'):.0f} MiB at the most")


def _published(bench: Bench, wanted: int) -> tuple[int, bool]:
    query = (
        "SELECT count(*) FROM outbox JOIN publications ON number = publication WHERE publications.in_block_at_ms > 0"
    )
    return _counted(bench.number(query), wanted)


def _counted(count: int, wanted: int) -> tuple[int, bool]:
    return count, count >= wanted


if __name__ == "__main__":
    main()
