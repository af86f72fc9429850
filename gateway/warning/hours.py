"""How stale a bank was on the ledger, hour by hour. Pure: the same ledger gives everyone the same figures.

Time is the ledger's own: its block times. Between two publications the watermark does not move, so staleness grows
millisecond by millisecond. The time spent at each staleness is counted exactly, in bins with fixed edges.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from standing.ledger.clock import HOUR_MS
from standing.ledger.errors import InvalidValue

#: How long hours are kept.
KEEP_HOURS = 40 * 24
_S, _MIN = 1_000, 60_000

#: Upper edges of the bins, in ms. They include the usual policy bounds, so that time beyond a bound is exact.
EDGES_MS = (
    *(250, 500, _S, 2 * _S, 3 * _S, 5 * _S, 10 * _S, 15 * _S, 20 * _S, 30 * _S, 45 * _S),
    *(_MIN, 90 * _S, 2 * _MIN, 3 * _MIN, 5 * _MIN, 10 * _MIN, 15 * _MIN, 30 * _MIN),
    *(HOUR_MS, 4 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS),
)
_BINS = len(EDGES_MS) + 1


@dataclass(slots=True)
class Hour:
    """One bank's hour. `age_time_ms`: the time spent in each staleness bin; the last bin has no upper edge."""

    publications: int = 0
    heartbeats: int = 0
    attestations: int = 0
    suspensions: int = 0
    rotations: int = 0
    suspended_ms: int = 0
    worst_age_ms: int = 0
    age_time_ms: list[int] = field(default_factory=lambda: [0] * _BINS)

    def to_json(self) -> str:
        """For the database; `from_json` reads it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Hour":
        return cls(**json.loads(text))

    def aged(self, from_age_ms: int, to_age_ms: int) -> None:
        """Count the time in which staleness grew from one value to another. Below zero counts in the first bin."""
        low = from_age_ms
        for index, edge in enumerate(EDGES_MS):
            if low >= to_age_ms:
                break
            high = min(to_age_ms, edge)
            if high > low:
                self.age_time_ms[index] += high - low
                low = high
        if to_age_ms > low:
            self.age_time_ms[-1] += to_age_ms - low
        self.worst_age_ms = max(self.worst_age_ms, to_age_ms)


@dataclass(slots=True)
class BankHours:
    """A bank's hours so far, by their start. `watermark_ms`: the watermark in force at `to_ms`; None before the first.

    Times must not go back; a block's time never does.
    """

    watermark_ms: int | None = None
    suspended: bool = False
    to_ms: int = 0
    hours: dict[int, Hour] = field(default_factory=dict)

    def advance(self, to_ms: int) -> None:
        """Advance the time to `to_ms`, with the watermark in force.

        Hours that would not be kept are left out: the ledger may have had no block for months.
        """
        if not self.to_ms:  # nothing has been counted yet
            self.to_ms = to_ms
        self.to_ms = max(self.to_ms, to_ms - to_ms % HOUR_MS - KEEP_HOURS * HOUR_MS)
        while self.to_ms < to_ms:
            start = self.to_ms - self.to_ms % HOUR_MS
            end = min(to_ms, start + HOUR_MS)
            if self.watermark_ms is not None:
                self._hour(start).aged(self.to_ms - self.watermark_ms, end - self.watermark_ms)
            if self.suspended:
                self._hour(start).suspended_ms += end - self.to_ms
            self.to_ms = end

    def published(self, at_ms: int, watermark_ms: int, attestations: int) -> None:
        """Record a publication in a block of that time."""
        self.advance(at_ms)
        hour = self._hour(at_ms - at_ms % HOUR_MS)
        hour.publications += 1
        hour.heartbeats += not attestations
        hour.attestations += attestations
        self.watermark_ms = watermark_ms

    def acted(self, at_ms: int, name: str) -> None:
        """Record a suspension, a reinstatement or a new signer, as the contract's event `name` says."""
        self.advance(at_ms)
        hour = self._hour(at_ms - at_ms % HOUR_MS)
        hour.suspensions += name == "BankSuspended"
        hour.rotations += name == "SignerRotated"
        if name in {"BankSuspended", "BankReinstated"}:
            self.suspended = name == "BankSuspended"

    def _hour(self, start_ms: int) -> Hour:
        return self.hours.setdefault(start_ms, Hour())


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """A bank in a period, from the ledger alone. Staleness is given as upper edges of bins (`EDGES_MS`), weighted by
    time; the worst is exact. None: the bank had no watermark in the period.

    `covered_ms`: how much of the period was followed while the bank had a watermark. `silent_ms`: how long staleness
    was above `silent_over_ms`.
    """

    covered_ms: int
    publications: int
    heartbeats: int
    attestations: int
    age_median_ms: int | None
    age_p99_ms: int | None
    age_worst_ms: int | None
    silent_over_ms: int
    silent_ms: int
    suspensions: int
    suspended_ms: int
    rotations: int


def summary(hours: Iterable[Hour], silent_over_ms: int) -> LedgerFigures:
    """Add up hours. Raises: InvalidValue where `silent_over_ms` is not an edge."""
    if silent_over_ms not in EDGES_MS:
        raise InvalidValue("silent_over_ms", "not the edge of a bin", ", ".join(map(str, EDGES_MS)))
    every = list(hours)
    times = [sum(each) for each in zip(*(hour.age_time_ms for hour in every), strict=True)] or [0] * _BINS
    worst = max((hour.worst_age_ms for hour in every if any(hour.age_time_ms)), default=None)
    return LedgerFigures(
        covered_ms=sum(times),
        publications=sum(hour.publications for hour in every),
        heartbeats=sum(hour.heartbeats for hour in every),
        attestations=sum(hour.attestations for hour in every),
        age_median_ms=_quantile(times, 500, worst),
        age_p99_ms=_quantile(times, 990, worst),
        age_worst_ms=worst,
        silent_over_ms=silent_over_ms,
        silent_ms=sum(times[EDGES_MS.index(silent_over_ms) + 1 :]),
        suspensions=sum(hour.suspensions for hour in every),
        suspended_ms=sum(hour.suspended_ms for hour in every),
        rotations=sum(hour.rotations for hour in every),
    )


def edge_for(bound_ms: int) -> int:
    """The smallest edge that is at least the bound; the largest edge where there is none."""
    return next((edge for edge in EDGES_MS if edge >= bound_ms), EDGES_MS[-1])


def _quantile(times: list[int], per_mille: int, worst: int | None) -> int | None:
    if worst is None:
        return None
    wanted, passed = sum(times) * per_mille, 0
    for time_ms, edge in zip(times, EDGES_MS, strict=False):
        passed += time_ms * 1000
        if passed >= wanted:
            return min(edge, worst)
    return worst
