"""A time-ordered backtest of the risk of bindings: learn from what is known by an evening, score the days after it.

The world is generated whole, but what is handed to the product's code on an evening is cut off at that evening: uses,
events and attestations before it. An outcome is learned from once its horizon has passed, also a failure: learned at
once, failures would come a week before the rest and look ordinary. No model scores an evening after seeing later data.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.risk_world import DAYS, OFFSET_MS, START_MS, BindingLife, World, judged
from standing.gateway.accounts.health import Condition, condition
from standing.gateway.decisions.caps import caps_of
from standing.gateway.decisions.question import Kind
from standing.gateway.events.types import EventType
from standing.gateway.warning.check_up import Seen, signs_of
from standing.gateway.warning.risk_facts import (
    EVENTS_MS,
    FEATURES,
    HORIZON_MS,
    MAX_EVENTS,
    MAX_USES,
    USES_MS,
    Calendar,
    Facts,
    features,
)
from standing.gateway.warning.risk_model import RiskModel
from standing.gateway.warning.risk_rules import causes
from standing.gateway.warning.risk_watch import next_warning
from standing.gateway.warning.settings import WARN_PER_MILLE
from standing.ledger.clock import DAY_MS

#: The first evenings are learned from and not counted; the last ones lack outcomes.
FIRST_DAY = 30
LAST_DAY = DAYS - HORIZON_MS // DAY_MS
_LIMIT_REASONS = ("over_transaction_limit", "over_daily_limit", "over_monthly_limit", "over_yearly_limit")
_STATUS = (EventType.CHANGED, EventType.CLEARED, EventType.FROZEN, EventType.LOST, EventType.UNSTATED)


@dataclass
class Samples:
    """Every evening of every binding in use, in chronological order, as columns.

    `sign`: the strongest plain rule, an index into `signs`; -1: none.
    `rule`: the strongest rule that warns while no model is in use, an index into `FEATURES`; -1: none.
    `after_failure`: the previous use failed within the horizon, so a warning would be redundant.
    """

    day: Any
    binding: Any
    x: Any
    failed: Any
    sign: Any
    rule: Any
    after_failure: Any
    signs: list[str] = field(default_factory=list)


class _Reader:
    """One binding, read evening by evening: indices advance with time, and nothing after them is read."""

    def __init__(self, life: BindingLife) -> None:
        self.life = life
        self.use_times = [use.at_ms for use in life.uses]
        self.event_times = [at_ms for at_ms, _ in life.events]
        self.attested_times = [at_ms for at_ms, _, _ in life.attested]
        self.conditions: list[Condition] = [
            condition({kind: judged(terms, expected, kind, at_ms) for kind in Kind})
            for at_ms, terms, expected in life.attested
        ]

    def facts(self, calendar: Calendar) -> Facts | None:
        """The binding as on record at that time; None if it was not bound, or its uses are too old to be counted."""
        life, now_ms = self.life, calendar.now_ms
        if life.bound_at_ms >= now_ms:
            return None
        upto = bisect_left(self.use_times, now_ms)
        since = max(bisect_left(self.use_times, now_ms - USES_MS), upto - MAX_USES)
        if since >= upto and now_ms - life.bound_at_ms > USES_MS:
            return None
        events = bisect_left(self.event_times, now_ms)
        first = max(bisect_left(self.event_times, now_ms - EVENTS_MS), events - MAX_EVENTS)
        newest = max(0, bisect_left(self.attested_times, now_ms) - 1)
        now = self.conditions[newest]
        blocked = {Kind.PAYMENT: not now.can_pay, Kind.WITHDRAWAL: not now.can_withdraw}
        return Facts(
            calendar=calendar,
            bound_at_ms=life.bound_at_ms,
            uses=life.uses[since:upto],
            events=life.events[first:events],
            blocked=frozenset(kind for kind, is_so in blocked.items() if is_so),
            caps={kind: caps_of(life.attested[newest][1].limits, kind) for kind in Kind},
            used={kind: life.used(kind, now_ms) for kind in Kind},
        )

    def fails(self, now_ms: int) -> bool:
        """Whether a use within the horizon failed."""
        since, upto = bisect_left(self.use_times, now_ms), bisect_left(self.use_times, now_ms + HORIZON_MS)
        return any(use.failed for use in self.life.uses[since:upto])

    def sign(self, now_ms: int) -> str | None:
        """The strongest of the check-up's plain rules, without that of the bank, which is the same for all bindings."""
        life = self.life

        def logged(kinds: Sequence[EventType], since_ms: int) -> int:
            values = {kind.value for kind in kinds}
            since, upto = bisect_left(self.event_times, since_ms), bisect_left(self.event_times, now_ms)
            return sum(kind in values for _, kind in life.events[since:upto])

        since, upto = bisect_left(self.use_times, now_ms - 7 * DAY_MS), bisect_left(self.use_times, now_ms)
        seen = Seen(
            status_changes=logged(_STATUS, now_ms - 7 * DAY_MS),
            limit_hits=sum(reason in _LIMIT_REASONS for reason in life.reasons[since:upto]),
            identity_changed=logged((EventType.IDENTITY_CHANGED,), now_ms - 30 * DAY_MS) > 0,
        )
        found = signs_of(self.conditions[max(0, bisect_left(self.attested_times, now_ms) - 1)], seen, None)
        return found[0].code if found else None


def sampled(world: World) -> Samples:
    """Every evening of the world, by the product's own features."""
    readers = [_Reader(life) for life in world.bindings]
    signs: list[str] = []
    columns: list[list[Any]] = [[] for _ in range(7)]
    for day in range(1, DAYS):
        now_ms = START_MS + day * DAY_MS
        calendar = Calendar.at(now_ms, OFFSET_MS)
        for index, reader in enumerate(readers):
            facts = reader.facts(calendar)
            if facts is None:
                continue
            sign = reader.sign(now_ms)
            if sign is not None and sign not in signs:
                signs.append(sign)
            found = features(facts)
            rules = causes(found, facts, most=1)
            last = facts.uses[-1] if facts.uses else None
            row = (
                day,
                index,
                np.array(list(found.values()), dtype=np.float32),
                reader.fails(now_ms),
                signs.index(sign) if sign is not None else -1,
                FEATURES.index(rules[0]) if rules else -1,
                last is not None and last.failed and now_ms - last.at_ms < HORIZON_MS,
            )
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    day_, binding, x, failed_, sign_, rule, after = columns
    return Samples(
        np.array(day_, dtype=np.int16),
        np.array(binding, dtype=np.int32),
        np.stack(x),
        np.array(failed_),
        np.array(sign_, dtype=np.int8),
        np.array(rule, dtype=np.int8),
        np.array(after),
        signs,
    )


def evenings(samples: Samples) -> Iterator[tuple[int, Any, Any]]:
    """Each evening with the rows whose horizon has passed since the evening before, and the rows to score."""
    for day in range(1, DAYS):
        yield day, _rows_of(samples, day - HORIZON_MS // DAY_MS), _rows_of(samples, day)


def _rows_of(samples: Samples, day: int) -> Any:
    return np.arange(*np.searchsorted(samples.day, (day, day + 1)))


def by_product(samples: Samples, without: str | None = None) -> tuple[Any, list[str | None]]:
    """Probabilities by the product's model, and the strongest factor of each row at the working point."""
    x = samples.x
    if without is not None:
        x = x.copy()
        x[:, FEATURES.index(without)] = 0
    model = RiskModel()
    chances = np.zeros(len(x))
    causes: list[str | None] = [None] * len(x)
    for _, fresh, rows in evenings(samples):
        model.learn([(dict(zip(FEATURES, x[row].tolist(), strict=True)), bool(samples.failed[row])) for row in fresh])
        odds = x[rows] @ np.array(list(model.weights.values())) + model.intercept
        chances[rows] = 1 / (1 + np.exp(-odds))
        if not model.is_ready:
            continue
        for row in rows[chances[rows] >= WARN_PER_MILLE / 1000]:
            found = dict(zip(FEATURES, x[row].tolist(), strict=True))
            assert abs(model.probability(found) - chances[row]) < 1e-6  # the bench scores as the gateway does
            strongest = model.factors(found, 1)
            causes[row] = strongest[0].name if strongest else None
    return chances, causes


def by_river(samples: Samples) -> Any:
    """River's logistic regression, with the same steps."""
    from river import linear_model, optim  # noqa: PLC0415 - only to compare

    model: Any = linear_model.LogisticRegression(optim.SGD(0.02), l2=1e-6, intercept_init=-4.6, intercept_lr=0.02)
    chances = np.zeros(len(samples.x))
    for _, fresh, rows in evenings(samples):
        for row in fresh:
            model.learn_one(dict(zip(FEATURES, samples.x[row].tolist(), strict=True)), bool(samples.failed[row]))
        for row in rows:
            predicted = model.predict_proba_one(dict(zip(FEATURES, samples.x[row].tolist(), strict=True)))
            chances[row] = predicted[True]
    return chances


def by_trees(samples: Samples) -> Any:
    """Boosted trees, retrained each week on everything known by then: what a model without explanations could do."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    chances = np.zeros(len(samples.x))
    known: list[Any] = []
    model = None
    for day, fresh, rows in evenings(samples):
        known.append(fresh)
        if day % 7 == 0:
            learned = np.concatenate(known)
            if samples.failed[learned].any():
                model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
                model.fit(samples.x[learned], samples.failed[learned])
        if model is not None:
            chances[rows] = model.predict_proba(samples.x[rows])[:, 1]
    return chances


def by_rate(samples: Samples, group: Any) -> Any:
    """The share of failures so far among rows of the same group; with a single group, the base rate."""
    chances = np.zeros(len(samples.day))
    failures = np.zeros(int(group.max()) + 1)
    counts = np.zeros(int(group.max()) + 1)
    for _, fresh, rows in evenings(samples):
        np.add.at(failures, group[fresh], samples.failed[fresh])
        np.add.at(counts, group[fresh], 1)
        chances[rows] = (failures / np.maximum(1, counts))[group[rows]]
    return chances


@dataclass(frozen=True, slots=True)
class WarningOutcomes:
    """The outcomes of warnings and failures. `by_reason`: new failures by reason, and how many had a warning.

    A failure is new if the binding's previous use did not fail within the horizon; predicted if a warning about the
    binding was active when its day began; a day ahead if that warning was raised at least 24 hours before it.
    """

    warnings: int
    true_warnings: int
    failures: int
    predicted: int
    day_ahead: int
    lead_ms: list[int]
    by_reason: dict[str, tuple[int, int]]

    @property
    def precision(self) -> float:
        return self.true_warnings / self.warnings if self.warnings else 0.0

    @property
    def recall(self) -> float:
        return self.predicted / self.failures if self.failures else 0.0


def outcomes(
    world: World, samples: Samples, per_mille: Any, cause_of: Callable[[int], str | None], limit: int = WARN_PER_MILLE
) -> WarningOutcomes:
    """Raise warnings as the gateway does, evening by evening, and count their outcomes."""
    active: dict[int, tuple[frozenset[str], int]] = {}  # causes warned of, and since when
    warned: dict[tuple[int, int], int] = {}  # by binding and day: since when a warning was active that evening
    warnings = true_warnings = 0
    for row in range(len(samples.day)):
        day, binding = int(samples.day[row]), int(samples.binding[row])
        now_ms = START_MS + day * DAY_MS
        causes, since_ms = active.get(binding, (frozenset(), now_ms))
        cause = cause_of(row) if not samples.after_failure[row] else None
        news, causes = next_warning(causes, int(per_mille[row]), cause, warn_per_mille=limit)
        active[binding] = (causes, since_ms if active.get(binding, (frozenset(), 0))[0] else now_ms)
        if causes:
            warned[binding, day] = active[binding][1]
        if news is not None and FIRST_DAY <= day < LAST_DAY:
            warnings += 1
            true_warnings += bool(samples.failed[row])
    failures = predicted = day_ahead = 0
    leads: list[int] = []
    by_reason: dict[str, tuple[int, int]] = {}
    for binding, life in enumerate(world.bindings):
        before = None
        for use, reason in zip(life.uses, life.reasons, strict=True):
            day = (use.at_ms - START_MS) // DAY_MS
            is_new = before is None or not before.failed or use.at_ms - before.at_ms >= HORIZON_MS
            before = use
            if not use.failed or not is_new or not FIRST_DAY <= day < LAST_DAY:
                continue
            failures += 1
            since = warned.get((binding, day))
            assert reason is not None
            known = by_reason.get(reason.value, (0, 0))
            by_reason[reason.value] = (known[0] + 1, known[1] + (since is not None))
            if since is not None:
                predicted += 1
                day_ahead += use.at_ms - since >= DAY_MS
                leads.append(use.at_ms - since)
    return WarningOutcomes(warnings, true_warnings, failures, predicted, day_ahead, sorted(leads), by_reason)


def counted_rows(samples: Samples) -> Any:
    """The rows that count: after the first weeks, with a known outcome, and not after a known failure."""
    return (samples.day >= FIRST_DAY) & (samples.day < LAST_DAY) & ~samples.after_failure


def brier(chances: Any, failed: Any) -> float:
    """The mean squared error of probabilities."""
    return float(np.mean((chances - failed) ** 2))


def calibration(chances: Any, failed: Any, bins: int = 10) -> list[tuple[float, float, int]]:
    """For each bin of probability: the mean prediction, the share that failed, and the number of rows."""
    found = []
    place = np.minimum((chances * bins).astype(int), bins - 1)
    for each in range(bins):
        inside = place == each
        if inside.any():
            found.append((float(chances[inside].mean()), float(failed[inside].mean()), int(inside.sum())))
    return found


def calibration_error(chances: Any, failed: Any) -> float:
    """The expected calibration error: the gap between prediction and outcome in ten bins, weighted by their rows."""
    table = calibration(chances, failed)
    total = sum(count for _, _, count in table)
    return sum(abs(predicted - failing) * count for predicted, failing, count in table) / total if total else 0.0
