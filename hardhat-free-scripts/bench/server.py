"""The gateway for benchmarks, one worker: unchanged, or answering from a copy instead of the ledger.

The peers differ from the real gateway only in where a record comes from: the live ledger, a dictionary in
the process (the cached snapshot that Standing replaces), or the same copy in Redis. Two are limits: `empty` is a
FastAPI route that does nothing, with the same key check; `same` does the same durable work without Standing
(`bench.same_work`). `counted` is the real gateway, and counts its statements; `scored` scores its bindings all
the time, run after run (`gateway.warning.risk_run`); a served one makes one run a day.

Each runs on one core, as after `standing-gateway serve --pin`; `bench.cores` keeps the rest of a benchmark off it.
"""

import argparse
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import redis
import redis.asyncio
from fastapi import Depends, FastAPI
from sqlalchemy import Engine, event, select

from bench.same_work import SameWork
from standing.gateway.app import create_app
from standing.gateway.decisions.service import DecisionService
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.settings import GatewaySettings
from standing.gateway.storage import bulk
from standing.gateway.storage.schema import bindings
from standing.gateway.warning.risk_run import RiskRunner
from standing.ledger.attestations.publication import TAG_AND_HEAD_SIZE
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.codec import Record
from standing.ledger.errors import StandingError
from standing.ledger.service.api_keys import Caller, Keyring, require
from standing.ledger.service.database import Database
from standing.ledger.service.serve import listener, serve
from standing.ledger.service.settings import load
from standing.ledger.service.workers import pin


def _copy(settings: GatewaySettings) -> dict[bytes, Seen]:
    """Every binding's current record on the ledger."""
    client = LedgerClient(str(settings.ledger_url), settings.ledger_contract)
    database = Database(settings.database_url)
    with database.read() as connection:
        rows = connection.execute(select(bindings.c.bank, bindings.c.binding)).all()
    database.close()
    copy = {}
    for start in range(0, len(rows), 500):
        queries = [(row.bank, row.binding) for row in rows[start : start + 500]]
        reading = client.read(queries)
        for (_, binding), record in zip(queries, reading.records, strict=True):
            copy[binding] = Seen(record, reading.block_number)
    return copy


def snapshot_reader(copy: dict[bytes, Seen]) -> type[Reader]:
    """A reader that answers from a copy of all records, made at the start."""

    class SnapshotReader(Reader):
        async def read(self, bank: bytes, binding: bytes, *, floor: int = 0) -> Seen:  # noqa: ARG002 - the reader's own signature
            return copy[binding]

    return SnapshotReader


_STORED = struct.Struct(f">Q{TAG_AND_HEAD_SIZE}s32sQ?Q")  # a record and its block


def redis_reader(url: str, copy: dict[bytes, Seen]) -> type[Reader]:
    """A reader that answers from a copy in Redis, one GET a request; existing entries are replaced."""
    with redis.Redis.from_url(url) as server:
        server.mset({binding: _STORED.pack(*seen.record, seen.block_number) for binding, seen in copy.items()})
    # Requests beyond its connections wait; the plain pool would refuse them.
    client = redis.asyncio.Redis(connection_pool=redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=64))

    class RedisReader(Reader):
        async def read(self, bank: bytes, binding: bytes, *, floor: int = 0) -> Seen:  # noqa: ARG002 - the reader's own signature
            stored = await client.get(binding)
            assert isinstance(stored, bytes)  # the client decodes nothing unless asked to
            *record, block_number = _STORED.unpack(stored)
            return Seen(Record._make(record), block_number)

    return RedisReader


def empty_app(settings: GatewaySettings) -> FastAPI:
    """One route that does nothing."""
    app = FastAPI()
    app.state.keyring = Keyring(settings.api_keys)

    @app.post("/v1/decisions")
    async def nothing(_caller: Annotated[Caller, Depends(require("platform"))]) -> dict[str, str]:
        return {"outcome": "none"}

    return app


@contextmanager
def counting() -> Iterator[dict[str, int]]:
    """Count what decisions cost their database, for a service created inside the block.

    Yields: the numbers of commits, of their SQL statements (including BEGIN and COMMIT), decisions, and bytes of
    answers.
    """
    counted = {"commits": 0, "statements": 0, "decisions": 0, "bytes": 0}
    inside = threading.local()
    plain = DecisionService._commit
    plain_statement = bulk.on_driver

    def commit(service: DecisionService, reads: Sequence[Any]) -> Sequence[bytes | StandingError]:
        inside.now = True
        try:
            with patch.object(bulk, "on_driver", on_driver):
                answers = plain(service, reads)
        finally:
            inside.now = False
        counted["commits"] += 1
        counted["decisions"] += len(answers)
        counted["bytes"] += sum(len(answer) for answer in answers if isinstance(answer, bytes))
        return answers

    def note(*_: object) -> None:
        if getattr(inside, "now", False):
            counted["statements"] += 1

    def on_driver(*given: Any, **options: Any) -> Any:
        """Run a statement, and count it where SQLAlchemy does not see it."""
        if given[0].dialect.name == "sqlite":
            note()
        return plain_statement(*given, **options)

    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", note)
    with patch.object(DecisionService, "_commit", commit):
        yield counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["ledger", "snapshot", "redis", "empty", "same", "counted", "scored"])
    parser.add_argument("config", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", help="URL of the Redis server")
    arguments = parser.parse_args()
    pin(0)
    settings = load(GatewaySettings, arguments.config)
    if arguments.kind == "empty":
        serve(empty_app(settings), listener("127.0.0.1", arguments.port))
        return
    if arguments.kind == "same":
        serve(SameWork(settings), listener("127.0.0.1", arguments.port))
        return
    reader = Reader
    if arguments.kind == "snapshot":
        reader = snapshot_reader(_copy(settings))
    if arguments.kind == "redis":
        reader = redis_reader(arguments.redis, _copy(settings))
    with ExitStack() as patches:
        patches.enter_context(patch("standing.gateway.composition.Reader", reader))
        counted = patches.enter_context(counting()) if arguments.kind == "counted" else None
        app = create_app(settings)
    if counted is not None:
        app.add_api_route("/counts", lambda: counted)
    if arguments.kind == "scored":
        runner = app.state.gateway.warning.risks
        scoring = threading.Thread(target=_keep_scoring, args=(runner,), daemon=True)
        scoring.start()
        app.add_api_route("/scoring", scoring.is_alive)
    # As `standing-gateway serve` does.
    serve(app.state.load, listener("127.0.0.1", arguments.port), app.state.load)


def _keep_scoring(runner: RiskRunner) -> None:
    while True:
        runner.run()


if __name__ == "__main__":
    main()
