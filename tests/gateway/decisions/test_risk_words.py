"""Messages of risk holds in both languages, with amounts as people write them."""

from typing import Any

import pytest

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import NewBindingRule, RiskFacts, Tally, VelocityRule
from standing.ledger.attestations.money import amount_text, currency_number


def _new_binding(currency: str, over_minor: int) -> NewBindingRule:
    return NewBindingRule(rule="new_binding", name="n", currency=currency, over_minor=over_minor, within_hours=24)


def _velocity(**bounds: Any) -> VelocityRule:
    return VelocityRule(rule="velocity", name="v", currency="CNY", within_minutes=10, hold_minutes=30, **bounds)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (
            _new_binding("CNY", 250_000),
            Localized(
                "an amount over CNY 2,500.00 in the first 24 hours after binding",
                "绑定后 24 小时内单笔金额超过 CNY 2,500.00",
            ),
        ),
        (
            _new_binding("JPY", 1_000),
            Localized(
                "an amount over JPY 1,000 in the first 24 hours after binding", "绑定后 24 小时内单笔金额超过 JPY 1,000"
            ),
        ),
        (
            _velocity(over_count=3),
            Localized("more than 3 transactions within 10 minutes", "10 分钟内交易超过 3 笔"),
        ),
        (
            _velocity(over_minor=99),
            Localized("more than CNY 0.99 within 10 minutes", "10 分钟内交易金额累计超过 CNY 0.99"),
        ),
    ],
)
def test_a_hold_gives_its_reason_in_both_languages(rule: NewBindingRule | VelocityRule, why: Localized) -> None:
    question = Question(Kind.PAYMENT, 300_000, currency_number(rule.currency))
    hold = rule.hold(question, RiskFacts(0, {"v": Tally(3, 0), "n": Tally(0, 0)}, ()), 1)
    assert hold is not None
    assert hold.why == why


def test_the_longest_reason_fits_its_column() -> None:
    rule = _velocity(over_minor=2**63 - 1).model_copy(update={"within_minutes": 129_600})
    question = Question(Kind.PAYMENT, 1, currency_number("CNY"))
    hold = rule.hold(question, RiskFacts(0, {"v": Tally(1, 2**63 - 1)}, ()), 1)
    assert hold is not None
    assert max(len(hold.why.en), len(hold.why.zh)) <= 200


def test_an_amount_in_a_currency_without_known_minor_units_names_its_unit() -> None:
    assert amount_text(1_234_567, "XAU") == "XAU 1,234,567 (minor units)"
    assert amount_text(5, "BHD") == "BHD 0.005"
