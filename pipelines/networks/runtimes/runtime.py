"""What every runtime is to the rest: a function from films to outputs, and a network of PyTorch."""

from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.networks.telemetry import switch_off_telemetry

Planes: TypeAlias = npt.NDArray[np.float32]

INPUT = "image"
"""Name of the network's input in a file of ours, as MONAI's metadata calls it."""

OUTPUT = "pred"
"""Name of its output."""


class Runtime(Protocol):
    """A network in a file, opened by what runs it; several threads may call it at the same time.

    Attributes:
        name: Of the runtime, as `--engine` takes it.
    """

    name: str

    def __call__(self, images: Planes) -> Planes:
        """Run the network.

        Args:
            images: (n, channel, height, width).

        Returns:
            (n, outputs), or maps (n, channel, height, width).
        """


class RuntimeNetwork(nn.Module):
    """A runtime in the place of a network, for whatever calls networks: any of MONAI's inferers.

    It has no parameters and no gradients.

    Args:
        runtime: What is called.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run the network.

        Args:
            images: (n, channel, height, width) in any layout, on any device.

        Returns:
            float32, on the device of the images.
        """
        plain = np.ascontiguousarray(images.detach().float().cpu().numpy())
        return torch.from_numpy(self.runtime(plain)).to(images.device)


def required(package: str, *, engine: str) -> ModuleType:
    """Import the package of an engine, with nothing told to its makers.

    Args:
        package: Its name.
        engine: The engine that needs it, for the message.

    Returns:
        The module.

    Raises:
        ConfigurationError: If it is not installed, or does not load.
    """
    switch_off_telemetry()
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the package {package} for the engine {engine}, found none that loads; "
            f"install it with `pip install {package}`, or take the engine torch",
        ) from error


def whole(outputs: Any) -> Planes:
    """Return outputs of a runtime as an array of its own."""
    return np.array(outputs, dtype=np.float32)
