"""The gateway, put together from its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from standing.gateway.access import dependencies as doors
from standing.gateway.access.audit import Audit
from standing.gateway.accounts import routes as account_api
from standing.gateway.accounts.service import Accounts
from standing.gateway.bindings.banks import Bank, BankDirectory, NodeClient
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.bindings.identity_change import IdentityChange
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions import routes as api
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.service import Desk
from standing.gateway.errors import StorageUnavailable
from standing.gateway.events import routes as event_api
from standing.gateway.evidence.signing import EvidenceSigner, load_evidence_key
from standing.gateway.following import assembly as following
from standing.gateway.following.assembly import Following
from standing.gateway.following.reconcile import Pace, Reconciler
from standing.gateway.following.reconcile_schedule import ReconcileSchedule
from standing.gateway.ledger_reading.nodes import LedgerNodes, Watch, check_ledger
from standing.gateway.ledger_reading.reader import Reader
from standing.gateway.metrics import Meters
from standing.gateway.operations import openapi
from standing.gateway.operations import routes as operation_api
from standing.gateway.operations.rekey import open_vault
from standing.gateway.operations.service import Operation
from standing.gateway.settings import GatewaySettings, read_policy, read_vault_secrets
from standing.gateway.storage.database import Storage
from standing.gateway.support import routes as care_api
from standing.ledger.attestations.sealing import BINDING_SIZE
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import Clock, SystemClock
from standing.ledger.errors import LedgerUnreachable, Overloaded
from standing.ledger.service import problems
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import Leader, lock_of
from standing.ledger.service.request_limits import BodyLimit, Shed
from standing.ledger.service.settings import SettingsError

#: No binding has this id; a query for it answers what the ledger holds about the bank alone.
_NO_BINDING = bytes(BINDING_SIZE)


@dataclass(frozen=True, slots=True)
class BankState:
    """What the ledger says about a bank now."""

    bank: Bank
    watermark_ms: int | None
    staleness_ms: int | None
    suspended: bool
    within_widest_bound: bool
    block_number: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of a running gateway."""

    settings: GatewaySettings
    clock: Clock
    policy: Policy
    storage: Storage
    banks: BankDirectory
    nodes: NodeClient
    reader: Reader
    bindings: Bindings
    binding_flow: BindingFlow
    identity_change: IdentityChange
    accounts: Accounts
    audit: Audit
    desk: Desk
    evidence: EvidenceSigner
    following: Following
    operation: Operation

    async def open(self) -> None:
        """Make the connection pools of this event loop."""
        await self.reader.open()
        await self.nodes.open()
        await self.following.open()
        await self.operation.open()

    async def close(self) -> None:
        await self.operation.close()
        await self.following.close()
        await self.reader.close()
        await self.nodes.close()
        await asyncio.to_thread(self.storage.close)

    async def bank_states(self) -> list[BankState]:
        """All banks, read in one call. Raises: LedgerUnreachable, Overloaded."""
        banks = list(self.banks)
        seen = await asyncio.gather(*(self.reader.read(bank.bic_bytes, _NO_BINDING) for bank in banks))
        now_ms = self.clock.now_ms()
        states = []
        for bank, each in zip(banks, seen, strict=True):
            watermark_ms = each.record.watermark_ms or None
            staleness_ms = now_ms - watermark_ms if watermark_ms is not None else None
            states.append(
                BankState(
                    bank=bank,
                    watermark_ms=watermark_ms,
                    staleness_ms=staleness_ms,
                    suspended=each.record.suspended,
                    within_widest_bound=staleness_ms is not None
                    and -self.policy.ahead_allowance_ms <= staleness_ms <= self.policy.widest_staleness_ms,
                    block_number=each.block_number,
                )
            )
        return states

    async def trouble(self) -> str | None:
        """Why this gateway is not fit for work now; None where it is."""
        troubles = []
        try:
            await self.storage.reading(self._touch_database)
        except StorageUnavailable as error:
            troubles.append(f"database: {error}")
        try:
            await self.reader.read(next(iter(self.banks)).bic_bytes, _NO_BINDING)
        except (LedgerUnreachable, Overloaded) as error:
            troubles.append(f"ledger: {error}")
        return "; ".join(troubles) or None

    def _touch_database(self) -> None:
        with self.storage.read() as connection:
            connection.execute(select(1))


def build(settings: GatewaySettings, clock: Clock | None = None) -> Gateway:
    """Read the secrets, look for the ledger, migrate the database, and put the parts together.

    Raises: SettingsError, LedgerUnreachable, LedgerMismatch, VaultError (a vault secret is missing).
    """
    clock = clock or SystemClock()
    vault_secrets = read_vault_secrets(settings)
    policy = read_policy(settings)
    evidence_key = load_evidence_key(settings.evidence_key_file)
    banks = BankDirectory(settings.banks)
    ledger = LedgerClient(settings.all_ledger_urls, settings.ledger_contract)
    check_ledger(ledger, settings.chain_id)
    database = Database(settings.database_url)
    try:
        migrate(database, "standing.gateway.storage")
    except DBAPIError as error:
        raise SettingsError(f"database_url: the database does not work: {error.orig}") from error
    storage = Storage(database)
    nodes = NodeClient(settings.bank_node_timeout_ms / 1000)
    budget_ms = policy.ledger_read_timeout_ms or settings.ledger_read_timeout_ms
    meters = Meters()
    ledger_nodes = LedgerNodes(
        settings.all_ledger_urls,
        settings.ledger_contract,
        budget_ms=budget_ms,
        rule=settings.block_rule,
        max_in_flight=settings.ledger_calls_in_flight,
        max_lag_blocks=settings.ledger_max_lag_blocks,
        watch=Watch(
            ledger.domain.chain_id,
            clock,
            probe_ms=settings.ledger_probe_ms,
            max_head_age_ms=settings.ledger_max_head_age_ms,
        ),
    )
    reader = Reader(
        ledger_nodes,
        settings.ledger_contract,
        budget_ms=budget_ms,
        max_waiting=settings.max_waiting_reads,
        max_in_flight=settings.ledger_calls_in_flight,
        meters=meters,
    )
    vault = open_vault(storage, vault_secrets)
    bindings = Bindings(
        storage=storage,
        vault=vault,
        banks=banks,
        nodes=nodes,
        reader=reader,
        clock=clock,
        max_waiting=settings.max_waiting_bindings,
        max_cached=settings.max_cached_bindings,
    )
    bindings.check_keys()
    flow = BindingFlow(
        platform=settings.platform,
        storage=storage,
        vault=vault,
        banks=banks,
        nodes=nodes,
        ledger=ledger,
        bindings=bindings,
        bounds=policy.binding,
        clock=clock,
        max_waiting=settings.max_waiting_bindings,
    )
    flow.forget_expired()
    evidence = EvidenceSigner(evidence_key, platform=settings.platform, domain=ledger.domain)
    desk = Desk(
        storage=storage,
        bindings=bindings,
        reader=reader,
        evidence=evidence,
        policy=policy,
        clock=clock,
        max_waiting=settings.max_waiting_decisions,
        reservation_lifetime_ms=settings.reservation_lifetime_ms,
        meters=meters,
    )
    reconciler = Reconciler(
        storage=storage,
        vault=vault,
        banks=banks,
        ledger=ledger,
        policy=policy,
        clock=clock,
        rule=settings.block_rule,
        pace=Pace(settings.reconcile_batch, settings.reconcile_pause_ms),
    )
    every = settings.reconcile_every_minutes
    schedule = ReconcileSchedule(
        reconciler,
        storage,
        clock,
        Leader(lock_of(database, "reconcile"), "reconcile"),
        every_minutes=every if isinstance(every, int) else None,
    )
    accounts = Accounts(
        storage=storage,
        bindings=bindings,
        banks=banks,
        reader=reader,
        policy=policy,
        clock=clock,
        max_waiting=settings.max_waiting_bindings,
    )
    return Gateway(
        settings=settings,
        clock=clock,
        policy=policy,
        storage=storage,
        banks=banks,
        nodes=nodes,
        reader=reader,
        bindings=bindings,
        binding_flow=flow,
        identity_change=IdentityChange(storage, vault),
        accounts=accounts,
        audit=Audit(storage, vault, clock),
        desk=desk,
        evidence=evidence,
        following=following.build(
            storage=storage,
            vault=vault,
            ledger=ledger,
            reader=reader,
            bindings=bindings,
            banks=banks,
            nodes=nodes,
            policy=policy,
            clock=clock,
            rule=settings.block_rule,
            leader=Leader(lock_of(database, "follower"), "follower"),
            follower_settings=settings.follower,
            webhook_settings=settings.webhooks,
            stream_settings=settings.streams,
            trail_settings=settings.trail,
        ),
        operation=Operation(meters, reconciler, schedule),
    )


def create_app(settings: GatewaySettings, clock: Clock | None = None) -> FastAPI:
    """The ASGI app of a gateway, ready to serve. Raises as `build`, before anything is served."""
    gateway = build(settings, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await gateway.open()
        yield
        await gateway.close()

    app = FastAPI(
        title="Standing gateway",
        version="0.1.0",
        description="A payment platform's gateway: binds bank accounts, and decides on each payment and withdrawal by "
        "the bank's word on the account, read from the ledger at that moment.",
        lifespan=lifespan,
        openapi_tags=[*api.TAGS, *care_api.TAGS, *event_api.TAGS],
    )
    app.state.gateway = gateway
    app.state.keyring = Keyring(settings.api_keys)
    problems.install(app, doors.PROBLEMS)
    app.add_middleware(
        BodyLimit, max_bytes=settings.max_body_bytes, larger={api.BATCH_PATH: settings.max_batch_body_bytes}
    )
    app.add_middleware(Shed, path=api.DECISIONS_PATH, limit=settings.max_decision_requests)
    app.include_router(api.router)
    app.include_router(account_api.router)
    app.include_router(care_api.router)
    app.include_router(event_api.router)
    app.include_router(operation_api.router)
    openapi.install(app)
    return app
