"""Figures of the benchmarks: each measured several times, interleaved with its peers; reported as median and spread."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from rich.table import Table


@dataclass
class Figure:
    """One contender under one load: its rate in each round, and the latency of each operation.

    Rates or latencies stay empty where they do not apply. `unit` is that of `rates`; `ours` marks Standing among its
    peers; `extra` holds further figures, each with its unit in its name.
    """

    section: str
    load: str
    contender: str
    unit: str = "per second"
    ours: bool = False
    rates: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return median(self.rates)

    def latency_ms(self, percent: int) -> float:
        """A percentile of the latency."""
        return quantiles(self.latencies_ms, n=100)[percent - 1] if len(self.latencies_ms) > 1 else self.latencies_ms[0]

    def as_json(self) -> dict[str, Any]:
        """The figure for benchmarks.json."""
        entry: dict[str, Any] = {"load": self.load, "contender": self.contender}
        if self.rates:
            spread = {"median": self.rate, "lowest": min(self.rates), "highest": max(self.rates)}
            entry |= {"unit": self.unit, **{name: round(value, 1) for name, value in spread.items()}}
        if self.latencies_ms:
            entry["latency_ms"] = {f"p{percent}": round(self.latency_ms(percent), 3) for percent in (50, 99)}
        return entry | {name: round(value, 3) for name, value in self.extra.items()}


@dataclass(frozen=True)
class Ratio:
    """A figure divided by its peer's of the same run, and the aim."""

    name: str
    value: float
    aim: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.value >= self.aim if self.at_least else self.value <= self.aim

    def as_json(self) -> dict[str, Any]:
        """The ratio for benchmarks.json."""
        return {**asdict(self), "value": round(self.value, 3), "met": self.met}


def rate_ratio(name: str, one: Figure, peer: Figure, aim: float) -> Ratio:
    """How many times as many operations per second `one` does as `peer`."""
    return Ratio(name, one.rate / peer.rate, aim)


def interleave(rounds: int, contenders: Mapping[str, Callable[[], None]]) -> None:
    """Measure each contender once a round, so that a temporary slowdown of the machine affects all of them."""
    for _ in range(rounds):
        for measure in contenders.values():
            measure()


def timed(count: int, act: Callable[[], None], figure: Figure) -> None:
    """Note how long `act`, which does `count` operations, takes as a round of `figure`."""
    started = time.perf_counter()
    act()
    figure.rates.append(count / (time.perf_counter() - started))


def figures_table(title: str, figures: Sequence[Figure]) -> Table:
    """Figures as a table."""
    table = Table(title=title)
    for name in ("load", "contender", figures[0].unit, "lowest", "highest", "p50 ms", "p99 ms", "more"):
        table.add_column(name, justify="left" if name in {"load", "contender", "more"} else "right")
    for one in figures:
        rates = [f"{rate:,.0f}" for rate in (one.rate, min(one.rates), max(one.rates))] if one.rates else [""] * 3
        latencies = [f"{one.latency_ms(percent):.2f}" for percent in (50, 99)] if one.latencies_ms else [""] * 2
        more = ", ".join(f"{name} {value:,.6g}" for name, value in one.extra.items())
        table.add_row(one.load, one.contender, *rates, *latencies, more)
    return table


def ratios_table(ratios: Sequence[Ratio]) -> Table:
    """Ratios beside their aims."""
    table = Table(title="Ratios, each of one run")
    for name in ("ratio", "measured", "aim", "met"):
        table.add_column(name, justify="left" if name == "ratio" else "right")
    for one in ratios:
        aim = f"{'≥' if one.at_least else '≤'} {one.aim:g}"
        table.add_row(one.name, f"{one.value:.2f}", aim, "[green]yes[/]" if one.met else "[red]no[/]")
    return table
