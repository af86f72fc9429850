"""A bank's slowing threshold follows from its own spread, never from a constant."""

import random

import pytest

from standing.gateway.warning.slowing import MIN_HOURS, PAST_HOURS, slowing_age_ms

BOUND_MS = 300_000


def _ages(middle_ms: int, spread_ms: int, hours: int = PAST_HOURS) -> list[int]:
    source = random.Random(7)
    return [max(0, round(source.gauss(middle_ms, spread_ms))) for _ in range(hours)]


def test_a_bank_with_a_wider_spread_is_given_more_time() -> None:
    narrow, wide = (slowing_age_ms(_ages(20_000, spread), BOUND_MS) for spread in (1_000, 8_000))
    assert narrow is not None
    assert wide is not None
    assert 20_000 < narrow < wide < BOUND_MS // 2


def test_too_little_history_is_no_habit() -> None:
    assert slowing_age_ms(_ages(20_000, 1_000, MIN_HOURS - 1), BOUND_MS) is None
    assert slowing_age_ms(_ages(20_000, 1_000, MIN_HOURS), BOUND_MS) is not None


def test_a_silence_in_the_past_does_not_make_the_next_one_ordinary() -> None:
    ages = _ages(20_000, 1_000)
    assert slowing_age_ms([*ages, BOUND_MS + 1, 40 * BOUND_MS], BOUND_MS) == slowing_age_ms(ages, BOUND_MS)


def test_an_ordinary_bank_is_reported_before_half_the_bound_has_passed() -> None:
    odd_hour = [140_000]
    assert slowing_age_ms(_ages(20_000, 1_000) + odd_hour, BOUND_MS) == BOUND_MS // 2


@pytest.mark.parametrize(
    ("worst_ms", "hours", "limit_ms"),
    [
        (200_000, 4, 150_000),
        (200_000, 5, 250_000),  # a fifth hour is the bank's habit
        (150_000, 5, 150_000),  # at the half is not past it
        (239_999, 5, 299_998),
        (240_000, 5, None),  # not before the bound
    ],
)
def test_a_staleness_past_half_the_bound_is_a_habit_in_more_than_four_hours_of_a_week(
    worst_ms: int, hours: int, limit_ms: int | None
) -> None:
    assert slowing_age_ms([20_000] * (PAST_HOURS - hours) + [worst_ms] * hours, BOUND_MS) == limit_ms


def test_with_few_hours_the_limit_is_what_an_unchanged_bank_exceeds_once_in_two_weeks() -> None:
    """By Gumbel's distribution with the hours' mean, 1,667 ms, and standard deviation, 4,082 ms."""
    assert slowing_age_ms([0, 0, 0, 0, 0, 10_000], BOUND_MS) == 18_341


def test_a_bank_whose_usual_staleness_reaches_the_bound_cannot_be_warned_of_ahead() -> None:
    assert slowing_age_ms(_ages(280_000, 5_000), BOUND_MS) is None
