"""The report of a soak test: what must be zero, distributions of availability and staleness, and one picture."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Audit, Kind
from tests.databases import on_postgresql
from tests.network.consortium import BANKS
from tests.network.load import Asked, Load, rests_on_attestation

_WINDOW_S = 5
_SHARES = ((100, "100 %"), (90, "90 to 99 %"), (50, "50 to 89 %"), (1, "1 to 49 %"), (0, "0 %"))
_ON_LEDGER = (Kind.NUMBER, Kind.CONTENT, Kind.STATE, Kind.ADMISSION)


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault of the run, in ms since it began: injected, repaired, and every bank's attestations usable again at every
    gateway."""

    what: str
    from_ms: int
    to_ms: int
    well_ms: int


@dataclass(frozen=True, slots=True)
class Soak:
    """A whole run. `wrong`: decisions that contradict the bank."""

    seed: int
    minutes: float
    began_ms: int
    asked: list[Asked]
    changes: int
    injected: list[InjectedFault]
    audit: Audit
    exported: list[Exported]
    wrong: list[Asked]

    @property
    def clean(self) -> bool:
        """Whether every promise held."""
        return not (self.audit.findings or any(self.promises().values()))

    def promises(self) -> dict[str, int]:
        """The counts that must be zero, by name."""
        kinds = Counter(found.kind for found in self.audit.findings)
        answered = [each.answer["transaction_id"] for each in self.asked if each.answer]
        kept = Counter(str(line.decision["transaction_id"]) for line in self.exported)
        return {
            "publications lost, repeated or altered": sum(kinds[kind] for kind in _ON_LEDGER),
            "decisions answered and not recorded": sum(1 for name in answered if name not in kept),
            "decisions made twice": kinds[Kind.TWICE] + sum(1 for count in kept.values() if count > 1),
            "approvals that contradict the bank": sum(1 for each in self.wrong if each.outcome == "approve"),
            "declines that contradict the bank": sum(1 for each in self.wrong if each.outcome != "approve"),
            "limits overspent": kinds[Kind.OVERSPENT],
            "other findings of the auditor": sum(
                count for kind, count in kinds.items() if kind not in (*_ON_LEDGER, Kind.TWICE, Kind.OVERSPENT)
            ),
        }

    def shares(self) -> Iterator[tuple[float, float]]:
        """For each window of the run, its start (s) and the percentage of decisions that rested on an attestation."""
        windows: dict[int, list[bool]] = {}
        for each in self.asked:
            if each.decided_at_ms >= self.began_ms:
                window = (each.decided_at_ms - self.began_ms) // (1000 * _WINDOW_S)
                windows.setdefault(window, []).append(rests_on_attestation(each))
        for window, attested in sorted(windows.items()):
            yield window * _WINDOW_S, 100 * sum(attested) / len(attested)


def _spread(values: list[int]) -> str:
    """Median, 95th and 99th percentile, and the worst."""
    if len(values) < 2:
        return "none | | | "
    cuts = quantiles(values, n=100, method="inclusive")
    return f"{cuts[49]:,.0f} | {cuts[94]:,.0f} | {cuts[98]:,.0f} | {max(values):,}"


def report(soak: Soak) -> str:
    """The report, as Markdown."""
    attested = [each for each in soak.asked if rests_on_attestation(each)]
    staleness_ms = [each.staleness_ms for each in attested if each.staleness_ms is not None]
    shares = [share for _, share in soak.shares()]
    windows = Counter(next(name for least, name in _SHARES if share >= least or least == 0) for share in shares)
    well_ms = [one.well_ms - one.to_ms for one in soak.injected]
    lines = [
        "# Soak",
        "",
        f"Seed {soak.seed}, {soak.minutes:g} minutes, {len(soak.injected)} faults; four validators and an observer, "
        f"two banks with {soak.changes} changes, "
        f"{'two gateway processes on PostgreSQL' if on_postgresql() else 'one gateway on SQLite'}. "
        f"Made with `make soak SEED={soak.seed} MINUTES={soak.minutes:g} REPORT=docs/soak`.",
        "",
        "![The timeline: each bank's staleness, decisions without an attestation, and each fault](soak.png)",
        "",
        "| must be zero | |",
        "| --- | --- |",
        *(f"| {what} | {count} |" for what, count in soak.promises().items()),
        "",
        "| audited | |",
        "| --- | --- |",
        *(f"| {what} | {count:,} |" for what, count in soak.audit.counted.items()),
        "",
        f"| {len(soak.asked):,} decisions, faults included | |",
        "| --- | --- |",
        *(f"| {reason} | {count:,} |" for reason, count in Load.reasons(soak.asked).most_common()),
        "",
        f"Availability: {100 * len(attested) / len(soak.asked):.1f} % of all decisions rested on an attestation. "
        f"By windows of {_WINDOW_S} s:",
        "",
        "| share of a window's decisions that rested on an attestation | windows | |",
        "| --- | --- | --- |",
        *(f"| {name} | {windows[name]} | {100 * windows[name] / len(shares):.0f} % |" for _, name in _SHARES),
        "",
        "| in ms | median | 95 % | 99 % | worst |",
        "| --- | --- | --- | --- | --- |",
        f"| staleness, of those with an attestation | {_spread(staleness_ms)} |",
        f"| time to a decision, of all | {_spread([each.took_ms for each in soak.asked])} |",
        f"| from a fault's end until every bank's attestations are usable | {_spread(well_ms)} |",
        "",
        "| start | fault | duration | recovered after |",
        "| --- | --- | --- | --- |",
        *(
            f"| {one.from_ms / 1000:.1f} s | {one.what} | {(one.to_ms - one.from_ms) / 1000:.1f} s "
            f"| {(one.well_ms - one.to_ms) / 1000:.1f} s |"
            for one in soak.injected
        ),
    ]
    return "\n".join(lines) + "\n"


def picture(file: Path, soak: Soak) -> None:
    """The timeline with each fault, and below it the distributions, as PNG."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplot_mosaic([["time", "time"], ["share", "share"], ["old", "took"]], height_ratios=[3, 1, 2])
    _timeline(axes["time"], soak)
    at_s, shares = zip(*soak.shares(), strict=True)
    axes["share"].bar(at_s, shares, width=_WINDOW_S, align="edge", color="tab:green", alpha=0.6)
    axes["share"].set(ylabel="% with an attestation", ylim=(0, 105), xlim=axes["time"].get_xlim())
    for bic, _ in BANKS:
        attested = [each for each in soak.asked if each.bank == bic and rests_on_attestation(each)]
        axes["old"].ecdf([(each.staleness_ms or 0) / 1000 for each in attested], label=bic)
        axes["took"].ecdf([each.took_ms for each in soak.asked if each.bank == bic], label=bic)
    axes["old"].set(
        xlabel="staleness of decisions with an attestation, seconds", ylabel="share of them", xlim=(0, None)
    )
    axes["took"].set(xlabel="time to a decision, ms", xscale="log", ylabel="share of all")
    axes["old"].legend(fontsize=7)
    figure.savefig(file, dpi=110)


def _timeline(axes: Axes, soak: Soak) -> None:
    for one in soak.injected:
        axes.axvspan(one.from_ms / 1000, one.to_ms / 1000, color="0.85")
        axes.text(one.from_ms / 1000, 1.01, one.what, rotation=60, fontsize=6, transform=axes.get_xaxis_transform())
    for bic, _ in BANKS:
        aged = [each for each in soak.asked if each.bank == bic and each.staleness_ms is not None]
        aged.sort(key=lambda each: each.decided_at_ms)
        at_s = [(each.decided_at_ms - soak.began_ms) / 1000 for each in aged]
        axes.plot(at_s, [(each.staleness_ms or 0) / 1000 for each in aged], linewidth=0.8, label=f"{bic}: staleness")
    amiss: dict[str, list[float]] = {}
    for each in soak.asked:
        if not rests_on_attestation(each):
            (name,) = Load.reasons([each])
            amiss.setdefault(name, []).append((each.decided_at_ms - soak.began_ms) / 1000)
    for row, (name, at_s) in enumerate(sorted(amiss.items()), 1):
        axes.plot(at_s, [-0.6 * row] * len(at_s), "|", markersize=7, label=name)
    axes.set(xlabel="seconds", ylabel="seconds old")
    axes.legend(fontsize=7, loc="upper right")
