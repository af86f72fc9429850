"""A small world to test in: a chain, banks with their nodes, a platform with its gateway, one clock, and faults.

Everything is real and is accessed as in production: the chain by JSON-RPC over HTTP, node and gateway by HTTP. Only
time is simulated: it moves when `World.clock` is advanced. Tests wait for work in other threads, such as publishing, by
its effect.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from standing.gateway.app import create_app as create_gateway
from standing.gateway.evidence.signing import new_evidence_key
from standing.gateway.settings import GatewaySettings
from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import ManualClock, SystemClock
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.private_files import write_private
from standing.ledger.service.serve import served
from standing.node.app import create_app
from standing.node.composition import Node, Secrets, build
from standing.node.fault_points import Faults, no_faults
from standing.node.settings import NodeSettings
from standing.node.storage.database import NodeDatabase
from tests.databases import new_database
from tests.faulty_chain import Chain
from tests.timeouts import PATIENT_MS, patient_ledger

PLATFORM = "jinqiao-pay"
REGISTRAR = DEVNET_KEYS[0]
GUARDIAN = DEVNET_KEYS[1]
BANK_ADMIN = DEVNET_KEYS[2]
_SENDERS = itertools.cycle(DEVNET_KEYS[3:])
_PATIENCE_S = 60.0

#: How old a bank's attestations may be, by the policy of the world's platform.
MAX_STALENESS_MS = 60_000

_T = TypeVar("_T")

#: One invented person's account, as the core first states it.
ACCOUNT: Mapping[str, Any] = {
    "number": "9156010708800389733",
    "number_type": "card",
    "status": "active",
    "debit_allowed": True,
    "credit_allowed": True,
    "currency": "CNY",
    "transaction_limit_minor": 500_000,
    "daily_limit_minor": 2_000_000,
    "holder_name": "诸葛松芳",
    "id_document_scheme": "NIDN",
    "id_document_country": "CN",
    "id_document_number": "310101197606149886",
    "phone": "+8615351432867",
}
CLAIM_FIELDS = tuple(name for name in Claim.model_fields if name in ACCOUNT)


def wait_until(look: Callable[[], _T]) -> _T:
    """The first truthy result of `look`. Raises: tenacity.RetryError after a minute."""
    return Retrying(
        retry=retry_if_result(lambda seen: not seen), wait=wait_fixed(0.01), stop=stop_after_delay(_PATIENCE_S)
    )(look)


@dataclass
class Bank:
    """A bank: its core, which this object plays, and its node."""

    bic: str
    clock: ManualClock
    client: LedgerClient
    signer_key: bytes
    signer: LocalSigner
    folder: Path
    core_key: str
    platform_key: str
    settings: NodeSettings
    secrets: Secrets
    node: Node = field(init=False)
    url: str = field(init=False)
    _databases: list[NodeDatabase] = field(default_factory=list)

    def start(self, stack: ExitStack, faults: Faults = no_faults) -> None:
        """Start the node, in threads of this process."""
        self.node = build(self.settings, self.secrets, self.clock, faults)
        self._databases.append(self.node.database)
        self.url = stack.enter_context(served(create_app(self.node)))

    def close(self) -> None:
        """Close every database again: a test that reads one after its node has ended reopens it."""
        for database in self._databases:
            database.close()

    def post(self, path: str, key: str | None, **kwargs: Any) -> httpx.Response:
        """Any POST to the node."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return httpx.post(self.url + path, headers=headers, timeout=30, **kwargs)

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        """Any GET to the node."""
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {key or self.core_key}"}, timeout=30)

    def feed(self, *changes: Mapping[str, Any]) -> int:
        """Have the core state changes that took effect just now, 10 ms after the last. Returns: as_of_ms."""
        as_of_ms = self.clock.advance(10)
        stated = [{"effective_at_ms": as_of_ms, **change} for change in changes]
        answer = self.post("/v1/feed", self.core_key, json={"as_of_ms": as_of_ms, "changes": stated})
        assert answer.status_code == 200, answer.text
        return as_of_ms

    def change(self, *changes: Mapping[str, Any]) -> int:
        """As `feed`, and wait until every resulting attestation is in a block."""
        as_of_ms = self.feed(*changes)
        wait_until(lambda: self.get(f"/v1/feed/{as_of_ms}").json()["on_ledger"])
        return as_of_ms

    def wait_until_published(self) -> None:
        """Wait until nothing is left to sign and every publication is in a block, also to the node's knowledge."""

        def is_published() -> bool:
            status = self.get("/v1/status").json()
            return bool(status["waiting"] == 0 and status["in_flight"] == 0)

        wait_until(is_published)

    def make_heartbeat_due(self) -> None:
        """Move the clock past the time between two heartbeats, and wake the publisher."""
        self.clock.advance(self.settings.publisher.heartbeat_ms + 1)
        self.node.publisher.wake()

    def wait_until_nothing_is_signed(self) -> None:
        """With the chain down: wait until the publisher has noticed. Until then it may still sign what waits."""
        self.feed()
        self.make_heartbeat_due()
        wait_until(lambda: self.node.publisher.trouble)

    def heartbeat(self) -> int:
        """Have the core send an entry without changes, and wait until the ledger has it. Returns: the watermark."""
        as_of_ms = self.feed()
        # Only now: everything signed from here on includes the entry.
        self.make_heartbeat_due()
        wait_until(lambda: self.client.bank(self.bic).watermark_ms >= as_of_ms)
        return as_of_ms

    def bind(self, account: Mapping[str, Any] = ACCOUNT, request_id: str | None = None) -> httpx.Response:
        """Ask the node for a binding, as the platform does."""
        claim = {name: account[name] for name in CLAIM_FIELDS}
        body = {"request_id": request_id or secrets.token_hex(8), **claim}
        return self.post("/v1/bindings", self.platform_key, json=body)


@dataclass
class Platform:
    """A payment platform: its gateway, for the banks that existed when it was started."""

    url: str
    key: str
    folder: Path
    settings: GatewaySettings

    def post(self, path: str, key: str | None = None, **kwargs: Any) -> httpx.Response:
        """Any POST to the gateway, with the platform's own key unless another is given."""
        return httpx.post(self.url + path, headers={"Authorization": f"Bearer {key or self.key}"}, timeout=30, **kwargs)

    def get(self, path: str) -> httpx.Response:
        """Any GET to the gateway."""
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def delete(self, path: str) -> httpx.Response:
        """Any DELETE to the gateway."""
        return httpx.delete(self.url + path, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def ask_to_bind(self, bank: str, account: Mapping[str, Any] = ACCOUNT, **changed: Any) -> httpx.Response:
        """Ask to bind an account of `bank` for a user."""
        claim = {name: account[name] for name in CLAIM_FIELDS}
        body = {"bank": bank, "user_id": "u-001", "request_id": secrets.token_hex(8), **claim, **changed}
        return self.post("/v1/bindings", json=body)

    def bind(self, bank: str, account: Mapping[str, Any] = ACCOUNT) -> str:
        """Bind an account, and wait until its first attestation can be read. Returns: the binding."""
        answer = self.ask_to_bind(bank, account)
        assert answer.json()["outcome"] == "granted", answer.text
        binding: str = answer.json()["binding"]
        wait_until(lambda: self.get(f"/v1/bindings/{binding}").json()["publication"])
        return binding

    def ask(self, binding: str, amount_minor: int = 100, **changed: Any) -> httpx.Response:
        """Request a decision, by default on a payment in CNY."""
        body = {
            "transaction_id": secrets.token_hex(8),
            "binding": binding,
            "kind": "payment",
            "amount_minor": amount_minor,
            "currency": "CNY",
            **changed,
        }
        return self.post("/v1/decisions", json=body)

    def decide(self, binding: str, amount_minor: int = 100, **changed: Any) -> dict[str, Any]:
        """The decision itself."""
        answer = self.ask(binding, amount_minor, **changed)
        assert answer.status_code == 200, answer.text
        decision: dict[str, Any] = answer.json()
        return decision


class World:
    """The whole world. `start_bank` makes banks; the chain and the contract exist from the beginning."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self.folder = folder
        # The chain's first block carries the machine's time, so the clock starts there.
        self.clock = ManualClock(SystemClock().now_ms())
        self.chain = Chain(self.clock)
        self.chain.url = stack.enter_context(served(self.chain.app))
        registrar = LocalSigner(REGISTRAR).address
        self.contract = governance.deploy(
            self.chain.url,
            REGISTRAR,
            governor=registrar,
            registrar=registrar,
            guardian=LocalSigner(GUARDIAN).address,
        )
        self.client = patient_ledger(self.chain.url, self.contract)
        self.banks: dict[str, Bank] = {}

    def make_bank(self, bic: str = "YUNXCNB0", **settings_changed: Any) -> Bank:
        """Admit a bank, with everything its node needs, without starting it."""
        signer = LocalSigner(signer_key := secrets.token_bytes(32))
        step = governance.admit(bic, signer.address, LocalSigner(BANK_ADMIN).address)
        governance.execute(self.client, step, REGISTRAR)
        folder = self.folder / bic
        folder.mkdir()
        (core_key, core_hash), (platform_key, platform_hash) = new_key(), new_key()
        unused = folder / "unused"
        publisher = {"heartbeat_ms": 50, "poll_ms": 5, **settings_changed.pop("publisher", {})}
        settings_changed.setdefault("ledger_timeout_ms", PATIENT_MS)
        settings = NodeSettings(
            **settings_changed,
            bic=bic,
            database_url=new_database(folder, "node"),
            ledger_url="" if "ledger_urls" in settings_changed else self.chain.url,
            ledger_contract=self.contract,
            # The secrets are handed over in memory; no test needs the files.
            bank_secret_file=unused,
            vault_secret_file=unused,
            signer_keystore=unused / "signer",
            signer_password_file=unused,
            sender_keystore=unused / "sender",
            sender_password_file=unused,
            api_keys=[
                {"name": "core", "role": "core", "sha256": core_hash},
                {"name": "platform", "role": "platform", "platform": PLATFORM, "sha256": platform_hash},
            ],
            publisher=publisher,
        )
        held = Secrets(secrets.token_bytes(32), secrets.token_bytes(32), signer, next(_SENDERS))
        bank = Bank(bic, self.clock, self.client, signer_key, signer, folder, core_key, platform_key, settings, held)
        self.banks[bic] = bank
        self._stack.callback(bank.close)
        return bank

    def start_bank(self, bic: str = "YUNXCNB0", faults: Faults = no_faults, **settings_changed: Any) -> Bank:
        """Admit a bank and start its node."""
        bank = self.make_bank(bic, **settings_changed)
        bank.start(self._stack, faults)
        return bank

    def start_platform(self, **settings_changed: Any) -> Platform:
        """Start a gateway for all banks so far."""
        folder = self.folder / "gateway"
        folder.mkdir()
        write_private(folder / "vault-secret", secrets.token_hex(32))
        new_evidence_key(folder / "evidence-key.pem")
        for bank in self.banks.values():
            write_private(folder / bank.bic, bank.platform_key)
        key, hashed = new_key()
        stated: dict[str, Any] = {
            "platform": PLATFORM,
            "database_url": f"sqlite:///{folder}/gateway.sqlite3",
            "ledger_url": self.chain.url,
            "ledger_contract": self.contract,
            "ledger_read_timeout_ms": PATIENT_MS,
            "bank_node_timeout_ms": PATIENT_MS,
            "vault_secret_files": [folder / "vault-secret"],
            "evidence_key_file": folder / "evidence-key.pem",
            "api_keys": [{"name": "checkout", "role": "platform", "sha256": hashed}],
            "banks": [
                {
                    "bic": bank.bic,
                    "name": bank.bic,
                    "node_url": bank.url,
                    "node_api_key_file": folder / bank.bic,
                    "time_zone": "Asia/Shanghai",
                }
                for bank in self.banks.values()
            ],
            "policy": {"freshness": [{"up_to_minor": "any", "max_staleness_ms": MAX_STALENESS_MS}]},
        }
        settings = GatewaySettings(**(stated | settings_changed))
        url = self._stack.enter_context(served(create_gateway(settings, self.clock)))
        return Platform(url, key, folder, settings)


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A new world, with its files in `folder`; everything in it ends with the block."""
    with ExitStack() as stack:
        yield World(stack, folder)
