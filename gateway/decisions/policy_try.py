"""Replays a policy's risk rules over recorded decisions: the holds that they would have caused, and the outcomes.

A dry run: nothing is written, and no decision is repeated. Rules see each transaction as they would have at that time,
with earlier approvals, bindings and changes only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, literal, select, union_all

from standing.gateway.decisions.pasts import Past, PastAmount, newest_of_each_kind
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import Hold, RiskFacts, RiskRule, Tally, first_hold
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.ledger.attestations.money import currency_number
from standing.ledger.clock import DAY_MS

#: The longest past that a rule may use.
_LOOK_BACK_MS = 90 * DAY_MS
#: A binding that ends badly within this time after a transaction may have been misused.
_SOON_MS = 7 * DAY_MS
_BAD_ENDS = (EventType.LOST, EventType.FROZEN, EventType.CLOSED)


@dataclass(slots=True)
class RuleDryRun:
    """The approved transactions that one rule would have held. Sums are minor units, by currency.

    `captured`, `voided`, `reserved`: how they ended. `refunded`: some of it was paid back. `trouble_soon`: the bank
    froze or closed the account, or recorded it as lost, within seven days.
    """

    held: int = 0
    sum_minor: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    refunded: int = 0
    trouble_soon: int = 0


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result of a dry run. `approved`: recorded approvals since the time; `examples`: at most ten
    transactions of each rule, newest last."""

    approved: int
    rules: dict[str, RuleDryRun]
    examples: dict[str, list[str]]


def dry_run(connection: Connection, rules: Sequence[RiskRule], since_ms: int) -> DryRun:
    """Replay the rules over the approvals since a time, in order."""
    replay = _Replay(connection, rules)
    run = DryRun(0, {rule.name: RuleDryRun() for rule in rules}, {rule.name: [] for rule in rules})
    approved = 0
    for row in _approvals(connection, since_ms - _LOOK_BACK_MS):
        question = Question(Kind(row.kind), row.amount_minor, currency_number(row.currency))
        if row.at_ms >= since_ms and not row.reviewed:
            approved += 1
            hold = replay.hold(row, question)
            if hold is not None:
                _add(run.rules[hold.rule], row, replay.trouble_soon(row))
                run.examples[hold.rule] = [*run.examples[hold.rule], row.transaction_id][-10:]
        replay.approved(row, question)
    return replace(run, approved=approved)


class _Replay:
    """The facts known at each moment, by account."""

    def __init__(self, connection: Connection, rules: Sequence[RiskRule]) -> None:
        self._rules = rules
        self._amounts: dict[bytes, list[PastAmount]] = {}  # by account, oldest first
        self._newest: dict[bytes, tuple[PastAmount, ...]] = {}  # by account: those that a past considers
        self._approved_at_ms: dict[bytes, int] = {}  # by binding
        self._holds: dict[bytes, list[Hold]] = {}  # by account
        self._bound: dict[bytes, list[int]] = {}
        own, events = schema.bindings.c, schema.events.c
        for account, at_ms in connection.execute(select(own.account, own.created_at_ms).order_by(own.created_at_ms)):
            self._bound.setdefault(account, []).append(at_ms)
        self._changes: dict[bytes, list[int]] = {}
        self._bad_ends: dict[bytes, list[int]] = {}
        wanted = {EventType.IDENTITY_CHANGED.value: self._changes, **{end.value: self._bad_ends for end in _BAD_ENDS}}
        for binding, kind, at_ms in connection.execute(
            select(events.binding, events.type, events.observed_at_ms)
            .where(events.type.in_(list(wanted)))
            .order_by(events.position)
        ):
            wanted[kind].setdefault(binding, []).append(at_ms)

    def hold(self, row: Row[Any], question: Question) -> Hold | None:
        now_ms, account = row.at_ms, row.account
        holds = [hold for hold in self._holds.get(account, ()) if hold.ends_at_ms > now_ms]
        known = self._amounts.get(account, [])
        facts = RiskFacts(
            row.bound_at_ms,
            {rule.name: _tally(rule, known, now_ms) for rule in self._rules if rule.window_ms},
            holds,
            Past(
                amounts=self._newest.get(account, ()),
                approved_at_ms=self._approved_at_ms.get(row.binding),
                identity_changed_at_ms=max(
                    (at for at in self._changes.get(row.binding, ()) if at <= now_ms), default=None
                ),
                account_bound_at_ms=tuple(at for at in self._bound.get(account, ()) if at <= now_ms),
            ),
        )
        hold = first_hold(self._rules, question, facts, now_ms)
        if hold is not None and hold.whole and hold not in holds:
            self._holds[account] = [*holds, hold]
        return hold

    def approved(self, row: Row[Any], question: Question) -> None:
        amount = PastAmount(row.at_ms, row.kind, question.currency, row.amount_minor)
        self._amounts.setdefault(row.account, []).append(amount)
        self._newest[row.account] = newest_of_each_kind((amount, *self._newest.get(row.account, ())))
        self._approved_at_ms[row.binding] = row.at_ms

    def trouble_soon(self, row: Row[Any]) -> bool:
        ends = self._bad_ends.get(row.binding, ())
        return any(row.at_ms < at_ms <= row.at_ms + _SOON_MS for at_ms in ends)


def _tally(rule: RiskRule, amounts: Sequence[PastAmount], now_ms: int) -> Tally:
    count = sum_minor = 0
    for each in reversed(amounts):
        if each.at_ms <= now_ms - rule.window_ms:
            break
        if rule.counts(each.kind, each.currency):
            count, sum_minor = count + 1, sum_minor + each.amount_minor
    return Tally(count, sum_minor)


def _add(tried: RuleDryRun, row: Row[Any], trouble: bool) -> None:
    tried.held += 1
    tried.sum_minor[row.currency] = tried.sum_minor.get(row.currency, 0) + row.amount_minor
    tried.ends[row.state or "none"] = tried.ends.get(row.state or "none", 0) + 1
    tried.refunded += bool(row.refunded_minor)
    tried.trouble_soon += trouble


def _approvals(connection: Connection, since_ms: int) -> Iterable[Row[Any]]:
    """Approvals in order: by decisions, and by staff (`reviewed`), which rules count, and no rule holds again."""
    decided, own, reserved, review = schema.decisions.c, schema.bindings.c, schema.reservations.c, schema.reviews.c

    def approvals(at_ms: ColumnElement[int], reviewed: bool) -> Select[Any]:
        return (
            select(
                decided.transaction_id,
                decided.binding,
                decided.kind,
                decided.amount_minor,
                decided.currency,
                at_ms.label("at_ms"),
                literal(reviewed).label("reviewed"),
                own.account,
                own.created_at_ms.label("bound_at_ms"),
                reserved.state,
                reserved.refunded_minor,
            )
            .join(schema.bindings, own.binding == decided.binding)
            .outerjoin(schema.reservations, reserved.transaction_id == decided.transaction_id)
            .where(at_ms >= since_ms)
        )

    both = union_all(
        approvals(decided.decided_at_ms, False).where(decided.outcome == "approve"),
        approvals(review.closed_at_ms, True)
        .join(schema.reviews, review.transaction_id == decided.transaction_id)
        .where(review.outcome == "approve"),
    ).subquery()
    query = select(both).order_by(both.c.at_ms, both.c.transaction_id)
    return connection.execute(query.execution_options(yield_per=1_000))
