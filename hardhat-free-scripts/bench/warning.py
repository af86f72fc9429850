"""How well `binding.at_risk` predicts failures, compared with nothing, the base rate, the rules alone and other models;
and how well `bank.slowing` predicts silences.

`python -m bench.warning --seed N --users N` prints all figures. It needs one core, a few minutes and up to two
gigabytes.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

# One core: the libraries would otherwise start a thread for each, and the figures would depend on the machine's load.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score

from bench import backtest, scoring, slowing
from bench.backtest import Samples, WarningOutcomes
from bench.charts import calibration_chart
from bench.figures import Figure, Ratio
from bench.risk_world import USERS, World
from standing.gateway.warning.risk_facts import FEATURES
from standing.gateway.warning.settings import WARN_PER_MILLE
from standing.ledger.clock import HOUR_MS

SEED = 20_261_128
#: Users whose bindings the ablation is made on.
ABLATION_USERS = 1_500
LIMITS = (150, 200, 300, 400, 500, 600)
CALIBRATION = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "warning-calibration.png"

AIM_RECALL, AIM_PRECISION, AIM_CALIBRATION = 2 / 3, 0.5, 0.05
#: Only our model names a warning's cause, and only at the working point; the others' warnings share this one.
_ANY = "any"


class Trial:
    """A world, its samples, and the rows that count for each contender."""

    def __init__(self, seed: int, users: int) -> None:
        self.world = World.generated(seed, users)
        self.samples = backtest.sampled(self.world)
        self.rows = backtest.counted_rows(self.samples)

    @property
    def failed(self) -> Any:
        """The outcomes of the rows that count."""
        return self.samples.failed[self.rows]

    def outcomes(
        self, chances: Any, cause_of: Callable[[int], str | None], limit: int = WARN_PER_MILLE
    ) -> WarningOutcomes:
        """The outcomes of warnings raised from probabilities."""
        return backtest.outcomes(self.world, self.samples, np.round(chances * 1000).astype(int), cause_of, limit)

    def quality(self, chances: Any) -> dict[str, float]:
        """The quality of probabilities. `calibration_error_at_risk`: only of those above one in ten."""
        counted, risky = chances[self.rows], self.rows & (chances >= 0.1)
        return {
            "brier": backtest.brier(counted, self.failed),
            "average_precision": float(average_precision_score(self.failed, counted)),
            "calibration_error": backtest.calibration_error(counted, self.failed),
            "calibration_error_at_risk": backtest.calibration_error(chances[risky], self.samples.failed[risky]),
        }


def contenders(trial: Trial) -> dict[str, tuple[Any, WarningOutcomes]]:
    """Probabilities and warnings of each, ours first."""
    samples = trial.samples
    chances, causes = backtest.by_product(samples)
    found = {"the model": (chances, trial.outcomes(chances, lambda row: causes[row]))}
    signed = np.where(samples.sign >= 0, 1.0, 0.0)
    by_sign = backtest.by_rate(samples, samples.sign.astype(int) + 1)
    rules = trial.outcomes(signed, lambda row: samples.signs[samples.sign[row]] if samples.sign[row] >= 0 else None)
    found["rules alone"] = (by_sign, rules)
    by_rule = backtest.by_rate(samples, samples.rule.astype(int) + 1)
    warned = trial.outcomes(
        np.where(samples.rule >= 0, 1.0, 0.0),
        lambda row: FEATURES[samples.rule[row]] if samples.rule[row] >= 0 else None,
    )
    found["rules until it is heard"] = (by_rule, warned)
    base = backtest.by_rate(samples, np.zeros(len(samples.day), dtype=int))
    found["base rate"] = (base, trial.outcomes(base, lambda _: _ANY))
    nothing = np.zeros(len(samples.day))
    found["nothing"] = (nothing, trial.outcomes(nothing, lambda _: _ANY))
    for name, chances_of in (("River", backtest.by_river), ("boosted trees", backtest.by_trees)):
        others = chances_of(samples)
        found[name] = (others, trial.outcomes(others, lambda _: _ANY))
    return found


def ablation(samples: Samples) -> dict[str, tuple[float, float]]:
    """The loss in Brier score and average precision without each feature, on some of the bindings."""
    part = samples.binding < ABLATION_USERS
    few = replace(
        samples,
        **{
            name: getattr(samples, name)[part]
            for name in ("day", "binding", "x", "failed", "sign", "rule", "after_failure")
        },
    )
    rows = backtest.counted_rows(few)

    def measured(without: str | None) -> tuple[float, float]:
        chances, _ = backtest.by_product(few, without)
        counted, failed = chances[rows], few.failed[rows]
        return backtest.brier(counted, failed), float(average_precision_score(failed, counted))

    whole = measured(None)
    lost = {name: measured(name) for name in FEATURES}
    return {name: (brier - whole[0], whole[1] - precision) for name, (brier, precision) in lost.items()}


def measured(seed: int, users: int, console: Console) -> tuple[list[Figure], list[Ratio]]:
    """All figures of a seed; prints tables of those that a chart cannot show."""
    console.print(f"seed {seed}, {users} users, figures of days {backtest.FIRST_DAY} to {backtest.LAST_DAY}")
    trial = Trial(seed, users)
    console.print(
        f"{len(trial.world.bindings)} bindings, {len(trial.samples.day)} scores, {int(trial.failed.sum())} failed"
    )
    found = contenders(trial)
    figures = [_figure(name, trial, chances, outcomes) for name, (chances, outcomes) in found.items()]
    chances, ours = found["the model"]
    rules = found["rules alone"][1]
    calibrated = backtest.calibration(chances[trial.rows], trial.failed)
    calibration_chart("Predicted and actual share of failures", calibrated, CALIBRATION)
    _print_reasons(console, ours, rules)
    _print_limits(console, trial, chances)
    _print_calibration(console, calibrated)
    _print_ablation(console, ablation(trial.samples))
    error = backtest.calibration_error(chances[trial.rows], trial.failed)
    ratios = [
        Ratio("warning: failures warned of before their day", ours.recall, AIM_RECALL),
        Ratio("warning: warnings that came true", ours.precision, AIM_PRECISION),
        Ratio("warning: calibration error", error, AIM_CALIBRATION, at_least=False),
        Ratio("warning: failures warned of / by rules alone", ours.recall / max(1e-9, rules.recall), 1.0),
        Ratio("warning: warnings that came true / by rules alone", ours.precision / max(1e-9, rules.precision), 1.0),
    ]
    return figures, ratios


def _figure(name: str, trial: Trial, chances: Any, outcomes: WarningOutcomes) -> Figure:
    extra = {
        "warnings": float(outcomes.warnings),
        "precision": outcomes.precision,
        "warned_24_hours_ahead": outcomes.day_ahead / max(1, outcomes.failures),
        "lead_hours": median(outcomes.lead_ms) / HOUR_MS if outcomes.lead_ms else 0.0,
        **trial.quality(chances),
    }
    # A contender without warnings has no bar.
    rates = [100 * outcomes.recall] if outcomes.warnings else []
    return Figure(
        "warning",
        "failures warned of before their day",
        name,
        unit="percent",
        ours=name == "the model",
        rates=rates,
        extra=extra,
    )


def _print_reasons(console: Console, ours: WarningOutcomes, rules: WarningOutcomes) -> None:
    table = Table("reason", "failures", "predicted by the model", "predicted by rules", title="New failures, by reason")
    for reason, (count, predicted) in sorted(ours.by_reason.items(), key=lambda item: -item[1][0]):
        table.add_row(reason, str(count), str(predicted), str(rules.by_reason[reason][1]))
    console.print(table)


def _print_limits(console: Console, trial: Trial, chances: Any) -> None:
    table = Table("warned from", "warnings", "precision", "before the day", "24 h ahead", title="Working points")
    for limit in LIMITS:
        outcomes = trial.outcomes(chances, lambda _: _ANY, limit)
        ahead = outcomes.day_ahead / max(1, outcomes.failures)
        table.add_row(
            str(limit / 1000),
            str(outcomes.warnings),
            f"{outcomes.precision:.2f}",
            f"{outcomes.recall:.2f}",
            f"{ahead:.2f}",
        )
    console.print(table)


def _print_calibration(console: Console, calibrated: list[tuple[float, float, int]]) -> None:
    table = Table("predicted", "failed", "scores", title="Calibration")
    for predicted, failed, count in calibrated:
        table.add_row(f"{predicted:.3f}", f"{failed:.3f}", str(count))
    console.print(table)


def _print_ablation(console: Console, lost: dict[str, tuple[float, float]]) -> None:
    table = Table("without", "Brier score, ×10⁻⁵", "average precision", title="What is lost without a feature")
    for name, (brier, precision) in sorted(lost.items(), key=lambda item: -item[1][0]):
        table.add_row(name, f"{1e5 * brier:+.1f}", f"{-precision:+.4f}")
    console.print(table)


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """The section for `bench.run`. The seed fixes the forecasts, so rounds only repeat the cost of scoring."""
    figures, ratios = measured(SEED, USERS, Console(width=120))
    silences = slowing.all_counted(weeks=4, seed=1)
    figures.append(
        Figure(
            "warning",
            "silences foreseen at half the bound",
            "bank.slowing",
            unit="percent",
            ours=True,
            rates=[100 * silences.predicted_early_share],
            extra={
                "foreseen_at_all": silences.predicted_share,
                "false_alarms_a_bank_week": silences.false_alarms_a_bank_week,
            },
        )
    )
    rated, cost = scoring.measured(folder, rounds)
    return [*figures, *rated], [
        *ratios,
        cost,
        Ratio("warning: silences foreseen at half the bound", silences.predicted_early_share, 0.9),
        Ratio("warning: false alarms a bank and week", silences.false_alarms_a_bank_week, 1.0, at_least=False),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--users", type=int, default=USERS)
    given = parser.parse_args()
    console = Console(width=120)
    figures, ratios = measured(given.seed, given.users, console)
    for figure in figures:
        console.print(figure.contender, figure.as_json(), markup=False)
    for ratio in ratios:
        console.print(ratio.name, round(ratio.value, 3), "met" if ratio.met else "missed", markup=False)


if __name__ == "__main__":
    main()
