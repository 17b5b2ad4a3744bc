"""Contrast-limited adaptive histogram equalisation, by OpenCV, for 8-bit and 16-bit films."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform

from pipelines.errors import ConfigurationError, Reason
from pipelines.radiograph import Pixels


def equalise_clahe(
    pixels: Pixels, *, clip_limit: float = 2.0, tile_grid: tuple[int, int] = (8, 8), bits: int = 16
) -> Pixels:
    """Equalise the histogram of each tile, limiting how much contrast may grow.

    Args:
        pixels: float32, 0 to 1, (channel, height, width).
        clip_limit: Highest slope of a tile's transfer curve, relative to a flat histogram; more
            than 0, usually 1 to 4. OpenCV's meaning, not scikit-image's.
        tile_grid: Number of tiles down and across.
        bits: 8 or 16: the grey levels that the histogram counts. The limit is applied in whole
            counts a level, so with 16 bits it only bites on tiles of some 100,000 pixels; on
            films of network size use 8.

    Returns:
        float32, 0 to 1, (channel, height, width).

    Raises:
        ConfigurationError: If an argument is out of its range.

    References:
        Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV (1994).
    """
    if clip_limit <= 0 or min(tile_grid) < 1 or bits not in {8, 16}:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected clip_limit above 0, tiles of at least 1 and 8 or 16 bits, got "
            f"{clip_limit}, {tile_grid} and {bits}",
        )
    top = 2**bits - 1
    levels = np.rint(np.clip(pixels, 0.0, 1.0) * top).astype(np.uint8 if bits == 8 else np.uint16)  # noqa: PLR2004
    # A CLAHE object keeps buffers between calls and must not be shared between threads.
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tile_grid[1], tile_grid[0]))
    return np.stack([clahe.apply(plane) for plane in levels]).astype(np.float32) / np.float32(top)


class Clahed(MapTransform):
    """Equalise images with CLAHE.

    Args:
        keys: Keys of images, 0 to 1, (channel, height, width).
        clip_limit: See `equalise_clahe`.
        tile_grid: Number of tiles down and across.
        bits: 8 or 16.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        clip_limit: float = 2.0,
        tile_grid: Sequence[int] = (8, 8),
        bits: int = 16,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.clip_limit = clip_limit
        self.tile_grid = (int(tile_grid[0]), int(tile_grid[1]))
        self.bits = bits

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Equalise each key's image."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = _equalised(
                item[key], clip_limit=self.clip_limit, tile_grid=self.tile_grid, bits=self.bits
            )
        return item


class RandClahed(RandomizableTransform, MapTransform):
    """Equalise images with CLAHE now and then, with a random clip limit.

    Args:
        keys: Keys of images, 0 to 1, (channel, height, width).
        prob: Probability that an item is equalised.
        clip_limit: Lowest and highest clip limit.
        tile_grid: Number of tiles down and across.
        bits: 8 or 16.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        prob: float = 0.5,
        clip_limit: Sequence[float] = (1.0, 4.0),
        tile_grid: Sequence[int] = (8, 8),
        bits: int = 16,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.clip_limit = (float(clip_limit[0]), float(clip_limit[1]))
        self.tile_grid = (int(tile_grid[0]), int(tile_grid[1]))
        self.bits = bits

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Equalise each key's image, or none."""
        item = dict(data)
        self.randomize(None)
        limit = self.R.uniform(*self.clip_limit)
        if self._do_transform:
            for key in self.key_iterator(item):
                item[key] = _equalised(
                    item[key], clip_limit=limit, tile_grid=self.tile_grid, bits=self.bits
                )
        return item


def _equalised(image: Any, *, clip_limit: float, tile_grid: tuple[int, int], bits: int) -> Any:
    before = np.asarray(image, dtype=np.float32)
    after = equalise_clahe(before, clip_limit=clip_limit, tile_grid=tile_grid, bits=bits)
    tensor = torch.from_numpy(after)
    if isinstance(image, MetaTensor):
        return MetaTensor(tensor, meta=dict(image.meta))
    return tensor
