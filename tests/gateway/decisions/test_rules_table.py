"""The whole decision table: against an independent reading and its documentation; days, and risk rules."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standing.gateway.access.localized import Localized
from standing.gateway.decisions import rules as decision_module
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import FreshnessBand, Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import Hold, NewBindingRule, RiskFacts, Tally, VelocityRule
from standing.gateway.decisions.rules import Decision, Outcome, Reason, decide
from standing.gateway.decisions.usage import day_of
from standing.ledger.attestations.limits import stated
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import Status
from tests.gateway.decisions.cases import BOUND, CNY, GOOD, NOW_MS, OTHER_KEY, POLICY, TAGS, USD, Case
from tests.gateway.decisions.test_rules import FAULTS

JPY = 392
HOUR_MS = 3_600_000


def second_reading(case: Case) -> Reason | None:
    """A second implementation of the table as rows of (fails, reason), written from the design alone."""
    age_ms = NOW_MS - case.watermark_ms
    debit = case.kind is Kind.PAYMENT
    allowed = case.debit if debit else case.credit
    counted = case.daily_limit_minor if case.daily_limit_minor != NO_LIMIT else MAX_AMOUNT_MINOR
    credited = case.daily_credit_limit_minor if case.daily_credit_limit_minor != NO_LIMIT else MAX_AMOUNT_MINOR
    bound_ms = 60_000 if case.amount_minor <= 1_000 else 5_000
    rows: list[tuple[bool, Reason]] = [
        (not case.answered, Reason.LEDGER_UNREACHABLE),
        (case.suspended, Reason.BANK_SUSPENDED),
        (case.publication == 0, Reason.NO_ATTESTATION),
        (case.publication < case.floor, Reason.LEDGER_ROLLED_BACK),
        (case.key != BOUND.key, Reason.ATTESTATION_UNREADABLE),
        (case.watermark_ms == 0 or not -2_000 <= age_ms <= bound_ms, Reason.BANK_SILENT),
        (case.status is Status.UNBOUND or case.ended, Reason.UNBOUND),
        (case.status is Status.UNSTATED, Reason.ACCOUNT_UNSTATED),
        (case.status is Status.CLOSED, Reason.ACCOUNT_CLOSED),
        (case.status is Status.LOST, Reason.ACCOUNT_LOST),
        (case.status is Status.FROZEN and not allowed, Reason.ACCOUNT_FROZEN),
        (case.status is Status.DORMANT, Reason.ACCOUNT_DORMANT),
        (debit and not allowed, Reason.DEBIT_NOT_ALLOWED),
        (not debit and not allowed, Reason.CREDIT_NOT_ALLOWED),
        (case.name not in {TAGS.name, NOT_STATED}, Reason.NAME_CHANGED),
        (case.id_document not in {TAGS.id_document, NOT_STATED}, Reason.ID_DOCUMENT_CHANGED),
        (case.phone not in {TAGS.phone, NOT_STATED}, Reason.PHONE_CHANGED),
        (case.currency != case.terms_currency, Reason.CURRENCY_NOT_ALLOWED),
        (
            debit and case.transaction_limit_minor != NO_LIMIT and case.amount_minor > case.transaction_limit_minor,
            Reason.OVER_TRANSACTION_LIMIT,
        ),
        (case.used.day_minor + case.amount_minor > (counted if debit else credited), Reason.OVER_DAILY_LIMIT),
        (
            debit and (case.used.month_minor or 0) + case.amount_minor > case.monthly_limit_minor,
            Reason.OVER_MONTHLY_LIMIT,
        ),
        (
            (case.used.year_minor or 0) + case.amount_minor
            > (case.yearly_limit_minor if debit else case.yearly_credit_limit_minor),
            Reason.OVER_YEARLY_LIMIT,
        ),
    ]
    return next((reason for fails, reason in rows if fails), None)


_LIMITS = st.sampled_from([0, 1, 999, 1_000, 1_001, 5_000, stated(MAX_AMOUNT_MINOR), NO_LIMIT, NO_LIMIT])
#: The largest limit that four bytes can state.
_LARGEST = stated(MAX_AMOUNT_MINOR)
_USED = st.sampled_from([0, 0, 1, 4_000, 4_001, MAX_AMOUNT_MINOR - 1, MAX_AMOUNT_MINOR])
_MOSTLY_SAME = st.sampled_from([True] * 6 + [False])
NOT_STATED = bytes(len(TAGS.phone))
_OTHER_TAGS = st.sampled_from([NOT_STATED, bytes([1]) * len(TAGS.phone)])
CASES = st.builds(
    Case,
    answered=_MOSTLY_SAME,
    suspended=_MOSTLY_SAME.map(lambda same: not same),
    publication=st.sampled_from([7, 7, 7, 7, 8, 6, 0]),
    floor=st.sampled_from([7, 7, 7, 0, 8]),
    key=_MOSTLY_SAME.map(lambda same: BOUND.key if same else OTHER_KEY),
    watermark_ms=st.sampled_from(
        [NOW_MS - age for age in (0, 100, 100, 100, 5_000, 5_001, 60_000, 60_001, -2_000, -2_001)] + [0]
    ),
    ended=_MOSTLY_SAME.map(lambda same: not same),
    status=st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, *Status]),
    debit=_MOSTLY_SAME,
    credit=_MOSTLY_SAME,
    name=_MOSTLY_SAME.flatmap(lambda same: st.just(TAGS.name) if same else _OTHER_TAGS),
    id_document=_MOSTLY_SAME.flatmap(lambda same: st.just(TAGS.id_document) if same else _OTHER_TAGS),
    phone=_MOSTLY_SAME.flatmap(lambda same: st.just(TAGS.phone) if same else _OTHER_TAGS),
    terms_currency=st.sampled_from([CNY, CNY, CNY, USD]),
    transaction_limit_minor=_LIMITS,
    daily_limit_minor=_LIMITS,
    monthly_limit_minor=_LIMITS,
    yearly_limit_minor=_LIMITS,
    daily_credit_limit_minor=_LIMITS,
    yearly_credit_limit_minor=_LIMITS,
    kind=st.sampled_from(Kind),
    amount_minor=st.sampled_from([1, 999, 1_000, 1_001, 5_000, MAX_AMOUNT_MINOR]),
    currency=st.sampled_from([CNY, CNY, CNY, USD]),
    used=st.builds(Used, _USED, _USED, _USED),
)


@settings(max_examples=1_500)
@given(CASES)
def test_the_code_and_a_second_reading_of_the_table_agree_on_every_case(case: Case) -> None:
    assert case.decide().reason is second_reading(case)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", Status)
def test_every_status_with_every_permission_and_kind_agrees_with_the_table(kind: Kind, status: Status) -> None:
    for debit, credit in product([True, False], repeat=2):
        case = replace(GOOD, kind=kind, status=status, debit=debit, credit=credit)
        assert case.decide().reason is second_reading(case)
        permitted = debit if kind is Kind.PAYMENT else credit
        usable = status in {Status.ACTIVE, Status.FROZEN}
        assert (case.decide().outcome is Outcome.APPROVE) == (permitted and usable)


@pytest.mark.parametrize(
    ("transaction_limit_minor", "daily_limit_minor", "amount_minor", "used_minor", "reason"),
    [
        (NO_LIMIT, NO_LIMIT, MAX_AMOUNT_MINOR, 0, None),
        (NO_LIMIT, NO_LIMIT, MAX_AMOUNT_MINOR, 1, Reason.OVER_DAILY_LIMIT),
        (NO_LIMIT, NO_LIMIT, 1, MAX_AMOUNT_MINOR - 1, None),
        (_LARGEST, NO_LIMIT, _LARGEST, 0, None),
        (NO_LIMIT, _LARGEST, _LARGEST, 0, None),
        (_LARGEST, NO_LIMIT, _LARGEST + 1, 0, Reason.OVER_TRANSACTION_LIMIT),
        (NO_LIMIT, _LARGEST, _LARGEST + 1, 0, Reason.OVER_DAILY_LIMIT),
        (0, NO_LIMIT, 1, 0, Reason.OVER_TRANSACTION_LIMIT),
        (NO_LIMIT, 0, 1, 0, Reason.OVER_DAILY_LIMIT),
        (0, 0, 1, 0, Reason.OVER_TRANSACTION_LIMIT),
    ],
)
def test_a_zero_limit_allows_nothing_and_the_sentinel_is_unlimited(
    transaction_limit_minor: int, daily_limit_minor: int, amount_minor: int, used_minor: int, reason: Reason | None
) -> None:
    always = Policy(freshness=(FreshnessBand(up_to_minor="any", max_staleness_ms=60_000),))
    case = replace(
        GOOD,
        transaction_limit_minor=transaction_limit_minor,
        daily_limit_minor=daily_limit_minor,
        monthly_limit_minor=NO_LIMIT,
        yearly_limit_minor=NO_LIMIT,
        daily_credit_limit_minor=NO_LIMIT,
        yearly_credit_limit_minor=NO_LIMIT,
        amount_minor=amount_minor,
        used=Used(used_minor),
        policy=always,
    )
    assert case.decide().reason is reason
    assert replace(case, kind=Kind.WITHDRAWAL, used=Used(0)).decide().reason is None


def test_the_documented_table_follows_the_order_of_the_reasons() -> None:
    rows = [line.split("|") for line in (decision_module.__doc__ or "").splitlines() if line.startswith("| ")]
    documented = [cells[2].strip().strip("`") for cells in rows if cells[1].strip().isdigit()]
    assert documented == [reason.value for reason in Reason]
    codes = {cells[2].strip().strip("`"): cells[4].strip() for cells in rows if cells[1].strip().isdigit()}
    assert {name: code for name, code in codes.items() if code} == {
        reason.value: code for reason, code in decision_module.ISO20022.items()
    }


# Days. Clock changes of a past year: countries still change their minds about later ones.


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "midnight", "before"),
    [
        ("Asia/Shanghai", "2026-01-02T00:00:00+08:00", "2026-01-01"),
        ("Asia/Kathmandu", "2026-01-02T00:00:00+05:45", "2026-01-01"),
        ("Pacific/Kiritimati", "2026-01-02T00:00:00+14:00", "2026-01-01"),
        ("Pacific/Pago_Pago", "2026-01-02T00:00:00-11:00", "2026-01-01"),
        ("Europe/Berlin", "2024-04-01T00:00:00+02:00", "2024-03-31"),  # a day of 23 hours ends
        ("Europe/Berlin", "2024-10-28T00:00:00+01:00", "2024-10-27"),  # a day of 25 hours ends
        ("America/New_York", "2024-11-04T00:00:00-05:00", "2024-11-03"),  # 25 hours
        ("Australia/Lord_Howe", "2024-04-08T00:00:00+10:30", "2024-04-07"),  # 24.5 hours
        ("America/Havana", "2024-11-04T00:00:00-05:00", "2024-11-03"),  # its clocks go back at 01:00 to midnight
        ("Pacific/Apia", "2011-12-31T00:00:00+14:00", "2011-12-29"),  # the 30th was skipped there
    ],
)
def test_a_day_ends_with_its_last_millisecond_in_the_banks_time_zone(zone: str, midnight: str, before: str) -> None:
    first_ms = _ms(midnight)
    assert day_of(first_ms - 1, ZoneInfo(zone)) == date.fromisoformat(before)
    assert day_of(first_ms, ZoneInfo(zone)) == date.fromisoformat(midnight[:10])


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("America/Havana", "2024-11-03", 25),
        ("Asia/Shanghai", "2024-03-31", 24),
    ],
)
def test_every_hour_of_a_long_or_short_day_belongs_to_that_day_only(zone: str, day: str, hours: int) -> None:
    around = datetime.fromisoformat(day).replace(tzinfo=UTC)
    instants = [around + timedelta(minutes=minute) for minute in range(-36 * 60, 60 * 60, 15)]
    within = [at for at in instants if day_of(int(at.timestamp() * 1000), ZoneInfo(zone)).isoformat() == day]
    assert len(within) == hours * 4
    assert within[-1] - within[0] == timedelta(minutes=(hours * 4 - 1) * 15)  # one stretch, without a gap


# Currencies.


def test_a_currency_with_its_own_bands_uses_them_and_every_other_the_common_ones() -> None:
    policy = Policy(
        freshness=(FreshnessBand(up_to_minor="any", max_staleness_ms=1_000),),
        freshness_of={
            "JPY": (
                FreshnessBand(up_to_minor=10, max_staleness_ms=9_000),
                FreshnessBand(up_to_minor="any", max_staleness_ms=3_000),
            )
        },
    )
    bounds = [policy.max_staleness_ms(amount, currency) for currency in (CNY, JPY) for amount in (10, 11)]
    assert bounds == [1_000, 1_000, 9_000, 3_000]
    assert policy.widest_staleness_ms == 9_000
    for currency, age_ms, reason in (
        (CNY, 1_000, None),
        (CNY, 1_001, Reason.BANK_SILENT),
        (JPY, 3_000, None),
        (JPY, 3_001, Reason.BANK_SILENT),
    ):
        stated: dict[str, Any] = {"currency": currency, "terms_currency": currency, "watermark_ms": NOW_MS - age_ms}
        assert replace(GOOD, policy=policy, **stated).decide().reason is reason


# Check 15.

FIRST_DAY = NewBindingRule(rule="new_binding", name="first-day", currency="CNY", over_minor=999, within_hours=24)
BURST = VelocityRule(
    rule="velocity", name="burst", currency="CNY", over_count=3, over_minor=9_000, within_minutes=10, hold_minutes=30
)
BOUND_LONG_AGO = NOW_MS - 24 * HOUR_MS


def _facts(
    bound_at_ms: int = BOUND_LONG_AGO, count: int = 0, sum_minor: int = 0, holds: tuple[Hold, ...] = ()
) -> RiskFacts:
    return RiskFacts(bound_at_ms, {"burst": Tally(count, sum_minor)}, holds)


def _decide(case: Case, facts: RiskFacts, policy: Policy | None = None) -> Decision:
    record = case.record()
    return decide(
        Question(case.kind, case.amount_minor, case.currency),
        record=record,
        terms=BOUND.open(record) if record is not None else None,
        expected=BOUND.tags,
        ended=case.ended,
        floor=case.floor,
        used=case.used,
        policy=policy or case.policy.model_copy(update={"risk": (FIRST_DAY, BURST)}),
        now_ms=NOW_MS,
        risk=facts,
    )


@pytest.mark.parametrize(
    ("suffices", "too_much", "rule"),
    [
        (_facts(BOUND_LONG_AGO), _facts(BOUND_LONG_AGO + 1), "first-day"),
        (_facts(count=2), _facts(count=3), "burst"),
        (_facts(sum_minor=8_000), _facts(sum_minor=8_001), "burst"),
    ],
)
def test_each_risk_rule_passes_at_its_edge_and_holds_just_beyond(
    suffices: RiskFacts, too_much: RiskFacts, rule: str
) -> None:
    valid, invalid = _decide(GOOD, suffices), _decide(GOOD, too_much)
    assert (valid.outcome, valid.reason, valid.hold) == (Outcome.APPROVE, None, None)
    assert (invalid.outcome, invalid.reason, invalid.iso20022) == (Outcome.REVIEW, Reason.RISK_HOLD, None)
    assert invalid.hold is not None
    assert invalid.hold.rule == rule
    assert invalid.hold.ends_at_ms > NOW_MS


def test_the_first_day_rule_applies_only_above_its_amount() -> None:
    young = _facts(NOW_MS)
    assert _decide(replace(GOOD, amount_minor=999), young).reason is None
    assert _decide(replace(GOOD, amount_minor=1_000), young).reason is Reason.RISK_HOLD


@pytest.mark.parametrize("change", [{"kind": Kind.WITHDRAWAL}, {"currency": USD, "terms_currency": USD}])
def test_a_rule_applies_to_its_kinds_and_its_currency_only(change: dict[str, Any]) -> None:
    rule = FIRST_DAY.model_copy(update={"kinds": ("payment",)})
    policy = POLICY.model_copy(update={"risk": (rule,)})
    young = RiskFacts(NOW_MS, {}, ())
    assert _decide(GOOD, young, policy).reason is Reason.RISK_HOLD
    assert _decide(replace(GOOD, **change), young, policy).reason is None


@pytest.mark.parametrize("earlier", [reason for reason in Reason if reason is not Reason.RISK_HOLD])
def test_every_earlier_check_takes_precedence_over_a_risk_hold(earlier: Reason) -> None:
    held = _facts(NOW_MS, count=99)
    assert _decide(GOOD, held).reason is Reason.RISK_HOLD
    decided = _decide(replace(GOOD, **FAULTS[earlier]), held)
    assert (decided.reason, decided.hold) == (earlier, None)


def _hold(rule: str, *, ends_at_ms: int = NOW_MS + 1, lifted: bool = False, whole: bool = True) -> Hold:
    return Hold(rule, Localized("why", "为何"), ends_at_ms, whole, "h_1", lifted)


@pytest.mark.parametrize(
    ("hold", "count", "reason"),
    [
        (_hold("burst"), 0, Reason.RISK_HOLD),  # still on although the tally has run out
        (_hold("burst", ends_at_ms=NOW_MS), 0, None),  # over with its last millisecond
        (_hold("burst", lifted=True), 0, None),
        (_hold("burst", lifted=True), 99, None),  # lifted: exempt from the rule, until the hold's end
        (_hold("burst", lifted=True, ends_at_ms=NOW_MS), 99, Reason.RISK_HOLD),
        (_hold("gone"), 0, None),  # its rule is no longer in the policy
    ],
)
def test_a_stored_hold_is_on_until_its_end_or_until_it_is_lifted(hold: Hold, count: int, reason: Reason | None) -> None:
    assert _decide(GOOD, _facts(count=count, holds=(hold,))).reason is reason


def test_a_hold_of_the_whole_binding_covers_both_kinds_and_every_currency() -> None:
    facts = _facts(holds=(_hold("burst"),))
    for change in ({"kind": Kind.WITHDRAWAL}, {"currency": USD, "terms_currency": USD}):
        assert _decide(replace(GOOD, **change), facts).reason is Reason.RISK_HOLD


def test_lifting_a_hold_of_one_rule_exempts_from_no_other() -> None:
    facts = _facts(NOW_MS, count=99, holds=(_hold("first-day", lifted=True, whole=False),))
    decided = _decide(GOOD, facts)
    assert decided.hold is not None
    assert decided.hold.rule == "burst"
