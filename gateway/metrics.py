"""The gateway's metrics for Prometheus: events are counted as they happen, states are looked up at each scrape.

Where several workers serve one port, each counts into its own file in a shared folder, and the one that is
scraped adds them up (`share`); the counts of a worker that died stay. No metric names an account, a user or a
transaction. Durations are in seconds, as is usual with Prometheus.
"""

import os
from collections import Counter as Counted
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


#: Where prometheus_client keeps the files of several processes.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: The size of each file. All metrics with all their labels need a fourth of it.
_RESERVED_BYTES = 64 * 1024


def share(folder: Path) -> None:
    """Count in `folder` from now on, in this process and those that it forks, so that `Meters.counted` has the sum.

    For the process that starts workers, before any `Meters` is made. prometheus_client looks at its variable when it is
    imported, which has happened by then; so its choice of class is made again.
    """
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def reserve() -> None:
    """Reserve the disk for this worker's counts; where it is full, they are left out of the sum.

    For a worker, after `share` and before it makes `Meters`. prometheus_client maps files that are mostly holes, and a
    write to a hole of a mapped file, when the disk is full, ends the process.
    """
    files = [Path(os.environ[_FOLDER]) / f"{kind}_{os.getpid()}.db" for kind in ("counter", "histogram")]
    try:
        for file in files:
            file.write_bytes(bytes(_RESERVED_BYTES))
    except OSError as error:
        for file in files:
            file.unlink(missing_ok=True)
        values.ValueClass = values.MutexValue
        structlog.get_logger().warning("figures_not_counted", problem=error.strerror)


class Meters:
    """The hot path's counters. Each gateway has its own registry, so that several in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        latency = Histogram(
            "standing_gateway_decision_seconds",
            "How long decisions took, by stage: read (the ledger), commit (decide and record), total.",
            ["stage"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.read_latency = latency.labels("read")
        self.commit_latency = latency.labels("commit")
        self.total_latency = latency.labels("total")
        self.call_queries = Histogram(
            "standing_gateway_ledger_call_queries",
            "How many reads shared one ledger call (sum / count: the coalescing factor).",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self.commit_decisions = Histogram(
            "standing_gateway_commit_decisions",
            "How many decisions shared one database transaction.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._decisions = Counter(
            "standing_gateway_decisions",
            "Decisions made, by outcome and reason (none: approved).",
            ["outcome", "reason"],
            registry=self.registry,
        )

        self.refused = Counter(
            "standing_gateway_decision_requests_refused",
            "Decision requests that were answered 503 because too many were in progress.",
            registry=self.registry,
        )

    @property
    def counted(self) -> CollectorRegistry:
        """The counts: of all workers, where several serve."""
        folder = os.environ.get(_FOLDER)
        if folder is None:
            return self.registry
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, folder)  # type: ignore[no-untyped-call]
        return everyone

    def decided_within_ms(self, percent: int) -> int | None:
        """How long this share of the decisions took at most, to the next bucket, since the gateway started.

        None before the first one, and where it is beyond the largest bucket.
        """
        name, counted = "standing_gateway_decision_seconds", self.counted
        count = counted.get_sample_value(f"{name}_count", {"stage": "total"}) or 0
        for bound_s in _LATENCY_BUCKETS_S:
            labels = {"stage": "total", "le": str(float(bound_s))}
            within = counted.get_sample_value(f"{name}_bucket", labels) or 0
            if count and within * 100 >= count * percent:
                return round(bound_s * 1_000)
        return None

    @property
    def refused_count(self) -> int:
        """How many requests for a decision were refused since the gateway started."""
        return int(self.counted.get_sample_value("standing_gateway_decision_requests_refused_total") or 0)

    def committed(self, decisions: Sequence[tuple[str, str | None]]) -> None:
        """Count the decisions of one database transaction: outcome and reason of each."""
        if decisions:
            self.commit_decisions.observe(len(decisions))
        for (outcome, reason), count in Counted(decisions).items():
            self._decisions.labels(outcome, reason or "none").inc(count)

    @property
    def outcomes(self) -> dict[str, int]:
        """How many decisions each outcome had since the gateway started."""
        counted: dict[str, int] = {"approve": 0, "decline": 0, "review": 0}
        for metric in self.counted.collect():
            for sample in metric.samples:
                if sample.name == "standing_gateway_decisions_total":
                    counted[sample.labels["outcome"]] += int(sample.value)
        return counted

    @property
    def reads_per_call(self) -> float | None:
        """The coalescing factor since the gateway started; None before the first call."""
        counted, name = self.counted, "standing_gateway_ledger_call_queries"
        calls = counted.get_sample_value(f"{name}_count")
        return (counted.get_sample_value(f"{name}_sum") or 0) / calls if calls else None


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge, with a sample for each value of `label` where it has one."""

    name: str
    text: str
    values: dict[str, float]
    label: str | None = None


class _Snapshot(Collector):
    def __init__(self, gauges: list[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(
                f"standing_gateway_{gauge.name}", gauge.text, labels=[gauge.label] if gauge.label is not None else []
            )
            for label, value in gauge.values.items():
                family.add_metric([label] if gauge.label is not None else [], value)
            yield family


def exposition(meters: Meters, gauges: list[Gauge]) -> bytes:
    """All figures in Prometheus' text format."""
    moment = CollectorRegistry()
    moment.register(_Snapshot(gauges))
    return generate_latest(meters.counted) + generate_latest(moment)
