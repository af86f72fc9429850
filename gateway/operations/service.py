"""The gateway's present state, for `/readyz`, `/v1/status`, `/v1/banks` and `/metrics`."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from standing.gateway.bindings.banks import Bank
from standing.gateway.composition import Gateway
from standing.gateway.errors import StorageUnavailable
from standing.gateway.events import deliveries
from standing.gateway.following.bank_watch import is_silent
from standing.gateway.following.reconcile import last_run
from standing.gateway.ledger_reading.node import NodeState
from standing.gateway.metrics import Gauge
from standing.gateway.settings import GatewaySettings
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning.verdict import Pace, verdict
from standing.ledger.attestations.sealing import NO_BINDING
from standing.ledger.errors import LedgerUnreachable, Overloaded
from standing.ledger.service.reloading import Reloader

#: The fields of a report that `GET /v1/status` shows.
_RUN_FIELDS = ("started_at_ms", "ended_at_ms", "block_number", "checked", "dead_count", "drift_count")


@dataclass(frozen=True, slots=True)
class BankStatus:
    """A bank's present state on the ledger."""

    bank: Bank
    watermark_ms: int | None
    staleness_ms: int | None
    suspended: bool
    within_widest_bound: bool
    block_number: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The state in the database: the follower's position, pending webhooks, the last reconciliation; None: unknown."""

    followed_block: int | None
    pending_webhooks: int | None
    dead_bindings: int | None
    last_run: dict[str, Any] | None


def look_up(storage: Storage) -> Stored:
    """Look up the state in the database. Raises: StorageUnavailable."""
    with storage.read() as connection:
        followed = connection.scalar(select(schema.follower.c.block_number))
        pending = deliveries.waiting(connection)
        dead = connection.scalar(select(func.count()).select_from(schema.dead_bindings))
    report = last_run(storage)
    run = json.loads(report) if report is not None else None
    return Stored(followed, pending, dead, {name: run[name] for name in _RUN_FIELDS} if run is not None else None)


class GatewayStatus:
    """Inspects a running gateway: its ledger nodes, its database, the banks."""

    def __init__(self, gateway: Gateway, reloader: Reloader[GatewaySettings]) -> None:
        self._gateway = gateway
        self._reloader = reloader

    async def bank_states(self) -> list[BankStatus]:
        """All banks, read in one call. Raises: LedgerUnreachable, Overloaded."""
        banks = list(self._gateway.banks)
        seen = await asyncio.gather(*(self._gateway.reader.read(bank.bic_bytes, NO_BINDING) for bank in banks))
        now_ms = self._gateway.clock.now_ms()
        states = []
        for bank, each in zip(banks, seen, strict=True):
            watermark_ms = each.record.watermark_ms or None
            staleness_ms = now_ms - watermark_ms if watermark_ms is not None else None
            states.append(
                BankStatus(
                    bank=bank,
                    watermark_ms=watermark_ms,
                    staleness_ms=staleness_ms,
                    suspended=each.record.suspended,
                    within_widest_bound=not is_silent(each.record.watermark_ms, self._gateway.decisions.policy, now_ms),
                    block_number=each.block_number,
                )
            )
        return states

    async def trouble(self) -> str | None:
        """Why this gateway is not ready; None if it is."""
        troubles = []
        try:
            await self._gateway.storage.writing(self._touch_database)
        except StorageUnavailable as error:
            troubles.append(f"database: {error}")
        try:
            await self._gateway.reader.read(next(iter(self._gateway.banks)).bic_bytes, NO_BINDING)
        except (LedgerUnreachable, Overloaded) as error:
            troubles.append(f"ledger: {error}")
        return "; ".join(troubles) or None

    def _touch_database(self) -> None:
        # A full disk, and a server that has become a standby, still answer reads. The stored key keeps its value.
        keys = schema.vault_keys
        with self._gateway.storage.write(shared=True) as connection:
            self._gateway.bindings.check_vault(connection)
            connection.execute(update(keys).values(key_sealed=keys.c.key_sealed))

    async def banks(self) -> list[BankStatus] | None:
        """The banks' states on the ledger; None where it cannot be read."""
        try:
            return await self.bank_states()
        except (LedgerUnreachable, Overloaded):
            return None

    async def stored(self) -> Stored | None:
        """The state in the database; None where it cannot be read."""
        try:
            return await self._gateway.storage.reading(look_up, self._gateway.storage)
        except StorageUnavailable:
            return None

    async def gauges(self) -> list[Gauge]:
        """The present gauges. Those that cannot be looked up are left out."""
        gateway = self._gateway
        banks, stored, nodes = await self.banks(), await self.stored(), gateway.reader.nodes
        found = [
            Gauge("ledger_up", "1 while the ledger can be read, else 0.", {"": float(banks is not None)}),
            Gauge("database_up", "1 while the database can be read, else 0.", {"": float(stored is not None)}),
            Gauge(
                "ledger_node_up",
                "1 while a ledger node is fit or stalled, 0 while it is left out.",
                {node.name: float(node.state < NodeState.FAILING) for node in nodes.all},
                "node",
            ),
            Gauge(
                "ledger_node_blocks_behind",
                "How far a ledger node is behind the highest block seen.",
                {node.name: nodes.seen - node.block_number for node in nodes.all if node.block_number is not None},
                "node",
            ),
            Gauge(
                "waiting",
                "What waits now: reads for their call, decisions for their commit.",
                {"reads": gateway.reader.waiting, "decisions": gateway.decisions.waiting},
                "queue",
            ),
            Gauge(
                "leads",
                "1 where this process is the one, of all on the database, that does it.",
                {
                    "follow": float(gateway.following.follower.leads),
                    "reconcile": float(gateway.reconcile_schedule.leader.led),
                    "warning": float(gateway.warning.schedule.leader.led),
                },
                "what",
            ),
        ]
        if banks is not None:
            found += [
                Gauge(
                    "bank_staleness_seconds",
                    "How old a bank's watermark is; no sample: it has never published.",
                    {state.bank.bic: state.staleness_ms / 1000 for state in banks if state.staleness_ms is not None},
                    "bank",
                ),
                Gauge(
                    "bank_suspended",
                    "1 while a bank is suspended on the ledger.",
                    {state.bank.bic: float(state.suspended) for state in banks},
                    "bank",
                ),
            ]
        if stored is not None:
            found += _stored_gauges(stored)
            found += await self._warning_gauges()
        return found

    async def _warning_gauges(self) -> list[Gauge]:
        """Of the banks' last week on the ledger, and of bindings at risk; none where the database fails."""
        gateway = self._gateway
        try:
            weeks = await gateway.warning.score_cards.weeks()
            risks = await gateway.warning.check_ups.figures(gateway.settings.warning.warn_per_mille)
        except StorageUnavailable:
            return []
        verdicts = {bank: verdict(week) for bank, week in weeks.items()}
        found = [
            Gauge(
                "bank_week_age_p99_seconds",
                "99th percentile of a bank's staleness over the last week; no sample: not followed for long enough.",
                {bank: week.age_p99_ms / 1000 for bank, week in weeks.items() if week.age_p99_ms is not None},
                "bank",
            ),
            Gauge(
                "bank_week_silent_seconds",
                "For how long a bank was silent in the last week.",
                {bank: week.silent_ms / 1000 for bank, week in weeks.items()},
                "bank",
            ),
            Gauge(
                "bank_pace",
                "How regularly a bank publishes: 0 steady, 1 slow, 2 unsteady; no sample: not known yet.",
                {bank: float(list(Pace).index(found.word)) for bank, found in verdicts.items() if found is not None},
                "bank",
            ),
            Gauge("bindings_at_risk", "Bindings reported as at risk.", {"": float(risks.at_risk)}),
            Gauge("risk_model_learned", "Outcomes that the risk model has learned from.", {"": float(risks.learned)}),
        ]
        if risks.ran_at_ms is not None:
            text = "When the last scoring of bindings began."
            found.append(Gauge("risk_run_started_timestamp_seconds", text, {"": risks.ran_at_ms / 1000}))
        return found

    async def document(self) -> dict[str, Any]:
        """The gateway on one screen, as `gateway.operations.schemas.StatusDocument` describes it."""
        trouble, banks, stored = await self.trouble(), await self.banks(), await self.stored()
        gateway = self._gateway
        nodes, meters, schedule = gateway.reader.nodes, gateway.meters, gateway.reconcile_schedule
        progress = schedule.progress
        return {
            "now_ms": gateway.clock.now_ms(),
            "ready": trouble is None,
            "trouble": trouble,
            "settings": self._reloader.state.model_dump(),
            "policy": gateway.decisions.policy.version,
            "ledger": {
                "reads": str(nodes.rule),
                "seen_block": nodes.seen,
                "nodes": [
                    {
                        "node": node.name,
                        "state": node.state.word,
                        "problem": node.problem,
                        "block_number": node.block_number,
                        "block_time_ms": node.block_time_s * 1000 if node.block_time_s is not None else None,
                    }
                    for node in nodes.all
                ],
            },
            "banks": [
                {
                    "bic": state.bank.bic,
                    "staleness_ms": state.staleness_ms,
                    "suspended": state.suspended,
                    "within_widest_bound": state.within_widest_bound,
                }
                for state in banks
            ]
            if banks is not None
            else None,
            "decisions": meters.outcomes,
            "reads_per_call": meters.reads_per_call,
            "waiting": {"reads": gateway.reader.waiting, "decisions": gateway.decisions.waiting},
            "worker_troubles": gateway.following.troubles
            + [
                f"{what}: {trouble}"
                for what, trouble in (
                    ("reconciliation", schedule.trouble),
                    ("warning", gateway.warning.schedule.trouble),
                )
                if trouble is not None
            ],
            "follows": gateway.following.follower.leads,
            "followed_block": stored.followed_block if stored is not None else None,
            "pending_webhooks": stored.pending_webhooks if stored is not None else None,
            "reconcile": {
                "leads": schedule.leader.led,
                "running": {"done": progress[0], "total": progress[1]} if progress is not None else None,
                "last": stored.last_run if stored is not None else None,
                "dead_bindings": stored.dead_bindings if stored is not None else None,
            },
        }


def _stored_gauges(stored: Stored) -> list[Gauge]:
    run = stored.last_run or {}
    figures = {
        ("followed_block", "The block up to which the ledger is followed."): stored.followed_block,
        ("webhooks_pending", "Events that are waiting to be delivered to an endpoint."): stored.pending_webhooks,
        ("dead_bindings", "Active bindings that the last reconciliation found no longer usable."): stored.dead_bindings,
        ("reconcile_drift", "Bindings for which the last reconciliation found drift."): run.get("drift_count"),
        ("reconcile_started_timestamp_seconds", "When the last reconciliation began."): (
            run["started_at_ms"] / 1000 if run else None
        ),
    }
    return [Gauge(name, text, {"": value}) for (name, text), value in figures.items() if value is not None]
