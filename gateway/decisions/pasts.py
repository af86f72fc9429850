"""A binding's past, as habit rules see it. Pure; `gateway.decisions.past_reads` reads it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from standing.gateway.decisions.question import Question

#: How many approved transactions of an account are considered, newest first, of each kind: many small withdrawals must
#: not hide the habit of its payments.
MAX_PAST = 50


@dataclass(frozen=True, slots=True)
class PastAmount:
    """An approved transaction. `currency`: ISO 4217, numeric."""

    at_ms: int
    kind: str
    currency: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Past:
    """A binding's past.

    `amounts`: approved amounts of the account, newest first, at most `MAX_PAST` of each kind. `approved_at_ms`: the
    last approval of the binding itself. `identity_changed_at_ms`: when this gateway last saw a change of the holder's
    identity. `account_bound_at_ms`: when bindings of the account were made, ended ones included.
    """

    amounts: tuple[PastAmount, ...] = ()
    approved_at_ms: int | None = None
    identity_changed_at_ms: int | None = None
    account_bound_at_ms: tuple[int, ...] = ()

    def after(self, question: Question, now_ms: int, *, itself: bool = True) -> "Past":
        """The past after this transaction is approved. `itself`: on this binding, not on another of the account."""
        newest = PastAmount(now_ms, question.kind.value, question.currency, question.amount_minor)
        return replace(
            self,
            amounts=newest_of_each_kind((newest, *self.amounts)),
            approved_at_ms=now_ms if itself else self.approved_at_ms,
        )


def newest_of_each_kind(amounts: Iterable[PastAmount]) -> tuple[PastAmount, ...]:
    """Those of `amounts`, given newest first, that a past considers."""
    of_kind: Counter[str] = Counter()
    kept = []
    for each in amounts:
        of_kind[each.kind] += 1
        if of_kind[each.kind] <= MAX_PAST:
            kept.append(each)
    return tuple(kept)


NO_PAST = Past()
