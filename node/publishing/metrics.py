"""The publisher's counters, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Meters:
    """The publisher's counters. Each node has its own registry, so that several in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.publications = Counter(
            "standing_node_publications", "Publications seen in a block.", registry=self.registry
        )
        self.attestations = Counter(
            "standing_node_attestations", "Attestations in publications seen in a block.", registry=self.registry
        )
        self.publication_latency = Histogram(
            "standing_node_publication_latency_seconds",
            "From the signature of a publication to the moment the node saw it in a block.",
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.gas = Counter(
            "standing_node_gas_used", "Gas that publications in blocks have used.", registry=self.registry
        )
        self.sent_again = Counter(
            "standing_node_transactions_sent_again",
            "Transactions sent again with the same nonce and payload, because no block had them in time.",
            registry=self.registry,
        )
        self.ledger_errors = Counter(
            "standing_node_ledger_errors",
            "Steps of the publisher that ended in an error, by its kind.",
            ["kind"],
            registry=self.registry,
        )
