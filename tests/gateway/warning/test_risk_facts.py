"""The features of a binding: each at and below its edge, and none from the future."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from standing.gateway.decisions.caps import Caps, Used
from standing.gateway.decisions.question import Kind
from standing.gateway.warning.risk_facts import FEATURES, Calendar, Facts, Use, features
from standing.gateway.warning.risk_words import sign_of
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.clock import DAY_MS

NOW_MS = int(datetime(2026, 3, 20, 16, tzinfo=UTC).timestamp()) * 1000  # midnight of the 21st in Shanghai
OFFSET_MS = 8 * 3_600_000
NO_CAPS = Caps(NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT)


def _uses(amount_minor: int = 10_000, kind: Kind = Kind.PAYMENT, count: int = 20) -> list[Use]:
    return [Use(NOW_MS - day * DAY_MS, kind, amount_minor, failed=False) for day in range(count, 0, -1)]


CALM = Facts(
    calendar=Calendar.at(NOW_MS, OFFSET_MS),
    bound_at_ms=NOW_MS - 100 * DAY_MS,
    uses=_uses(),
    events=[],
    blocked=frozenset(),
    caps=dict.fromkeys(Kind, NO_CAPS),
    used=dict.fromkeys(Kind, Used(0, 0, 0)),
)


def _capped(kind: Kind = Kind.PAYMENT, **caps: int) -> dict[Kind, Caps]:
    return {**CALM.caps, kind: replace(NO_CAPS, **caps)}


def test_a_calm_binding_has_no_risk_features() -> None:
    found = features(CALM)
    assert tuple(found) == FEATURES
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize(
    ("name", "given", "not_given"),
    [
        ("blocked", {"blocked": frozenset({Kind.PAYMENT})}, {"blocked": frozenset({Kind.WITHDRAWAL})}),
        ("over_transaction", {"caps": _capped(transaction_minor=9_999)}, {"caps": _capped(transaction_minor=20_000)}),
        ("over_day", {"caps": _capped(daily_minor=9_999)}, {"caps": _capped(daily_minor=20_000)}),
        (
            "month_left",
            {"caps": _capped(monthly_minor=100_000), "used": {**CALM.used, Kind.PAYMENT: Used(0, 95_000, 0)}},
            {"caps": _capped(monthly_minor=100_000), "used": {**CALM.used, Kind.PAYMENT: Used(0, 50_000, 0)}},
        ),
        ("month_pace", {"caps": _capped(monthly_minor=60_000)}, {"caps": _capped(monthly_minor=80_000)}),
        ("year_pace", {"caps": _capped(yearly_minor=60_000)}, {"caps": _capped(yearly_minor=80_000)}),
        (
            "year_pace",
            {"caps": _capped(Kind.WITHDRAWAL, yearly_minor=60_000), "uses": _uses(kind=Kind.WITHDRAWAL)},
            {"caps": _capped(Kind.WITHDRAWAL, yearly_minor=60_000)},
        ),
        (
            "limits_changed",
            {"events": [(NOW_MS - 6 * DAY_MS, "binding.limits_changed")]},
            {"events": [(NOW_MS - 7 * DAY_MS, "binding.limits_changed")]},
        ),
        (
            "identity_changed",
            {"events": [(NOW_MS - DAY_MS, "binding.identity_changed")]},
            {"events": [(NOW_MS - DAY_MS, "binding.limits_changed")]},
        ),
        (
            "status_changed",
            {"events": [(NOW_MS - DAY_MS, "binding.frozen")]},
            {"events": [(NOW_MS - 8 * DAY_MS, "binding.frozen")]},
        ),
        (
            "status_flickers",
            {"events": [(NOW_MS - 9 * DAY_MS, "binding.frozen")]},
            {"events": [(NOW_MS - 9 * DAY_MS, "binding.usable")]},
        ),
    ],
)
def test_a_feature_is_set_by_its_cause_and_by_nothing_less(
    name: str, given: dict[str, object], not_given: dict[str, object]
) -> None:
    assert features(replace(CALM, **given))[name] > 0  # type: ignore[arg-type]
    assert features(replace(CALM, **not_given))[name] == 0  # type: ignore[arg-type]
    sign = sign_of(name)
    assert all((sign.what.en, sign.what.zh, sign.to_do.en, sign.to_do.zh))


@pytest.mark.parametrize(("days", "given"), [(28, 1.0), (22, 1.0), (21, 0.0), (29, 0.0)])
def test_a_payment_made_a_month_ago_is_due_on_its_day_of_the_month(days: int, given: float) -> None:
    """From 21 to 27 March: the payments of 21 to 27 February, 28 to 22 days earlier, in the bank's zone."""
    rent = Use(NOW_MS - days * DAY_MS, Kind.PAYMENT, 500_000, failed=False)
    facts = replace(CALM, uses=[rent, *_uses(count=5)], caps=_capped(transaction_minor=400_000))
    assert features(facts)["due_over_limit"] == given
    assert features(replace(facts, caps=_capped(transaction_minor=500_000)))["due_over_limit"] == 0


def test_every_feature_is_between_zero_and_one_for_any_facts() -> None:
    everything = replace(
        CALM,
        uses=_uses(amount_minor=2**40, count=100),
        events=[(NOW_MS - 1, kind) for kind in ("binding.frozen", "binding.limits_changed", "binding.identity_changed")]
        * 20,
        blocked=frozenset(Kind),
        caps=dict.fromkeys(Kind, Caps(0, 0, 0, 0)),
        used=dict.fromkeys(Kind, Used(2**60, 2**60, 2**60)),
    )
    for facts in (everything, replace(everything, uses=[]), replace(everything, bound_at_ms=NOW_MS - 1)):
        assert all(0 <= value <= 1 for value in features(facts).values())
    assert all(value > 0 for value in features(everything).values() if value is not None)


def test_every_feature_and_nothing_else_has_a_sign() -> None:
    assert all(sign_of(name).code == name for name in FEATURES)
    with pytest.raises(KeyError):
        sign_of("used_soon")
