"""Several gateway processes on one PostgreSQL: the cost of a decision in them and the database, and of one busy
account.

The server is started for the benchmark, with every commit on disk. Processor seconds cover all gateway processes, and
all of the server's; statements are counted by the server (pg_stat_statements), bytes by its write-ahead log. The
decisions a second that one PostgreSQL can handle are computed from that: its processor seconds and bytes bound them,
whatever else this machine does meanwhile. Waiting for locks shows in two rates: many payments of one account, compared
with as many of different ones; and processes with a database on another host, where each statement of a commit waits
for the network, so that commits which exclude each other would not be faster with more processes.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, create_engine, make_url, text

from bench.decide import requests
from bench.figures import Figure, Ratio, rate_ratio
from bench.http_load import Load, drive
from bench.scale import Stage, populate
from processes import Process, free_port
from tests.network.pipes import Pipes
from with_postgres import PostgresMissing, Server, programs, server

_PROCESSES = (1, 2, 4, 8)
_BINDINGS = 10_000
_AT_ONCE = 1_000
_CONNECTIONS = 64
#: A database on another host: the network's delay of each message, and so few connections that waiting is what counts.
_FAR_MS = 1
_FAR_PROCESSES = (1, 4)
_FAR_CONNECTIONS = 16
_ROUND_S = 4.0
_WARM_S = 1.0
_SETTINGS = ("max_connections=300", "shared_preload_libraries=pg_stat_statements", "track_io_timing=off")
_CPU, _SERVER_CPU = "processor_s_per_1000", "server_processor_s_per_1000"
_STATEMENTS, _WAL = "statements_per_decision", "wal_bytes_per_decision"
_PER_CORE = "decisions_per_second_and_server_core"


def check_installed() -> None:
    """Raises: PostgresMissing, which says in one line what is missing."""
    if not any((programs().parent / "lib").rglob("pg_stat_statements.so")):
        raise PostgresMissing("PostgreSQL's pg_stat_statements is missing: apt-get install postgresql-contrib")


@contextmanager
def _gateways(stage: Stage, count: int) -> Iterator[list[tuple[str, Process]]]:
    """`count` gateway processes on the stage's database, each with its URL."""
    started = []
    try:
        for number in range(count):
            port = free_port()
            started.append((f"http://127.0.0.1:{port}", stage.net.launch_gateway(f"gateway-{port}-{number}", port)))
        for url, process in started:
            process.wait_for(url + "/healthz")
        yield started
    finally:
        for _, process in started:
            process.stop()


async def _drive(
    stage: Stage, urls: Sequence[str], bindings: Sequence[str], each: int, for_s: float, most: int
) -> Load:
    """Load all of `urls` at once over `each` connections to each, with at most `most` payments in all."""
    left = itertools.count()

    async def one(url: str) -> Load:
        make = requests(url, stage.net.gateway_key, list(bindings))
        return await drive(url, lambda: make() if next(left) < most else None, connections=each, for_s=for_s)

    loads = await asyncio.gather(*(one(url) for url in urls))
    together = Load(seconds=max(load.seconds for load in loads))
    for load in loads:
        together.latencies_ms += load.latencies_ms
        for status, count in load.statuses.items():
            together.statuses[status] = together.statuses.get(status, 0) + count
    if set(together.statuses) != {200}:
        raise RuntimeError(f"not every answer is 200: {together.statuses}")
    return together


class _Costs:
    """The database's own counters."""

    def __init__(self, engine: Engine, running: Server) -> None:
        self._engine = engine
        self._running = running

    def now(self) -> tuple[float, int, int]:
        """Processor seconds, statements and bytes of its log so far."""
        with self._engine.connect() as connection:
            statements = connection.scalar(text("SELECT sum(calls) FROM pg_stat_statements"))
            written = connection.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))
        return self._running.processor_s(), int(statements or 0), int(written or 0)


class _Measured:
    """Figures, filled round by round."""

    def __init__(self, stage: Stage, costs: _Costs) -> None:
        self._stage = stage
        self._costs = costs
        self._rounds: dict[tuple[int, str], list[float]] = {}
        self._every = ["0x" + binding.hex() for of_bank in stage.bindings for binding in of_bank]
        self.spread = {
            count: Figure("postgresql", f"{_CONNECTIONS} connections to each", f"gateway processes: {count}", ours=True)
            for count in _PROCESSES
        }
        at_once = f"{_AT_ONCE:,} payments at once, 2 processes"
        self.cold = Figure("postgresql", at_once, f"out of {_BINDINGS:,} accounts", ours=True)
        self.hot = Figure("postgresql", at_once, "all of one account", ours=True)
        far = f"{_FAR_CONNECTIONS} connections to each, {2 * _FAR_MS} ms to the database"
        self.far = {
            count: Figure("postgresql", far, f"gateway processes: {count}", ours=True) for count in _FAR_PROCESSES
        }

    def round(self) -> None:
        """One round of all measurements."""
        for count, figure in self.spread.items():
            with _gateways(self._stage, count) as started:
                urls = [url for url, _ in started]
                asyncio.run(_drive(self._stage, urls, self._every, _CONNECTIONS, _WARM_S, 10**9))
                spent_s, before = sum(process.processor_s() for _, process in started), self._costs.now()
                load = asyncio.run(_drive(self._stage, urls, self._every, _CONNECTIONS, _ROUND_S, 10**9))
                after, spent_s = self._costs.now(), sum(process.processor_s() for _, process in started) - spent_s
                self._note(figure, load, spent_s, [now - then for now, then in zip(after, before, strict=True)])
                if count == 2:
                    for one, bindings in ((self.cold, self._every), (self.hot, self._every[:1])):
                        load = asyncio.run(_drive(self._stage, urls, bindings, _AT_ONCE // 2, 60, _AT_ONCE))
                        one.rates.append(load.rate)
                        one.latencies_ms += load.latencies_ms
        self._far_round()

    def _far_round(self) -> None:
        settings = self._stage.net.gateway_settings
        near = make_url(settings["database_url"])
        assert near.port is not None
        with Pipes() as pipes:
            pipe = pipes.link(near.port)
            pipe.weather.delay_ms = _FAR_MS
            settings["database_url"] = near.set(port=pipe.port).render_as_string(hide_password=False)
            try:
                for count, figure in self.far.items():
                    with _gateways(self._stage, count) as started:
                        urls = [url for url, _ in started]
                        asyncio.run(_drive(self._stage, urls, self._every, _FAR_CONNECTIONS, _WARM_S, 10**9))
                        load = asyncio.run(_drive(self._stage, urls, self._every, _FAR_CONNECTIONS, _ROUND_S, 10**9))
                        figure.rates.append(load.rate)
                        figure.latencies_ms += load.latencies_ms
            finally:
                settings["database_url"] = near.render_as_string(hide_password=False)

    def _note(self, figure: Figure, load: Load, spent_s: float, database: Sequence[float]) -> None:
        decided = len(load.latencies_ms)
        figure.rates.append(load.rate)
        figure.latencies_ms += load.latencies_ms
        server_s, statements, written = database
        costs = {
            _CPU: spent_s / decided * 1000,
            _SERVER_CPU: server_s / decided * 1000,
            _STATEMENTS: statements / decided,
            _WAL: written / decided,
            _PER_CORE: decided / server_s,
        }
        for name, value in costs.items():
            rounds = self._rounds.setdefault((id(figure), name), [])
            rounds.append(value)
            figure.extra[name] = median(rounds)

    def ratios(self) -> list[Ratio]:
        one = self.spread[1].extra[_CPU]
        return [
            *(
                Ratio(
                    f"postgresql: processor seconds of a decision, {count} processes / 1",
                    self.spread[count].extra[_CPU] / one,
                    1.15,
                    at_least=False,
                )
                for count in _PROCESSES[1:]
            ),
            rate_ratio(
                f"postgresql: {_AT_ONCE:,} payments at once, one account / different ones", self.hot, self.cold, 0.9
            ),
            rate_ratio(
                f"postgresql: {2 * _FAR_MS} ms to the database, {_FAR_PROCESSES[-1]} processes / 1",
                self.far[_FAR_PROCESSES[-1]],
                self.far[1],
                2,
            ),
        ]


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure on PostgreSQL. Raises: PostgresMissing, anvil.AnvilMissing."""
    with ExitStack() as stack:
        running = stack.enter_context(server(_SETTINGS))
        engine = create_engine(running.url)
        stack.callback(engine.dispose)
        with engine.begin() as connection:
            connection.execute(text("CREATE EXTENSION pg_stat_statements"))
        stage = Stage(folder / "stage", _BINDINGS, running.url)
        stack.callback(stage.stop)
        populate([stage])
        stage.skip_following()
        stage.net.gateway_settings["max_decision_requests"] = _AT_ONCE
        measured = _Measured(stage, _Costs(engine, running))
        for _ in range(rounds):
            measured.round()
    figures = [*measured.spread.values(), measured.cold, measured.hot, *measured.far.values()]
    return figures, measured.ratios()
