"""How a node is, in a few numbers that name nobody."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How the node is now.

    Attributes:
        ae_title: What it is called.
        dicom_port: Where it listens for DICOM.
        films: Number of films by state.
        waiting_objects: Objects that wait for delivery, by destination.
        undelivered_objects: Objects that were given up, by destination.
        away: Reason code of destinations whose last delivery failed, by name.
        free_disk_mb: Room on the disk.
    """

    ae_title: str
    dicom_port: int
    films: Mapping[str, int]
    waiting_objects: Mapping[str, int]
    undelivered_objects: Mapping[str, int]
    away: Mapping[str, str]
    free_disk_mb: float

    def described(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self)


class StatusCollector(Collector):
    """Shows a status to Prometheus, as it is whenever it is asked for.

    Args:
        status: Tells how the node is.
        registry: Where it is shown.
    """

    def __init__(self, status: Callable[[], NodeStatus], registry: CollectorRegistry) -> None:
        self._status = status
        registry.register(self)

    def describe(self) -> list[GaugeMetricFamily]:
        """Name nothing, so that registering asks for no status yet."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the numbers.

        Yields:
            One family of gauges after the other.
        """
        status = self._status()
        for name, said, label, values in (
            ("films", "Films now", "state", status.films),
            ("waiting_objects", "Objects that wait", "destination", status.waiting_objects),
            ("undelivered_objects", "Given up", "destination", status.undelivered_objects),
        ):
            family = GaugeMetricFamily(f"plainfilm_{name}", said, labels=[label])
            for value, count in values.items():
                family.add_metric([value], count)
            yield family
        yield GaugeMetricFamily(
            "plainfilm_free_disk_bytes", "Room on the disk", value=status.free_disk_mb * 1e6
        )
