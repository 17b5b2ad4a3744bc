"""Run a network in float32, whatever precision and layout its engine prefers."""

from typing import Any

import torch
from torch import nn


class FullPrecisionInferer:
    """Run a network in float32 and in the plain memory layout; called as MONAI's inferers are.

    For reconstructions: what tells an unusual film is an error of about 0.01, and half precision
    alone makes errors of 0.004. Transposed convolutions are also several times slower on a CPU in
    the channels-last layout.
    """

    full_precision = True

    def __call__(
        self, inputs: torch.Tensor, network: nn.Module, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Return the network's output.

        Args:
            inputs: (batch, channel, height, width).
            network: The network; its parameters are put into the plain layout and stay so.
            args: Handed on to the network.
            kwargs: Handed on to the network.

        Returns:
            What the network gives, in float32.
        """
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        with torch.autocast(inputs.device.type, enabled=False):
            output: torch.Tensor = network(inputs.float().contiguous(), *args, **kwargs)
        return output


def needs_full_precision(inferer: object) -> bool:
    """Whether an inferer asks for float32: an engine of half precision would spoil its answers."""
    return bool(getattr(inferer, "full_precision", False))
