"""The health of a bound account as one value, for the user's list of accounts.

It is derived only from the decision table: its present answers to the smallest payment and the smallest withdrawal in
the account's own currency.
"""

from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Decision, Outcome, Reason


class Health(StrEnum):
    """The health of a bound account."""

    GOOD = "good"  # payments and withdrawals are possible
    LIMITED = "limited"  # one of the two is possible
    BLOCKED = "blocked"  # neither is possible, and the bank or the user can change that
    ENDED = "ended"  # neither will ever be possible: the binding has ended, or the account is closed
    UNKNOWN = "unknown"  # it cannot be determined now


#: Reasons for which no statement of the bank is reliable at the moment.
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
    """The state of an account. `reason`: why it is not good; None if it is."""

    health: Health
    reason: Reason | None
    can_pay: bool
    can_withdraw: bool


#: For an account at a bank that is no longer in the settings. No decision has a reason for that.
NOT_SERVED = Condition(Health.ENDED, None, can_pay=False, can_withdraw=False)
#: For a binding that the platform ended.
UNBOUND = Condition(Health.ENDED, Reason.UNBOUND, can_pay=False, can_withdraw=False)


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
