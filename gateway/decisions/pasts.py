"""A binding's past, as habit rules see it. Pure; `gateway.decisions.past_reads` reads it."""

from dataclasses import dataclass, replace

from standing.gateway.decisions.question import Question

#: How many approved transactions of an account are considered, newest first.
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

    `amounts`: approved amounts of the account, newest first, at most `MAX_PAST`. `approved_at_ms`: the last approval
    of the binding itself. `identity_changed_at_ms`: when this gateway last saw a change of the holder's identity.
    `account_bound_at_ms`: when bindings of the account were made, ended ones included.
    """

    amounts: tuple[PastAmount, ...] = ()
    approved_at_ms: int | None = None
    identity_changed_at_ms: int | None = None
    account_bound_at_ms: tuple[int, ...] = ()

    def after(self, question: Question, now_ms: int, *, itself: bool = True) -> "Past":
        """The past after this transaction is approved. `itself`: on this binding, not on another of the account."""
        newest = PastAmount(now_ms, question.kind.value, question.currency, question.amount_minor)
        return replace(
            self, amounts=(newest, *self.amounts)[:MAX_PAST], approved_at_ms=now_ms if itself else self.approved_at_ms
        )


NO_PAST = Past()
