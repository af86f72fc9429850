"""The rows that a deciding transaction reads and writes: the mutable part of bindings, and decisions.

Everything here runs inside the caller's transaction.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, null, select, update

from standing.gateway.bindings.bound import Bound, adopt
from standing.gateway.decisions.answers import OPEN_REVIEW, closed_review_document, reservation_document, to_json
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.reservations import current_reservation
from standing.gateway.decisions.rules import NO_CURRENT_ATTESTATION, Decision, Outcome, Reason
from standing.gateway.decisions.usage import AccountDay, Reservation
from standing.gateway.storage import schema
from standing.gateway.storage.bulk import Bulk, Lookup
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.errors import NotFound

_BINDING = schema.bindings.c
# Built once: every deciding transaction uses them, and building one costs as much as running it.
_STATE = select(
    _BINDING.binding,
    _BINDING.user_id,
    _BINDING.created_at_ms,
    _BINDING.ended_at_ms,
    _BINDING.floor,
    _BINDING.tags,
    _BINDING.unvouched,
)
_READ = Lookup(_STATE.where(_BINDING.binding.in_(bindparam("bindings", expanding=True))))
_LOCKED = Lookup(
    _STATE.where(_BINDING.account.in_(bindparam("accounts", expanding=True)))
    .order_by(_BINDING.account, _BINDING.binding)
    .with_for_update()
)
_DECIDED = Lookup(
    select(
        schema.decisions.c.transaction_id,
        schema.decisions.c.binding,
        schema.decisions.c.kind,
        schema.decisions.c.amount_minor,
        schema.decisions.c.currency,
        schema.decisions.c.answer,
    ).where(schema.decisions.c.transaction_id.in_(bindparam("transaction_ids", expanding=True)))
)
_HELD = schema.reservations.c
_LOCKED_OF = Lookup(
    select(_BINDING.binding)
    .where(
        _BINDING.account.in_(
            select(_HELD.account).where(_HELD.transaction_id.in_(bindparam("transaction_ids", expanding=True)))
        )
    )
    .order_by(_BINDING.account, _BINDING.binding)
    .with_for_update()
)


_DECISIONS = Bulk(
    insert(schema.decisions),
    "transaction_id",
    "binding",
    "kind",
    "amount_minor",
    "currency",
    "outcome",
    "reason",
    "decided_at_ms",
    "answer",
    "review",
)
_RESERVATIONS = Bulk(
    insert(schema.reservations),
    "transaction_id",
    "account",
    "day",
    "currency",
    "kind",
    "amount_minor",
    "state",
    "expires_at_ms",
)
_THIS = _BINDING.binding == bindparam("of_binding")
_RAISE = Bulk(
    update(schema.bindings).where(_THIS).values(floor=bindparam("new_floor")),
    "of_binding",
    "new_floor",
)
_ADOPT = Bulk(
    update(schema.bindings)
    .where(_THIS)
    .values(floor=bindparam("new_floor"), tags=bindparam("new_tags"), unvouched=null()),
    "of_binding",
    "new_floor",
    "new_tags",
)

#: Without a record, too, the ledger is behind one that was seen. The checks before these two ignore the publication.
_BELOW_FLOOR = frozenset({Reason.NO_ATTESTATION, Reason.LEDGER_ROLLED_BACK})

_OF_DECISION = schema.reviews.c.transaction_id == schema.decisions.c.transaction_id


@dataclass(slots=True)
class BindingState:
    """The mutable part of a binding, with the changes made by this transaction."""

    binding: bytes
    user_id: str
    bound_at_ms: int
    ended: bool
    floor: int
    tags: bytes
    unvouched: str | None
    raised: bool = False
    adopted: bool = False

    def bound(self, ready: Bound, terms: Terms | None) -> Bound:
        """The binding with its current tags.

        Tags of fields that the bank did not vouch for when it granted the binding are the record's, so that a later
        change is recognised.
        """
        tags = adopt(self.tags, self.unvouched, terms.tags) if self.unvouched and terms is not None else self.tags
        return ready if ready.tags.pack() == tags else replace(ready, tags=IdentityTags.unpack(tags))

    def is_ahead_of(self, decision: Decision) -> bool:
        """Whether a decision was made on an older record than one already seen, or on none."""
        return decision.reason in _BELOW_FLOOR and (decision.publication or 0) < self.floor

    def learn(self, bound: Bound, decision: Decision) -> None:
        """Keep what a record that opened has shown: its publication, as the floor, and the tags in `bound`.

        Tags are kept of a current record only: not of a bank that is suspended or silent, or of an older state of the
        ledger.
        """
        if decision.opened and decision.publication is not None and decision.publication > self.floor:
            self.floor, self.raised = decision.publication, True
        if self.unvouched and decision.opened and decision.reason not in NO_CURRENT_ATTESTATION:
            self.tags, self.unvouched, self.adopted = bound.tags.pack(), None, True


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that is not written yet."""

    transaction: Transaction
    decision: Decision
    answer: str
    reservation: Reservation | None
    day: AccountDay


def lock_accounts(connection: Connection, bindings: Mapping[bytes, bytes]) -> dict[bytes, BindingState]:
    """The mutable part of `bindings`, each given with its account. The accounts are locked until the transaction ends.

    All bindings of an account are locked, in a fixed order, because they share its limits and holds: each transaction
    on an account begins here, and only one of them is under way. SQLite has one writer, so nothing needs a lock there.
    """
    if connection.dialect.name == "sqlite":
        rows = _READ.rows(connection, bindings=list(bindings))
    else:
        rows = _LOCKED.rows(connection, accounts=sorted(set(bindings.values())))
    return {
        binding: BindingState(binding, user_id, bound_at_ms, ended_at_ms is not None, floor, tags, unvouched)
        for binding, user_id, bound_at_ms, ended_at_ms, floor, tags, unvouched in rows
    }


def lock_accounts_of(connection: Connection, transaction_ids: Iterable[str]) -> None:
    """Lock the accounts of these transactions' reservations, as `lock_accounts` does."""
    if connection.dialect.name != "sqlite":
        _LOCKED_OF.rows(connection, transaction_ids=sorted(transaction_ids))


def write_bindings(connection: Connection, states: Iterable[BindingState]) -> None:
    """Write this transaction's changes of bindings."""
    changed = sorted((state for state in states if state.raised or state.adopted), key=lambda state: state.binding)
    raised = [state for state in changed if not state.adopted]
    adopted = [state for state in changed if state.adopted]
    _RAISE.run(connection, [(state.binding, state.floor) for state in raised])
    _ADOPT.run(connection, [(state.binding, state.floor, state.tags) for state in adopted])


def decided_before(connection: Connection, transaction_ids: Sequence[str]) -> dict[str, tuple[Transaction, str]]:
    """The request and the answer of each of these transactions that is already decided."""
    rows = _DECIDED.rows(connection, transaction_ids=list(transaction_ids))
    return {
        transaction_id: (Transaction(transaction_id, binding, Kind(kind), amount_minor, currency), answer)
        for transaction_id, binding, kind, amount_minor, currency, answer in rows
    }


def write_decisions(connection: Connection, fresh: Sequence[Decided], now_ms: int) -> None:
    """Write decisions and their reservations. Raises: sqlalchemy's IntegrityError if one was decided concurrently."""
    if not fresh:
        return
    # In one order, because an insert waits for another transaction that inserts the same id.
    fresh = sorted(fresh, key=lambda each: each.transaction.transaction_id)
    _DECISIONS.run(
        connection,
        [
            (
                each.transaction.transaction_id,
                each.transaction.binding,
                each.transaction.kind.value,
                each.transaction.amount_minor,
                each.transaction.currency,
                each.decision.outcome.value,
                each.decision.reason.value if each.decision.reason is not None else None,
                now_ms,
                each.answer,
                "open" if each.decision.outcome is Outcome.REVIEW else None,
            )
            for each in fresh
        ],
    )
    write_reservations(
        connection,
        [
            (each.transaction.transaction_id, each.day, each.reservation)
            for each in fresh
            if each.reservation is not None
        ],
    )


def write_reservations(connection: Connection, reserved: Sequence[tuple[str, AccountDay, Reservation]]) -> None:
    """Write new reservations, each with its transaction and its day."""
    _RESERVATIONS.run(
        connection,
        [
            (
                transaction_id,
                day.account,
                reservation.day,
                day.currency,
                day.kind.value,
                reservation.amount_minor,
                reservation.state.value,
                reservation.expires_at_ms,
            )
            for transaction_id, day, reservation in reserved
        ],
    )


def present(connection: Connection, transaction_ids: Sequence[str], now_ms: int) -> dict[str, bytes]:
    """Decisions as answered, each with the current state of its reservation and review. Raises: NotFound."""
    held, reviewed = schema.reservations.c, schema.reviews.c
    rows = connection.execute(
        select(
            schema.decisions.c.transaction_id,
            schema.decisions.c.answer,
            schema.decisions.c.review,
            reviewed.outcome.label("review_outcome"),
            reviewed.closed_at_ms,
            reviewed.block_number,
            reviewed.publication,
            reviewed.staleness_ms,
            held.state,
            held.amount_minor,
            held.day,
            held.expires_at_ms,
            held.captured_minor,
            held.refunded_minor,
            held.settled_at_ms,
        )
        .select_from(schema.decisions.outerjoin(schema.reservations).outerjoin(schema.reviews, _OF_DECISION))
        .where(schema.decisions.c.transaction_id.in_(transaction_ids))
    )
    found = {}
    for row in rows:
        document = json.loads(row.answer)
        if row.state is not None:
            document["reservation"] = reservation_document(current_reservation(row, now_ms))
        document["review"] = _review(row)
        found[row.transaction_id] = to_json(document).encode()
    for transaction_id in transaction_ids:
        if transaction_id not in found:
            raise NotFound("transaction_id: no decision with this id; allowed: one that was decided before")
    return found


def _review(row: Row[*tuple[Any, ...]]) -> dict[str, Any] | None:
    if row.review_outcome is None:
        return OPEN_REVIEW if row.review is not None else None
    return closed_review_document(
        Outcome(row.review_outcome),
        closed_at_ms=row.closed_at_ms,
        staleness_ms=row.staleness_ms,
        block_number=row.block_number,
        publication=row.publication,
    )
