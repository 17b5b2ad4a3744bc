"""Which engine is the quickest here: each runs a few batches, and those that answer alike count."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import PlainfilmError
from pipelines.networks.device import processor_name, usable_cores
from pipelines.networks.runtimes.opening import EngineName

AUTO = "auto"
"""Name that stands for the quickest engine."""

Outputs: TypeAlias = npt.NDArray[np.float32]
Run: TypeAlias = Callable[[torch.Tensor], Outputs]

LARGEST_DIFFERENCE = 0.02
"""How far two engines' outputs may lie apart: as probabilities, of maps in the mean."""

LARGEST_PRECISE_DIFFERENCE = 1e-3
"""The same where float32 is asked for: of the outputs as they are."""

_SECONDS = 1.0
_LONG = 1.0  # a first batch that takes so long has warmed up all that there is to warm up
_MOST_ROUNDS = 20
_PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "openvino")
_MAP_AXES = 4

_log = logging.getLogger(__name__)


def candidates(device: torch.device) -> tuple[EngineName, ...]:
    """Return the engines that may be quickest on a device, PyTorch first."""
    if device.type == "cpu":
        return EngineName.TORCH, EngineName.ONNXRUNTIME, EngineName.OPENVINO
    if device.type == "cuda":
        return EngineName.TORCH, EngineName.TENSORRT, EngineName.ONNXRUNTIME
    return (EngineName.TORCH,)


def measure(
    names: Sequence[str],
    start: Callable[[str], Run],
    images: torch.Tensor,
    *,
    at_once: int,
    precise: bool,
) -> dict[str, float]:
    """Let engines run the same batches for about a second each.

    Args:
        names: Engines; the others are held against the answers of the first.
        start: Gets one ready and returns what runs a batch.
        images: A batch, (n, channel, height, width).
        at_once: Batches that run at the same time.
        precise: Whether outputs are compared as they are and not as probabilities.

    Returns:
        Films a second of each engine that can run and gives the answers of the first.

    Raises:
        PlainfilmError: If the first engine cannot run.
    """
    speeds: dict[str, float] = {}
    expected: Outputs | None = None
    for name in names:
        try:
            run = start(name)
            began = time.monotonic()
            found = run(images)
            warm = time.monotonic() - began > _LONG
        except Exception as error:  # each runtime raises kinds of its own
            if expected is None:
                raise
            said = error if isinstance(error, PlainfilmError) else type(error).__name__
            _log.warning("engine %s is left out: %s", name, said)
            continue
        expected = found if expected is None else expected
        if agree(expected, found, precise=precise):
            speeds[name] = _speed(run, images, at_once=at_once, warm=warm)
        else:
            _log.warning("engine %s is left out: its answers are not those of %s", name, names[0])
    return speeds


def agree(expected: Outputs, found: Outputs, *, precise: bool) -> bool:
    """Whether outputs are so alike that either may stand for the other.

    Args:
        expected: (n, outputs), or maps (n, channel, height, width); logits, unless `precise`.
        found: Of the same films.
        precise: Whether they are compared as they are and not as probabilities.
    """
    if found.shape != expected.shape or not np.isfinite(found).all():
        return False
    if precise:
        return bool(np.abs(found - expected).max() <= LARGEST_PRECISE_DIFFERENCE)
    difference = np.abs(_probabilities(found) - _probabilities(expected))
    # Along an outline the probability falls from 1 to 0 within a pixel or two.
    worst = difference.mean() if expected.ndim == _MAP_AXES else difference.max()
    return bool(worst <= LARGEST_DIFFERENCE)


def variants(image: torch.Tensor, count: int) -> torch.Tensor:
    """Make a batch of one film: itself, and itself with noise that is the same every time."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn((count, *image.shape), generator=random)
    noise[0] = 0
    return image + 0.1 * image.std() * noise


def machine(device: torch.device) -> str:
    """Say on what engines were measured: processor, cores, accelerator and versions."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    versions = [f"{package} {_version(package)}" for package in _PACKAGES]
    return ", ".join([processor_name(), str(usable_cores()), gpu, *versions])


def told(speeds: dict[str, float], chosen: str) -> str:
    """Say what was chosen, and what else there was."""
    listed = ", ".join(f"{name} {speed:.1f}" for name, speed in speeds.items())
    return f"engine {chosen} is the quickest here; films/s: {listed}"


def _probabilities(logits: Outputs) -> Outputs:
    probabilities: Outputs = torch.from_numpy(logits).sigmoid().numpy()
    return probabilities


def _speed(run: Run, images: torch.Tensor, *, at_once: int, warm: bool) -> float:
    with ThreadPoolExecutor(at_once) as pool:
        if not warm:
            list(pool.map(run, [images] * at_once))
        began, rounds, seconds = time.monotonic(), 0, 0.0
        while rounds < _MOST_ROUNDS and seconds < _SECONDS:
            list(pool.map(run, [images] * at_once))
            rounds += 1
            seconds = time.monotonic() - began
    return rounds * at_once * len(images) / seconds


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
