"""Lay a film into the network's rectangle without changing its proportions, and find the way back.

The film is scaled until it just fits, and lies in the middle; what remains is black and belongs to
nothing.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from pipelines.errors import ConfigurationError, Reason
from pipelines.radiograph import Pixels
from pipelines.transforms.blocks import Extent
from pipelines.transforms.geometry import resize_area, take_read_size
from pipelines.transforms.polygons import MOST_LAYERS, Layers

_HALF = 128
"""Of 255."""


@dataclass(frozen=True)
class Letterbox:
    """How a film lies in the network's rectangle.

    Attributes:
        film: Height and width of the film in pixels.
        network: Height and width of the network's rectangle.
    """

    film: tuple[int, int]
    network: tuple[int, int]

    @cached_property
    def inner(self) -> tuple[int, int]:
        """Height and width of the film inside the rectangle."""
        scale = min(n / f for n, f in zip(self.network, self.film, strict=True))
        height, width = (
            min(n, max(1, round(f * scale))) for n, f in zip(self.network, self.film, strict=True)
        )
        return height, width

    @cached_property
    def corner(self) -> tuple[int, int]:
        """Row and column of the film's first pixel inside the rectangle."""
        return (self.network[0] - self.inner[0]) // 2, (self.network[1] - self.inner[1]) // 2

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """From a pixel of the rectangle, x before y, to one of the film: (2, 3)."""
        # Whole numbers are the middles of pixels.
        scales = [f / n for f, n in zip(self.film, self.inner, strict=True)][::-1]
        shifts = [
            (0.5 - corner) * scale - 0.5
            for corner, scale in zip(self.corner[::-1], scales, strict=True)
        ]
        return np.column_stack([np.diag(scales), shifts])

    def to_network(self, pixels: Pixels, *, extent: Extent | None = None) -> Pixels:
        """Lay a film into the rectangle.

        Args:
            pixels: float32, (channel, height, width) of the film.
            extent: What the film takes up of the pixels, where it was read at a lower resolution.

        Returns:
            float32, (channel, height, width) of the rectangle; 0 around the film.
        """
        small = resize_area(pixels, height=self.inner[0], width=self.inner[1], extent=extent)
        return self._framed(small)

    def layers_to_network(self, layers: Layers, *, fineness: int = 1) -> Layers:
        """Lay masks into the rectangle.

        Args:
            layers: int32, (1, height, width) of the film, one bit a channel.
            fineness: The masks get so many pixels along each pixel of the rectangle.

        Returns:
            int32, (1, height, width) of the rectangle, both times `fineness`. A pixel belongs to a
            channel when half of its area or more does; nearest neighbours would shift outlines by
            part of a pixel.
        """
        inner = (self.inner[0] * fineness, self.inner[1] * fineness)
        if layers.shape[1:] == inner:
            return self._framed(layers, fineness)
        small = np.zeros((1, *inner), dtype=np.int32)
        present = int(np.bitwise_or.reduce(layers, axis=None))
        for channel in range(MOST_LAYERS):
            if present & 1 << channel:
                plane = (layers[0] & 1 << channel != 0).view(np.uint8) * np.uint8(255)
                share = _resize(plane, inner)
                small |= (share >= _HALF).astype(np.int32) << channel
        return self._framed(small, fineness)

    def to_film(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring maps of the rectangle back to the film.

        Args:
            maps: (channel, height, width) of the rectangle: float32 are interpolated, masks (bool
                or uint8) take their nearest neighbour.

        Returns:
            The same type, (channel, height, width) of the film.
        """
        (top, left), (height, width) = self.corner, self.inner
        inside = maps[:, top : top + height, left : left + width]
        if self.inner == self.film:
            return np.ascontiguousarray(inside)
        film = np.empty((len(maps), *self.film), dtype=maps.dtype)
        # One map at a time: 29 of them at full size are large enough once.
        for target, source in zip(film, inside, strict=True):
            if maps.dtype == np.float32:
                cv2.resize(source, self.film[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
            else:
                bytes_of = np.ascontiguousarray(source).view(np.uint8)
                nearest = cv2.resize(
                    bytes_of, self.film[::-1], interpolation=cv2.INTER_NEAREST_EXACT
                )
                target[:] = nearest.view(maps.dtype)
        return film

    def _framed(self, planes: npt.NDArray[Any], fineness: int = 1) -> npt.NDArray[Any]:
        if self.inner == self.network:
            return planes
        height, width = planes.shape[1:]
        top, left = (side * fineness for side in self.corner)
        sides = [side * fineness for side in self.network]
        framed = np.zeros((len(planes), *sides), dtype=planes.dtype)
        framed[:, top : top + height, left : left + width] = planes
        return framed


def _resize(plane: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    shrinks = plane.shape[0] >= size[0]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=mode), dtype=np.uint8)


class Letterboxd(MapTransform):
    """Lay a film, and its layers, into the network's rectangle; `placement` tells the way back.

    Args:
        keys: Keys of films, (channel, height, width), and of layers (int32), all of one size.
        height: Height of the rectangle in pixels.
        width: Width of the rectangle in pixels.
        fineness: Layers get so many pixels along each pixel of the rectangle.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        height: int,
        width: int,
        fineness: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if min(height, width, fineness) < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected height, width and fineness of at least 1, got {height}, {width} and "
                f"{fineness}",
            )
        self.network = (height, width)
        self.fineness = fineness

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that a film of the given ones takes up in the rectangle."""
        return Letterbox((height, width), self.network).inner

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Lay each key into the rectangle, and put its `Letterbox` under `placement`."""
        item = dict(data)
        read = take_read_size(item)
        for key in self.key_iterator(item):
            planes = np.asarray(item[key])
            # Masks are read whole.
            whole, extent = planes.shape[1:], None
            if read is not None and planes.dtype != np.int32:
                whole, extent = read
            placement = Letterbox(whole, self.network)
            laid = (
                placement.layers_to_network(planes, fineness=self.fineness)
                if planes.dtype == np.int32
                else placement.to_network(planes, extent=extent)
            )
            item[key] = torch.from_numpy(np.ascontiguousarray(laid))
            item["placement"] = placement
        return item
