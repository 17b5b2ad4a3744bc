"""Engines by name."""

from enum import StrEnum
from pathlib import Path

import torch

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.networks.runtimes.onnx_runtime import OnnxRuntime, TensorRtRuntime
from pipelines.networks.runtimes.openvino_runtime import OpenVinoRuntime
from pipelines.networks.runtimes.runtime import Runtime


class EngineName(StrEnum):
    """What runs a network."""

    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


def engine_name(name: object, *, also: tuple[str, ...] = ()) -> str:
    """Return a name of an engine if it is one.

    Args:
        name: What was given.
        also: What else is allowed, such as `auto`.

    Raises:
        ConfigurationError: If there is no such engine; the message has the nearest name.

    Examples:
        >>> engine_name("openvino")
        'openvino'
        >>> engine_name("openvin")
        Traceback (most recent call last):
        ...
        pipelines.errors.ConfigurationError: no engine named 'openvin'; did you mean 'openvino'? \
Known: torch, onnxruntime, openvino, tensorrt
    """
    known = [*(each.value for each in EngineName), *also]
    if name in known:
        return str(name)
    raise ConfigurationError(
        Reason.UNKNOWN_NAME, f"no engine named {name!r}{right_names(str(name), known)}"
    )


def open_runtime(
    name: str,
    path: Path,
    *,
    at_once: int = 1,
    device: str | torch.device = "cpu",
    full_precision: bool = False,
) -> Runtime:
    """Open a converted network.

    Args:
        name: One of `EngineName` other than `torch`.
        path: `.onnx`; for OpenVINO also its own `.xml`.
        at_once: Callers at the same time.
        device: Where it runs, `cpu` or `cuda`.
        full_precision: Whether all is computed in float32, whatever is quicker.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: If there is no such engine, it is not installed, or not for the device.
        RunError: If the file holds no network that it can run.
    """
    if name == EngineName.ONNXRUNTIME:
        return OnnxRuntime(path, at_once=at_once, device=device)
    if name == EngineName.OPENVINO:
        if torch.device(device).type != "cpu":
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected the device cpu for the engine openvino, got {device}; set device=cpu, "
                "or take another engine",
            )
        return OpenVinoRuntime(path, at_once=at_once, full_precision=full_precision)
    if name == EngineName.TENSORRT:
        return TensorRtRuntime(path, at_once=at_once, device=device, full_precision=full_precision)
    raise ConfigurationError(
        Reason.UNKNOWN_NAME,
        f"no engine of converted networks named {name!r}"
        f"{right_names(name, [each for each in EngineName if each != EngineName.TORCH])}",
    )
