"""The node, put together from its settings."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from ledger.client import LedgerClient
from ledger.clock import Clock, SystemClock
from ledger.publication import LocalSigner, Signer
from ledger.sender import Sender
from ledger.service import problems
from ledger.service.auth import Keyring
from ledger.service.bounds import BodyLimit
from ledger.service.database import Database, migrate
from ledger.service.settings import read_secret
from ledger.service.vault import Vault
from node import api
from node.bindings import Bindings
from node.faults import Faults, kill_at, no_faults
from node.feed import Feed
from node.keys import load_private_key
from node.outbox import Issuer
from node.publisher import Publisher, PublisherOptions
from node.settings import NodeSettings
from node.trail import Trail


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the settings' secret files hold."""

    bank_secret: bytes
    vault_secret: bytes
    signer: Signer
    sender_key: bytes


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of a running node."""

    settings: NodeSettings
    database: Database
    client: LedgerClient
    feed: Feed
    bindings: Bindings
    publisher: Publisher
    trail: Trail


def read_secrets(settings: NodeSettings) -> Secrets:
    """Read every secret file that the settings name. Raises: SettingsError."""
    return Secrets(
        bank_secret=read_secret(settings.bank_secret_file, "bank_secret_file"),
        vault_secret=read_secret(settings.vault_secret_file, "vault_secret_file"),
        signer=LocalSigner(load_private_key(settings.signer_keystore, settings.signer_password_file, "signer")),
        sender_key=load_private_key(settings.sender_keystore, settings.sender_password_file, "sender"),
    )


def build(settings: NodeSettings, secrets: Secrets, clock: Clock | None = None, faults: Faults | None = None) -> Node:
    """Connect to the ledger and the database, migrate the latter, and put the parts together.

    Raises: LedgerUnreachable, LedgerMismatch, InvalidValue.
    """
    clock = clock or SystemClock()
    if faults is None:
        faults = no_faults if settings.fault_point is None else kill_at(settings.fault_point)
    client = LedgerClient(settings.ledger_url, settings.ledger_contract, timeout_s=settings.ledger_timeout_ms / 1000)
    client.check(settings.chain_id)
    database = Database(settings.database_url)
    migrate(database, "node")
    issuer = Issuer(settings.bic, secrets.bank_secret, secrets.signer)
    options = PublisherOptions(**settings.publisher.model_dump())
    publisher = Publisher(database, client, Sender(client, secrets.sender_key), issuer, clock, options, faults)
    vault = Vault([secrets.vault_secret], "node")
    feed = Feed(
        database,
        vault,
        secrets.bank_secret,
        clock,
        max_waiting=settings.max_waiting,
        on_change=publisher.wake,
        faults=faults,
    )
    bindings = Bindings(database, vault, issuer, clock, on_change=publisher.wake, faults=faults)
    return Node(settings, database, client, feed, bindings, publisher, Trail(database, publisher))


def create_app(node: Node) -> FastAPI:
    """The ASGI app of a node; while it runs, so does the publisher, in a thread of its own."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        thread = threading.Thread(target=node.publisher.run, name="publisher", daemon=True)
        thread.start()
        yield
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
    app.state.keyring = Keyring(node.settings.api_keys)
    problems.install(app, {})
    app.add_middleware(BodyLimit, max_bytes=node.settings.max_body_bytes)
    app.include_router(api.router)
    return app
