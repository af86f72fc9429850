"""The rules: permissions, limits by kind, the policy, and the contents and user messages of a decision."""

from dataclasses import replace
from typing import Any

import pytest

from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.messages import MESSAGES, of_account, of_decision
from standing.gateway.decisions.policy import IdentityOutcomes
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import ISO20022, Outcome, Reason, Remaining
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import NOT_STATED, Status
from standing.ledger.errors import InvalidValue
from tests.gateway.decisions.cases import CODES, GOOD, NOW_MS, OTHER_KEY, POLICY, USD


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.FROZEN])
@pytest.mark.parametrize("debit", [True, False])
@pytest.mark.parametrize("credit", [True, False])
def test_payments_need_the_debit_permission_and_withdrawals_the_credit_permission(
    kind: Kind, status: Status, debit: bool, credit: bool
) -> None:
    decided = replace(GOOD, kind=kind, status=status, debit=debit, credit=credit).decide()
    permitted = debit if kind is Kind.PAYMENT else credit
    if permitted:
        assert decided.reason is None
    elif status is Status.FROZEN:
        assert decided.reason is Reason.ACCOUNT_FROZEN
    else:
        assert decided.reason is (Reason.DEBIT_NOT_ALLOWED if kind is Kind.PAYMENT else Reason.CREDIT_NOT_ALLOWED)


def test_debit_limits_bound_no_withdrawal_and_credit_limits_no_payment() -> None:
    no_debits = replace(
        GOOD, transaction_limit_minor=0, daily_limit_minor=0, monthly_limit_minor=0, yearly_limit_minor=0
    )
    assert no_debits.decide().outcome is Outcome.DECLINE
    assert replace(no_debits, kind=Kind.WITHDRAWAL).decide().outcome is Outcome.APPROVE
    no_credits = replace(GOOD, daily_credit_limit_minor=0, yearly_credit_limit_minor=0)
    assert no_credits.decide().outcome is Outcome.APPROVE
    assert replace(no_credits, kind=Kind.WITHDRAWAL).decide().outcome is Outcome.DECLINE


def test_a_limited_period_without_a_total_is_an_error_and_no_approval() -> None:
    for used in (Used(0, None, 0), Used(0, 0, None)):
        with pytest.raises(InvalidValue, match="used"):
            replace(GOOD, used=used).decide()
    unlimited = replace(GOOD, monthly_limit_minor=NO_LIMIT, yearly_limit_minor=NO_LIMIT, used=Used(0))
    assert unlimited.decide().outcome is Outcome.APPROVE


def test_no_limit_approves_the_largest_amount() -> None:
    largest = replace(
        GOOD,
        amount_minor=MAX_AMOUNT_MINOR,
        **dict.fromkeys(LIMIT_FIELDS, NO_LIMIT),  # type: ignore[arg-type]
    ).decide()
    assert largest.outcome is Outcome.APPROVE
    assert largest.remaining == Remaining(NO_LIMIT, NO_LIMIT)


@pytest.mark.parametrize("when_silent", ["review", "decline"])
def test_the_policy_sets_the_outcome_of_silence(when_silent: Any) -> None:
    policy = POLICY.model_copy(update={"when_silent": when_silent})
    assert replace(GOOD, watermark_ms=0, policy=policy).decide().outcome == when_silent


@pytest.mark.parametrize("field", ["name", "id_document", "phone"])
@pytest.mark.parametrize("outcome", ["review", "decline"])
def test_the_policy_sets_the_outcome_of_a_changed_identity(field: str, outcome: Any) -> None:
    chosen = IdentityOutcomes(**{field: outcome})
    change: dict[str, Any] = {"policy": POLICY.model_copy(update={"identity": chosen}), field: b"\1\1\1"}
    decided = replace(GOOD, **change).decide()
    assert (decided.outcome, decided.reason) == (outcome, f"{field}_changed")


@pytest.mark.parametrize("field", ["name", "id_document", "phone"])
def test_a_tag_that_is_not_stated_is_not_compared(field: str) -> None:
    change: dict[str, Any] = {field: NOT_STATED}
    assert replace(GOOD, **change).decide().outcome is Outcome.APPROVE


@pytest.mark.parametrize(
    ("change", "remaining"),
    [
        ({}, Remaining(1_000, 4_000, 19_000, 49_000)),
        ({"used": Used(4_000, 5_000, 6_000)}, Remaining(1_000, 0, 14_000, 43_000)),
        ({"used": Used(4_001, 4_001, 4_001)}, Remaining(1_000, 999, 15_999, 45_999)),  # declined: usage is unchanged
        ({"used": Used(9_000, 0, 0)}, Remaining(1_000, 0, 20_000, 50_000)),  # the limit was lowered
        ({"kind": Kind.WITHDRAWAL}, Remaining(NO_LIMIT, 4_000, NO_LIMIT, 49_000)),
        ({"daily_limit_minor": NO_LIMIT, "used": Used(77, 77, 77)}, Remaining(1_000, NO_LIMIT, 18_923, 48_923)),
        ({"terms_currency": USD}, None),  # usage is known in the transaction's currency only
        ({"watermark_ms": 0}, None),
        ({"suspended": True}, None),
        ({"answered": False}, None),
    ],
)
def test_a_decision_states_the_remaining_limits(change: dict[str, Any], remaining: Remaining | None) -> None:
    assert replace(GOOD, **change).decide().remaining == remaining


@pytest.mark.parametrize(
    ("change", "publication", "watermark_ms", "staleness_ms", "opened"),
    [
        ({}, 7, NOW_MS - 100, 100, True),
        ({"watermark_ms": NOW_MS + 1_500}, 7, NOW_MS + 1_500, -1_500, True),
        ({"watermark_ms": 0}, 7, None, None, True),
        ({"publication": 0}, None, NOW_MS - 100, 100, False),
        ({"key": OTHER_KEY}, 7, NOW_MS - 100, 100, False),
        ({"answered": False}, None, None, None, False),
    ],
)
def test_a_decision_states_its_basis(
    change: dict[str, Any], publication: int | None, watermark_ms: int | None, staleness_ms: int | None, opened: bool
) -> None:
    decided = replace(GOOD, **change).decide()
    assert (decided.publication, decided.watermark_ms) == (publication, watermark_ms)
    assert (decided.staleness_ms, decided.opened) == (staleness_ms, opened)


def test_the_iso_codes_are_those_of_the_design() -> None:
    assert {reason.value: code for reason, code in ISO20022.items()} == CODES


def test_every_reason_has_a_message_in_both_languages() -> None:
    assert MESSAGES.keys() == {None, *Reason}
    for message in MESSAGES.values():
        assert message.en.isascii()
        assert message.en.endswith(".")
        assert message.zh.endswith("。")
        assert not message.zh.isascii()
    assert len({message.en for message in MESSAGES.values()}) == len({m.zh for m in MESSAGES.values()}) == len(MESSAGES)


@pytest.mark.parametrize("reason", [Reason.NAME_CHANGED, Reason.ID_DOCUMENT_CHANGED, Reason.PHONE_CHANGED])
def test_a_manual_review_is_mentioned_only_where_the_policy_leads_to_one(reason: Reason) -> None:
    declined, reviewed = of_decision(reason, Outcome.DECLINE), of_decision(reason, Outcome.REVIEW)
    assert "staff" not in declined.en
    assert ("工作人员" in declined.zh, "人工" in declined.zh) == (False, False)
    assert reviewed.en == declined.en + " This transaction is being checked by our staff."
    assert reviewed.zh == declined.zh + "本次交易正在由工作人员核对。"


# An account is queried in its own currency.
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.CURRENCY_NOT_ALLOWED])
def test_messages_about_an_account_mention_no_transaction(reason: Reason) -> None:
    message = of_account(reason)
    assert message.en
    for of_one in ("this transaction", "smaller amount", "The amount"):
        assert of_one not in message.en
    for of_one in ("本次交易", "金额"):
        assert of_one not in message.zh


@pytest.mark.parametrize(
    ("reason", "limit"),
    [
        (Reason.OVER_TRANSACTION_LIMIT, "transaction_limit_minor"),
        (Reason.OVER_DAILY_LIMIT, "daily_limit_minor"),
        (Reason.OVER_MONTHLY_LIMIT, "monthly_limit_minor"),
        (Reason.OVER_YEARLY_LIMIT, "yearly_limit_minor"),
    ],
)
def test_nobody_is_told_to_pay_less_where_nothing_may_be_paid(reason: Reason, limit: str) -> None:
    """A court's order, or a parent's, lowers a limit to zero."""
    some = Remaining(1, 1, 1, 1)
    assert of_decision(reason, Outcome.DECLINE, some) == of_decision(reason, Outcome.DECLINE)
    told = of_decision(reason, Outcome.DECLINE, replace(some, **{limit: 0}))
    assert ("smaller" in told.en, "降低金额" in told.zh) == (False, False)
    assert ("bank to raise" in told.en, "提高限额" in told.zh) == (True, True)
