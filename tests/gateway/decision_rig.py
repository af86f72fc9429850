"""A decision service on a real database, whose reader gives scripted answers: for behaviour inside the commit."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_utils import to_checksum_address
from sqlalchemy import insert, select

from standing.gateway.bindings.banks import BankDirectory, NodeClient
from standing.gateway.bindings.service import Bindings
from standing.gateway.bindings.settings import BankSettings
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.service import DecisionService
from standing.gateway.decisions.usage import RESERVATION_LIFETIME_MS, State
from standing.gateway.evidence.signing import EvidenceSigner
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.limits import LIMIT_FIELDS, NO_LIMITS
from standing.ledger.attestations.publication import Domain
from standing.ledger.attestations.sealing import seal
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.clock import ManualClock, SystemClock
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.vault import Vault

BANK = "YUNXCNB0"
CONTRACT = "0x" + "ab" * 20
#: 2026-01-01 12:00:00.000 in Shanghai.
NOON_MS = 1_767_240_000_000
TAGS = IdentityTags(b"nam", b"doc", b"pho")
_SECRET = bytes(range(32))


class ScriptedReader(Reader):
    """Answers by `script`, which may wait or raise."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9/", CONTRACT, budget_ms=1_000, max_waiting=10)
        self.reads = 0
        self.floors: list[int] = []
        self.script: Callable[[bytes], Awaitable[Seen]] | None = None

    async def read(self, bank: bytes, binding: bytes, *, floor: int = 0) -> Seen:
        self.reads += 1
        self.floors.append(floor)
        assert bank == BANK.encode().ljust(11, b"\0")
        assert self.script is not None
        return await self.script(binding)


@dataclass
class Account:
    """The test bank's attestation for a binding's account."""

    binding: bytes
    key: bytes
    publication: int = 1
    watermark_ms: int | None = None  # None: just now
    terms: dict[str, Any] = field(default_factory=dict)

    def record(self, now_ms: int) -> Record:
        stated: dict[str, Any] = {
            "status": Status.ACTIVE,
            "debit_allowed": True,
            "credit_allowed": True,
            "currency": 156,
            "effective_at_ms": 1,
            "tags": TAGS,
        }
        limits = {"transaction_limit_minor": 5_000, "daily_limit_minor": 5_000}
        limits |= {name: self.terms[name] for name in LIMIT_FIELDS if name in self.terms}
        others = {name: value for name, value in self.terms.items() if name not in LIMIT_FIELDS}
        terms = Terms(**(stated | others), limits=replace(NO_LIMITS, **limits))
        sealed = seal(terms, key=self.key, bank=BANK, binding=self.binding, publication=self.publication)
        return Record(self.publication, *sealed, now_ms if self.watermark_ms is None else self.watermark_ms, False)


class DecisionRig:
    """A decision service with everything under it. Several can share one folder, as processes share a database."""

    def __init__(
        self,
        folder: Path,
        clock: ManualClock,
        *,
        time_zone: str = "Asia/Shanghai",
        max_waiting: int = 10_000,
        policy: Policy | None = None,
        reservation_lifetime_ms: int = RESERVATION_LIFETIME_MS,
        database_url: str | None = None,
        banks: tuple[str, ...] = (BANK,),
    ) -> None:
        self.clock = clock
        self.database = Database(database_url or f"sqlite:///{folder}/gateway.sqlite3")
        migrate(self.database, "standing.gateway.storage")
        self.storage = Storage(self.database)
        self.vault = Vault([_SECRET], "gateway")
        key_file = folder / "node-key"
        key_file.write_text("sk_unused\n")
        self.reader = ScriptedReader()
        self.reader.script = self._answer
        self.accounts: dict[bytes, Account] = {}
        directory = BankDirectory(
            BankSettings(
                bic=bic, name="Bank", node_url="http://127.0.0.1:9", node_api_key_file=key_file, time_zone=time_zone
            )
            for bic in banks
        )
        self.bindings = Bindings(
            storage=self.storage,
            vault=self.vault,
            banks=directory,
            nodes=NodeClient(1.0, SystemClock()),
            reader=self.reader,
            clock=clock,
            max_waiting=100,
            max_cached=100,
        )
        self.key = Ed25519PrivateKey.generate()
        domain = Domain(1337, to_checksum_address(CONTRACT))
        self.decisions = DecisionService(
            storage=self.storage,
            bindings=self.bindings,
            reader=self.reader,
            evidence=EvidenceSigner(self.key, platform="jinqiao-pay", domain=domain),
            policy=policy or Policy(),
            clock=clock,
            max_waiting=max_waiting,
            reservation_lifetime_ms=reservation_lifetime_ms,
        )

    async def _answer(self, binding: bytes) -> Seen:
        return Seen(self.accounts[binding].record(self.clock.now_ms()), 1)

    def bind(self, number: str = "", **terms: Any) -> Account:
        """A stored binding; `number` names its account, a new one by default."""
        account = Account(secrets.token_bytes(32), secrets.token_bytes(32), terms=terms)
        values = {
            "binding": account.binding,
            "bank": BANK,
            "user_id": "u-1",
            "number_masked": "****",
            "number_type": "card",
            "account": self.vault.lookup("account", number or account.binding.hex()),
            "key_sealed": self.vault.seal(account.key),
            "tags": TAGS.pack(),
            "granted_at_ms": 1,
            "grant_signature": bytes(65),
            "created_at_ms": 1,
            "floor": 0,
        }
        with self.database.write() as connection:
            connection.execute(insert(schema.bindings).values(**values))
        self.accounts[account.binding] = account
        return account

    async def decide(self, account: Account, amount_minor: int = 1_000, **changes: Any) -> dict[str, Any]:
        stated: dict[str, Any] = {
            "transaction_id": f"t-{secrets.token_hex(6)}",
            "binding": account.binding,
            "kind": Kind.PAYMENT,
            "amount_minor": amount_minor,
            "currency": "CNY",
        }
        answer: dict[str, Any] = json.loads(await self.decisions.decide(Transaction(**(stated | changes))))
        return answer

    async def settle(self, transaction_id: str, state: State, amount_minor: int | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.decisions.settle(transaction_id, state, amount_minor))
        reservation: dict[str, Any] = answer["reservation"]
        return reservation

    def rows(self, table: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(table)))

    def used(self) -> list[tuple[str, str, int]]:
        """Day, currency and sum of every usage row."""
        return sorted((row.day.isoformat(), row.currency, row.used_minor) for row in self.rows(schema.usage))


@contextmanager
def decision_rig(folder: Path, clock: ManualClock | None = None, **options: Any) -> Iterator[DecisionRig]:
    """A decision service on the database in `folder`; `options` as for DecisionRig."""
    made = DecisionRig(folder, clock or ManualClock(NOON_MS), **options)
    try:
        yield made
    finally:
        made.storage.close()
