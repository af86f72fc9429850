"""Reads the pasts that habit rules need, for all bindings of one deciding transaction at once.

These reads run only if the policy has such a rule. The rules can hold a transaction for review, never approve one.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, func, or_, select

from standing.gateway.decisions.pasts import MAX_PAST, Past, PastAmount
from standing.gateway.decisions.question import Kind
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.ledger.attestations.money import currency_number

#: Approved by the decision itself, or by a review.
_APPROVED = or_(
    schema.decisions.c.outcome == "approve",
    schema.decisions.c.transaction_id.in_(
        select(schema.reviews.c.transaction_id).where(
            schema.reviews.c.transaction_id == schema.decisions.c.transaction_id,
            schema.reviews.c.outcome == "approve",
        )
    ),
)


def read_pasts(connection: Connection, bindings: Mapping[bytes, bytes]) -> dict[bytes, Past]:
    """The pasts of bindings, each given with its account."""
    accounts = sorted(set(bindings.values()))
    amounts = {account: _amounts(connection, account) for account in accounts}
    bound = _bound(connection, accounts)
    approved = _last_approvals(connection, bindings)
    changed = _identity_changes(connection, bindings)
    return {
        binding: Past(amounts[account], approved.get(binding), changed.get(binding), tuple(bound.get(account, ())))
        for binding, account in bindings.items()
    }


def _amounts(connection: Connection, account: bytes) -> tuple[PastAmount, ...]:
    found = [each for kind in Kind for each in _amounts_of(connection, account, kind)]
    return tuple(sorted(found, key=lambda each: each.at_ms, reverse=True))


def _amounts_of(connection: Connection, account: bytes, kind: Kind) -> list[PastAmount]:
    decided, own = schema.decisions.c, schema.bindings.c
    rows = connection.execute(
        select(decided.decided_at_ms, decided.currency, decided.amount_minor)
        .where(
            decided.binding.in_(select(own.binding).where(own.account == account)),
            decided.kind == kind.value,
            _APPROVED,
        )
        .order_by(decided.decided_at_ms.desc())
        .limit(MAX_PAST)
    )
    return [PastAmount(at_ms, kind.value, currency_number(code), amount) for at_ms, code, amount in rows]


def _bound(connection: Connection, accounts: Sequence[bytes]) -> dict[bytes, list[int]]:
    own = schema.bindings.c
    found: dict[bytes, list[int]] = {}
    for account, at_ms in connection.execute(
        select(own.account, own.created_at_ms).where(own.account.in_(accounts)).order_by(own.created_at_ms)
    ):
        found.setdefault(account, []).append(at_ms)
    return found


def _last_approvals(connection: Connection, bindings: Iterable[bytes]) -> dict[bytes, int]:
    """When a transaction of each binding was last approved: by its decision, or later by staff."""
    decided, review = schema.decisions.c, schema.reviews.c
    rows = connection.execute(
        select(decided.binding, func.max(func.coalesce(review.closed_at_ms, decided.decided_at_ms)))
        .outerjoin(schema.reviews, review.transaction_id == decided.transaction_id)
        .where(decided.binding.in_(list(bindings)), or_(decided.outcome == "approve", review.outcome == "approve"))
        .group_by(decided.binding)
    )
    return {binding: int(at_ms) for binding, at_ms in rows}


def _identity_changes(connection: Connection, bindings: Iterable[bytes]) -> dict[bytes, int]:
    events = schema.events.c
    rows = connection.execute(
        select(events.binding, func.max(events.observed_at_ms))
        .where(events.binding.in_(list(bindings)), events.type == EventType.IDENTITY_CHANGED.value)
        .group_by(events.binding)
    )
    return {binding: int(at_ms) for binding, at_ms in rows}
