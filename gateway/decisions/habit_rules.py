"""Risk rules that depend on the past: an unusual amount, the first payment after a change of identity, a burst of new
bindings on one account, a withdrawal right after binding. Pure, like every rule (`gateway.decisions.risk`)."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import Hold, NewBindingRule, RiskFacts, Rule, VelocityRule
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, amount_text
from standing.ledger.clock import HOUR_MS, MINUTE_MS

_MAX_HOURS = 90 * 24
#: The median absolute deviation times this is the standard deviation of a normal spread (Hampel, 1974), in 10,000ths.
_MAD_TO_SIGMA = 14_826


class _HabitRule(Rule):
    @property
    def window_ms(self) -> int:
        return 0

    @property
    def looks_back(self) -> bool:
        return True


class UnusualAmountRule(_HabitRule):
    """Holds a transaction above `over_minor` whose amount is further above the account's habit than `spreads` robust
    standard deviations: the median and the median absolute deviation of its last approved transactions of this kind.

    Needs at least `min_past` transactions. The spread is at least a tenth of the median.
    """

    rule: Literal["unusual_amount"]
    over_minor: int = Field(ge=0, le=MAX_AMOUNT_MINOR)
    spreads: int = Field(6, ge=2, le=100)
    min_past: int = Field(8, ge=3, le=50)
    hold_hours: int = Field(24, ge=1, le=_MAX_HOURS)

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        past = [
            each.amount_minor
            for each in facts.past.amounts
            if each.kind == question.kind.value and each.currency == question.currency
        ]
        if question.amount_minor <= self.over_minor or len(past) < self.min_past:
            return None
        usual = _median(past)
        spread = max(_median([abs(amount - usual) for amount in past]), usual // 10)
        highest = usual + self.spreads * spread * _MAD_TO_SIGMA // 10_000
        if question.amount_minor <= highest:
            return None
        text, most = amount_text(usual, self.currency), amount_text(highest, self.currency)
        why = Localized(
            f"an amount far above what is usual for this account: usually about {text}, and seldom over {most}",
            f"金额远高于该账户的日常水平：通常约 {text}，很少超过 {most}",
        )
        return Hold(self.name, why, now_ms + self.hold_hours * HOUR_MS, whole=False)


class IdentityChangeRule(_HabitRule):
    """Holds a transaction above `over_minor` within `within_hours` after the bank attested a different name, document
    or phone of the holder, unless one has been approved since."""

    rule: Literal["identity_change"]
    over_minor: int = Field(0, ge=0, le=MAX_AMOUNT_MINOR)
    within_hours: int = Field(ge=1, le=_MAX_HOURS)

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        changed_at_ms, approved_at_ms = facts.past.identity_changed_at_ms, facts.past.approved_at_ms
        if changed_at_ms is None or question.amount_minor <= self.over_minor:
            return None
        ends_at_ms = changed_at_ms + self.within_hours * HOUR_MS
        if now_ms >= ends_at_ms or (approved_at_ms is not None and approved_at_ms > changed_at_ms):
            return None
        why = Localized(
            f"the first transaction within {self.within_hours} hours after a change of the holder's identity",
            f"持有人身份信息变更后 {self.within_hours} 小时内的首笔交易",
        )
        return Hold(self.name, why, ends_at_ms, whole=False)


class BindingBurstRule(_HabitRule):
    """Holds the whole account for `hold_hours` where more than `over_count` bindings of it were made within
    `within_hours`, by whichever users, ended ones included."""

    rule: Literal["binding_burst"]
    over_count: int = Field(ge=1, le=1_000)
    within_hours: int = Field(ge=1, le=_MAX_HOURS)
    hold_hours: int = Field(24, ge=1, le=_MAX_HOURS)

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        del question  # applies to every transaction
        since_ms = now_ms - self.within_hours * HOUR_MS
        if sum(at_ms > since_ms for at_ms in facts.past.account_bound_at_ms) <= self.over_count:
            return None
        why = Localized(
            f"more than {self.over_count} bindings of one account within {self.within_hours} hours",
            f"同一账户在 {self.within_hours} 小时内绑定超过 {self.over_count} 次",
        )
        return Hold(self.name, why, now_ms + self.hold_hours * HOUR_MS, whole=True)


class EarlyWithdrawalRule(_HabitRule):
    """Holds a withdrawal within `within_minutes` after the account was bound, unless a payment from it was approved
    through this platform before."""

    rule: Literal["early_withdrawal"]
    over_minor: int = Field(0, ge=0, le=MAX_AMOUNT_MINOR)
    within_minutes: int = Field(ge=1, le=_MAX_HOURS * 60)

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        ends_at_ms = facts.bound_at_ms + self.within_minutes * MINUTE_MS
        paid = any(each.kind == Kind.PAYMENT.value for each in facts.past.amounts)
        if question.kind is not Kind.WITHDRAWAL or question.amount_minor <= self.over_minor:
            return None
        if now_ms >= ends_at_ms or paid:
            return None
        why = Localized(
            f"a withdrawal within {self.within_minutes} minutes after the account was bound",
            f"绑定账户后 {self.within_minutes} 分钟内提现",
        )
        return Hold(self.name, why, ends_at_ms, whole=False)


AnyRule = Annotated[
    NewBindingRule | VelocityRule | UnusualAmountRule | IdentityChangeRule | BindingBurstRule | EarlyWithdrawalRule,
    Field(discriminator="rule"),
]


def _median(amounts: Sequence[int]) -> int:
    """The median; of two middle values the lower one, so that amounts stay whole minor units."""
    return sorted(amounts)[(len(amounts) - 1) // 2]
