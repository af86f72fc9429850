"""The same durable work without Standing: the minimum that one process needs for a decision.

A bare ASGI app, without a framework. For each request it checks the API key, parses the body, reads the ledger by one
`eth_call` for all requests waiting when it is sent, unseals the record, signs as many bytes as evidence has with
Ed25519, and inserts the rows of a decision through sqlite3 in one transaction for all waiting requests, on disk before
any is answered. It keeps none of the promises: no safe repetition, no limits, no checks, no reasons. Standing's own
formats (calldata, sealing) are used, so that both do the same arithmetic.
"""

import asyncio
import hmac
import json
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, TypeVar

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import make_url

from standing.gateway.evidence.signing import load_evidence_key
from standing.gateway.settings import GatewaySettings, read_vault_secrets
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.sealing import unseal
from standing.ledger.chain.codec import Record, decode_read, encode_query, encode_read
from standing.ledger.service.vault import Vault

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_DAY = "2026-01-01"
#: About the length of evidence (gateway.evidence.claims).
_CLAIMS = "x" * 900
_INSERT_DECISION = "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_RESERVATION = (
    "INSERT INTO reservations (transaction_id, account, day, currency, kind, amount_minor, state, expires_at_ms) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_USAGE = (
    "INSERT INTO usage (account, day, currency, kind, used_minor) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (account, day, currency, kind) DO UPDATE SET used_minor = used_minor + excluded.used_minor"
)

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Bound:
    bank: str
    bank_bytes: bytes
    account: bytes
    key: bytes


class _Shared(Generic[Job, Result]):
    """Runs jobs in batches: those that arrive during a batch form the next one."""

    def __init__(self, do: Callable[[list[Job]], Awaitable[list[Result]]]) -> None:
        self._do = do
        self._waiting: list[tuple[Job, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def submit(self, job: Job) -> "asyncio.Future[Result]":
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((job, result))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return result

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    results = await self._do([job for job, _ in batch])
                except Exception as error:  # noqa: BLE001 - passed to every waiting job, which would otherwise wait for ever
                    for _, waiting in batch:
                        waiting.set_exception(error)
                    continue
                for (_, waiting), result in zip(batch, results, strict=True):
                    waiting.set_result(result)
        finally:
            self._running = None


class SameWork:
    """The ASGI app. `settings`: of the gateway it is compared with; it writes to that database."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._url = str(settings.ledger_url)
        self._contract = settings.ledger_contract
        self._keys = [key.sha256 for key in settings.api_keys if key.role == "platform"]
        self._signing_key: Ed25519PrivateKey = load_evidence_key(settings.evidence_key_file)
        self._path = str(make_url(settings.database_url).database)
        self._bound = self._load(settings)
        self._session: aiohttp.ClientSession | None = None
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._database = self._writer.submit(self._connect).result()
        self._reads = _Shared(self._read)
        self._commits = _Shared(self._commit)

    def _load(self, settings: GatewaySettings) -> dict[str, _Bound]:
        vault = Vault(read_vault_secrets(settings), "gateway")
        with sqlite3.connect(self._path) as database:
            rows = database.execute("SELECT binding, bank, account, key_sealed FROM bindings").fetchall()
        return {
            "0x" + binding.hex(): _Bound(bank, bic_to_bytes11(bank), account, vault.unseal(sealed))
            for binding, bank, account, sealed in rows
        }

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        return database

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["method"] == "GET":
            await _answer(send, 200, b"{}")
            return
        headers = dict(scope["headers"])
        given = sha256(headers.get(b"authorization", b"").removeprefix(b"Bearer ")).hexdigest()
        if not any(hmac.compare_digest(given, known) for known in self._keys):
            await _answer(send, 401, b"{}")
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = json.loads(body)
        many = asked.get("decisions")
        answers = await self._decide(many or [asked])
        await _answer(send, 200, answers[0] if many is None else b"[" + b",".join(answers) + b"]")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        self._writer.submit(self._database.close).result()
        await send({"type": "lifespan.shutdown.complete"})

    async def _decide(self, asked: list[dict[str, Any]]) -> list[bytes]:
        distinct = list(dict.fromkeys(each["binding"] for each in asked))
        records = dict(zip(distinct, await asyncio.gather(*map(self._reads.submit, distinct)), strict=True))
        return await asyncio.gather(*(self._commits.submit((each, records[each["binding"]])) for each in asked))

    async def _read(self, bindings: list[str]) -> list[Record]:
        assert self._session is not None
        queries = [encode_query(self._bound[each].bank_bytes, bytes.fromhex(each[2:])) for each in bindings]
        call = {"to": self._contract, "data": "0x" + encode_read(queries).hex()}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]})
        async with self._session.post(self._url, data=body.encode()) as response:
            answer = json.loads(await response.read())
        return list(decode_read(bytes.fromhex(answer["result"][2:]), len(queries)).records)

    async def _commit(self, jobs: list[tuple[dict[str, Any], Record]]) -> list[bytes]:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, jobs)

    def _write(self, jobs: list[tuple[dict[str, Any], Record]]) -> list[bytes]:
        now_ms = time.time_ns() // 1_000_000
        decisions, reservations, usage, answers = [], [], [], []
        for asked, record in jobs:
            binding, bound = bytes.fromhex(asked["binding"][2:]), self._bound[asked["binding"]]
            number, kind, amount_minor = asked["transaction_id"], asked["kind"], asked["amount_minor"]
            terms = unseal(
                record.tag_and_head,
                record.tail,
                key=bound.key,
                bank=bound.bank,
                binding=binding,
                publication=record.publication,
            )
            claims = urlsafe_b64encode(json.dumps({**asked, "status": terms.status.name, "more": _CLAIMS}).encode())
            signature = urlsafe_b64encode(self._signing_key.sign(claims))
            document = {**asked, "outcome": "approve", "evidence": (claims + b"." + signature).decode()}
            answer = json.dumps(document)
            answers.append(answer.encode())
            currency = asked["currency"]
            decisions.append((number, binding, kind, amount_minor, currency, "approve", None, now_ms, answer, None))
            reservations.append((number, bound.account, _DAY, currency, kind, amount_minor, "reserved", now_ms))
            usage.append((bound.account, _DAY, currency, kind, amount_minor))
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(_INSERT_DECISION, decisions)
        self._database.executemany(_INSERT_RESERVATION, reservations)
        self._database.executemany(_ADD_USAGE, usage)
        self._database.execute("COMMIT")
        return answers


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def durable_commits_per_second(path: str, for_s: float) -> float:
    """How often one row can be inserted and committed to a new SQLite database at `path`, each on disk separately."""
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        count, began_s = 0, time.perf_counter()
        while time.perf_counter() - began_s < for_s:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO rows (body) VALUES (?)", (_CLAIMS,))
            database.execute("COMMIT")
            count += 1
        rate = count / (time.perf_counter() - began_s)
    database.close()
    return rate
