"""The machines of a training job: who this one is, and what torchrun is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import ConfigurationError, Reason

MASTER_PORT = 29_500


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

    def torchrun(self, command: Sequence[str], *, processes: int) -> list[str]:
        """Return the command line that starts this machine's part of a distributed run.

        Args:
            command: What each process runs, a script or `-m` and a module, with its arguments.
            processes: Processes on this machine, one a device.

        Examples:
            >>> hosts = Hosts.of(["algo-2", "algo-1"], "algo-2", interface="eth0")
            >>> hosts.torchrun(["-m", "pipelines", "train"], processes=4)[:4]
            ['torchrun', '--nnodes=2', '--nproc-per-node=4', '--node-rank=1']
        """
        return [
            "torchrun",
            f"--nnodes={self.count}",
            f"--nproc-per-node={processes}",
            f"--node-rank={self.rank}",
            f"--master-addr={self.names[0]}",
            f"--master-port={MASTER_PORT}",
            *command,
        ]

    def environment(self) -> dict[str, str]:
        """Return what the processes of `torchrun` need in their environment beside their own."""
        if not self.interface:
            return {}
        return {"NCCL_SOCKET_IFNAME": self.interface, "GLOO_SOCKET_IFNAME": self.interface}
