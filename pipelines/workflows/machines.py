"""How many processes train together, and where: one machine, or several that know each other."""

from dataclasses import dataclass

OVERLAY = "multi_gpu"
"""The overlay that lets the processes of torchrun train together."""

MASTER_PORT = 29_500


@dataclass(frozen=True, slots=True)
class Machines:
    """Machines that train one network.

    Attributes:
        processes: Processes on each machine, one a device.
        count: Number of machines.
        place: Of this machine among them, from 0.
        master: Address of the first one.
        port: Where the first one listens.
        interface: Network interface between them; empty where none is named.
    """

    processes: int
    count: int = 1
    place: int = 0
    master: str = "localhost"
    port: int = MASTER_PORT
    interface: str = ""

    @property
    def alone(self) -> bool:
        """Whether there is one process in all."""
        return self.processes * self.count == 1
