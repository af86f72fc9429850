"""The decision table (checks 4 to 14), implemented a second time, from the design alone."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from generator.accounts import NO_LIMIT, Account, Limit

Kind = Literal["payment", "withdrawal"]


class Verdict(NamedTuple):
    """An outcome and, unless it is `approve`, its one reason."""

    outcome: Literal["approve", "decline", "review"]
    reason: str | None


APPROVE = Verdict("approve", None)


class Transaction(NamedTuple):
    """A user's request; the amount is in minor units of `currency`."""

    kind: Kind
    amount_minor: int
    currency: str


class Situation(NamedTuple):
    """A transaction and the state of its account at that moment."""

    transaction: Transaction
    now: Account
    """The account as the bank has it."""
    at_binding: Account
    """The account as it was when the user bound it: the identity that the platform still uses."""
    used_minor: int
    """The amount approved in this transaction's direction and not voided.

    The platform begins with this day, so the month's and year's usage are the day's.
    """
    unbound: bool
    """The holder ended the binding at the bank."""
    silent: bool = False
    """The bank's staleness is above what any policy allows."""

    @property
    def payment(self) -> bool:
        """Whether the transaction debits the account; a withdrawal credits it."""
        return self.transaction.kind == "payment"

    @property
    def permitted(self) -> bool:
        """Whether the account's permissions allow this kind of transaction."""
        return self.now.debit_allowed if self.payment else self.now.credit_allowed


def _exceeds(amount_minor: int, limit: Limit) -> bool:
    return limit != NO_LIMIT and amount_minor > limit


def _with_usage(s: Situation) -> int:
    return s.used_minor + s.transaction.amount_minor


def day_limit(account: Account, kind: Kind) -> Limit:
    """The daily limit in this direction."""
    return account.daily_limit_minor if kind == "payment" else account.daily_credit_limit_minor


def year_limit(account: Account, kind: Kind) -> Limit:
    """The yearly limit in this direction."""
    return account.yearly_limit_minor if kind == "payment" else account.yearly_credit_limit_minor


# The first line that holds gives the verdict: their order is the reasons' precedence.
CHECKS: tuple[tuple[Verdict, Callable[[Situation], bool]], ...] = (
    (Verdict("review", "bank_silent"), lambda s: s.silent),
    (Verdict("decline", "unbound"), lambda s: s.unbound),
    (Verdict("decline", "account_closed"), lambda s: s.now.status == "closed"),
    (Verdict("decline", "account_lost"), lambda s: s.now.status == "lost"),
    (Verdict("decline", "account_frozen"), lambda s: s.now.status == "frozen" and not s.permitted),
    (Verdict("decline", "account_dormant"), lambda s: s.now.status == "dormant"),
    (Verdict("decline", "debit_not_allowed"), lambda s: s.payment and not s.permitted),
    (Verdict("decline", "credit_not_allowed"), lambda s: not s.payment and not s.permitted),
    (Verdict("decline", "name_changed"), lambda s: s.now.holder_name != s.at_binding.holder_name),
    (Verdict("decline", "id_document_changed"), lambda s: s.now.id_document != s.at_binding.id_document),
    (Verdict("review", "phone_changed"), lambda s: s.now.phone != s.at_binding.phone),
    (Verdict("decline", "currency_not_allowed"), lambda s: s.now.currency != s.transaction.currency),
    (
        Verdict("decline", "over_transaction_limit"),
        lambda s: s.payment and _exceeds(s.transaction.amount_minor, s.now.transaction_limit_minor),
    ),
    (
        Verdict("decline", "over_daily_limit"),
        lambda s: _exceeds(_with_usage(s), day_limit(s.now, s.transaction.kind)),
    ),
    (
        Verdict("decline", "over_monthly_limit"),
        lambda s: s.payment and _exceeds(_with_usage(s), s.now.monthly_limit_minor),
    ),
    (
        Verdict("decline", "over_yearly_limit"),
        lambda s: _exceeds(_with_usage(s), year_limit(s.now, s.transaction.kind)),
    ),
)


def decide(situation: Situation) -> Verdict:
    """The expected decision."""
    return next((verdict for verdict, holds in CHECKS if holds(situation)), APPROVE)
