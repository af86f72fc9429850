"""Scale: reading, deciding and the console at a thousand, a hundred thousand and a million bindings.

Each size has a ledger, a database and a gateway of its own, and all run at once, so that the rounds of one size
alternate with those of the others. Every binding is real: its terms are sealed, published in batches of 500 under its
bank's signature, and its key is in the gateway's database as the binding of a user would be. Two banks share each
ledger, one for each process that fills it. The gateway's database looks as if its follower had always been running.
"""

import asyncio
import itertools
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import anvil
from bench.consoles import look_at_accounts, open_consoles
from bench.decide import requests
from bench.figures import Figure, Ratio, interleave, rate_ratio
from bench.fill import Share, fill
from bench.http_load import drive
from bench.read import Setup
from bench.read import standing as read_by_standing
from localnet import BANK_ADMIN, REGISTRAR, LocalBank, LocalNet
from processes import Process
from standing.gateway.following import followed
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import SystemClock
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.service.database import Database, migrate

SIZES = (1_000, 100_000, 1_000_000)
_BICS = ("YUNXCNB0", "BKCHCNBJ")
_PLATFORM = "jinqiao-pay"
_CONNECTIONS = 64
_ROUND_S = 3.0
#: Bindings queried in one round, drawn at random from all.
_ASKED = 50_000
#: Account pages opened in one round, and consoles open during decisions.
_PAGES = 30
_CONSOLES = 10
#: The time allowed for an account's page.
_PAGE_MS = 100.0
_PAGE = "the console's page of an account"
#: The ratio below which a difference counts; above it is noise.
_UNSEEN = 0.97
_CPU = "processor_s_per_1000"
_SHARE = 15_000  # the bindings a filling process makes before it reports progress


class Stage:
    """A ledger, a database and a gateway with a number of bindings. `database_url`: an empty one, else SQLite."""

    def __init__(self, folder: Path, size: int, database_url: str | None = None) -> None:
        self.size = size
        self._database_url = database_url
        self.bindings: list[list[bytes]] = [[] for _ in _BICS]
        folder.mkdir()
        self.anvil, self.url = anvil.start(folder, history=False)
        self.net = LocalNet(folder, _PLATFORM, ledger_url=self.url)
        self.gateway: Process | None = None
        self._spent: dict[str, list[float]] = {}
        self._dice = random.Random(size)  # noqa: S311 - no secret

    def prepare(self) -> list[Share]:
        """Deploy the contract, admit the banks, and make the gateway's settings and database."""
        self.net.deploy()
        client = LedgerClient(self.url, self.net.contract)
        keys = {bic: secrets.token_bytes(32) for bic in _BICS}
        for bic, key in keys.items():
            step = governance.admit(bic, LocalSigner(key).address, LocalSigner(BANK_ADMIN).address)
            governance.execute(client, step, REGISTRAR)
            # No node: nothing measured here needs one.
            self.net.banks[bic] = LocalBank(bic, bic, self.net.folder, "http://127.0.0.1:9", "", "unused", {})
        self.net.add_gateway(policy={"freshness": [{"up_to_minor": "any", "max_staleness_ms": 86_400_000}]})
        # A run over all bindings is paced, and not part of the measurement.
        self.net.gateway_settings["reconcile_every_minutes"] = "never"
        if self._database_url is not None:
            self.net.gateway_settings["database_url"] = self._database_url
        url = self.net.gateway_settings["database_url"]
        database = Database(url)
        migrate(database, "standing.gateway.storage")
        database.close()
        anvil.mine_on_request(self.url)
        vault_secret = bytes.fromhex((self.net.folder / "gateway" / "vault-secret").read_text())
        return [
            Share(self.url, self.net.contract, url, vault_secret, _PLATFORM, bic, key, payer, secrets.token_bytes(32))
            for (bic, key), payer in zip(keys.items(), DEVNET_KEYS[3:], strict=False)
        ]

    def start_gateway(self) -> None:
        """Start the gateway as if its follower had seen every binding, and warm it up."""
        self.skip_following()
        self.gateway = self.net.start_gateway()
        self.decide(Figure("", "", ""))

    def skip_following(self) -> None:
        """Leave the database as a follower that has seen every binding would."""
        database = Database(self.net.gateway_settings["database_url"])
        with database.write() as connection:
            followed.start(connection, LedgerClient(self.url, self.net.contract).head(), None)
            cursor = followed.load(connection)
            assert cursor is not None
            followed.adopted(connection, cursor, SystemClock().now_ms() + 1)
        database.close()

    def read(self, figure: Figure) -> None:
        """A round of reading."""
        asked = self._dice.choices(self.bindings[0], k=_ASKED)
        setup = Setup(self.url, self.net.contract, bic_to_bytes11(_BICS[0]), asked)
        asyncio.run(read_by_standing(setup, figure, _CONNECTIONS))

    def decide(self, figure: Figure) -> None:
        """A round of deciding. Raises: RuntimeError where a request is not decided."""
        every = list(itertools.chain(*self.bindings))
        asked = ["0x" + binding.hex() for binding in self._dice.choices(every, k=_ASKED)]
        make = requests(self.net.gateway_url, self.net.gateway_key, asked)
        assert self.gateway is not None
        began_s = self.gateway.processor_s()
        load = asyncio.run(drive(self.net.gateway_url, make, connections=_CONNECTIONS, for_s=_ROUND_S))
        spent_s = self.gateway.processor_s() - began_s
        if set(load.statuses) != {200}:
            raise RuntimeError(f"{self.size:,} bindings: {load.statuses}")
        figure.rates.append(load.rate)
        figure.latencies_ms += load.latencies_ms
        self._spent.setdefault(figure.contender, []).append(spent_s / len(load.latencies_ms) * 1_000)
        figure.extra[_CPU] = median(self._spent[figure.contender])

    def decide_watched(self, figure: Figure) -> None:
        """As `decide`, while consoles are open."""
        with open_consoles(self.net.gateway_url, self.net.support_key, _CONSOLES):
            self.decide(figure)

    def pages(self, figure: Figure) -> None:
        """A round of opening the pages of accounts, with no other load."""
        asked = self._dice.choices(self.bindings[0], k=_PAGES)
        look_at_accounts(
            self.net.gateway_url, self.net.support_key, ["0x" + binding.hex() for binding in asked], figure
        )

    def memory(self) -> dict[str, float]:
        """The current memory and database size."""
        assert self.gateway is not None
        database = (self.net.folder / "gateway" / "gateway.sqlite3").stat().st_size / 2**20
        return {
            "anvil_mib": self.anvil.memory_mib(),
            "gateway_mib": self.gateway.memory_mib(),
            "database_mib": database,
        }

    def stop(self) -> None:
        self.net.stop()
        self.anvil.stop()


def populate(stages: Sequence[Stage]) -> None:
    """Fill all stages, both banks of each at once."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProcessPoolExecutor(len(_BICS), mp_context=get_context("spawn")) as pool, Progress(*columns) as progress:
        for stage in stages:
            task = progress.add_task(f"{stage.size:,} bindings", total=stage.size)
            shares = stage.prepare()
            for count in _portions(stage.size // len(shares)):
                filled: list[Future[list[bytes]]] = [pool.submit(fill, share, count) for share in shares]
                for bindings, future in zip(stage.bindings, filled, strict=True):
                    bindings.extend(future.result())
                    progress.advance(task, count)


def _portions(count: int) -> Iterator[int]:
    for start in range(0, count, _SHARE):
        yield min(_SHARE, count - start)


def run(folder: Path, rounds: int, sizes: Sequence[int] = SIZES) -> tuple[list[Figure], list[Ratio]]:
    """Measure reading and deciding at each of `sizes`. Raises: anvil.AnvilMissing."""
    stages: list[Stage] = []
    try:
        for size in sizes:
            stages.append(Stage(folder / str(size), size))  # noqa: PERF401 - every started stage is stopped
        populate(stages)
        for stage in stages:
            stage.start_gateway()
        figures = _measured(stages, rounds)
    finally:
        for stage in stages:
            stage.stop()
    return list(figures.values()), _ratios(figures, sizes[0], sizes[-1])


def _measured(stages: Sequence[Stage], rounds: int) -> dict[tuple[str, int], Figure]:
    """The figures, by operation and number of bindings."""
    loads = {"read": f"read, {_CONNECTIONS} at once", "decide": f"decide, {_CONNECTIONS} at once", "page": _PAGE}
    figures = {
        (what, stage.size): Figure("scale", f"{stage.size:,} bindings", name)
        for what, name in loads.items()
        for stage in stages
    }
    first = stages[0]
    watched = Figure("scale", f"{first.size:,} bindings", f"{loads['decide']}, consoles open: {_CONSOLES}")
    figures["watched", first.size] = watched
    measures: dict[str, Callable[[], None]] = {}
    for stage in stages:
        measures[f"read {stage.size}"] = partial(stage.read, figures["read", stage.size])
        measures[f"decide {stage.size}"] = partial(stage.decide, figures["decide", stage.size])
        if stage is first:
            measures["watched"] = partial(stage.decide_watched, watched)
        measures[f"page {stage.size}"] = partial(stage.pages, figures["page", stage.size])
    interleave(rounds, measures)
    for stage in stages:
        figures["decide", stage.size].extra |= stage.memory()
    return figures


def _ratios(figures: Mapping[tuple[str, int], Figure], first: int, last: int) -> list[Ratio]:
    watched, alone, page = figures["watched", first], figures["decide", first], figures["page", last]
    page_name = f"scale: milliseconds of an account's page at {last:,} bindings, median"
    return [
        *(
            rate_ratio(f"scale: {what}, {last:,} bindings / {first:,}", figures[what, last], figures[what, first], 0.9)
            for what in ("read", "decide")
        ),
        rate_ratio(f"scale: decide, {_CONSOLES} consoles open / none", watched, alone, _UNSEEN),
        Ratio(
            f"scale: processor seconds of a decision, no console / {_CONSOLES} open",
            alone.extra[_CPU] / watched.extra[_CPU],
            _UNSEEN,
        ),
        Ratio(page_name, page.latency_ms(50), _PAGE_MS, at_least=False),
    ]
