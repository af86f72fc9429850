"""The node, put together from its settings."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import FastAPI

from standing.ledger.attestations.publication import Signer
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Sender
from standing.ledger.clock import Clock, SystemClock
from standing.ledger.service import problems
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.database import migrate
from standing.ledger.service.request_limits import BodyLimit
from standing.ledger.service.settings import read_secret
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.store import AccountStore
from standing.node.bindings import routes as lifecycle_api
from standing.node.bindings.assembly import make_bindings
from standing.node.bindings.off_boarding import OffBoardings
from standing.node.bindings.regranting import Regranting
from standing.node.bindings.resync import Resync
from standing.node.bindings.service import Bindings
from standing.node.bindings.velocity import TooManyAttempts, Velocity
from standing.node.fault_points import Faults, kill_at, no_faults
from standing.node.feed import routes as api
from standing.node.feed.service import Feed
from standing.node.feed.sources import source_tasks
from standing.node.operations import routes as operations_api
from standing.node.operations import status
from standing.node.operations.housekeeping import housekeeping_tasks
from standing.node.operations.metrics import Meters, StateCollector
from standing.node.operations.standby import StandbyGate
from standing.node.publishing.keys import open_sender, open_signer
from standing.node.publishing.outbox import Issuer
from standing.node.publishing.publisher import Publisher, PublisherOptions
from standing.node.publishing.restating import Restating
from standing.node.publishing.submission import Submitter
from standing.node.publishing.trail import Trail
from standing.node.settings import NodeSettings
from standing.node.storage.database import NodeDatabase
from standing.node.storage.leadership import Duty
from standing.node.workers import Workers


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the settings' secret files hold. The sending key is a private key, or what signs in its place."""

    bank_secret: bytes
    vault_secret: bytes
    signer: Signer
    sender_key: bytes | Signer
    newer_bank_secrets: tuple[bytes, ...] = ()
    older_vault_secrets: tuple[bytes, ...] = ()

    def bank_secrets(self) -> BankSecrets:
        """The bank's secrets, by version. Raises: InvalidValue."""
        return BankSecrets([self.bank_secret, *self.newer_bank_secrets])

    def vault(self) -> Vault:
        """What personal data in the node's database is kept with. Raises: InvalidValue."""
        return Vault([self.vault_secret, *self.older_vault_secrets], "node")


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of a running node."""

    settings: NodeSettings
    clock: Clock
    database: NodeDatabase
    client: LedgerClient
    feed: Feed
    bindings: Bindings
    off_boardings: OffBoardings
    resync: Resync
    regranting: Regranting
    workers: Workers
    publisher: Publisher
    duty: Duty
    meters: Meters
    trail: Trail


def read_secrets(settings: NodeSettings) -> Secrets:
    """Read every secret file that the settings name. Raises: SettingsError."""
    return Secrets(
        bank_secret=read_secret(settings.bank_secret_file, "bank_secret_file"),
        vault_secret=read_secret(settings.vault_secret_file, "vault_secret_file"),
        signer=open_signer(settings),
        sender_key=open_sender(settings),
        newer_bank_secrets=tuple(
            read_secret(file, "newer_bank_secret_files") for file in settings.newer_bank_secret_files
        ),
        older_vault_secrets=tuple(
            read_secret(file, "older_vault_secret_files") for file in settings.older_vault_secret_files
        ),
    )


def build(settings: NodeSettings, secrets: Secrets, clock: Clock | None = None, faults: Faults | None = None) -> Node:
    """Connect to the ledger and the database, migrate the latter, and put the parts together.

    Raises: LedgerUnreachable, LedgerMismatch, InvalidValue.
    """
    clock = clock or SystemClock()
    if faults is None:
        faults = no_faults if settings.fault_point is None else kill_at(settings.fault_point)
    client = connect_ledger(settings)
    database = NodeDatabase(settings.database_url)
    migrate(database, "standing.node.storage")
    vault = secrets.vault()
    issuer = Issuer(settings.bic, secrets.bank_secrets(), secrets.signer)
    duty, meters = Duty(database, clock, faults), Meters()
    publisher = _publisher(settings, secrets, database, client, issuer, clock, duty, meters, faults)
    feed = Feed(
        database,
        vault,
        issuer.secret,
        clock,
        max_waiting=settings.max_waiting,
        on_change=publisher.wake,
        faults=faults,
        source=settings.feed_source,
    )
    bindings, deposits = make_bindings(settings, database, vault, issuer, clock, publisher.wake, faults)
    off_boardings = OffBoardings(database, vault, issuer, clock, max_waiting=settings.max_waiting, faults=faults)
    return Node(
        settings=settings,
        clock=clock,
        database=database,
        client=client,
        feed=feed,
        bindings=bindings,
        off_boardings=off_boardings,
        regranting=Regranting(
            database,
            vault,
            issuer,
            clock,
            max_waiting=settings.max_waiting,
            on_change=publisher.wake,
            faults=faults,
        ),
        resync=Resync(database, vault, issuer, clock, on_doubt=publisher.send_again, faults=faults),
        workers=Workers(
            [
                *source_tasks(settings, feed, database, vault, faults),
                *housekeeping_tasks(
                    settings, database, deposits, off_boardings, Velocity(vault, clock), publisher.wake
                ),
            ]
        ),
        publisher=publisher,
        duty=duty,
        meters=meters,
        trail=Trail(database),
    )


def connect_ledger(settings: NodeSettings) -> LedgerClient:
    """Connect to the ledger's nodes and check each that answers; the others are checked before their first use.

    Raises: LedgerUnreachable where none answers, LedgerMismatch, InvalidValue.
    """
    client = LedgerClient(
        settings.all_ledger_urls, settings.ledger_contract, timeout_s=settings.ledger_timeout_ms / 1000
    )
    for name in client.check(settings.chain_id):
        structlog.get_logger().warning("ledger_node_silent", node=name)
    return client


def _publisher(
    settings: NodeSettings,
    secrets: Secrets,
    database: NodeDatabase,
    client: LedgerClient,
    issuer: Issuer,
    clock: Clock,
    duty: Duty,
    meters: Meters,
    faults: Faults,
) -> Publisher:
    options = PublisherOptions(**settings.publisher.model_dump())
    submitter = Submitter(
        database,
        client,
        Sender(client, secrets.sender_key, max_gas_price_wei=settings.max_gas_price_wei),
        issuer,
        clock,
        resend_after_ms=options.resend_after_ms,
        meters=meters,
        faults=faults,
    )
    return Publisher(
        database,
        client,
        submitter,
        Restating(AccountStore(secrets.vault()), issuer),
        issuer,
        clock,
        options,
        confirm_duty=duty.confirm,
        meters=meters,
        faults=faults,
    )


def create_app(node: Node) -> FastAPI:
    """The ASGI app of a node; while it runs and is on duty, so do the publisher and the workers, in their threads."""

    def work() -> None:
        with node.workers.running():
            node.publisher.run()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Before the first call comes in: else the first would find a node that does not know its duty yet.
        await asyncio.to_thread(node.duty.look)
        thread = threading.Thread(target=node.duty.run, args=(work,), name="publisher", daemon=True)
        thread.start()
        yield
        node.duty.stop()
        node.publisher.stop()
        thread.join(timeout=10)
        node.database.close()

    app = FastAPI(
        title="Standing bank node",
        version="0.1.0",
        description="A bank's word on its accounts: feed in from the core, bindings for platforms, attestations out.",
        lifespan=lifespan,
        openapi_tags=api.TAGS,
    )
    app.state.node = node
    node.meters.registry.register(StateCollector(lambda: status.measure(node, node.clock.now_ms())))
    app.state.keyring = Keyring(node.settings.api_keys)
    problems.install(app, {TooManyAttempts: (lifecycle_api.TOO_MANY.status, lifecycle_api.TOO_MANY.title)})
    app.add_middleware(StandbyGate, duty=node.duty)
    app.add_middleware(BodyLimit, max_bytes=node.settings.max_body_bytes)
    app.include_router(api.router)
    app.include_router(lifecycle_api.router)
    app.include_router(operations_api.router)
    return app
