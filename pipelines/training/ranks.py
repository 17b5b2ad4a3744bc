"""The processes that train one network together: how many, which one this is, what they tell.

torchrun starts one process a device and says in variables of the environment which one each is, its
rank. Without it there is one process, and nothing here costs anything. What is told goes between
CPUs; gradients, which are many, go between the devices themselves.
"""

import atexit
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from pipelines.errors import ConfigurationError, Reason
from pipelines.networks.device import pick_device
from pipelines.progress import show_progress
from pipelines.told_to_end import STATUS

Value = TypeVar("Value")

LAUNCHER_VARIABLE = "PLAINFILM_LAUNCHER"
"""Environment variable that names the process that started those of a run."""

# The first process may check a large data set while the others wait for it. One that dies is
# noticed by its connection.
_PATIENCE = timedelta(hours=6)
_DEATH_SIGNAL = 1


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: Place of this process, from 0.
        size: Number of processes.
        local_rank: Place among those of this machine.
        local_size: Number of processes of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def leader(self) -> int:
        """Rank of the first process of this machine."""
        return self.rank - self.local_rank

    def gather(self, value: Value) -> list[Value]:
        """Return what each process gives, by rank, to all of them."""
        if self.alone:
            return [value]
        given: list[Any] = [None] * self.size
        distributed.all_gather_object(given, value)
        return given

    def from_main(self, value: Value) -> Value:
        """Return what the first process gives to all of them."""
        if self.alone:
            return value
        given = [value]
        distributed.broadcast_object_list(given, src=0)
        return given[0]

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sum over the processes of each value."""
        if self.alone:
            return [*values]
        summed = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(summed)
        return [float(each) for each in summed]

    def any_of(self, said: bool) -> bool:
        """Return whether any process says so."""
        return self.total([float(said)])[0] > 0

    def wait(self) -> None:
        """Wait until every process has come here."""
        self.total([0.0])


_joined = Ranks()


def ranks() -> Ranks:
    """Return the processes of this run; one alone where none were joined."""
    return _joined


def join_ranks(device: str | torch.device = "auto", *, meeting_point: str = "env://") -> Ranks:
    """Join the processes that torchrun started for this run; started otherwise, stay alone.

    On GPUs each process takes the one of its place on the machine. All but the first are silent.

    Args:
        device: Of the run, as `pick_device` takes it.
        meeting_point: Where they meet, as `torch.distributed.init_process_group` takes it.

    Returns:
        The processes; `ranks()` gives them from now on.

    Raises:
        ConfigurationError: If this machine has fewer devices than processes, or `device` names a
            single one.
    """
    global _joined  # noqa: PLW0603 - a process belongs to one run
    told = os.environ
    size = int(told.get("WORLD_SIZE", "1"))
    if size == 1 or _joined.size > 1:
        return _joined
    found = Ranks(
        int(told["RANK"]),
        size,
        local_rank=int(told.get("LOCAL_RANK", told["RANK"])),
        local_size=int(told.get("LOCAL_WORLD_SIZE", size)),
    )
    kind = require_devices(device, found.local_size)
    if kind == "cuda":
        torch.cuda.set_device(found.local_rank)
    _end_with_parent()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
        init_method=meeting_point,
        rank=found.rank,
        world_size=found.size,
        timeout=_PATIENCE,
    )
    atexit.register(_leave)
    _joined = found
    if not found.is_main:
        logging.getLogger("pipelines").setLevel(logging.ERROR)
        show_progress(shown=False)
    return found


def require_devices(device: str | torch.device, count: int) -> str:
    """Refuse more processes on this machine than it has devices for.

    Args:
        device: Of the run, as `pick_device` takes it.
        count: Processes on this machine.

    Returns:
        Kind of the device: `cpu` or `cuda`.

    Raises:
        ConfigurationError: If there are too few, or one is named that they would have to share.
    """
    place = pick_device(device)
    kind = place.type
    if count == 1 or (kind == "cpu" and str(device) in {"auto", "cpu"}):
        return kind
    if kind != "cuda" or str(device) not in {"auto", "cuda"}:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected device cpu or cuda for {count} processes, got '{place}', which they would "
            "share; set device=cpu, or train on one device",
        )
    there = torch.cuda.device_count()
    if count > there:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a GPU for each of {count} processes, this machine has {there}; ask for "
            f"{there} at most, or set device=cpu",
        )
    return kind


def in_turn(parts: Sequence[Sequence[Value]]) -> list[Value]:
    """Put together what was shared out in turn: the first of each part, then the second, and so on.

    Args:
        parts: By rank; each holds every N-th item, from its own place on.

    Examples:
        >>> in_turn([[0, 2, 4], [1, 3]])
        [0, 1, 2, 3, 4]
    """
    longest = max(map(len, parts), default=0)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]


def _leave() -> None:
    if distributed.is_initialized():
        with suppress(RuntimeError):  # another process may have ended without a word
            distributed.destroy_process_group()


def _end_with_parent() -> None:
    """Let the system send SIGTERM when what started this process dies; only Linux can.

    Raises:
        SystemExit: If it is dead already.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGTERM))
    launcher = os.environ.get(LAUNCHER_VARIABLE)
    if launcher is not None and os.getppid() != int(launcher):
        raise SystemExit(STATUS)
