"""The sync trail of a binding: the newest changes with their hops, and the first stalled hop with what to do about it.

It draws on the ledger (now), the bank's node (its part of the way), and this gateway's own database. Where one of them
does not answer, the trail says so and shows the others' facts.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection, Row, func, or_, select

from standing.gateway.bindings.banks import Bank, BankDirectory, NodeClient
from standing.gateway.bindings.bound import Bound
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.rules import Reason
from standing.gateway.errors import BankNodeRefused, BankNodeUnreachable
from standing.gateway.following import bank_watch
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.support.hops import Facts, Hop, HopName, HopState, hops_of
from standing.gateway.support.settings import TrailSettings
from standing.ledger.clock import MAX_CALENDAR_MS, MINUTE_MS, Clock
from standing.ledger.errors import LedgerUnreachable, Overloaded

#: The most changes of one trail.
MAX_CHANGES = 10
_MAX_DECISIONS = 200
#: A ledger's clock may be ahead of this machine's by as much as a policy allows at most (`ahead_allowance_ms`).
_CLOCKS_APART_MS = 10 * MINUTE_MS


class Cause(StrEnum):
    """Why something is stalled, where the hop alone does not show it."""

    NODE_UNREACHABLE = "bank_node_unreachable"
    NODE_REFUSES = "bank_node_refuses"
    LEDGER_UNREACHABLE = "ledger_unreachable"
    BANK_SILENT = "bank_silent"
    BANK_AHEAD = "bank_ahead"  # its watermark is later than our clock by more than the policy allows
    BANK_SUSPENDED = "bank_suspended"


_Number = Annotated[int, Field(ge=1, le=2**48 - 1)]
_TimeMs = Annotated[int, Field(ge=0, le=MAX_CALENDAR_MS)]


class NodePublication(BaseModel):
    """The fields of a publication that are read from a bank's node."""

    number: _Number
    signed_at_ms: _TimeMs
    submitted_at_ms: _TimeMs | None = None
    in_block_at_ms: _TimeMs | None = None


class NodeHop(BaseModel):
    """The fields of an attestation that are read from a bank's node."""

    effective_at_ms: _TimeMs
    entry_as_of_ms: _TimeMs | None = None
    received_at_ms: _TimeMs | None = None
    queued_at_ms: _TimeMs | None = None
    publication: NodePublication | None = None


class NodeTrail(BaseModel):
    """A bank's node's answer to `GET /v1/bindings/{binding}/trail`."""

    hops: list[NodeHop]


@dataclass(frozen=True, slots=True)
class ChangeTrail:
    """One change with its hops. Without `publication`, it is not signed yet."""

    publication: int | None
    effective_at_ms: int
    hops: tuple[Hop, ...]

    @property
    def stalled(self) -> HopName | None:
        return next((hop.name for hop in self.hops if hop.state is HopState.STALLED), None)


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision on the binding. `reviewed`: the outcome of its review, once staff have closed it."""

    transaction_id: str
    outcome: str
    reason: Reason | None
    decided_at_ms: int
    publication: int | None
    reviewed: str | None = None


@dataclass(frozen=True, slots=True)
class BindingTrail:
    """The trail. `stalled`: the first stalled hop of the newest change that has one; `cause`: why, where
    more is known than the hop; `troubles`: parties that could not be asked or are not believed."""

    binding: bytes
    bank: Bank
    changes: tuple[ChangeTrail, ...]
    stalled: HopName | None
    cause: Cause | None
    troubles: tuple[Cause, ...]
    watermark_ms: int | None
    staleness_ms: int | None
    last_decision: LastDecision | None
    read_at_ms: int


@dataclass(frozen=True, slots=True)
class _Own:
    """The facts in this gateway's database."""

    observed: dict[int, Any]
    newest_seen: int  # the newest publication of this binding that the follower saw, repeats included
    notified: dict[int, int | None]  # publication → when; absent: no event that an endpoint wants
    used: dict[int, int]
    last_decision: LastDecision | None


class Trails:
    """Makes trails, in one event loop."""

    def __init__(
        self,
        *,
        storage: Storage,
        bindings: Bindings,
        banks: BankDirectory,
        nodes: NodeClient,
        reader: Reader,
        policy: Policy,
        clock: Clock,
        settings: TrailSettings,
    ) -> None:
        self._storage = storage
        self._bindings = bindings
        self._banks = banks
        self._nodes = nodes
        self._reader = reader
        self._policy = policy
        self._clock = clock
        self._settings = settings

    def use(self, policy: Policy) -> None:
        """Use another policy from now on."""
        self._policy = policy

    async def of(self, binding: bytes) -> BindingTrail:
        """The trail of a binding. Raises: NotFound, BankNotServed, StorageUnavailable."""
        bound = await self._bindings.bound(binding)
        bank = self._banks.of_binding(bound.bank)
        (node, node_trouble), seen = await asyncio.gather(self._ask_node(bank, binding), self._read(bound))
        node_hops = node.hops if node is not None else []
        numbers = sorted({hop.publication.number for hop in node_hops if hop.publication is not None})[-MAX_CHANGES:]
        own = await self._storage.reading(self._look_up, binding, numbers)
        now_ms = self._clock.now_ms()
        on_ledger = seen.record.publication if seen is not None else 0
        facts = _facts(node_hops, own, on_ledger)[:MAX_CHANGES]
        changes = tuple(
            ChangeTrail(each.publication, each.effective_at_ms, hops_of(each, self._settings, now_ms)) for each in facts
        )
        troubles = tuple(self._troubles(node_trouble, seen, now_ms))
        stalled, cause = _first_stalled(changes, troubles)
        watermark_ms = (seen.record.watermark_ms or None) if seen is not None else None
        return BindingTrail(
            binding=binding,
            bank=bank,
            changes=changes,
            stalled=stalled,
            cause=cause,
            troubles=troubles,
            watermark_ms=watermark_ms,
            staleness_ms=now_ms - watermark_ms if watermark_ms is not None else None,
            last_decision=own.last_decision,
            read_at_ms=now_ms,
        )

    async def _ask_node(self, bank: Bank, binding: bytes) -> tuple[NodeTrail | None, Cause | None]:
        try:
            async with asyncio.timeout(self._settings.node_timeout_ms / 1000):
                body = await self._nodes.trail(bank, binding)
            return NodeTrail.model_validate_json(body), None
        except (BankNodeUnreachable, TimeoutError):
            return None, Cause.NODE_UNREACHABLE
        except (BankNodeRefused, ValidationError):
            return None, Cause.NODE_REFUSES

    async def _read(self, bound: Bound) -> Seen | None:
        try:
            return await self._reader.read(bound.bank_bytes, bound.binding)
        except (LedgerUnreachable, Overloaded):
            return None  # `_troubles` reports it

    def _troubles(self, node_trouble: Cause | None, seen: Seen | None, now_ms: int) -> Sequence[Cause]:
        found = [] if node_trouble is None else [node_trouble]
        if seen is None:
            return [*found, Cause.LEDGER_UNREACHABLE]
        if seen.record.suspended:
            found.append(Cause.BANK_SUSPENDED)
        if bank_watch.is_silent(seen.record.watermark_ms, self._policy, now_ms):
            found.append(Cause.BANK_AHEAD if seen.record.watermark_ms > now_ms else Cause.BANK_SILENT)
        return found

    def _look_up(self, binding: bytes, numbers: Sequence[int]) -> _Own:
        table = schema.observations.c
        with self._storage.read() as connection:
            # Repeated terms are not a change, unless the bank's node says that a request asked for them.
            newest = (
                select(schema.observations)
                .where(table.binding == binding, or_(table.restated.is_(False), table.publication.in_(numbers)))
                .order_by(table.publication.desc())
                .limit(MAX_CHANGES)
            )
            observed = {row.publication: row for row in connection.execute(newest)}
            seen = connection.scalar(select(func.max(table.publication)).where(table.binding == binding))
            wanted = sorted({*numbers, *observed})
            after = dict(pairwise(wanted))
            return _Own(
                observed=observed,
                newest_seen=seen or 0,
                notified=_notified(connection, binding, wanted),
                used={
                    number: at_ms
                    for number, row in observed.items()
                    if (at_ms := _first_use(connection, row, before=after.get(number))) is not None
                },
                last_decision=_last_decision(connection, binding),
            )


def _notified(connection: Connection, binding: bytes, publications: Sequence[int]) -> dict[int, int | None]:
    """When an endpoint first accepted an event of each publication; None while none has, absent where none wants it."""
    events, deliveries, endpoints = schema.events.c, schema.webhook_deliveries.c, schema.webhook_endpoints.c
    active = [
        (row.queued_to, json.loads(row.types) if row.types is not None else None)
        for row in connection.execute(
            select(endpoints.queued_to, endpoints.types).where(endpoints.disabled_at_ms.is_(None))
        )
    ]
    rows = connection.execute(
        select(
            events.publication,
            events.position,
            events.type,
            func.count(deliveries.position).label("queued"),
            func.min(deliveries.delivered_at_ms).label("delivered_at_ms"),
        )
        .select_from(schema.events.outerjoin(schema.webhook_deliveries, deliveries.position == events.position))
        .where(events.binding == binding, events.publication.in_(publications))
        .group_by(events.publication, events.position, events.type)
    )
    notified: dict[int, int | None] = {}
    for row in rows:
        coming = any(queued_to < row.position and (types is None or row.type in types) for queued_to, types in active)
        if row.queued or coming:
            times = [at_ms for at_ms in (notified.get(row.publication), row.delivered_at_ms) if at_ms is not None]
            notified[row.publication] = min(times, default=None)
    return notified


def _first_use(connection: Connection, observed: Row[Any], *, before: int | None) -> int | None:
    """When a decision was first based on a change: on its publication, or a repeat of its terms before `before`.

    None where none was, or the next change came first.
    """
    table = schema.decisions.c
    # No earlier ones: terms that a request stated again may have taken effect years, and thousands of decisions, ago.
    since_ms = max(observed.effective_at_ms, observed.block_time_ms - _CLOCKS_APART_MS)
    rows = connection.execute(
        select(table.decided_at_ms, table.answer)
        .where(table.binding == observed.binding, table.decided_at_ms >= since_ms)
        .order_by(table.decided_at_ms)
        .limit(_MAX_DECISIONS)
    )
    for row in rows:
        based_on = json.loads(row.answer)["publication"] or 0
        if based_on >= observed.publication:
            return int(row.decided_at_ms) if before is None or based_on < before else None
    return None


def _last_decision(connection: Connection, binding: bytes) -> LastDecision | None:
    table, closed = schema.decisions, schema.reviews.c
    row = connection.execute(
        select(table, closed.outcome.label("reviewed"))
        .outerjoin(schema.reviews, closed.transaction_id == table.c.transaction_id)
        .where(table.c.binding == binding)
        .order_by(table.c.decided_at_ms.desc(), table.c.transaction_id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    reason = Reason(row.reason) if row.reason is not None else None
    publication = json.loads(row.answer)["publication"]
    return LastDecision(row.transaction_id, row.outcome, reason, row.decided_at_ms, publication, row.reviewed)


def _facts(node_hops: Sequence[NodeHop], own: _Own, on_ledger: int) -> list[Facts]:
    """The facts of each change, newest first: those still waiting at the bank, then by publication."""
    waiting = [_of_node(hop) for hop in node_hops if hop.publication is None]
    known = {hop.publication.number: _of_node(hop) for hop in reversed(node_hops) if hop.publication is not None}
    for number, row in own.observed.items():
        facts = known.get(number) or Facts(number, row.effective_at_ms, node_asked=False)
        # A block's time is in whole seconds. The node's own is finer, where it is not before the block; but the node
        # learns of it by asking, and what was seen or used here was in a block by then.
        known_by_ms = min(row.observed_at_ms, own.used.get(number, row.observed_at_ms))
        in_block_ms = max(row.block_time_ms, min(facts.in_block_at_ms or 0, known_by_ms))
        known[number] = replace(facts, in_block_at_ms=in_block_ms, observed_at_ms=row.observed_at_ms)
    reached = max(on_ledger, own.newest_seen)
    # Where the bank's node cannot be asked, it is unknown whether a newer record is a change or a repeat.
    newest = max((number for number in known if number <= reached), default=reached)
    published = [
        replace(
            facts,
            on_ledger=number <= reached,
            notified_at_ms=own.notified.get(number),
            used_at_ms=own.used.get(number),
            reports=number in own.notified or (facts.observed_at_ms is None and number >= newest),
            overtaken=number < newest,
        )
        for number, facts in sorted(known.items(), reverse=True)
    ]
    return [*sorted(waiting, key=lambda facts: -facts.effective_at_ms), *published]


def _of_node(hop: NodeHop) -> Facts:
    publication = hop.publication
    facts = Facts(
        publication.number if publication is not None else None,
        hop.effective_at_ms,
        node_asked=True,
        from_feed=hop.entry_as_of_ms is not None,
        queued_at_ms=hop.queued_at_ms,
        accepted_at_ms=hop.received_at_ms,
    )
    if publication is None:
        return facts
    return replace(
        facts,
        signed_at_ms=publication.signed_at_ms,
        submitted_at_ms=publication.submitted_at_ms,
        in_block_at_ms=publication.in_block_at_ms,
    )


def _first_stalled(changes: Sequence[ChangeTrail], troubles: Sequence[Cause]) -> tuple[HopName | None, Cause | None]:
    """The hop that blocks the newest attestation. A silent bank counts as a stall before its node, even if no change
    shows it."""
    stalled = [change.stalled for change in changes if change.stalled not in {None, HopName.NOTIFIED}]
    if stalled:
        return stalled[-1], None  # the newer ones wait for the oldest one
    order = (
        (Cause.LEDGER_UNREACHABLE, HopName.OBSERVED),
        (Cause.BANK_SUSPENDED, HopName.IN_BLOCK),
        (Cause.BANK_SILENT, HopName.ACCEPTED),
        (Cause.BANK_AHEAD, HopName.ACCEPTED),
    )
    for cause, hop_name in order:
        if cause in troubles:
            return hop_name, cause
    # The platform's own endpoint comes last: the attestation is here, and decisions already use it.
    return (changes[0].stalled if changes else None), None
