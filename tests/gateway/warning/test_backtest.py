"""The backtest that the figures of docs/EARLY-WARNING.md come from: reproducible for a seed and blind to the future."""

from dataclasses import replace

import numpy as np
import pytest

from bench import backtest
from bench.risk_world import OFFSET_MS, START_MS, BindingLife, World
from standing.gateway.decisions.question import Kind
from standing.gateway.warning.risk_facts import FEATURES, HORIZON_MS, Calendar, features
from standing.ledger.clock import DAY_MS

USERS = 40


@pytest.fixture(scope="module")
def world() -> World:
    return World.generated(3, USERS)


def _cut_off(life: BindingLife, now_ms: int) -> BindingLife:
    """The record of a binding before a moment, with a different future."""
    upto = sum(use.at_ms < now_ms for use in life.uses)
    last = (now_ms + OFFSET_MS) // DAY_MS
    attested = [each for each in life.attested if each[0] < now_ms]
    return replace(
        life,
        uses=life.uses[:upto] + [replace(use, amount_minor=1, failed=not use.failed) for use in life.uses[upto:]],
        reasons=life.reasons[:upto] + [None] * (len(life.uses) - upto),
        events=[event for event in life.events if event[0] < now_ms],
        attested=attested or life.attested[:1],
        used_minor={kind: {day: sum_ for day, sum_ in life.used_minor[kind].items() if day < last} for kind in Kind},
    )


@pytest.mark.parametrize("day", [10, 45, 80])
def test_no_score_uses_anything_after_its_evening(world: World, day: int) -> None:
    calendar = Calendar.at(START_MS + day * DAY_MS, OFFSET_MS)
    compared = 0
    for life in world.bindings:
        facts = backtest._Reader(life).facts(calendar)
        blind = backtest._Reader(_cut_off(life, calendar.now_ms)).facts(calendar)
        assert (facts is None) == (blind is None)
        if facts is not None and blind is not None:
            assert features(facts) == features(blind)
            assert all(use.at_ms < calendar.now_ms for use in facts.uses)
            compared += 1
    assert compared > USERS // 2


def test_nothing_is_learned_before_its_outcome_is_known(world: World) -> None:
    samples = backtest.sampled(world)
    learned = 0
    for day, known, scored in backtest.evenings(samples):
        assert all(samples.day[known] <= day - HORIZON_MS // DAY_MS)
        assert all(samples.day[scored] == day)
        learned += len(known)
    assert 0 < learned < len(samples.day)
    assert samples.x.shape[1] == len(FEATURES)


def test_a_seed_reproduces_its_world_and_another_seed_differs(world: World) -> None:
    again, other = World.generated(3, USERS), World.generated(4, USERS)
    assert [life.uses for life in again.bindings] == [life.uses for life in world.bindings]
    assert [life.uses for life in other.bindings] != [life.uses for life in world.bindings]
    assert [use.at_ms for life in world.bindings for use in life.uses] == [
        at_ms for life in world.bindings for at_ms in sorted(use.at_ms for use in life.uses)
    ]


def test_calibrated_probabilities_have_no_error() -> None:
    chances = np.array([0.25] * 4 + [0.75] * 4)
    failed = np.array([True, False, False, False, True, True, True, False])
    assert backtest.calibration_error(chances, failed) == pytest.approx(0)
    assert backtest.calibration_error(chances, ~failed) == pytest.approx(0.5)
    assert backtest.calibration(chances, failed) == [(0.25, 0.25, 4), (0.75, 0.75, 4)]
    assert backtest.brier(chances, failed) == pytest.approx(0.1875)
