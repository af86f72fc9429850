"""The state of a bound account in one word, for the user who looks at their list of accounts.

The word is no opinion of its own. It is what the decision table answers, now, to the smallest payment and the smallest
withdrawal in the account's own currency.
"""

from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Decision, Outcome, Reason


class Health(StrEnum):
    """The health of a bound account."""

    GOOD = "good"  # payments and withdrawals are possible
    LIMITED = "limited"  # one of the two is possible
    BLOCKED = "blocked"  # neither is, and the bank or the user can change that
    ENDED = "ended"  # neither will be: the binding has ended, or the account is closed
    UNKNOWN = "unknown"  # it cannot be said now


#: Reasons for which nothing that the bank states can be relied on at the moment.
_UNKNOWN = frozenset(
    {
        Reason.LEDGER_UNREACHABLE,
        Reason.NO_ATTESTATION,
        Reason.LEDGER_ROLLED_BACK,
        Reason.BANK_SILENT,
    }
)
_ENDED = frozenset({Reason.UNBOUND, Reason.ACCOUNT_CLOSED})


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of an account. `reason` says why it is not good; None where it is."""

    health: Health
    reason: Reason | None
    can_pay: bool
    can_withdraw: bool


#: For an account at a bank that is no longer in the settings: there is nobody to ask, and no decision has a reason for
#: it.
NOT_SERVED = Condition(Health.ENDED, None, can_pay=False, can_withdraw=False)


def condition(decisions: dict[Kind, Decision]) -> Condition:
    """The state of an account, from the decisions on the smallest payment and withdrawal."""
    payment, withdrawal = decisions[Kind.PAYMENT], decisions[Kind.WITHDRAWAL]
    can_pay, can_withdraw = payment.outcome is Outcome.APPROVE, withdrawal.outcome is Outcome.APPROVE
    reason = payment.reason or withdrawal.reason
    if reason is None:
        health = Health.GOOD
    elif can_pay or can_withdraw:
        health = Health.LIMITED
    elif reason in _UNKNOWN:
        health = Health.UNKNOWN
    elif reason in _ENDED:
        health = Health.ENDED
    else:
        health = Health.BLOCKED
    return Condition(health, reason, can_pay, can_withdraw)
