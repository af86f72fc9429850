"""The time a bank's attestation spent at each age: counted exactly, in one walk as in many."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.gateway.warning.hours import (
    EDGES_MS,
    KEEP_HOURS,
    BankHours,
    Hour,
    LedgerFigures,
    edge_for,
    summary,
)
from standing.gateway.warning.verdict import Pace, verdict
from standing.ledger.clock import HOUR_MS, MAX_CALENDAR_MS
from standing.ledger.errors import InvalidValue

START_MS = 1_800_000_000_000 - 1_800_000_000_000 % HOUR_MS
BOUND_MS = 300_000


def _figures(hours: BankHours) -> LedgerFigures:
    return summary(hours.hours.values(), BOUND_MS)


def test_an_attestation_ages_between_two_publications() -> None:
    bank = BankHours()
    bank.published(START_MS, START_MS - 1_000, 0)
    bank.published(START_MS + 9_000, START_MS + 9_000, 3)
    bank.advance(START_MS + 10_000)
    found = _figures(bank)
    assert (found.covered_ms, found.publications, found.heartbeats, found.attestations) == (10_000, 2, 1, 3)
    # From 1 s to 10 s old in the first nine seconds, from 0 to 1 s old in the last.
    assert found.age_worst_ms == 10_000
    assert found.age_p99_ms == 10_000
    assert found.age_median_ms == 5_000
    assert found.silent_ms == 0


def test_silence_is_only_the_time_beyond_the_bound() -> None:
    bank = BankHours()
    bank.published(START_MS, START_MS, 0)
    bank.published(START_MS + BOUND_MS + 7_000, START_MS + BOUND_MS + 7_000, 0)
    assert _figures(bank).silent_ms == 7_000


@pytest.mark.parametrize("end_ms", [START_MS + 365 * 24 * HOUR_MS, MAX_CALENDAR_MS])
def test_a_ledger_without_a_block_for_long_adds_only_the_hours_that_are_kept(end_ms: int) -> None:
    bank = BankHours()
    bank.published(START_MS, START_MS, 0)
    bank.published(end_ms, end_ms, 0)
    assert len(bank.hours) == 1 + KEEP_HOURS + 1  # the first one, those that are kept, and the present one
    assert max(bank.hours) - sorted(bank.hours)[1] == KEEP_HOURS * HOUR_MS
    assert sum(bank.hours[max(bank.hours)].age_time_ms) == end_ms % HOUR_MS


def test_suspensions_and_rotations_are_counted_in_their_own_hour() -> None:
    bank = BankHours()
    bank.published(START_MS, START_MS, 0)
    bank.acted(START_MS + 10_000, "SignerRotated")
    bank.acted(START_MS + HOUR_MS - 5_000, "BankSuspended")
    bank.acted(START_MS + HOUR_MS + 5_000, "BankReinstated")
    assert [bank.hours[START_MS + shift].suspended_ms for shift in (0, HOUR_MS)] == [5_000, 5_000]
    found = _figures(bank)
    assert (found.suspensions, found.rotations, found.suspended_ms) == (1, 1, 10_000)


def test_a_bank_without_a_watermark_has_no_staleness() -> None:
    bank = BankHours()
    bank.acted(START_MS, "BankSuspended")
    bank.advance(START_MS + 10_000)
    found = _figures(bank)
    assert (found.covered_ms, found.age_worst_ms, found.age_p99_ms, found.suspended_ms) == (0, None, None, 10_000)


@given(
    st.lists(st.tuples(st.integers(0, 3 * HOUR_MS), st.integers(-10_000, 700_000)), min_size=1, max_size=12),
    st.lists(st.integers(0, 5 * HOUR_MS), max_size=6),
)
def test_an_interruption_changes_no_figure(publications: list[tuple[int, int]], stops: list[int]) -> None:
    """A gateway counts a few seconds at a time, and an auditor all at once."""
    whole, stepwise = BankHours(), BankHours()
    at_ms, due, end_ms = START_MS, [], START_MS
    for gap_ms, age_ms in publications:
        at_ms += gap_ms
        due.append((at_ms, at_ms - age_ms))
        end_ms = at_ms + HOUR_MS
    for moment, watermark_ms in due:
        whole.published(moment, watermark_ms, 0)
    whole.advance(end_ms)
    moments = sorted({START_MS + stop for stop in stops if due[0][0] < START_MS + stop < end_ms})
    for moment, watermark_ms in due:
        while moments and moments[0] <= moment:
            stepwise.advance(moments.pop(0))
        stepwise.published(moment, watermark_ms, 0)
    for moment in moments:
        stepwise.advance(moment)
    stepwise.advance(end_ms)
    assert stepwise == whole
    assert {start: Hour.from_json(hour.to_json()) for start, hour in whole.hours.items()} == whole.hours
    assert sum(sum(hour.age_time_ms) for hour in whole.hours.values()) == end_ms - due[0][0]


def test_a_bound_is_counted_at_its_own_edge_or_the_next_higher_one() -> None:
    assert [edge_for(bound) for bound in (1, 300_000, 300_001, 10**12)] == [250, 300_000, 600_000, EDGES_MS[-1]]
    assert list(EDGES_MS) == sorted(set(EDGES_MS))
    with pytest.raises(InvalidValue, match="silent_over_ms"):
        summary([], 299_999)


def _week(publications: list[tuple[int, int]], **acts: int) -> BankHours:
    bank = BankHours()
    at_ms = START_MS
    for gap_ms, age_ms in publications:
        at_ms += gap_ms
        bank.published(at_ms, at_ms - age_ms, 0)
    for name, moment in acts.items():
        bank.acted(START_MS + moment, name)
    bank.advance(max(at_ms, bank.to_ms))
    return bank


@pytest.mark.parametrize(
    ("bank", "rating", "explanation"),
    [
        pytest.param(_week([(1_000, 500)] * 5_000), Pace.STEADY, "at most 2 seconds", id="a publication each second"),
        pytest.param(_week([(1_000, 500)] * 3_000), None, "", id="too short to rate"),
        pytest.param(_week([(200_000, 500)] * 30), Pace.SLOW, "up to 201 seconds", id="a publication every 200 s"),
        pytest.param(
            _week([(10_000, 0)] * 500 + [(420_000, 0)]), Pace.UNSTEADY, "for 2 minutes", id="two silent minutes"
        ),
        pytest.param(_week([(10_000, 0)] * 500, BankSuspended=5_001_000), Pace.UNSTEADY, "suspended", id="suspended"),
    ],
)
def test_the_rating_of_a_bank_follows_from_its_week(bank: BankHours, rating: Pace | None, explanation: str) -> None:
    found = verdict(_figures(bank))
    assert (found.word if found is not None else None) == rating
    if found is not None:
        assert explanation in found.why.en
        assert found.why.zh


_STEADY = LedgerFigures(
    covered_ms=10 * HOUR_MS,
    publications=1,
    heartbeats=1,
    attestations=0,
    age_median_ms=1_000,
    age_p99_ms=BOUND_MS // 2,
    age_worst_ms=BOUND_MS,
    silent_over_ms=BOUND_MS,
    silent_ms=HOUR_MS // 100,
    suspensions=0,
    suspended_ms=0,
    rotations=0,
)


@pytest.mark.parametrize(
    ("changed", "rating"),
    [
        ({}, Pace.STEADY),
        ({"age_p99_ms": BOUND_MS // 2 + 1}, Pace.SLOW),
        ({"silent_ms": HOUR_MS // 100 + 1}, Pace.UNSTEADY),
        ({"suspensions": 1}, Pace.UNSTEADY),
        ({"suspended_ms": 1}, Pace.UNSTEADY),  # since before the week
        ({"covered_ms": HOUR_MS, "silent_ms": 0}, Pace.STEADY),
        ({"covered_ms": HOUR_MS - 1, "silent_ms": 0}, None),
    ],
)
def test_a_rating_changes_just_beyond_its_bound(changed: dict[str, int], rating: Pace | None) -> None:
    found = verdict(replace(_STEADY, **changed))
    assert (found.word if found is not None else None) == rating
