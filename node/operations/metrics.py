"""The node's metrics for Prometheus: events are counted, states are looked up at each scrape."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class State:
    """The state of the node at one moment. Each field is a gauge, described in `_HELP`."""

    leads: float
    ready: float
    feed_lag_seconds: float
    watermark_age_seconds: float
    outbox_depth: float
    outbox_capacity: float
    in_flight: float
    in_flight_capacity: float
    restatements_left: float
    unstated_accounts: float
    publication_number: float
    feed_stopped: float
    rejected_files: float
    ledger_node_failures: float


_HELP = {
    "leads": "1 while this node is the leader on its store, 0 while it is on standby.",
    "ready": "1 while the node is ready; /readyz shows why it is not.",
    "feed_lag_seconds": "The node's clock minus the core's latest as_of_ms.",
    "watermark_age_seconds": "The node's clock minus the watermark of the last publication seen in a block.",
    "outbox_depth": "Attestations that are waiting for a publication.",
    "outbox_capacity": "How many attestations may wait before the feed answers 503 (max_waiting).",
    "in_flight": "Publications that are signed but not yet seen in a block.",
    "in_flight_capacity": "How many publications may be in flight (publisher.max_in_flight).",
    "restatements_left": "Bindings that a recovery has to attest again before the watermark moves.",
    "unstated_accounts": "Accounts that are unstated because data from the core was invalid; see feed unstated.",
    "publication_number": "Number of the last publication signed.",
    "feed_stopped": "1 while the node's own feed source cannot continue until somebody fixes it; /readyz shows why.",
    "rejected_files": "Feed files that were rejected and are still in the drop folder's rejected/.",
    "ledger_node_failures": "Calls since the start that a ledger node did not answer, over all nodes in ledger_urls.",
}


class StateCollector(Collector):
    """Looks up the state at each scrape."""

    def __init__(self, look: Callable[[], State]) -> None:
        self._look = look

    def describe(self) -> list[Metric]:
        # Does not touch the database, which may not be there yet when the node is put together.
        return [GaugeMetricFamily(f"standing_node_{name}", text) for name, text in _HELP.items()]

    def collect(self) -> Iterator[Metric]:
        state = self._look()
        for field in fields(State):
            yield GaugeMetricFamily(f"standing_node_{field.name}", _HELP[field.name], value=getattr(state, field.name))


def exposition(registry: CollectorRegistry) -> bytes:
    """All figures in Prometheus' text format."""
    return generate_latest(registry)
