"""Reviews: staff approve or decline a transaction that was sent to review, once.

An approval overrides the platform's own rules, never the bank. The ledger is read again and the checks run again,
without the risk rules, and without the identity check that caused the review if the policy leaves that check to staff.
Only a transaction that passes is approved. It then reserves its amount like any other, on the day of the approval.
Declining reads nothing.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from standing.gateway.bindings.bound import Bound
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions import records
from standing.gateway.decisions.caps import caps_of
from standing.gateway.decisions.overtaken import Overtaken, until_not_overtaken, went_back
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.records import BindingState
from standing.gateway.decisions.reservations import expire_due
from standing.gateway.decisions.rules import Decision, Outcome, Reason, decide
from standing.gateway.decisions.usage import AccountDay, UsageBook, day_of
from standing.gateway.errors import AlreadyReviewed, NotInReview, ReviewNotApprovable
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.money import currency_code, currency_number
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.clock import Clock
from standing.ledger.errors import NotFound

#: The identity field (of tags and of the policy) behind a reason that the policy may leave to staff.
_IDENTITY = {
    Reason.NAME_CHANGED: "name",
    Reason.ID_DOCUMENT_CHANGED: "id_document",
    Reason.PHONE_CHANGED: "phone",
}


@dataclass(frozen=True, slots=True)
class _Closing:
    """The end of a review; `seen` and `decision` are set for an approval."""

    outcome: Outcome
    closed_by: str
    closed_at_ms: int
    seen: Seen | None = None
    decision: Decision | None = None


class Reviews:
    """Closes reviews. `gateway.decisions.search` lists the open ones."""

    def __init__(
        self,
        *,
        storage: Storage,
        bindings: Bindings,
        reader: Reader,
        policy: Policy,
        clock: Clock,
        reservation_lifetime_ms: int,
    ) -> None:
        self._storage = storage
        self._bindings = bindings
        self._reader = reader
        self._policy = policy
        self._clock = clock
        self._reservation_lifetime_ms = reservation_lifetime_ms

    def use(self, policy: Policy) -> None:
        """Apply another policy from now on."""
        self._policy = policy

    async def close(self, transaction_id: str, outcome: Outcome, closed_by: str) -> bytes:
        """End a review with an approval or a decline. Repeating the same outcome changes nothing.

        Returns: the decision as JSON, with its current review and reservation. Raises: NotFound, NotInReview,
        AlreadyReviewed (with the other outcome), ReviewNotApprovable (the attestation does not allow it),
        BankNotServed, LedgerUnreachable, Overloaded, StorageUnavailable.
        """
        if outcome is Outcome.DECLINE:
            return await self._storage.writing(self._decline, transaction_id, closed_by)
        row, closed = await self._storage.reading(self._read_reviewed, transaction_id)
        if closed is not None:
            return closed
        bound = await self._bindings.bound(row.binding)
        return await until_not_overtaken(partial(self._read_and_approve, row, bound, closed_by))

    async def _read_and_approve(
        self, row: Row[Any], bound: Bound, closed_by: str, reach: int | None, last: bool
    ) -> bytes:
        """One attempt, see `until_not_overtaken`."""
        seen = await self._reader.read(bound.bank_bytes, bound.binding, floor=reach or 0)
        final = last or went_back(seen.record.publication, reach)
        return await self._storage.writing(self._approve, row, bound, seen, closed_by, final)

    def _read_reviewed(self, transaction_id: str) -> tuple[Row[Any], bytes | None]:
        """The decision, and the answer where its review is approved already, for which no ledger is needed.

        Raises: NotFound, NotInReview, AlreadyReviewed.
        """
        with self._storage.read() as connection:
            row = _reviewed(connection, transaction_id)
            if not _is_closed(connection, row, Outcome.APPROVE):
                return row, None
            return row, records.present(connection, [transaction_id], self._clock.now_ms())[transaction_id]

    def _decline(self, transaction_id: str, closed_by: str) -> bytes:
        def work(connection: Connection) -> bytes:
            row = _reviewed(connection, transaction_id, lock=True)
            closing = _Closing(Outcome.DECLINE, closed_by, self._clock.now_ms())
            if not _is_closed(connection, row, closing.outcome):
                _write(connection, row, closing)
            return records.present(connection, [transaction_id], closing.closed_at_ms)[transaction_id]

        return self._storage.write_all(work)

    def _approve(self, read_row: Row[Any], bound: Bound, seen: Seen, closed_by: str, final: bool) -> bytes:
        def work(connection: Connection) -> bytes:
            state = records.lock_accounts(connection, {bound.binding: bound.account})[bound.binding]
            row = _reviewed(connection, read_row.transaction_id, lock=True)
            now_ms = self._clock.now_ms()  # after the locks are held, as in a decision
            if not _is_closed(connection, row, Outcome.APPROVE):
                decision = self._pass_or_raise(connection, row, state, bound, seen, now_ms, final)
                _write(connection, row, _Closing(Outcome.APPROVE, closed_by, now_ms, seen, decision))
                records.write_bindings(connection, [state])
            return records.present(connection, [row.transaction_id], now_ms)[row.transaction_id]

        return self._storage.write_all(work)

    def _pass_or_raise(
        self,
        connection: Connection,
        row: Row[Any],
        state: BindingState,
        ready: Bound,
        seen: Seen,
        now_ms: int,
        final: bool,
    ) -> Decision:
        """Decide again, and reserve the amount. Raises: ReviewNotApprovable, Overtaken."""
        policy = self._policy
        question = Question(Kind(row.kind), row.amount_minor, currency_number(row.currency))
        day = AccountDay(ready.account, day_of(now_ms, ready.zone), currency_code(question.currency), question.kind)
        expire_due(connection, [ready.account], now_ms)
        usage = UsageBook(connection, [day])
        terms = ready.open(seen.record)
        bound = state.bound(ready, terms)
        limits = terms.limits if terms is not None else NO_LIMITS
        decision = decide(
            question,
            record=seen.record,
            terms=terms,
            expected=_waived(policy, Reason(row.reason), bound.tags, terms),
            ended=state.ended,
            floor=state.floor,
            used=usage.used(day, caps_of(limits, question.kind)),
            policy=policy.model_copy(update={"risk": ()}),  # staff are the last instance of the platform's own rules
            now_ms=now_ms,
        )
        if not final and state.is_ahead_of(decision):
            raise Overtaken(state.floor)
        if decision.reason is not None:
            raise ReviewNotApprovable(
                f"it would be {decision.reason.value} now, which staff cannot overrule; allowed: to decline it, or to "
                "approve it once that has changed"
            )
        state.learn(bound, decision)
        reservation = usage.reserve(
            day, question.amount_minor, now_ms=now_ms, lifetime_ms=self._reservation_lifetime_ms
        )
        records.write_reservations(connection, [(row.transaction_id, day, reservation)])
        usage.write()
        return decision


def _waived(policy: Policy, reason: Reason, expected: IdentityTags, terms: Terms | None) -> IdentityTags:
    """The expected tags, with the identity field under review replaced by the bank's present tag."""
    field = _IDENTITY.get(reason)
    if field is None or terms is None or getattr(policy.identity, field) != Outcome.REVIEW.value:
        return expected
    return replace(expected, **{field: getattr(terms.tags, field)})


def _reviewed(connection: Connection, transaction_id: str, *, lock: bool = False) -> Row[Any]:
    """The row of a decision that was sent to review, with its bank. Raises: NotFound, NotInReview."""
    table = schema.decisions
    query = (
        select(table, schema.bindings.c.bank)
        .join(schema.bindings, schema.bindings.c.binding == table.c.binding)
        .where(table.c.transaction_id == transaction_id)
    )
    row = connection.execute(query.with_for_update(of=table) if lock else query).one_or_none()
    if row is None:
        raise NotFound("transaction_id: no decision with this id; allowed: one that was decided before")
    if row.review is None:
        raise NotInReview(f"the decision is {row.outcome}; allowed: those that were sent to review")
    return row


def _is_closed(connection: Connection, row: Row[Any], outcome: Outcome) -> bool:
    """Whether the review already ended with this outcome. Raises: AlreadyReviewed if it ended with the other."""
    table = schema.reviews.c
    ended = connection.scalar(select(table.outcome).where(table.transaction_id == row.transaction_id))
    if ended is not None and ended != outcome.value:
        raise AlreadyReviewed(f"the review ended with {ended}; allowed: only {ended} again")
    return ended is not None


def _write(connection: Connection, row: Row[Any], closing: _Closing) -> None:
    """Write the end of a review, and its event."""
    decision = closing.decision
    block_number = closing.seen.block_number if closing.seen is not None else None
    publication = decision.publication if decision is not None else None
    connection.execute(
        insert(schema.reviews).values(
            transaction_id=row.transaction_id,
            outcome=closing.outcome.value,
            closed_at_ms=closing.closed_at_ms,
            closed_by=closing.closed_by,
            block_number=block_number,
            publication=publication,
            staleness_ms=decision.staleness_ms if decision is not None else None,
        )
    )
    table = schema.decisions
    connection.execute(update(table).where(table.c.transaction_id == row.transaction_id).values(review="closed"))
    event = Event(
        type=EventType.REVIEWED,
        bank=row.bank,
        binding=row.binding,
        publication=publication,
        block_number=block_number or 0,
        happened_at_ms=closing.closed_at_ms,
        observed_at_ms=closing.closed_at_ms,
        data={"transaction_id": row.transaction_id, "outcome": closing.outcome.value, "reason": row.reason},
    )
    event_log.append(connection, [event])
