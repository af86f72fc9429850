"""The decision on one transaction, as one pure function: no I/O, no clock, only its arguments.

The checks run in this order, and the first that fails is the reason:

| # | reason | outcome | ISO 20022 | fails where |
| --- | --- | --- | --- | --- |
| 1 | `ledger_unreachable` | review | | the ledger gave no usable answer in time |
| 2 | `bank_suspended` | decline | | the ledger says that the bank is suspended now |
| 3 | `no_attestation` | decline | | the record's publication is 0: the ledger holds no record of the binding |
| 3 | `ledger_rolled_back` | review | | the record's publication is below the floor, the highest that opened before |
| 3 | `attestation_unreadable` | decline | | the record does not open with the binding's key, or is not terms |
| 4 | `bank_silent` | policy | | no watermark at all; or now - watermark above the bound for the amount; or |
|   |               |        | | the watermark ahead of now by more than the allowance |
| 5 | `unbound` | decline | | the bank states unbound, or the platform ended the binding itself |
| 5 | `account_unstated` | review | | the bank states that it cannot state the account's status |
| 6 | `account_closed` | decline | AC04 | the bank states closed |
| 7 | `account_lost` | decline | AC06 | the bank states lost |
| 8 | `account_frozen` | decline | AC06 | frozen, and the permission that the kind needs is not left |
| 9 | `account_dormant` | decline | AC06 | dormant, whatever the permissions |
| 10 | `debit_not_allowed` | decline | AG01 | a payment, and the account may not be debited |
| 10 | `credit_not_allowed` | decline | AG01 | a withdrawal, and the account may not be credited |
| 11 | `name_changed` | policy | BE01 | the tag of the name is not the one that the user was bound with |
| 11 | `id_document_changed` | policy | BE01 | likewise, the ID document |
| 11 | `phone_changed` | policy | BE01 | likewise, the phone |
| 12 | `currency_not_allowed` | decline | AM03 | the transaction's currency is not the account's |
| 13 | `over_transaction_limit` | decline | AM02 | a payment above the limit of one transaction |
| 14 | `over_daily_limit` | decline | AM14 | with what is reserved and captured in the present day of the bank's time |
|    |                    |         |      | zone, above the day's limit: of debits for a payment, else of credits |
| 14 | `over_monthly_limit` | decline | AM14 | likewise, a payment above the month's limit of debits |
| 14 | `over_yearly_limit` | decline | AM14 | likewise, above the year's limit: of debits, else of credits |
| 15 | `risk_hold` | review | | a rule of the platform's risk policy holds it (`gateway.decisions.risk`) |

A missing record is `no_attestation` even if the floor is above 0: that check comes first. Check 11 skips a tag that
either side does not state. Check 13 applies to debits only. Without a limit from the bank, a day's usage is still
bounded by `MAX_AMOUNT_MINOR` minor units. Staleness is negative if the bank's clock is ahead of the gateway's.

ISO 20022 codes are from ExternalStatusReason1Code, and only where the meaning is exactly the same.
"""

from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.decisions.caps import Used, caps_of
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import Hold, RiskFacts, first_hold
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import IdentityTags, Status, Terms, tags_differ
from standing.ledger.chain.codec import Record
from standing.ledger.errors import InvalidValue


class Outcome(StrEnum):
    """The action that the platform should take."""

    APPROVE = "approve"
    DECLINE = "decline"
    REVIEW = "review"


class Reason(StrEnum):
    """The reason of a decision that does not approve, in order of precedence."""

    LEDGER_UNREACHABLE = "ledger_unreachable"
    BANK_SUSPENDED = "bank_suspended"
    NO_ATTESTATION = "no_attestation"
    LEDGER_ROLLED_BACK = "ledger_rolled_back"
    ATTESTATION_UNREADABLE = "attestation_unreadable"
    BANK_SILENT = "bank_silent"
    UNBOUND = "unbound"
    ACCOUNT_UNSTATED = "account_unstated"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_LOST = "account_lost"
    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_DORMANT = "account_dormant"
    DEBIT_NOT_ALLOWED = "debit_not_allowed"
    CREDIT_NOT_ALLOWED = "credit_not_allowed"
    NAME_CHANGED = "name_changed"
    ID_DOCUMENT_CHANGED = "id_document_changed"
    PHONE_CHANGED = "phone_changed"
    CURRENCY_NOT_ALLOWED = "currency_not_allowed"
    OVER_TRANSACTION_LIMIT = "over_transaction_limit"
    OVER_DAILY_LIMIT = "over_daily_limit"
    OVER_MONTHLY_LIMIT = "over_monthly_limit"
    OVER_YEARLY_LIMIT = "over_yearly_limit"
    RISK_HOLD = "risk_hold"


#: The check of each reason, by its number in the table above.
CHECKS: dict[str, int] = {
    Reason.LEDGER_UNREACHABLE: 1,
    Reason.BANK_SUSPENDED: 2,
    Reason.NO_ATTESTATION: 3,
    Reason.LEDGER_ROLLED_BACK: 3,
    Reason.ATTESTATION_UNREADABLE: 3,
    Reason.BANK_SILENT: 4,
    Reason.UNBOUND: 5,
    Reason.ACCOUNT_UNSTATED: 5,
    Reason.ACCOUNT_CLOSED: 6,
    Reason.ACCOUNT_LOST: 7,
    Reason.ACCOUNT_FROZEN: 8,
    Reason.ACCOUNT_DORMANT: 9,
    Reason.DEBIT_NOT_ALLOWED: 10,
    Reason.CREDIT_NOT_ALLOWED: 10,
    Reason.NAME_CHANGED: 11,
    Reason.ID_DOCUMENT_CHANGED: 11,
    Reason.PHONE_CHANGED: 11,
    Reason.CURRENCY_NOT_ALLOWED: 12,
    Reason.OVER_TRANSACTION_LIMIT: 13,
    Reason.OVER_DAILY_LIMIT: 14,
    Reason.OVER_MONTHLY_LIMIT: 14,
    Reason.OVER_YEARLY_LIMIT: 14,
    Reason.RISK_HOLD: 15,
}
LAST_CHECK = max(CHECKS.values())

#: ExternalStatusReason1Code of ISO 20022.
ISO20022: dict[Reason, str] = {
    Reason.ACCOUNT_CLOSED: "AC04",
    Reason.ACCOUNT_LOST: "AC06",
    Reason.ACCOUNT_FROZEN: "AC06",
    Reason.ACCOUNT_DORMANT: "AC06",
    Reason.DEBIT_NOT_ALLOWED: "AG01",
    Reason.CREDIT_NOT_ALLOWED: "AG01",
    Reason.NAME_CHANGED: "BE01",
    Reason.ID_DOCUMENT_CHANGED: "BE01",
    Reason.PHONE_CHANGED: "BE01",
    Reason.CURRENCY_NOT_ALLOWED: "AM03",
    Reason.OVER_TRANSACTION_LIMIT: "AM02",
    Reason.OVER_DAILY_LIMIT: "AM14",
    Reason.OVER_MONTHLY_LIMIT: "AM14",
    Reason.OVER_YEARLY_LIMIT: "AM14",
}

_ALWAYS_REVIEW = frozenset(
    {Reason.LEDGER_UNREACHABLE, Reason.LEDGER_ROLLED_BACK, Reason.ACCOUNT_UNSTATED, Reason.RISK_HOLD}
)


@dataclass(frozen=True, slots=True)
class Remaining:
    """The amounts still available in the transaction's direction after the decision, in minor units; NO_LIMIT where the
    bank states no limit."""

    transaction_limit_minor: int
    daily_limit_minor: int
    monthly_limit_minor: int = NO_LIMIT
    yearly_limit_minor: int = NO_LIMIT


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and its basis; fields are None where nothing was read.

    `opened`: the record was decrypted with the binding's key, so its publication number is authenticated. `hold` is
    set only with the reason `risk_hold`.
    """

    outcome: Outcome
    reason: Reason | None
    publication: int | None
    watermark_ms: int | None
    staleness_ms: int | None
    opened: bool
    remaining: Remaining | None
    hold: Hold | None = None

    @property
    def iso20022(self) -> str | None:
        return None if self.reason is None else ISO20022.get(self.reason)


def decide(
    question: Question,
    *,
    record: Record | None,
    terms: Terms | None,
    expected: IdentityTags,
    ended: bool,
    floor: int,
    used: Used,
    policy: Policy,
    now_ms: int,
    risk: RiskFacts | None = None,
) -> Decision:
    """Decide on one transaction by the table above.

    `record`: the ledger's present record, None if it gave no usable answer. `terms`: those of the record, None if it
    cannot be decrypted with the binding's key. `expected`: the tags of the user as bound. `ended`: the platform ended
    the binding. `floor`: the highest publication whose record of the binding has opened before. `used`: the amounts
    reserved and captured in the question's direction and currency. `risk`: the facts for the policy's risk rules, None
    only if it has no rules.

    Raises: InvalidValue if `used` omits a period that the bank limits.
    """
    reason = _first_reason(question, record, terms, expected, ended, floor, used, policy, now_ms)
    # 15: risk policy
    hold = None
    if reason is None and policy.risk:
        assert risk is not None
        hold = first_hold(policy.risk, question, risk, now_ms)
        reason = Reason.RISK_HOLD if hold is not None else None
    outcome = _outcome(reason, policy)
    return Decision(
        outcome=outcome,
        reason=reason,
        publication=(record.publication or None) if record is not None else None,
        watermark_ms=(record.watermark_ms or None) if record is not None else None,
        staleness_ms=now_ms - record.watermark_ms if record is not None and record.watermark_ms else None,
        opened=terms is not None,
        remaining=_remaining(question, reason, terms, used),
        hold=hold,
    )


# One function on purpose: its order is the reasons' precedence, which splitting would hide.
def _first_reason(  # noqa: C901, PLR0911, PLR0912
    question: Question,
    record: Record | None,
    terms: Terms | None,
    expected: IdentityTags,
    ended: bool,
    floor: int,
    used: Used,
    policy: Policy,
    now_ms: int,
) -> Reason | None:
    payment = question.kind is Kind.PAYMENT
    # 1: the ledger answered in time
    if record is None:
        return Reason.LEDGER_UNREACHABLE
    # 2: the bank is not suspended
    if record.suspended:
        return Reason.BANK_SUSPENDED
    # 3: a record exists, is not older than one seen before, and can be decrypted
    if record.publication == 0:
        return Reason.NO_ATTESTATION
    if record.publication < floor:
        return Reason.LEDGER_ROLLED_BACK
    if terms is None:
        return Reason.ATTESTATION_UNREADABLE
    # 4: the watermark exists, is recent enough for this amount, and is not in the future
    staleness_ms = now_ms - record.watermark_ms
    if record.watermark_ms == 0 or staleness_ms > policy.max_staleness_ms(question.amount_minor, question.currency):
        return Reason.BANK_SILENT
    if -staleness_ms > policy.ahead_allowance_ms:
        return Reason.BANK_SILENT
    # 5: unbound by neither side; status stated
    if terms.status is Status.UNBOUND or ended:
        return Reason.UNBOUND
    if terms.status is Status.UNSTATED:
        return Reason.ACCOUNT_UNSTATED
    # 6: not closed
    if terms.status is Status.CLOSED:
        return Reason.ACCOUNT_CLOSED
    # 7: not lost
    if terms.status is Status.LOST:
        return Reason.ACCOUNT_LOST
    # 8: not frozen, or frozen with the required permission
    permitted = terms.debit_allowed if payment else terms.credit_allowed
    if terms.status is Status.FROZEN and not permitted:
        return Reason.ACCOUNT_FROZEN
    # 9: not dormant
    if terms.status is Status.DORMANT:
        return Reason.ACCOUNT_DORMANT
    # 10: permission for the kind
    if not permitted:
        return Reason.DEBIT_NOT_ALLOWED if payment else Reason.CREDIT_NOT_ALLOWED
    # 11: the identity still matches the user as bound, in fields that both sides state
    if tags_differ(terms.tags.name, expected.name):
        return Reason.NAME_CHANGED
    if tags_differ(terms.tags.id_document, expected.id_document):
        return Reason.ID_DOCUMENT_CHANGED
    if tags_differ(terms.tags.phone, expected.phone):
        return Reason.PHONE_CHANGED
    # 12: currency
    if terms.currency != question.currency:
        return Reason.CURRENCY_NOT_ALLOWED
    # 13: limit of one transaction; NO_LIMIT is above every amount
    caps = caps_of(terms.limits, question.kind)
    if question.amount_minor > caps.transaction_minor:
        return Reason.OVER_TRANSACTION_LIMIT
    # 14: limits of day, month and year, including earlier reservations
    if used.day_minor + question.amount_minor > min(caps.daily_minor, MAX_AMOUNT_MINOR):
        return Reason.OVER_DAILY_LIMIT
    if question.amount_minor > _left(caps.monthly_minor, used.month_minor, "month"):
        return Reason.OVER_MONTHLY_LIMIT
    if question.amount_minor > _left(caps.yearly_minor, used.year_minor, "year"):
        return Reason.OVER_YEARLY_LIMIT
    return None  # check 15 is in `decide`, because it yields a hold and not only a reason


def _outcome(reason: Reason | None, policy: Policy) -> Outcome:
    if reason is None:
        return Outcome.APPROVE
    if reason in _ALWAYS_REVIEW:
        return Outcome.REVIEW
    chosen = {
        Reason.BANK_SILENT: policy.when_silent,
        Reason.NAME_CHANGED: policy.identity.name,
        Reason.ID_DOCUMENT_CHANGED: policy.identity.id_document,
        Reason.PHONE_CHANGED: policy.identity.phone,
    }
    return Outcome(chosen.get(reason, "decline"))


#: Reasons of checks 1 to 4: there is no current attestation, so no remaining limits are stated and nothing is learned.
NO_CURRENT_ATTESTATION = frozenset(
    {
        Reason.LEDGER_UNREACHABLE,
        Reason.BANK_SUSPENDED,
        Reason.NO_ATTESTATION,
        Reason.LEDGER_ROLLED_BACK,
        Reason.ATTESTATION_UNREADABLE,
        Reason.BANK_SILENT,
    }
)


def _left(cap_minor: int, used_minor: int | None, period: str) -> int:
    """The rest of a limit; negative if the limit was lowered below its usage."""
    if cap_minor == NO_LIMIT:
        return NO_LIMIT
    if used_minor is None:
        raise InvalidValue(f"used.{period}_minor", "not added up", f"the usage of the {period}, which the bank limits")
    return cap_minor - used_minor


def _remaining(question: Question, reason: Reason | None, terms: Terms | None, used: Used) -> Remaining | None:
    if terms is None or reason in NO_CURRENT_ATTESTATION or terms.currency != question.currency:
        return None
    caps = caps_of(terms.limits, question.kind)
    reserved_minor = question.amount_minor if reason is None else 0

    def left(cap_minor: int, used_minor: int | None, period: str) -> int:
        before_minor = _left(cap_minor, used_minor, period)
        return NO_LIMIT if cap_minor == NO_LIMIT else max(0, before_minor - reserved_minor)

    return Remaining(
        caps.transaction_minor,
        left(caps.daily_minor, used.day_minor, "day"),
        left(caps.monthly_minor, used.month_minor, "month"),
        left(caps.yearly_minor, used.year_minor, "year"),
    )
