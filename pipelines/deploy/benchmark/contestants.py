"""What is measured: a bundle's network in each engine, each in a process of its own.

In one process engines would disturb each other: each has its threads, which wait for more work in a
busy loop, and its memory. Here a process that is not asked sleeps.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from pipelines.deploy.export_source import Source
from pipelines.deploy.packages.opened import find_model, is_exported
from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.nearest import right_names
from pipelines.networks.device import autocast
from pipelines.networks.runtimes.onnx_file import to_onnx
from pipelines.networks.runtimes.opening import open_runtime
from pipelines.networks.runtimes.runtime import RuntimeNetwork
from pipelines.networks.weights import keep_last_layer_precise
from pipelines.unfinished import scratch_folder
from pipelines.workflows.bundle import Bundle

Shape: TypeAlias = tuple[int, int, int]
Run: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

BASELINE = "torch"
"""PyTorch as it comes: eager, float32, plain layout; the others are compared with it."""

QUICK = "torch_bf16"
ENGINES: Mapping[str, str] = {
    BASELINE: "PyTorch eager, float32",
    QUICK: "PyTorch channels last, bfloat16",
    "onnxruntime": "ONNX Runtime, float32",
    "openvino_f32": "OpenVINO, float32",
    "openvino": "OpenVINO, bfloat16 where the CPU has it",
}
"""What can be measured by name, and what it is."""

_SECONDS_TO_START = 300.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a process opens.

    Attributes:
        engine: One of `ENGINES`, or how a file is called.
        network: Network of PyTorch, or the file of another engine's.
        shape: Channels, height and width.
        stored: Files whose size counts.
    """

    engine: str
    network: nn.Module | Path
    shape: Shape
    stored: tuple[Path, ...]


class Contestant:
    """An engine in its own process.

    Args:
        job: What it opens.

    Attributes:
        name: Of the engine.
        megabytes: Size of what it was stored in.
    """

    def __init__(self, job: Job) -> None:
        self.name = job.engine
        self.megabytes = sum(path.stat().st_size for path in job.stored) / 1e6
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_answer, args=(other, job), daemon=True)
        self._process.start()
        other.close()

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            ConfigurationError: If it could not open the network.
        """
        self._ask()

    def seconds(self, films: int, *, warm_up: int, runs: int) -> list[float]:
        """Run the network.

        Args:
            films: In a batch.
            warm_up: Runs that do not count.
            runs: Runs that do.

        Returns:
            Seconds of each run.

        Raises:
            ConfigurationError: If the engine fails.
        """
        self._pipe.send((films, warm_up, runs))
        return self._ask()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()

    def _ask(self) -> list[float]:
        try:
            answer = self._pipe.recv() if self._pipe.poll(_SECONDS_TO_START) else "no answer"
        except EOFError:
            answer = "its process ended"
        if isinstance(answer, str):
            raise ConfigurationError(
                Reason.CONFIGURATION, f"the engine {self.name} does not run here: {answer}"
            )
        taken: list[float] = answer
        return taken


@contextmanager
def contestants(
    bundle: Bundle, engines: Sequence[str], *, size: int | None, overrides: Mapping[str, object]
) -> Iterator[tuple[list[Contestant], Shape]]:
    """Start a process for each engine.

    Args:
        bundle: The bundle, with weights.
        engines: Names of `ENGINES`, and paths of exported files.
        size: Height and width of a film; None takes the bundle's.
        overrides: Values by id of the configuration.

    Yields:
        The engines, the baseline first, and the shape of a film.

    Raises:
        ConfigurationError: If there is no such engine, or one does not run here.
    """
    for name in engines:
        if is_exported(name):
            find_model(name)  # so that a wrong name is said before anything is started
        elif name not in ENGINES:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME, f"no engine named {name!r}{right_names(name, ENGINES)}"
            )
    names = list(dict.fromkeys([BASELINE, *engines]))
    source = Source.of(bundle, (), overrides)
    shape = source.shape if size is None else (source.shape[0], size, size)
    started: list[Contestant] = []
    with scratch_folder() as folder:
        try:
            for job in _jobs(names, source, shape, folder):
                started.append(Contestant(job))
                started[-1].wait()
            yield started, shape
        finally:
            for each in started:
                each.close()


def _jobs(names: Sequence[str], source: Source, shape: Shape, folder: Path) -> Iterator[Job]:
    converted = folder / "network.onnx"
    for name in names:
        if is_exported(name):
            yield _job_of_file(name, shape)
        elif name in {BASELINE, QUICK}:
            yield Job(name, source.network, shape, (source.weights,))
        else:
            if not converted.exists():
                to_onnx(source.network, converted, shape=shape)
            yield Job(name, converted, shape, (converted,))


def _job_of_file(name: str, shape: Shape) -> Job:
    models = find_model(name).root / "models"
    networks = [path for path in models.iterdir() if path.suffix in {".onnx", ".xml"}]
    if not networks:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a file of ONNX or OpenVINO to measure, got {Path(name).name}",
        )
    stored = [Path(name), Path(name).with_suffix(".bin")]
    return Job(
        Path(name).stem, networks[0], shape, tuple(each for each in stored if each.is_file())
    )


def _answer(pipe: Connection, job: Job) -> None:
    """Open a network and run it as often as is asked, until nobody asks any more."""
    try:
        run = _opened(job)
        pipe.send([])
        while True:
            films, warm_up, runs = pipe.recv()
            pipe.send(_taken(run, torch.randn(films, *job.shape), warm_up, runs))
    except EOFError:
        return
    except PlainfilmError as error:
        pipe.send(str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said where it was asked
        pipe.send(f"{type(error).__name__}: {error}"[:300])


@torch.inference_mode()
def _taken(run: Run, images: torch.Tensor, warm_up: int, runs: int) -> list[float]:
    for _ in range(warm_up):
        run(images)
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        run(images)
        taken.append(time.perf_counter() - started)
    return taken


def _opened(job: Job) -> Run:
    if isinstance(job.network, nn.Module):
        network = job.network.eval()
        return _plain(network) if job.engine == BASELINE else _quick(network)
    name = "onnxruntime" if job.engine == "onnxruntime" else "openvino"
    if job.engine not in ENGINES:
        name = "openvino" if job.network.suffix == ".xml" else "onnxruntime"
    precise = job.engine == "openvino_f32"
    return RuntimeNetwork(open_runtime(name, job.network, full_precision=precise))


def _plain(network: nn.Module) -> Run:
    """As PyTorch makes it: in the layout that comes of itself."""
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def _quick(network: nn.Module) -> Run:
    """As `predict` runs it by default."""
    keep_last_layer_precise(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(images: torch.Tensor) -> torch.Tensor:
        with autocast(torch.device("cpu")):
            outputs: torch.Tensor = network(images.contiguous(memory_format=torch.channels_last))
        return outputs

    return run
