"""Charts of the benchmarks: one picture a section, operations per second beside latency."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from figures import Figure

mpl.use("Agg")  # files only; no screen is needed

from matplotlib import pyplot as plt  # after the choice above
from matplotlib.axes import Axes

_INCHES_A_BAR = 0.32
_OURS, _OTHERS = "#1f6f5c", "#b0b7bd"


def chart(title: str, figures: Sequence[Figure], path: Path) -> None:
    """Draw a section's figures into a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    timed = [figure for figure in figures if figure.latencies_ms]
    panels = 2 if timed else 1
    height = 1.4 + _INCHES_A_BAR * len(figures)
    drawing, axes = plt.subplots(1, panels, figsize=(6.5 * panels, height), squeeze=False, layout="constrained")
    _bars(axes[0][0], figures, [figure.rate for figure in figures], figures[0].unit)
    if timed:
        _bars(axes[0][1], timed, [figure.latency_ms(50) for figure in timed], "ms, median (line: to p99)")
        for row, figure in enumerate(timed):
            axes[0][1].plot([figure.latency_ms(50), figure.latency_ms(99)], [row, row], color="black", linewidth=1)
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
    axes.set_xscale("log")
    axes.set_xlabel(f"{unit} (log)")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
