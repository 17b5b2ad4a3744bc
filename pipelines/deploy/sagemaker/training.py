"""Training inside SageMaker's container: from what it was told to what it hands back."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from pipelines.deploy.sagemaker.channels import join_channels
from pipelines.deploy.sagemaker.contract import Contract, read_contract
from pipelines.deploy.sagemaker.failure import write_failure
from pipelines.deploy.sagemaker.handing_back import hand_back_model, hand_back_run
from pipelines.deploy.sagemaker.hyperparameters import Wanted, read_hyperparameters
from pipelines.deploy.sagemaker.metrics import final_lines
from pipelines.errors import Reason, RunError
from pipelines.told_to_end import STATUS

RUN = "run"
"""The folder of the run below that of the checkpoints."""


def train(environment: Mapping[str, str]) -> None:
    """Train what the container was told to, or go on with it, and hand back the model.

    What the run writes stands below the folder of checkpoints, so that the next start with the same
    one goes on. SIGTERM ends the process with status 143 behind a checkpoint. Whatever else ends
    it is written as the reason of the failure and raised again.

    Args:
        environment: Variables of the process.

    Raises:
        Exception: What went wrong.
    """
    with _ending_at_once():
        try:
            _train(read_contract(environment))
        except Exception as error:
            write_failure(error, environment)
            raise


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let SIGTERM end the process while there is no training to keep.

    The first process of a container is not ended by a signal that it has no handler for.
    """

    def end(_number: int, _frame: object) -> NoReturn:
        raise SystemExit(STATUS)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(contract: Contract) -> None:
    wanted = read_hyperparameters(contract.hyperparameters)
    hosts = contract.hosts
    data = _joined(contract)
    output = contract.checkpoint_dir / RUN
    folder = _trained(contract, wanted, data, output)
    if hosts.rank:
        _say(f"host {hosts.current} has trained along; {hosts.names[0]} hands back the model")
        return
    for line in final_lines(folder):
        _say(line)
    run_files = hand_back_run(folder, wanted.bundle, contract.output_data_dir)
    model = hand_back_model(folder, wanted.bundle, contract.model_dir)
    _say(f"model: {model}; tables and pictures: {run_files}")


def _trained(contract: Contract, wanted: Wanted, data: Path, output: Path) -> Path:
    """Train in one process, or in one for each GPU of each host; return the folder of the run."""
    machines = contract.hosts.machines(_processes(contract, wanted), port=contract.port)
    if machines.alone:
        from pipelines.workflows import run

        return run.train(
            wanted.bundle,
            data=data,
            output_dir=output,
            overlays=wanted.overlays,
            overrides=wanted.overrides,
        )
    from pipelines.workflows.devices import train_on_devices

    _say(
        f"host {machines.place + 1} of {machines.count}, {machines.processes} processes on it; "
        f"they meet at {machines.master}"
    )
    train_on_devices(
        wanted.bundle,
        machines,
        data=data,
        output_dir=output,
        overlays=wanted.overlays,
        overrides=wanted.overrides,
    )
    return output


def _processes(contract: Contract, wanted: Wanted) -> int:
    """How many processes train on this host: one a GPU, and one where there is none."""
    if str(wanted.overrides.get("device", "auto")) not in {"auto", "cuda"}:
        return 1
    if contract.gpus is not None:
        return max(1, contract.gpus)
    import torch

    return max(1, torch.cuda.device_count())


def _joined(contract: Contract) -> Path:
    """Lay the channels out as one data set.

    Raises:
        RunError: If there is no room for links.
    """
    try:
        return join_channels(contract.channels, contract.workspace)
    except OSError as error:
        raise RunError(
            Reason.OUTPUT_UNWRITABLE,
            f"expected a folder below {contract.base} that can be written, got {error.strerror!r}; "
            "let the user of the container write there, or build the image with RUN_AS=root",
        ) from error


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
