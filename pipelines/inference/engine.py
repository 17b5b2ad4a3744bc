"""Where the network runs: batches of prepared films go in, logits come out."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pipelines.files import sha256
from pipelines.inference.settings import whole_number
from pipelines.networks.device import autocast, pick_device, usable_cores
from pipelines.networks.weights import load_weights

Logits: TypeAlias = npt.NDArray[np.float32]
Inferer: TypeAlias = Callable[[torch.Tensor, nn.Module], torch.Tensor]


class TorchEngine:
    """A PyTorch network in inference mode, channels last, in the device's quick precision.

    The weights are read when they are first needed, so that a configuration can be checked where
    they are not there yet.

    Args:
        network: Network of the architecture of the weights.
        weights: State dict, such as `models/model.pt`.
        device: Where it runs: what `pick_device` takes.
        inferer: MONAI inferer that applies the network.
        batch_size: Films a batch. A smaller batch is filled up with zeros: kernels are chosen by
            shape, so a film gets the same answer in whatever company it comes.
        at_once: Batches that run at the same time; None takes one a core on a CPU and one
            elsewhere. Each holds its own outputs, 490 MB for 29 maps of 2048 x 2048.

    Raises:
        ConfigurationError: If there is no such device, or `batch_size` or `at_once` is no whole
            number above 0.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        weights: str | Path,
        *,
        device: str | torch.device,
        inferer: Inferer,
        batch_size: int = 8,
        at_once: int | None = None,
    ) -> None:
        self._network = network
        self._weights = Path(weights)
        self._inferer = inferer
        self._loaded = False
        self.device = pick_device(device)
        self.batch_size = whole_number("engine.batch_size", batch_size)
        if at_once is None:
            at_once = usable_cores() if self.device.type == "cpu" else 1
        self.at_once = whole_number("engine.at_once", at_once)

    def load(self) -> nn.Module:
        """Read the weights, once.

        Returns:
            The network with its weights, on the device.

        Raises:
            RunError: If the weights are missing or belong to another network.
        """
        if not self._loaded:
            self._network = load_weights(self._network, self._weights, device=self.device).eval()
            self._loaded = True
        return self._network

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256(self._weights)

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> Logits:
        """Run the network.

        Args:
            images: float32, (n, channel, height, width), n at most `batch_size`.

        Returns:
            float32, (n, outputs).
        """
        count = images.shape[0]
        if count < self.batch_size:
            images = torch.cat(
                [images, images.new_zeros(self.batch_size - count, *images.shape[1:])]
            )
        images = images.to(self.device, memory_format=torch.channels_last)
        with autocast(self.device):
            logits = self._inferer(images, self.load())
        return logits[:count].float().cpu().numpy()
