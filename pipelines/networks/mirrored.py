"""Show a network each film and its mirror image, and average what it says."""

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer


class MirroredInferer(Inferer):
    """Average a network's output over a film and its mirror image, left to right.

    For classifiers whose classes have no side. It halves the network's speed.
    """

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., torch.Tensor],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the mean of two outputs.

        Args:
            inputs: Films, (batch, channel, height, width).
            network: Gives (batch, classes) for them.
            args: Handed on to the network.
            kwargs: Handed on to the network.

        Returns:
            (batch, classes), float32.
        """
        mirrored = inputs.flip(-1).contiguous(memory_format=torch.channels_last)
        plain = network(inputs, *args, **kwargs).float()
        return (plain + network(mirrored, *args, **kwargs).float()) / 2
