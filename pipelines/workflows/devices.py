"""Training on several devices: torchrun starts a process for each, and one speaks for all."""

import json
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import Reason, RunError
from pipelines.refusal_text import KEPT_VARIABLE, KeptRefusal, kept_refusals
from pipelines.told_to_end import STATUS
from pipelines.unfinished import scratch_folder
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.machines import OVERLAY, Machines

_SECONDS_TO_MEET = 900
_SECONDS_TO_END = 100
_INTERRUPTED = 128 + signal.SIGINT
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def train_on_devices(
    bundle: Bundle,
    machines: Machines,
    *,
    data: Path,
    output_dir: Path | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    flags: Sequence[str] = (),
) -> None:
    """Train a bundle in several processes, one a device, and wait for them.

    Each runs the verb `train` with the overlay `multi_gpu`. The first one writes the run and says
    how far it is. SIGTERM reaches all; they keep what they have done and this process ends with
    status 143. A process that dies ends the others.

    Args:
        bundle: What to train.
        machines: How many processes, and where.
        data: Folder or datalist file of the films.
        output_dir: Folder of the run; by default one under `runs/<bundle>/`.
        overlays: Names or paths of configurations merged after `train.json`.
        overrides: Values by key, set last.
        flags: Of the verb, such as `resume`.

    Raises:
        BaseException: What ended the processes, namely one of the following.
        PlainfilmError: What the first process that failed said.
        RunError: PROCESS_LOST if it was ended by a signal.
        SystemExit: With status 143 if the processes were told to end.
        KeyboardInterrupt: If they were interrupted.
    """
    from pipelines.training.ranks import require_devices

    given = dict(overrides or {})
    require_devices(str(given.get("device", "auto")), machines.processes)
    command = _command(bundle, data, output_dir, [OVERLAY, *overlays])
    command += [f"--set={key}={json.dumps(value)}" for key, value in given.items()]
    command += [f"--{name}" for name in flags]
    with (
        scratch_folder() as folder,
        _variables(_environment(machines, folder)),
        _signals_given_back(),
    ):
        reason = _launch(command, machines, folder, silent="debug" not in flags)
    if reason is not None:
        raise reason


def _command(
    bundle: Bundle, data: Path, output_dir: Path | None, overlays: Sequence[str]
) -> list[str]:
    output = [] if output_dir is None else ["--output", str(output_dir)]
    variants = [part for name in overlays for part in ("--overlay", name)]
    verb = ["-m", "pipelines", "train", str(bundle.root), "--data", str(data)]
    return [*verb, *output, *variants]


def _environment(machines: Machines, folder: Path) -> dict[str, str]:
    """What the processes are told beside what torchrun tells them."""
    from pipelines.networks.device import usable_cores
    from pipelines.training.ranks import LAUNCHER_VARIABLE

    told = {
        # Each has its share of the cores; all of them in each would wait for each other.
        "OMP_NUM_THREADS": str(max(1, usable_cores() // machines.processes)),
    }
    if machines.count == 1 and sys.platform.startswith("linux"):
        told["GLOO_SOCKET_IFNAME"] = "lo"
    elif machines.interface:
        told |= {f"{kind}_SOCKET_IFNAME": machines.interface for kind in ("GLOO", "NCCL")}
    told = {name: os.environ.get(name, value) for name, value in told.items()}
    return told | {KEPT_VARIABLE: str(folder), LAUNCHER_VARIABLE: str(os.getpid())}


def _launch(
    command: Sequence[str], machines: Machines, folder: Path, *, silent: bool
) -> BaseException | None:
    """Run the processes and return what ended them; None if all came to their end."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    config = _launch_config(machines, folder, silent=silent)
    _silence_torchrun()
    try:
        elastic_launch(config, sys.executable)(*command)
    except SignalException as error:
        interrupted = error.sigval == signal.SIGINT
        return KeyboardInterrupt() if interrupted else SystemExit(128 + error.sigval)
    except ChildFailedError as error:
        statuses = {rank: int(each.exitcode) for rank, each in error.failures.items()}
        return _reason_of(statuses, kept_refusals(folder), machines)
    return None


def _launch_config(machines: Machines, folder: Path, *, silent: bool) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    speaks = 0 if machines.place == 0 else None
    unheard = [place for place in range(machines.processes) if silent and place != speaks]
    alone = machines.count == 1
    return LaunchConfig(
        min_nodes=machines.count,
        max_nodes=machines.count,
        nproc_per_node=machines.processes,
        run_id=uuid.uuid4().hex if alone else "plainfilm",
        rdzv_backend="c10d" if alone else "static",
        rdzv_endpoint="localhost:0" if alone else f"{machines.master}:{machines.port}",
        rdzv_configs={"timeout": _SECONDS_TO_MEET} | ({} if alone else {"rank": machines.place}),
        local_addr="localhost" if alone else None,
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(
            log_dir=str(folder / "logs"), redirects=dict.fromkeys(unheard, Std.ALL)
        ),
        shutdown_timeout=_SECONDS_TO_END,
        signals_to_handle=",".join(_heeded()),
    )


def _heeded() -> list[str]:
    """Name the signals that end the run: what `nohup`, or a shell's `&`, has ignored stays so."""
    heeded = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
    return [each.name for each in heeded]


def _silence_torchrun() -> None:
    """Let torchrun say nothing: what it would say of a failure is said in a line."""
    import logging

    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch.distributed.elastic") and isinstance(logger, logging.Logger):
            logger.setLevel(logging.CRITICAL + 1)


def _reason_of(
    statuses: Mapping[int, int], refusals: Sequence[KeptRefusal], machines: Machines
) -> BaseException:
    """Return why the processes ended: what failed by itself, not what followed from it.

    Args:
        statuses: Exit status of each process that failed, by rank, the first one first.
        refusals: What processes said, the first one first.
        machines: Where they ran.
    """
    lost = [each for each in refusals if each.reason == Reason.PROCESS_LOST]
    own = [each for each in refusals if each not in lost]
    if own:
        return own[0].refusal()
    for rank, status in statuses.items():
        if status < 0 and -status not in {signal.SIGTERM, signal.SIGINT}:
            return _killed(rank, signal.Signals(-status).name)
    if _INTERRUPTED in statuses.values():
        return KeyboardInterrupt()
    if {STATUS, -signal.SIGTERM} & {*statuses.values()} and not lost:
        return SystemExit(STATUS)
    if lost:
        return lost[0].refusal()
    rank, status = next(iter(statuses.items()))
    return RunError(
        Reason.PROCESS_LOST,
        f"expected all {machines.processes} processes to train to their end, process {rank} ended "
        f"with status {status} and said nothing; --debug shows what each says",
    )


def _killed(rank: int, name: str) -> RunError:
    advice = {
        "SIGKILL": "the system does that when memory runs out",
        "SIGBUS": "the memory for shared films may be too small",
    }.get(name, "that is a fault in a library, or somebody sent it")
    return RunError(
        Reason.PROCESS_LOST,
        f"expected all processes to train to their end, process {rank} was ended by {name}: "
        f"{advice}; the same command goes on from the last checkpoint",
    )


@contextmanager
def _variables(told: Mapping[str, str]) -> Iterator[None]:
    """Let the processes that are started have these variables."""
    before = dict(os.environ)
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _signals_given_back() -> Iterator[None]:
    """Take back from torchrun the signals that it took."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
