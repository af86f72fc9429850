"""The model of the probability that a use within seven days fails: a logistic regression with named features.

It was chosen by measurement (`bench.warning`). Scoring is a sum of products and needs no library. Learning needs
scikit-learn (the extra `warning`): one step of stochastic gradient descent for each score whose seven days have passed.

A model is stored as JSON: its format, one weight per feature by name, the intercept, and how much it has learned from.
Nothing stored is ever executed, and a model with other features than the current ones is not used.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from standing.gateway.warning.risk_facts import FEATURES
from standing.ledger.errors import InvalidValue

#: The format of a stored model. Increase it when the meaning of a feature changes.
FORM: Final = 1
#: A model that has learned from fewer outcomes, or fewer failures, is not used; only the plain rules apply.
MIN_LEARNED = 2_000
MIN_FAILURES = 50

_MAX_WEIGHT = 50.0
_RATE = 0.1
_L2 = 1e-6


class LearningNeedsScikitLearn(Exception):
    """The extra `warning` is not installed."""

    def __init__(self) -> None:
        super().__init__("learning needs scikit-learn; install standing[gateway,warning]")


class StoredModel(BaseModel):
    """A model as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    form: Literal[1] = 1
    weights: dict[str, float]
    intercept: float = Field(ge=-_MAX_WEIGHT, le=_MAX_WEIGHT)
    learned: int = Field(0, ge=0)
    failures: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _weighs_todays_features(self) -> "StoredModel":
        if tuple(self.weights) != FEATURES:
            raise ValueError("weights: not those of the current features, in their order")
        if any(not -_MAX_WEIGHT <= weight <= _MAX_WEIGHT for weight in self.weights.values()):
            raise ValueError(f"weights: allowed: -{_MAX_WEIGHT:g} to {_MAX_WEIGHT:g}")
        return self


@dataclass(frozen=True, slots=True)
class Factor:
    """One reason for a probability: a feature and its contribution to the log odds."""

    name: str
    adds: float


@dataclass(slots=True)
class RiskModel:
    """The model. A new one predicts one failure in a hundred, whatever the features."""

    weights: dict[str, float] = field(default_factory=lambda: dict.fromkeys(FEATURES, 0.0))
    intercept: float = -4.6
    learned: int = 0
    failures: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether it has learned enough to be used."""
        return self.learned >= MIN_LEARNED and self.failures >= MIN_FAILURES

    def probability(self, found: Mapping[str, float]) -> float:
        """The probability that a use within the horizon fails."""
        odds = self.intercept + sum(self.weights[name] * value for name, value in found.items())
        return 1 / (1 + math.exp(-max(-_MAX_WEIGHT, min(_MAX_WEIGHT, odds))))

    def factors(self, found: Mapping[str, float], most: int = 3) -> list[Factor]:
        """The features that contribute most to the probability, strongest first."""
        adding = [
            Factor(name, self.weights[name] * value) for name, value in found.items() if self.weights[name] * value > 0
        ]
        return sorted(adding, key=lambda factor: (-factor.adds, factor.name))[:most]

    def learn(self, samples: Sequence[tuple[Mapping[str, float], bool]]) -> None:
        """Learn from outcomes, in order. Raises: LearningNeedsScikitLearn."""
        if not samples:
            return
        learner = self._learner()
        learner.partial_fit(
            [[found[name] for name in FEATURES] for found, _ in samples],
            [int(failed) for _, failed in samples],
            classes=[0, 1],
        )
        bound = _MAX_WEIGHT
        self.weights = {
            name: max(-bound, min(bound, float(weight)))
            for name, weight in zip(FEATURES, learner.coef_[0], strict=True)
        }
        self.intercept = max(-bound, min(bound, float(learner.intercept_[0])))
        self.learned += len(samples)
        self.failures += sum(failed for _, failed in samples)

    def _learner(self) -> Any:
        try:
            import numpy as np  # noqa: PLC0415 - an extra, and slow to import
            from sklearn.linear_model import SGDClassifier  # noqa: PLC0415
        except ImportError as error:
            raise LearningNeedsScikitLearn from error
        learner = SGDClassifier(
            loss="log_loss",
            penalty="l2",
            alpha=_L2,
            learning_rate="constant",
            eta0=_RATE,
            shuffle=False,
            random_state=0,
        )
        learner.classes_ = np.array([0, 1])
        learner.coef_ = np.array([[self.weights[name] for name in FEATURES]])
        learner.intercept_ = np.array([self.intercept])
        learner.t_ = 1.0 + self.learned
        return learner

    def to_json(self) -> str:
        """For the database; `from_json` reads it."""
        return StoredModel(
            weights=self.weights, intercept=self.intercept, learned=self.learned, failures=self.failures
        ).model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> "RiskModel":
        """Load a stored model. Raises: InvalidValue (another format, other features, or out of bounds)."""
        try:
            stored = StoredModel.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise InvalidValue("model", first["msg"], "a model of this version") from error
        return cls(dict(stored.weights), stored.intercept, stored.learned, stored.failures)
