"""Counts for Prometheus: of answers, of films and of what waits; nothing that names a film."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)


class Metrics:
    """What `/metrics` says.

    Args:
        registry: Where counts are kept; a node shares its own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._answers = Counter(
            "plainfilm_http_answers",
            "Answers to HTTP requests.",
            ("route", "status"),
            registry=self.registry,
        )
        self._films = Counter(
            "plainfilm_http_films",
            "Films sent for an answer, by what became of them.",
            ("bundle", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "plainfilm_http_film_seconds",
            "From a film that was received to its answer.",
            ("bundle",),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def answered(self, route: str, status: int) -> None:
        """Count an answer to a request."""
        self._answers.labels(route, str(status)).inc()

    def film(self, bundle: str, outcome: str, seconds: float) -> None:
        """Count a film: `predicted`, or the reason why not."""
        self._films.labels(bundle, outcome).inc()
        self._seconds.labels(bundle).observe(seconds)

    def watch(self, places: Callable[[], int]) -> None:
        """Show how many places are taken, asked for when somebody looks."""
        gauge = Gauge(
            "plainfilm_http_films_held",
            "Films that are being answered or wait.",
            registry=self.registry,
        )
        gauge.set_function(places)

    def text(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)
