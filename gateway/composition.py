"""The gateway's services, built from its settings. `app` serves them; commands use them without HTTP."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from standing.gateway.access.audit import Audit
from standing.gateway.access.openid import OpenId
from standing.gateway.accounts.service import Accounts
from standing.gateway.bindings.banks import BankDirectory, NodeClient
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.bindings.identity_change import IdentityChange
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions.holds import Holds
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.reviews import Reviews
from standing.gateway.decisions.search import DecisionSearch
from standing.gateway.decisions.service import DecisionService
from standing.gateway.evidence.signing import EvidenceSigner, read_evidence_keys
from standing.gateway.following import assembly as following
from standing.gateway.following.assembly import Following
from standing.gateway.following.reconcile import BatchPace, Reconciler
from standing.gateway.following.reconcile_schedule import ReconcileSchedule
from standing.gateway.ledger_reading.nodes import LedgerNodes, Watch, check_ledger
from standing.gateway.ledger_reading.reader import Reader
from standing.gateway.metrics import Meters
from standing.gateway.settings import PEOPLE, GatewaySettings, read_client_secret, read_policy, read_vault_secrets
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage, check_version
from standing.gateway.storage.vault import open_vault
from standing.gateway.support.proof import HoldProofs
from standing.gateway.support.trail import Trails
from standing.gateway.warning import assembly as early_warning
from standing.gateway.warning.assembly import EarlyWarning
from standing.gateway.warning.watch import PaceWatch
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import Clock, SystemClock
from standing.ledger.service.console.sessions import Sessions
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import Leader, lock_of
from standing.ledger.service.vault import Vault


@dataclass(frozen=True, slots=True)
class Gateway:
    """The services of a running gateway."""

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
    sessions: Sessions
    openid: OpenId | None
    searches: Vault
    decisions: DecisionService
    search: DecisionSearch
    reviews: Reviews
    evidence: EvidenceSigner
    following: Following
    meters: Meters
    reconciler: Reconciler
    reconcile_schedule: ReconcileSchedule
    trails: Trails
    holds: Holds
    proofs: HoldProofs
    warning: EarlyWarning

    async def open(self) -> None:
        """Make the connection pools of this event loop."""
        await self.reader.open()
        await self.nodes.open()
        await self.following.open()
        await self.reconcile_schedule.open()
        await self.warning.schedule.open()

    async def close(self) -> None:
        await self.warning.schedule.close()
        await self.reconcile_schedule.close()
        await self.following.close()
        await self.reader.close()
        await self.nodes.close()
        await asyncio.to_thread(self.storage.close)


@dataclass(frozen=True, slots=True)
class _Base:
    """The parts that most services need."""

    settings: GatewaySettings
    clock: Clock
    policy: Policy
    database: Database
    storage: Storage
    vault: Vault
    banks: BankDirectory
    nodes: NodeClient
    ledger: LedgerClient
    reader: Reader
    meters: Meters


def build(settings: GatewaySettings, clock: Clock | None = None, *, upgrade: bool = True) -> Gateway:
    """Read the secrets, find the ledger, migrate the database, and build the services.

    Without `upgrade` the database must be of this version: NotFound where it is not. Raises: SettingsError,
    LedgerUnreachable, LedgerMismatch, StorageUnavailable, VaultError. Nothing stays open then.
    """
    vault_secrets = read_vault_secrets(settings)
    client_secret = read_client_secret(settings)
    policy = read_policy(settings)
    evidence_key, older = read_evidence_keys(settings.evidence_key_file, settings.older_evidence_key_files)
    base = _base(settings, policy, clock or SystemClock(), vault_secrets, upgrade=upgrade)
    try:
        evidence = EvidenceSigner(evidence_key, platform=settings.platform, domain=base.ledger.domain, older=older)
        return _services(base, evidence, client_secret, vault_secrets)
    except BaseException:
        base.storage.close()
        raise


def _services(base: _Base, evidence: EvidenceSigner, client_secret: str | None, secrets: Sequence[bytes]) -> Gateway:
    clock, storage = base.clock, base.storage
    bindings = _bindings(base)
    flow = _binding_flow(base, bindings)
    accounts = _accounts(base, bindings)
    followed = _following(base)
    reconciler, reconcile_schedule = _reconciling(base)
    holds = Holds(storage, clock)
    return Gateway(
        settings=base.settings,
        clock=clock,
        policy=base.policy,
        storage=storage,
        banks=base.banks,
        nodes=base.nodes,
        reader=base.reader,
        bindings=bindings,
        binding_flow=flow,
        identity_change=IdentityChange(storage, base.vault),
        accounts=accounts,
        audit=Audit(storage, base.vault, clock),
        sessions=_sessions(base),
        openid=_openid(base, client_secret, Vault(secrets, "console-sign-in")),
        searches=Vault(secrets, "console-search"),
        decisions=_decisions(base, bindings, evidence),
        search=DecisionSearch(storage, clock),
        reviews=_reviews(base, bindings),
        evidence=evidence,
        following=followed,
        meters=base.meters,
        reconciler=reconciler,
        reconcile_schedule=reconcile_schedule,
        trails=_trails(base, bindings),
        holds=holds,
        proofs=_proofs(base, flow, holds),
        warning=_warning(base, accounts, flow, followed),
    )


def _base(
    settings: GatewaySettings, policy: Policy, clock: Clock, vault_secrets: Sequence[bytes], *, upgrade: bool
) -> _Base:
    banks = BankDirectory(settings.banks)
    ledger = LedgerClient(settings.all_ledger_urls, settings.ledger_contract)
    database = Database(settings.database_url)
    storage, meters = Storage(database), Meters()
    try:
        if not upgrade:
            check_version(database)
        check_ledger(ledger, settings.chain_id)
        if upgrade:
            migrate(database, "standing.gateway.storage")
        return _Base(
            settings=settings,
            clock=clock,
            policy=policy,
            database=database,
            storage=storage,
            vault=open_vault(storage, vault_secrets),
            banks=banks,
            nodes=NodeClient(settings.bank_node_timeout_ms / 1000, clock),
            ledger=ledger,
            reader=_reader(settings, policy, ledger, clock, meters),
            meters=meters,
        )
    except BaseException:
        storage.close()
        raise


def _reader(settings: GatewaySettings, policy: Policy, ledger: LedgerClient, clock: Clock, meters: Meters) -> Reader:
    budget_ms = policy.ledger_read_timeout_ms or settings.ledger_read_timeout_ms
    nodes = LedgerNodes(
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
    return Reader(
        nodes,
        settings.ledger_contract,
        budget_ms=budget_ms,
        max_waiting=settings.max_waiting_reads,
        max_in_flight=settings.ledger_calls_in_flight,
        meters=meters,
    )


def _bindings(base: _Base) -> Bindings:
    bindings = Bindings(
        storage=base.storage,
        vault=base.vault,
        banks=base.banks,
        nodes=base.nodes,
        reader=base.reader,
        clock=base.clock,
        max_waiting=base.settings.max_waiting_bindings,
        max_cached=base.settings.max_cached_bindings,
    )
    bindings.check_keys()
    return bindings


def _binding_flow(base: _Base, bindings: Bindings) -> BindingFlow:
    flow = BindingFlow(
        platform=base.settings.platform,
        storage=base.storage,
        vault=base.vault,
        banks=base.banks,
        nodes=base.nodes,
        ledger=base.ledger,
        bindings=bindings,
        bounds=base.policy.binding,
        clock=base.clock,
        max_waiting=base.settings.max_waiting_bindings,
    )
    flow.forget_expired()
    return flow


def _accounts(base: _Base, bindings: Bindings) -> Accounts:
    return Accounts(
        storage=base.storage,
        bindings=bindings,
        banks=base.banks,
        reader=base.reader,
        policy=base.policy,
        clock=base.clock,
        max_waiting=base.settings.max_waiting_bindings,
    )


def _decisions(base: _Base, bindings: Bindings, evidence: EvidenceSigner) -> DecisionService:
    return DecisionService(
        storage=base.storage,
        bindings=bindings,
        reader=base.reader,
        evidence=evidence,
        policy=base.policy,
        clock=base.clock,
        max_waiting=base.settings.max_waiting_decisions,
        reservation_lifetime_ms=base.settings.reservation_lifetime_ms,
        meters=base.meters,
    )


def _reviews(base: _Base, bindings: Bindings) -> Reviews:
    return Reviews(
        storage=base.storage,
        bindings=bindings,
        reader=base.reader,
        policy=base.policy,
        clock=base.clock,
        reservation_lifetime_ms=base.settings.reservation_lifetime_ms,
    )


def _following(base: _Base) -> Following:
    return following.build(
        storage=base.storage,
        vault=base.vault,
        ledger=base.ledger,
        banks=base.banks,
        policy=base.policy,
        clock=base.clock,
        rule=base.settings.block_rule,
        leader=Leader(lock_of(base.database, "follower"), "follower"),
        follower_settings=base.settings.follower,
        webhook_settings=base.settings.webhooks,
        stream_settings=base.settings.streams,
        at_head=PaceWatch(storage=base.storage, ledger=base.ledger, clock=base.clock).step,
    )


def _reconciling(base: _Base) -> tuple[Reconciler, ReconcileSchedule]:
    reconciler = Reconciler(
        storage=base.storage,
        vault=base.vault,
        banks=base.banks,
        ledger=base.ledger,
        policy=base.policy,
        clock=base.clock,
        rule=base.settings.block_rule,
        pace=BatchPace(base.settings.reconcile_batch, base.settings.reconcile_pause_ms),
    )
    return reconciler, ReconcileSchedule(
        reconciler,
        base.storage,
        base.clock,
        Leader(lock_of(base.database, "reconcile"), "reconcile"),
        every_minutes=base.settings.reconcile_interval_minutes,
    )


def _warning(base: _Base, accounts: Accounts, flow: BindingFlow, followed: Following) -> EarlyWarning:
    return early_warning.build(
        storage=base.storage,
        vault=base.vault,
        banks=base.banks,
        accounts=accounts,
        flow=flow,
        policy=base.policy,
        clock=base.clock,
        settings=base.settings.warning,
        leader=Leader(lock_of(base.database, "warning"), "warning"),
        wake=followed.wakeups.wake,
    )


def _trails(base: _Base, bindings: Bindings) -> Trails:
    return Trails(
        storage=base.storage,
        bindings=bindings,
        banks=base.banks,
        nodes=base.nodes,
        reader=base.reader,
        policy=base.policy,
        clock=base.clock,
        settings=base.settings.trail,
    )


def _proofs(base: _Base, flow: BindingFlow, holds: Holds) -> HoldProofs:
    return HoldProofs(
        platform=base.settings.platform,
        storage=base.storage,
        banks=base.banks,
        nodes=base.nodes,
        flow=flow,
        holds=holds,
        policy=base.policy,
        clock=base.clock,
    )


def _sessions(base: _Base) -> Sessions:
    console = base.settings.console
    issuer = console.openid.issuer if console.openid is not None else None
    sessions = Sessions(
        base.storage, schema.console, base.clock, console, people=PEOPLE, secret=base.vault.lookup_key, issuer=issuer
    )
    sessions.accept(base.settings.console_keys)
    return sessions


def _openid(base: _Base, client_secret: str | None, vault: Vault) -> OpenId | None:
    openid = base.settings.console.openid
    if openid is None or client_secret is None:
        return None
    return OpenId(openid, client_secret, base.storage, vault, base.clock)
