"""Risk rules: check 15 of `gateway.decisions.rules`, the only check that is up to the platform alone.

A rule is pure: from the question, facts about the binding's recent past, and the time, it returns a hold or None.
To add a rule, add a class with the shape of `RiskRule` and name it in `gateway.decisions.habit_rules.AnyRule`.

A hold has a reason and an end, and support may lift it earlier. Until that end, a lifted hold exempts its binding or
account from the rule; otherwise the next transaction would cause the same hold again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.pasts import NO_PAST, Past
from standing.gateway.decisions.question import Question
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, amount_text, currency_number
from standing.ledger.clock import HOUR_MS, MINUTE_MS
from standing.ledger.errors import InvalidValue

_MAX_HOURS = 90 * 24

_KIND = Literal["payment", "withdrawal"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many transactions of an account were approved within a rule's window, and their sum in minor units."""

    count: int
    sum_minor: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on transactions of a binding: its reason, its end (ms), and the name of its rule.

    `whole`: every transaction of the account is held until the end; otherwise the rule checks each one separately.
    `hold_id` is None until the hold is stored.
    """

    rule: str
    why: Localized
    ends_at_ms: int
    whole: bool
    hold_id: str | None = None
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """The facts about a binding that rules may use.

    `tallies`: by rule name, for each rule with a `window_ms`. `holds`: those not ended, including lifted ones.
    `past`: for rules with `looks_back`.
    """

    bound_at_ms: int
    tallies: Mapping[str, Tally]
    holds: Sequence[Hold]
    past: Past = NO_PAST


class RiskRule(Protocol):
    """One rule of the platform's risk policy."""

    @property
    def name(self) -> str:
        """The rule's name, unique in the policy."""
        ...

    @property
    def window_ms(self) -> int:
        """The period over which approved transactions are tallied for this rule; 0 if it needs no tally."""
        ...

    @property
    def looks_back(self) -> bool:
        """Whether the rule uses the binding's past."""
        ...

    def counts(self, kind: str, currency: int) -> bool:
        """Whether a transaction of this kind and currency (ISO 4217, numeric) is subject to the rule."""
        ...

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        """The hold that this transaction causes, if any."""
        ...


def _currency(code: str) -> str:
    try:
        currency_number(code)
    except InvalidValue as error:
        raise ValueError(f"{error.problem}; allowed: {error.allowed}") from error
    return code


Currency = Annotated[str, AfterValidator(_currency)]


class Rule(BaseModel):
    """The fields of every rule: its name, and the transactions that it applies to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,31}$")
    currency: Currency
    kinds: tuple[_KIND, ...] = Field(default=("payment", "withdrawal"), min_length=1, max_length=2)
    lift_by_proof: bool = Field(False, description="Whether the bank's certificate of good standing lifts its holds")

    @property
    def looks_back(self) -> bool:
        return False

    def counts(self, kind: str, currency: int) -> bool:
        return kind in self.kinds and currency == currency_number(self.currency)


class NewBindingRule(Rule):
    """Holds each transaction above `over_minor` in the first `within_hours` after the account was bound."""

    rule: Literal["new_binding"]
    over_minor: int = Field(ge=0, le=MAX_AMOUNT_MINOR)
    within_hours: int = Field(ge=1, le=_MAX_HOURS)

    @property
    def window_ms(self) -> int:
        return 0

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        ends_at_ms = facts.bound_at_ms + self.within_hours * HOUR_MS
        if now_ms >= ends_at_ms or question.amount_minor <= self.over_minor:
            return None
        over = amount_text(self.over_minor, self.currency)
        why = Localized(
            f"an amount over {over} in the first {self.within_hours} hours after binding",
            f"绑定后 {self.within_hours} 小时内单笔金额超过 {over}",
        )
        return Hold(self.name, why, ends_at_ms, whole=False)


class VelocityRule(Rule):
    """Holds the whole account for `hold_minutes` once more than `over_count` transactions, or more than `over_minor` in
    sum, would be approved within `within_minutes`, including this transaction."""

    rule: Literal["velocity"]
    over_count: int | None = Field(None, ge=1, le=1_000_000)
    over_minor: int | None = Field(None, ge=1, le=MAX_AMOUNT_MINOR)
    within_minutes: int = Field(ge=1, le=_MAX_HOURS * 60)
    hold_minutes: int = Field(ge=1, le=_MAX_HOURS * 60)

    @model_validator(mode="after")
    def _bounds_something(self) -> "VelocityRule":
        if self.over_count is None and self.over_minor is None:
            raise ValueError("states no bound; allowed: over_count, over_minor, or both")
        return self

    @property
    def window_ms(self) -> int:
        return self.within_minutes * MINUTE_MS

    def hold(self, question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
        tally = facts.tallies[self.name]
        if self.over_count is not None and tally.count + 1 > self.over_count:
            what = Localized(f"more than {self.over_count} transactions", f"交易超过 {self.over_count} 笔")
        elif self.over_minor is not None and tally.sum_minor + question.amount_minor > self.over_minor:
            over = amount_text(self.over_minor, self.currency)
            what = Localized(f"more than {over}", f"交易金额累计超过 {over}")
        else:
            return None
        return Hold(
            self.name,
            Localized(f"{what.en} within {self.within_minutes} minutes", f"{self.within_minutes} 分钟内{what.zh}"),
            now_ms + self.hold_minutes * MINUTE_MS,
            whole=True,
        )


def first_hold(rules: Sequence[RiskRule], question: Question, facts: RiskFacts, now_ms: int) -> Hold | None:
    """The first hold in the order of the rules: an existing one, or one that this transaction causes.

    A stored hold applies while its rule is in the policy, unless it was lifted or has ended.
    """
    for rule in rules:
        stored = next((hold for hold in facts.holds if hold.rule == rule.name and hold.ends_at_ms > now_ms), None)
        if stored is not None and stored.lifted:
            continue
        if stored is not None and stored.whole:
            return stored
        if not rule.counts(question.kind.value, question.currency):
            continue
        fresh = rule.hold(question, facts, now_ms)
        if fresh is not None:
            return stored or fresh
    return None
