"""Bring the grey values of films from different makers to one scale."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipelines.errors import InputError, Reason
from pipelines.radiograph import Pixels
from pipelines.transforms.window import window_of

_FLAT = 1e-3
_PERCENTILES = (0.5, 99.5)
_SAMPLED_SIDE = 256
"""Percentiles of a large film are those of a grid of its pixels, some 256 along a side."""
# Red, green and blue of the photographs on which public weights were trained, 0 to 1.
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class _Scaled(MapTransform):
    """Scale each key's image by a formula of its own; the result is a plain tensor."""

    def __init__(self, keys: KeysCollection, *, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale each key's image."""
        item = dict(data)
        for key in self.key_iterator(item):
            _replace(item, key, self.scale(np.asarray(item[key], dtype=np.float32)))
        return item

    def scale(self, film: Pixels) -> Pixels:
        """Return the film, float32, (channel, height, width), scaled."""
        raise NotImplementedError


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


class Standardised(_Scaled):
    """Shift and scale each film to mean 0 and standard deviation 1; the result is a plain tensor.

    Args:
        keys: Keys of images, (channel, height, width).
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def scale(self, film: Pixels) -> Pixels:
        """Return the film, scaled."""
        return standardise(film)


def stretch(pixels: Pixels) -> Pixels:
    """Stretch a film so that its 0.5th percentile becomes 0 and its 99.5th 1.

    Args:
        pixels: float32, 0 to 1, (channel, height, width).

    Returns:
        float32, 0 to 1, the same shape; a film without contrast becomes 0 everywhere.
    """
    step = max(1, min(pixels.shape[1:]) // _SAMPLED_SIDE)
    low, high = np.percentile(pixels[:, ::step, ::step], _PERCENTILES).astype(np.float32)
    stretched = (pixels - low) / max(high - low, np.float32(_FLAT))
    return np.asarray(stretched.clip(0, 1), dtype=np.float32)


class Stretched(_Scaled):
    """Stretch each film by `stretch`; the result is a plain tensor.

    Unlike mean and deviation, the darkest and the brightest grey do not depend on how much of the
    film is background.

    Args:
        keys: Keys of images, 0 to 1, (channel, height, width).
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def scale(self, film: Pixels) -> Pixels:
        """Return the film, scaled."""
        return stretch(film)


def normalise_imagenet(pixels: Pixels) -> Pixels:
    """Scale a film as the weights expect that were trained on ImageNet.

    Args:
        pixels: float32, 0 to 1, (1 or 3, height, width). One channel gets the mean of the three
            means and of the three deviations, which fits a first convolution whose three input
            channels were summed.

    Returns:
        float32, the same shape, about -2 to 2.7.

    Raises:
        InputError: If `pixels` have neither one nor three channels.
    """
    channels = pixels.shape[0]
    if channels not in {1, len(_IMAGENET_MEAN)}:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC, f"expected 1 or 3 channels, got {channels}"
        )
    mean, deviation = (
        values if channels > 1 else values.mean(keepdims=True, dtype=np.float32)
        for values in (_IMAGENET_MEAN, _IMAGENET_DEVIATION)
    )
    return np.asarray((pixels - mean[:, None, None]) / deviation[:, None, None], dtype=np.float32)


class ImageNetNormalised(_Scaled):
    """Scale each film by `normalise_imagenet`; the result is a plain tensor.

    Args:
        keys: Keys of images, 0 to 1, (1 or 3, height, width).
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def scale(self, film: Pixels) -> Pixels:
        """Return the film, scaled."""
        return normalise_imagenet(film)


def _replace(item: dict[Hashable, Any], key: Hashable, pixels: Pixels) -> None:
    """Put plain pixels in place of an image, and keep where it lies on the film."""
    image = item[key]
    if isinstance(image, MetaTensor) and "original_size" in item and "placement" not in item:
        item["placement"] = window_of(
            image, film=item["original_size"], spacing_mm=item.get("spacing_mm")
        )
    item[key] = torch.from_numpy(pixels)
