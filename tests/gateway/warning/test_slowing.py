"""A bank's slowing threshold follows from its own spread, never from a constant."""

import random

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


def test_a_bank_whose_usual_staleness_reaches_the_bound_cannot_be_warned_of_ahead() -> None:
    assert slowing_age_ms(_ages(280_000, 5_000), BOUND_MS) is None
