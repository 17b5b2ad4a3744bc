"""Which device to use, and in which precision it is quick without losing accuracy."""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called `name`, or with `auto` the best one there is.

    Args:
        name: `auto` (CUDA or ROCm, then MPS, then CPU), or a torch device such as `cpu`, `cuda:1`,
            by its name or as it is.

    Returns:
        A device that is there.

    Raises:
        ConfigurationError: If `name` is no device, or none that this machine has.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a device of this machine, got {str(name)!r}; use auto, cpu, cuda or mps",
        ) from error
    return device


def processor_name() -> str:
    """Return the name of this machine's processor, as the system knows it."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the half-precision type that is quick on `device`, or None for float32.

    bfloat16 keeps the range of float32 and needs no loss scaling, so it is preferred wherever the
    hardware multiplies it natively; on CPUs without such instructions it would be emulated.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and _cpu_multiplies_bfloat16():
        return torch.bfloat16
    return None


def trains_quicker_in_half(network: nn.Module, device: torch.device) -> bool:
    """Return whether half precision speeds the training of `network` up on `device`.

    On CPUs the gradient of a depthwise convolution has no bfloat16 kernel worth the name: an
    EfficientNet trains five times slower in it than in float32.
    """
    if device.type != "cpu":
        return True
    return not any(
        isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
        for layer in network.modules()
    )


def autocast(device: torch.device, *, enabled: bool = True) -> AbstractContextManager[object]:
    """Return a context in which networks run in the half precision of `device`, where it has one.

    Args:
        device: Where the network runs.
        enabled: False gives float32 everywhere.
    """
    dtype = autocast_dtype(device) if enabled else None
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_multiplies_bfloat16() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported and supported() and torch.cpu._is_avx512_bf16_supported())
