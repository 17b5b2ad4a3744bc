"""The machines of a training job: who this one is among them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import ConfigurationError, Reason
from pipelines.workflows.machines import MASTER_PORT, Machines


@dataclass(frozen=True, slots=True)
class Hosts:
    """The machines of a job.

    Attributes:
        names: Host names, the first of them the master; the same order on every machine.
        current: This machine.
        interface: Network interface between them; empty where none is named.
    """

    names: tuple[str, ...] = ("algo-1",)
    current: str = "algo-1"
    interface: str = ""

    @classmethod
    def of(cls, names: Sequence[str], current: str, *, interface: str = "") -> "Hosts":
        """Return the machines that the container was told of.

        Args:
            names: Host names in any order.
            current: This machine.
            interface: Network interface between them.

        Raises:
            ConfigurationError: If this machine is not among them.
        """
        # Each machine may be told another order; algo-2 stands before algo-10.
        ordered = tuple(sorted(names, key=lambda name: (len(name), name)))
        if current not in ordered:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected this host among {', '.join(ordered) or 'the hosts, which are none'}, "
                f"got {current!r}; SM_HOSTS and SM_CURRENT_HOST belong together",
            )
        return cls(ordered, current, interface)

    @property
    def rank(self) -> int:
        """Place of this machine, from 0."""
        return self.names.index(self.current)

    @property
    def count(self) -> int:
        """Number of machines."""
        return len(self.names)

    def machines(self, processes: int, *, port: int = MASTER_PORT) -> Machines:
        """Return what starts this machine's part of a training.

        Args:
            processes: Processes on this machine, one a device.
            port: Where the master listens for the others.
        """
        return Machines(
            processes=processes,
            count=self.count,
            place=self.rank,
            master=self.names[0],
            port=port,
            interface=self.interface,
        )
