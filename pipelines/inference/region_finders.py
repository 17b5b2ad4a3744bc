"""What finds the region of a film that is to be classified: a lesion, a face."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.regions import Mask
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.engine import Engine
from pipelines.inference.folder import Transform, prepare
from pipelines.inference.segment import on_film
from pipelines.ingest.collect import Item
from pipelines.nearest import right_names
from pipelines.networks.augmented import AugmentedInferer
from pipelines.networks.segformer import SegFormer, load_segformer
from pipelines.radiograph import Radiograph
from pipelines.transforms.reading import with_channels

_COLOURS = 3
_EVEN = 0.5


class RegionFinder(Protocol):
    """Finds the region of a film that matters."""

    def about(self) -> Mapping[str, object]:
        """Say what finds it, for `summary.json`; the weights are read for it."""

    def __call__(self, film: Radiograph) -> Mask:
        """Return where the region is, (height, width) of the film; nowhere where there is none."""


class NetworkFinder:
    """Find the region with a segmentation network of ours, such as one trained on lesion masks.

    Args:
        network: Network of the architecture of the weights; one map a structure.
        weights: State dict; its classes and thresholds stand in `operating_point.json` beside it.
        preprocessing: The chain that the network was validated with.
        device: Where it runs, as `pick_device` takes it.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: str | Path,
        *,
        preprocessing: Transform,
        device: str | torch.device = "cpu",
    ) -> None:
        self._weights = Path(weights)
        self._preprocessing = preprocessing
        self._engine = Engine(
            network, weights, device=device, inferer=AugmentedInferer(), batch_size=1
        )

    @cached_property
    def _point(self) -> SegmentationPoint:
        return SegmentationPoint.beside(self._weights)

    def about(self) -> Mapping[str, object]:
        """Say which weights and which thresholds."""
        self._engine.load()
        return {
            "weights_sha256": self._engine.weights_sha256,
            "thresholds": dict(zip(self._point.classes, self._point.thresholds, strict=True)),
        }

    def __call__(self, film: Radiograph) -> Mask:
        """Return where any structure of the network is, (height, width) of the film."""
        prepared = prepare(self._preprocessing, film, item=Item(Path(), "film"))
        maps = self._engine(prepared.image[None])[0]
        structures = [
            self._point.decide(on_film(prepared, logits), channel)
            for channel, logits in enumerate(maps)
        ]
        return np.asarray(np.any(structures, axis=0), dtype=np.bool_)


class SegFormerFinder:
    """Find the region with a SegFormer from a folder of the Hugging Face Hub on this machine.

    Args:
        folder: As for `load_segformer`.
        labels: Names of the labels that make up the region, such as those of a face; without them
            every label but the first, which is the background.
        device: Where it runs, as `pick_device` takes it.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        labels: Sequence[str] = (),
        device: str | torch.device = "cpu",
    ) -> None:
        self._folder = Path(folder)
        self._labels = tuple(labels)
        self._device = device

    @cached_property
    def _segformer(self) -> SegFormer:
        return load_segformer(self._folder, device=self._device)

    @cached_property
    def _channels(self) -> list[int]:
        known = self._segformer.labels
        for name in self._labels:
            if name not in known:
                raise ConfigurationError(
                    Reason.UNKNOWN_NAME,
                    f"no label named {name!r} in the SegFormer{right_names(name, known)}",
                )
        wanted = self._labels or known[1:]
        return [known.index(name) for name in wanted]

    def about(self) -> Mapping[str, object]:
        """Say which weights and which labels."""
        names = [self._segformer.labels[channel] for channel in self._channels]
        return {"weights_sha256": self._segformer.weights_sha256, "labels": names}

    def __call__(self, film: Radiograph) -> Mask:
        """Return where the labels together are more probable than not, (height, width)."""
        shares = self._segformer.probabilities(with_channels(film.pixels, _COLOURS))
        return np.asarray(shares[self._channels].sum(axis=0) > _EVEN, dtype=np.bool_)
