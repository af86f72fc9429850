"""The gateway's services, put together from its settings. `app` serves them; commands use them without HTTP."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

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
from standing.gateway.evidence.signing import EvidenceSigner, load_evidence_key
from standing.gateway.following import assembly as following
from standing.gateway.following.assembly import Following
from standing.gateway.following.reconcile import Pace, Reconciler
from standing.gateway.following.reconcile_schedule import ReconcileSchedule
from standing.gateway.ledger_reading.nodes import LedgerNodes, Watch, check_ledger
from standing.gateway.ledger_reading.reader import Reader
from standing.gateway.metrics import Meters
from standing.gateway.settings import PEOPLE, GatewaySettings, read_client_secret, read_policy, read_vault_secrets
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import open_vault
from standing.gateway.support.proof import HoldProofs
from standing.gateway.support.trail import Trails
from standing.gateway.warning.came_true import Warnings
from standing.gateway.warning.check_up import CheckUps
from standing.gateway.warning.risk_run import RiskRunner
from standing.gateway.warning.risk_schedule import RiskSchedule
from standing.gateway.warning.scorecard import ScoreCards
from standing.gateway.warning.scoring import Scoring
from standing.gateway.warning.watch import PaceWatch
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import Clock, SystemClock
from standing.ledger.service.console.sessions import Sessions
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import Leader, lock_of
from standing.ledger.service.settings import SettingsError
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
    score_cards: ScoreCards
    check_ups: CheckUps
    risks: RiskRunner
    risk_schedule: RiskSchedule
    scoring: Scoring
    warnings: Warnings

    async def open(self) -> None:
        """Make the connection pools of this event loop."""
        await self.reader.open()
        await self.nodes.open()
        await self.following.open()
        await self.reconcile_schedule.open()
        await self.risk_schedule.open()

    async def close(self) -> None:
        await self.risk_schedule.close()
        await self.reconcile_schedule.close()
        await self.following.close()
        await self.reader.close()
        await self.nodes.close()
        await asyncio.to_thread(self.storage.close)


def build(settings: GatewaySettings, clock: Clock | None = None) -> Gateway:
    """Read the secrets, find the ledger, migrate the database, and put the services together.

    Raises: SettingsError, LedgerUnreachable, LedgerMismatch, VaultError (a vault secret is missing).
    """
    clock = clock or SystemClock()
    vault_secrets = read_vault_secrets(settings)
    client_secret = read_client_secret(settings)
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
    nodes = NodeClient(settings.bank_node_timeout_ms / 1000, clock)
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
    decisions = DecisionService(
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
    reviews = Reviews(
        storage=storage,
        bindings=bindings,
        reader=reader,
        policy=policy,
        clock=clock,
        reservation_lifetime_ms=settings.reservation_lifetime_ms,
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
    cards = ScoreCards(storage=storage, banks=banks, policy=policy, clock=clock)
    followed = following.build(
        storage=storage,
        vault=vault,
        ledger=ledger,
        banks=banks,
        policy=policy,
        clock=clock,
        rule=settings.block_rule,
        leader=Leader(lock_of(database, "follower"), "follower"),
        follower_settings=settings.follower,
        webhook_settings=settings.webhooks,
        stream_settings=settings.streams,
        at_head=PaceWatch(storage=storage, ledger=ledger, clock=clock).step,
    )
    risks = RiskRunner(
        storage=storage,
        vault=vault,
        banks=banks,
        policy=policy,
        clock=clock,
        settings=settings.warning,
        wake=followed.wakeups.wake,
    )
    holds = Holds(storage, clock)
    score_every = settings.warning.every_minutes
    risk_schedule = RiskSchedule(
        risks,
        storage,
        clock,
        Leader(lock_of(database, "warning"), "warning"),
        every_minutes=score_every if isinstance(score_every, int) else None,
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
        sessions=_sessions(settings, storage, vault, clock),
        openid=_openid(settings, client_secret, storage, Vault(vault_secrets, "console-sign-in"), clock),
        decisions=decisions,
        search=DecisionSearch(storage, clock),
        reviews=reviews,
        evidence=evidence,
        following=followed,
        meters=meters,
        reconciler=reconciler,
        reconcile_schedule=schedule,
        trails=Trails(
            storage=storage,
            bindings=bindings,
            banks=banks,
            nodes=nodes,
            reader=reader,
            policy=policy,
            clock=clock,
            settings=settings.trail,
        ),
        holds=holds,
        proofs=HoldProofs(
            platform=settings.platform,
            storage=storage,
            banks=banks,
            nodes=nodes,
            flow=flow,
            holds=holds,
            policy=policy,
            clock=clock,
        ),
        score_cards=cards,
        check_ups=CheckUps(storage=storage, accounts=accounts, flow=flow, cards=cards, clock=clock),
        risks=risks,
        risk_schedule=risk_schedule,
        scoring=Scoring(storage, clock, settings.warning, risk_schedule.wake),
        warnings=Warnings(storage),
    )


def _sessions(settings: GatewaySettings, storage: Storage, vault: Vault, clock: Clock) -> Sessions:
    console, openid = settings.console, settings.console.openid
    sessions = Sessions(
        storage,
        schema.console,
        clock,
        console,
        people=PEOPLE,
        secret=vault.lookup_key,
        issuer=openid.issuer if openid is not None else None,
    )
    sessions.accept(settings.console_keys)
    return sessions


def _openid(
    settings: GatewaySettings, client_secret: str | None, storage: Storage, vault: Vault, clock: Clock
) -> OpenId | None:
    openid = settings.console.openid
    if openid is None or client_secret is None:
        return None
    return OpenId(openid, client_secret, storage, vault, clock)
