"""What the node counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """Counters since the start of the process, in a registry of their own.

    Attributes:
        registry: What an exporter shows.
        arrivals: Films that were brought, by source, state of the receipt and reason.
        predicted: Films that were predicted, by rule.
        failed: Films that could not be, by reason.
        delivered: Objects that were delivered, by destination.
        undelivered: Failed attempts to deliver, by destination and reason.
        rejected: Associations that were rejected or ended by the node, by reason.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.arrivals = self._counter(
            "arrivals", "Films that were brought", "source", "receipt", "reason"
        )
        self.predicted = self._counter("predicted", "Films that were predicted", "rule")
        self.failed = self._counter("failed", "Films that could not be predicted", "reason")
        self.delivered = self._counter("delivered", "Objects delivered", "destination")
        self.undelivered = self._counter(
            "delivery_failures", "Failed attempts to deliver", "destination", "reason"
        )
        self.rejected = self._counter("rejections", "Associations rejected or ended", "reason")

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"plainfilm_{name}", said, labels, registry=self.registry)
