"""Bring the grey values of films from different makers to one scale."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from pipelines.radiograph import Pixels

_FLAT = 1e-3


def standardise(pixels: Pixels) -> Pixels:
    """Shift and scale a film to mean 0 and standard deviation 1.

    Args:
        pixels: float32, (channel, height, width).

    Returns:
        float32, the same shape; a film without contrast becomes 0 everywhere.
    """
    spread = float(pixels.std())
    centred: Pixels = pixels - pixels.mean()
    return centred / np.float32(max(spread, _FLAT))


class Standardised(MapTransform):
    """Shift and scale each film to mean 0 and standard deviation 1; the result is a plain tensor.

    Args:
        keys: Keys of images, (channel, height, width).
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(self, keys: KeysCollection, *, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Standardise each key's image."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = torch.from_numpy(standardise(np.asarray(item[key], dtype=np.float32)))
        return item
