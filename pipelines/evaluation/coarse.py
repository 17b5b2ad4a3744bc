"""A first network whose masks show a refiner where each bone lies."""

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers import Inferer, SimpleInferer
from torch import nn

from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.networks.device import pick_device
from pipelines.networks.weights import load_weights
from pipelines.radiograph import Pixels
from pipelines.transforms.intensity import normalise_imagenet
from pipelines.transforms.letterbox import Letterbox


class CoarseMasks:
    """Find bones with a trained network of a segmentation bundle.

    Args:
        network: Network of the architecture of the weights.
        weights: State dict; its operating point stands beside it.
        height: Height of the network's rectangle.
        width: Width of it.
        device: Where it runs, as `pick_device` takes it.
        inferer: How it is applied; None calls it.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: str | Path,
        *,
        height: int,
        width: int,
        device: str | torch.device = "cpu",
        inferer: Inferer | None = None,
    ) -> None:
        self._network = network
        self._weights = Path(weights)
        self._size = (height, width)
        self._device = pick_device(device)
        self._inferer = inferer or SimpleInferer()

    def __repr__(self) -> str:
        """Name what its answers depend on, for the hash of a cache of films."""
        stat = self._weights.stat() if self._weights.is_file() else None
        changed = None if stat is None else (stat.st_size, stat.st_mtime_ns)
        return f"CoarseMasks({self._weights.name!r}, {changed}, {self._size})"

    @cached_property
    def point(self) -> SegmentationPoint:
        """Its classes and thresholds."""
        return SegmentationPoint.beside(self._weights)

    @cached_property
    def _loaded(self) -> nn.Module:
        return load_weights(self._network, self._weights, device=self._device).eval()

    @torch.inference_mode()
    def __call__(self, film: Pixels) -> tuple[npt.NDArray[np.float32], Letterbox]:
        """Return logits and where the film lies in them.

        Args:
            film: Stretched to 0 to 1, (1, height, width).

        Returns:
            (bones, height, width) of the network's rectangle, and the film's place there.
        """
        height, width = film.shape[1:]
        placement = Letterbox((height, width), self._size)
        image = torch.from_numpy(normalise_imagenet(placement.to_network(film)))[None]
        logits = self._inferer(image.to(self._device), self._loaded)
        return np.asarray(logits[0].float().cpu()), placement

    def decide(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Turn logits into masks of the same size."""
        return decide_all(self.point, logits)


def decide_all(point: SegmentationPoint, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Turn logits (structures, height, width) into masks of the same size."""
    return np.stack([point.decide(plane, channel) for channel, plane in enumerate(logits)])
