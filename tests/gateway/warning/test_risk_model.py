"""The model: its predictions and their factors, learning, and the refusal to load anything else."""

import json
import random

import pytest

from standing.gateway.warning.risk_facts import FEATURES
from standing.gateway.warning.risk_model import MIN_FAILURES, MIN_LEARNED, RiskModel
from standing.gateway.warning.risk_watch import next_warning
from standing.ledger.errors import InvalidValue

CALM = dict.fromkeys(FEATURES, 0.0)


def test_a_new_model_predicts_one_in_a_hundred_and_is_not_used() -> None:
    model = RiskModel()
    assert model.probability(CALM) == pytest.approx(0.01, abs=0.001)
    assert (model.is_ready, model.factors(dict.fromkeys(FEATURES, 1.0))) == (False, [])


@pytest.mark.parametrize(
    ("learned", "failures", "ready"),
    [(MIN_LEARNED, MIN_FAILURES, True), (MIN_LEARNED - 1, MIN_FAILURES, False), (MIN_LEARNED, MIN_FAILURES - 1, False)],
)
def test_a_model_is_used_once_it_has_learned_enough(learned: int, failures: int, ready: bool) -> None:
    assert RiskModel(learned=learned, failures=failures).is_ready is ready


@pytest.mark.long
def test_a_model_learns_which_feature_precedes_failures_and_names_it() -> None:
    chance = random.Random(7)
    samples = []
    for _ in range(4_000):
        found = CALM | {"blocked": float(chance.random() < 0.1), "over_day": float(chance.random() < 0.1)}
        samples.append((found, chance.random() < (0.8 if found["blocked"] else 0.02)))
    model = RiskModel()
    for start in range(0, len(samples), 500):
        model = RiskModel.from_json(model.to_json())  # as after a restart
        model.learn(samples[start : start + 500])
    assert model.learned == 4_000
    assert model.failures == sum(failed for _, failed in samples)
    assert model.probability(CALM | {"blocked": 1.0}) > 0.5
    assert model.probability(CALM | {"over_day": 1.0}) < 0.1
    assert model.factors(CALM | {"blocked": 1.0, "over_day": 1.0})[0].name == "blocked"


def test_learning_in_parts_equals_learning_at_once() -> None:
    samples = [(CALM | {"blocked": index % 3 / 2}, index % 3 == 2) for index in range(300)]
    whole, parts = RiskModel(), RiskModel()
    whole.learn(samples)
    for start in range(0, 300, 7):
        parts = RiskModel.from_json(parts.to_json())
        parts.learn(samples[start : start + 7])
    assert parts.weights == pytest.approx(whole.weights)
    assert parts.intercept == pytest.approx(whole.intercept)


def _changed(**changes: object) -> str:
    return json.dumps(json.loads(RiskModel().to_json()) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "\x80\x04\x95",
        _changed(form=2),
        _changed(weights={}),
        _changed(weights=dict.fromkeys(reversed(FEATURES), 0.0)),
        _changed(weights=dict.fromkeys(FEATURES, 51.0)),
        _changed(intercept=51.0),
        _changed(intercept="__import__('os')"),
        _changed(learned=-1),
        _changed(more=1),
        RiskModel().to_json().replace("-4.6", "NaN"),
    ],
)
def test_a_model_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="model"):
        RiskModel.from_json(text)


@pytest.mark.parametrize(
    ("warned", "per_mille", "cause", "news", "then"),
    [
        (set(), 299, "blocked", None, set()),
        (set(), 300, "blocked", "blocked", {"blocked"}),
        ({"blocked"}, 999, "blocked", None, {"blocked"}),
        ({"blocked"}, 300, "over_day", "over_day", {"blocked", "over_day"}),
        ({"blocked"}, 150, "blocked", None, {"blocked"}),
        ({"blocked"}, 149, "blocked", None, set()),
        (set(), 999, None, None, set()),
    ],
)
def test_a_risk_warns_once_for_each_cause_until_it_has_gone(
    warned: set[str], per_mille: int, cause: str | None, news: str | None, then: set[str]
) -> None:
    assert next_warning(warned, per_mille, cause, warn_per_mille=300) == (news, frozenset(then))
