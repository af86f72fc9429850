"""The console's page of an account on a large database: how long it takes, and the cost of ten idle consoles.

    PYTHONPATH=.:hardhat-free-scripts .venv/bin/python -m bench.pages --bindings 1000000

A real network with some bindings whose pages are opened; beside them the gateway's database is filled with bindings
that nobody opens, each with its state, a decision, an observation and an event. The ledger holds the real ones only: a
page reads one record from it, however many there are.
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track
from sqlalchemy import func, insert, select

from bench.bank import bind_users, core, start_bank
from bench.consoles import look_at_accounts, open_consoles
from bench.figures import Figure
from localnet import LocalNet
from standing.gateway.following import followed
from standing.gateway.storage import schema
from standing.ledger.clock import SystemClock
from standing.ledger.service.database import Database

_REAL = 20
_ROUNDS = 10
_DECISIONS = 5
_BATCH = 20_000
_CONSOLES = 10
#: The tables that grow with bindings and their use; each gets one row per binding.
_FILLED = (schema.bindings, schema.binding_states, schema.observations, schema.decisions, schema.events)


def fill(database: Database, count: int) -> int:
    """Write rows for `count` bindings that copy the first one. Returns: the total number of bindings.

    Raises: RuntimeError where a table is empty.
    """
    samples = {}
    with database.read() as connection:
        for table in _FILLED:
            row = connection.execute(select(table).limit(1)).mappings().first()
            if row is None:
                raise RuntimeError(f"{table.name}: no row to make others like it")
            samples[table.name] = dict(row)
    samples["events"].pop("position")
    for start in track(range(0, count, _BATCH), f"{count:,} bindings"):
        made = [secrets.token_bytes(32) for _ in range(min(_BATCH, count - start))]
        with database.write() as connection:
            for table in _FILLED:
                connection.execute(insert(table), list(_rows(table.name, samples[table.name], made)))
    with database.write() as connection:
        # As a follower that had always been running would leave it: every binding has its first attestation.
        cursor = followed.load(connection)
        if cursor is None:
            raise RuntimeError("this gateway's follower has never run")
        followed.adopted(connection, cursor, SystemClock().now_ms())
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.bindings)) or 0


def _rows(name: str, sample: Mapping[str, Any], made: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for binding in made:
        digits = binding.hex()
        own: dict[str, Any] = {"binding": binding}
        if name == "bindings":
            own |= {
                "user_id": f"u-{digits[:24]}",
                "account": binding[::-1],
                "number_masked": f"915600******{digits[-4:]}",
            }
        elif name == "decisions":
            own |= {"transaction_id": f"t-{digits[:40]}"}
        elif name == "events":
            own |= {"id": f"evt_{digits[:32]}"}
        yield {**sample, **own}


def use(net: LocalNet, bindings: Sequence[str]) -> None:
    """Decide some payments of each binding, so that there is a trail to show."""
    with httpx.Client(
        base_url=net.gateway_url, headers={"Authorization": f"Bearer {net.gateway_key}"}, timeout=60
    ) as door:
        for binding in bindings:
            for _ in range(_DECISIONS):
                body = {"transaction_id": secrets.token_hex(8), "binding": binding, "kind": "payment"}
                money = {"amount_minor": 1_000, "currency": "CNY"}
                door.post("/v1/decisions", json=body | money).raise_for_status()


def measured(folder: Path, count: int, seconds: float, console: Console) -> None:
    """Fill the database, open pages, then keep consoles open; print the cost of each."""
    with ExitStack() as stack:
        net = LocalNet(folder, "jinqiao-pay")
        stack.callback(net.stop)
        net.start_ledger()
        bank = start_bank(net)
        bindings = bind_users(net, bank, _REAL)
        # A run over all bindings is paced, and not part of the measurement.
        net.gateway_settings |= {"reconcile_every_minutes": "never", "warning": {"every_minutes": "never"}}
        gateway = net.start_gateway()
        use(net, bindings)
        with core(bank) as door:
            now_ms = SystemClock().now_ms()
            door.post("/v1/feed", json={"as_of_ms": now_ms, "changes": []}).raise_for_status()
        gateway.stop()
        database = Database(net.gateway_settings["database_url"])
        began_s = time.perf_counter()
        there = fill(database, count)
        database.close()
        console.print(f"{there:,} bindings filled in {time.perf_counter() - began_s:.0f} s")
        gateway = net.start_gateway()
        page = Figure("pages", f"{count:,} bindings", "the console's page of an account")
        spent_s = gateway.processor_s()
        for _ in range(_ROUNDS):
            look_at_accounts(net.gateway_url, net.support_key, bindings, page)
        spent_s = gateway.processor_s() - spent_s
        console.print(
            f"a page: median {page.latency_ms(50):.1f} ms, 99th percentile {page.latency_ms(99):.1f} ms, "
            f"{spent_s / len(page.latencies_ms) * 1_000:.1f} ms of the gateway's processor"
        )
        for consoles in (0, _CONSOLES):
            with ExitStack() as open_ones:
                if consoles:
                    open_ones.enter_context(open_consoles(net.gateway_url, net.support_key, consoles))
                before_s = gateway.processor_s()
                time.sleep(seconds)
                spent = (gateway.processor_s() - before_s) / seconds
            console.print(f"{consoles} consoles open, nothing else: {spent * 1_000:.1f} ms of processor a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bindings", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long consoles are watched")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="standing-pages-") as folder:
        measured(Path(folder), arguments.bindings, arguments.seconds, Console())


if __name__ == "__main__":
    main()
