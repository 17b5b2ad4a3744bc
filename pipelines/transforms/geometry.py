"""Change the size of a film by averaging areas, so that fine detail does not alias."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipelines.errors import ConfigurationError, Reason
from pipelines.radiograph import Pixels
from pipelines.transforms.blocks import Extent, resize_blocks
from pipelines.transforms.reading import REDUCED_BY, LoadRadiographd


def resize_area(pixels: Pixels, *, height: int, width: int, extent: Extent | None = None) -> Pixels:
    """Resize by area averaging when shrinking and bilinearly when enlarging.

    Args:
        pixels: float32, (channel, height, width).
        height: New height in pixels.
        width: New width in pixels.
        extent: Of pixels that are means of blocks: what of them becomes the new picture, see
            `resize_blocks`.

    Returns:
        float32, (channel, height, width); values stay within the range of `pixels`.

    Examples:
        >>> resize_area(np.array([[[0.0, 1.0], [1.0, 0.0]]], np.float32), height=1, width=1)
        array([[[0.5]]], dtype=float32)
    """
    if pixels.shape[1:] == (height, width):
        return pixels
    if extent is not None:
        return resize_blocks(pixels, height=height, width=width, extent=extent)
    shrinks = pixels.shape[1] >= height and pixels.shape[2] >= width
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, (width, height), interpolation=mode) for plane in pixels])


ReadSize: TypeAlias = tuple[tuple[int, int], Extent]
"""Height and width of a whole film, and what it takes up of the pixels that were read."""


def take_read_size(item: dict[Hashable, Any]) -> ReadSize | None:
    """Take what `LoadRadiographd` has left of a film that was read at a lower resolution.

    Args:
        item: Loses its `reduced_by`: what comes out of a resizing transform has the right size.

    Returns:
        Size and extent of the film; None where it was read whole.
    """
    reduced_by = item.pop(REDUCED_BY, 1)
    if reduced_by == 1:
        return None
    height, width = item["original_size"]
    return (height, width), (height / reduced_by, width / reduced_by)


class _Resized(MapTransform):
    """Share the bookkeeping of tensors and affines between the two resizing transforms."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resize each key's image."""
        item = dict(data)
        read = take_read_size(item)
        for key in self.key_iterator(item):
            item[key] = self._resize(item[key], read)
        return item

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the new height and width for a film of the given ones."""
        raise NotImplementedError

    def _resize(self, image: Any, read: ReadSize | None) -> Any:
        before = np.asarray(image, dtype=np.float32)
        whole, extent = read or (before.shape[1:], None)
        height, width = self.target(*whole)
        after = torch.from_numpy(resize_area(before, height=height, width=width, extent=extent))
        if not isinstance(image, MetaTensor):
            return after
        affine = image.affine.clone()
        rows, columns = ((e / n) for e, n in zip(extent or whole, (height, width), strict=True))
        affine[0, 0] *= rows
        affine[1, 1] *= columns
        meta = dict(image.meta)
        if "spacing_mm" in meta:
            meta["spacing_mm"] = (meta["spacing_mm"][0] * rows, meta["spacing_mm"][1] * columns)
        meta["affine"] = affine
        return MetaTensor(after, meta=meta)


class ResizeShortSided(_Resized):
    """Give the shorter side a fixed length and keep the aspect ratio.

    Args:
        keys: Keys of images, (channel, height, width).
        short_side: Length of the shorter side in pixels.
        divisible_by: Both sides are rounded to a multiple of this; 1 keeps them as they are.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        short_side: int,
        divisible_by: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if short_side < 1 or divisible_by < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected short_side and divisible_by of at least 1, got {short_side} and "
                f"{divisible_by}",
            )
        self.short_side = short_side
        self.divisible_by = divisible_by

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the new height and width, the shorter one being `short_side`."""
        scale = self.short_side / min(height, width)
        step = self.divisible_by
        new_height, new_width = (max(step, round(n * scale / step) * step) for n in (height, width))
        return new_height, new_width


class ResizeSquared(_Resized):
    """Squeeze a film to a square, whatever its aspect ratio.

    The public chest films are distributed squeezed to 224x224, so a film at its full size gives
    the same answer as its squeezed copy only when it is squeezed the same way.

    Args:
        keys: Keys of images, (channel, height, width).
        size: Length of each side in pixels.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self, keys: KeysCollection, *, size: int, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if size < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected a size of at least 1, got {size}"
            )
        self.size = size

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the square's height and width."""
        return self.size, self.size


def load_resized(
    resize: ResizeShortSided | ResizeSquared, *, channels: int = 1, reduced: bool = False
) -> list[MapTransform]:
    """Begin a chain: read the film under `image` and resize it.

    Args:
        resize: Resizes `image`.
        channels: 1 gives grey, 3 gives colour.
        reduced: Whether a film that is large beside what `resize` needs is read at a lower
            resolution.

    Returns:
        Two transforms.
    """
    least_size = resize.target if reduced else None
    return [LoadRadiographd(keys="image", channels=channels, least_size=least_size), resize]
