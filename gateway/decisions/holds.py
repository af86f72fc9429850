"""Holds on transactions of a binding or on a user's attempts to bind: their reason, their end, and lifting by support.

The rules of the policy (`gateway.decisions.risk`) hold transactions; the decision in which a rule first applies stores
the hold. Too many refusals by banks hold a user's attempts to bind (`gateway.bindings.attempts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, func, insert, or_, select, union_all, update

from standing.gateway.access.localized import Localized
from standing.gateway.bindings.attempts import new_hold_id
from standing.gateway.bindings.users import check_known
from standing.gateway.decisions.past_reads import read_pasts
from standing.gateway.decisions.pasts import NO_PAST, Past
from standing.gateway.decisions.question import Question
from standing.gateway.decisions.risk import Hold, RiskFacts, RiskRule, Tally
from standing.gateway.decisions.rules import Decision, Outcome
from standing.gateway.errors import AlreadyLifted
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.money import currency_number
from standing.ledger.clock import Clock
from standing.ledger.errors import NotFound

#: The most holds in a list, newest first.
MAX_LISTED = 200

#: Sums are computed in two parts: SQLite fails if a sum exceeds 64 bits, and withdrawals have no limit.
_PART = 2**32


@dataclass(frozen=True, slots=True)
class StoredHold:
    """A stored hold. `binding` is None for a hold on the user's attempts to bind."""

    hold_id: str
    binding: bytes | None
    user_id: str
    rule: str
    why: Localized
    whole: bool
    began_at_ms: int
    ends_at_ms: int
    lifted_at_ms: int | None
    lifted_by: str | None


class RiskBook:
    """The inputs of a policy's risk rules for some bindings, within one deciding transaction.

    `bindings`: each with its account. Approved amounts, and holds of the whole account, belong to the account: they
    also apply to a new binding of it.
    """

    def __init__(
        self, connection: Connection, rules: Sequence[RiskRule], bindings: Mapping[bytes, bytes], now_ms: int
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._accounts = bindings
        self._now_ms = now_ms
        self._holds: dict[bytes, list[tuple[bytes, Hold]]] = {}  # by account, each with its original binding
        self._tallies: dict[bytes, dict[str, Tally]] = {}  # by account
        self._fresh: list[dict[str, Any]] = []
        self._pasts: dict[bytes, Past] = {}
        if rules and bindings:
            accounts = sorted(set(bindings.values()))
            self._read_holds(accounts)
            if any(rule.looks_back for rule in rules):
                self._pasts = read_pasts(connection, bindings)
            for rule in rules:
                if rule.window_ms:
                    self._read_tallies(rule, accounts)

    def _read_holds(self, accounts: Sequence[bytes]) -> None:
        table, own = schema.holds.c, schema.bindings.c
        rows = self._connection.execute(
            select(schema.holds, own.account)
            .join(schema.bindings, own.binding == table.binding)
            .where(own.account.in_(accounts), table.ends_at_ms > self._now_ms)
            .order_by(table.began_at_ms, table.hold_id)
        )
        for row in rows:
            why, lifted = Localized(row.why, row.why_zh), row.lifted_at_ms is not None
            hold = Hold(row.rule, why, row.ends_at_ms, row.whole, row.hold_id, lifted)
            self._holds.setdefault(row.account, []).append((row.binding, hold))

    def _read_tallies(self, rule: RiskRule, accounts: Sequence[bytes]) -> None:
        for row in self._connection.execute(_approved_since(accounts, self._now_ms - rule.window_ms)):
            if rule.counts(row.kind, currency_number(row.currency)):
                self._add(row.account, rule.name, row.approved, int(row.sum_high) * _PART + int(row.sum_low))

    def _add(self, account: bytes, rule: str, count: int, sum_minor: int) -> None:
        tallies = self._tallies.setdefault(account, {})
        before = tallies.get(rule, _NOTHING)
        tallies[rule] = Tally(before.count + count, before.sum_minor + sum_minor)

    def facts(self, binding: bytes, bound_at_ms: int) -> RiskFacts | None:
        """The facts about a binding; None if the policy has no rules."""
        if not self._rules:
            return None
        account = self._accounts[binding]
        known = self._tallies.get(account, {})
        tallies = {rule.name: known.get(rule.name, _NOTHING) for rule in self._rules if rule.window_ms}
        holds = [hold for of_binding, hold in self._holds.get(account, ()) if hold.whole or of_binding == binding]
        return RiskFacts(bound_at_ms, tallies, holds, self._pasts.get(binding, NO_PAST))

    def approved(self, binding: bytes, question: Question) -> None:
        """Add an approved transaction to the tallies and the past."""
        account = self._accounts[binding]
        for other in [each for each in self._pasts if self._accounts[each] == account]:
            self._pasts[other] = self._pasts[other].after(question, self._now_ms, itself=other == binding)
        for rule in self._rules:
            if rule.window_ms and rule.counts(question.kind.value, question.currency):
                self._add(account, rule.name, 1, question.amount_minor)

    def held(self, binding: bytes, user_id: str, decision: Decision) -> Decision:
        """A held decision with its hold's id. `write` stores a new hold."""
        hold = decision.hold
        if hold is None or hold.hold_id is not None:
            return decision
        stored = replace(hold, hold_id=new_hold_id())
        self._holds.setdefault(self._accounts[binding], []).append((binding, stored))
        self._fresh.append(_values(stored, binding, user_id, self._now_ms))
        return replace(decision, hold=stored)

    def write(self) -> None:
        """Write the new holds."""
        if self._fresh:
            self._connection.execute(insert(schema.holds), self._fresh)


_NOTHING = Tally(0, 0)


def _approved_since(accounts: Sequence[bytes], since_ms: int) -> CompoundSelect[Any]:
    """Amounts approved for some accounts after a time, by a decision or by a review."""
    table, own, review = schema.decisions.c, schema.bindings.c, schema.reviews.c
    sums = (
        select(
            own.account,
            table.kind,
            table.currency,
            func.count().label("approved"),
            func.sum(table.amount_minor // _PART).label("sum_high"),
            func.sum(table.amount_minor % _PART).label("sum_low"),
        )
        .join(schema.bindings, own.binding == table.binding)
        .where(own.account.in_(accounts))
        .group_by(own.account, table.kind, table.currency)
    )
    return union_all(
        sums.where(table.decided_at_ms > since_ms, table.outcome == Outcome.APPROVE.value),
        sums.join(schema.reviews, review.transaction_id == table.transaction_id).where(
            review.closed_at_ms > since_ms, review.outcome == Outcome.APPROVE.value
        ),
    )


def _values(hold: Hold, binding: bytes, user_id: str, now_ms: int) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "binding": binding,
        "user_id": user_id,
        "rule": hold.rule,
        "why": hold.why.en,
        "why_zh": hold.why.zh,
        "whole": hold.whole,
        "began_at_ms": now_ms,
        "ends_at_ms": hold.ends_at_ms,
    }


class Holds:
    """Lists and lifts holds, for support."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def listed(self, *, binding: bytes | None = None, user_id: str | None = None) -> list[StoredHold]:
        """The holds of a binding or of a user, newest first, including ended and lifted ones, at most MAX_LISTED.

        A binding's list includes holds of the whole account that came from another binding of it.
        Raises: NotFound (no such user), StorageUnavailable.
        """

        def read() -> list[StoredHold]:
            with self._storage.read() as connection:
                return _listed(connection, binding, user_id)

        return await self._storage.reading(read)

    async def lift(self, hold_id: str, lifted_by: str) -> StoredHold:
        """Lift a hold before its end. Raises: NotFound, AlreadyLifted (lifted before, or ended), StorageUnavailable."""

        def write() -> StoredHold:
            with self._storage.write() as connection:
                return _lift(connection, hold_id, lifted_by, self._clock.now_ms())

        return await self._storage.writing(write)


def _listed(connection: Connection, binding: bytes | None, user_id: str | None) -> list[StoredHold]:
    table, own = schema.holds.c, schema.bindings.c
    query = select(schema.holds).order_by(table.began_at_ms.desc(), table.hold_id).limit(MAX_LISTED)
    if binding is not None:
        account = select(own.account).where(own.binding == binding).scalar_subquery()
        # One IN over the bindings and not an OR of two conditions, for which PostgreSQL would scan every hold.
        of_account = table.binding.in_(select(own.binding).where(own.account == account))
        query = query.where(of_account, or_(table.binding == binding, table.whole))
    if user_id is not None:
        check_known(connection, user_id)
        query = query.where(table.user_id == user_id)
    return [_stored(row) for row in connection.execute(query)]


def _lift(connection: Connection, hold_id: str, lifted_by: str, now_ms: int) -> StoredHold:
    table = schema.holds
    query = select(table).where(table.c.hold_id == hold_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("hold_id: no such hold; allowed: one that a decision or GET /v1/holds names")
    if row.lifted_at_ms is not None or now_ms >= row.ends_at_ms:
        # No time: this is read by people, too, and GET /v1/holds states both.
        raise AlreadyLifted(
            "the hold was lifted before; there is nothing to lift"
            if row.lifted_at_ms is not None
            else "the hold has ended; there is nothing to lift"
        )
    connection.execute(update(table).where(table.c.hold_id == hold_id).values(lifted_at_ms=now_ms, lifted_by=lifted_by))
    return _stored(connection.execute(query).one())


def _stored(row: Row[Any]) -> StoredHold:
    return StoredHold(
        hold_id=row.hold_id,
        binding=row.binding,
        user_id=row.user_id,
        rule=row.rule,
        why=Localized(row.why, row.why_zh),
        whole=row.whole,
        began_at_ms=row.began_at_ms,
        ends_at_ms=row.ends_at_ms,
        lifted_at_ms=row.lifted_at_ms,
        lifted_by=row.lifted_by,
    )
