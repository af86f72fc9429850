"""Charts of the benchmarks: one picture a section, operations per second and latency."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from bench.figures import Figure

mpl.use("Agg")  # files only; no screen is needed

from matplotlib import pyplot as plt  # after the choice above
from matplotlib.axes import Axes

_INCHES_A_BAR = 0.32
#: Bars that differ by more are drawn on a logarithmic axis.
_LINEAR_UP_TO = 20
_OURS, _OTHERS = "#1f6f5c", "#b0b7bd"


def chart(title: str, figures: Sequence[Figure], path: Path) -> None:
    """Draw a section's figures into a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rated, timed = [each for each in figures if each.rates], [each for each in figures if each.latencies_ms]
    panels = [shown for shown in (rated, timed) if shown]
    height = 1.4 + _INCHES_A_BAR * max(map(len, panels))
    drawing, (row,) = plt.subplots(
        1, len(panels), figsize=(6.5 * len(panels), height), squeeze=False, layout="constrained"
    )
    for axes, shown in zip(row, panels, strict=True):
        if shown is rated:
            _bars(axes, rated, [figure.rate for figure in rated], rated[0].unit)
        else:
            _bars(axes, timed, [figure.latency_ms(50) for figure in timed], "ms, median (line: to p99)")
            for place, figure in enumerate(timed):
                below = place + 0.35  # the middle is the label's
                axes.plot([figure.latency_ms(50), figure.latency_ms(99)], [below, below], color="black", linewidth=1)
    drawing.suptitle(title)
    drawing.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(drawing)


def _bars(axes: Axes, figures: Sequence[Figure], values: Sequence[float], unit: str) -> None:
    labels = [f"{figure.contender}\n{figure.load}" for figure in figures]
    colours = [_OURS if figure.ours else _OTHERS for figure in figures]
    bars = axes.barh(range(len(values)), values, color=colours)
    axes.bar_label(bars, [f" {value:,.0f}" if value >= 10 else f" {value:.2f}" for value in values], fontsize=7)
    axes.set_yticks(range(len(values)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    if max(values) > _LINEAR_UP_TO * min(values):
        axes.set_xscale("log")
        # From a whole power of ten: a bar's length means nothing on a logarithmic axis, and must not seem to.
        axes.set_xlim(left=10.0 ** math.floor(math.log10(min(values))))
        unit += " (log)"
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)


def calibration_chart(title: str, points: Sequence[tuple[float, float, int]], path: Path) -> None:
    """Plot predicted against actual shares, a point for each bin, sized by its number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color=_OTHERS, linewidth=1)
    sizes = [20 + 12 * math.log10(max(1, count)) ** 2 for _, _, count in points]
    axes.scatter(
        [predicted for predicted, _, _ in points], [failed for _, failed, _ in points], s=sizes, color=_OURS, zorder=2
    )
    for predicted, failed, count in points:
        axes.annotate(f"{count:,}", (predicted, failed), textcoords="offset points", xytext=(8, -10), fontsize=7)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share that failed", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(drawing)
