"""The part of a film that a network's picture shows, followed through resizing and cropping."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from monai.data import MetaTensor

_SMALL = 1e-6


@dataclass(frozen=True, slots=True)
class Window:
    """A picture that shows an upright rectangle of a film.

    Attributes:
        film: Height and width of the film in pixels.
        top: Upper edge of the rectangle on the film, in pixels; outside of it when negative.
        left: Left edge.
        height: Height of the rectangle on the film, in pixels.
        width: Its width.
    """

    film: tuple[int, int]
    top: float
    left: float
    height: float
    width: float

    def to_film(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring maps of the picture to the film.

        Args:
            maps: (channel, h, w) of the picture: floats are interpolated, masks (bool or uint8)
                take their nearest neighbour.

        Returns:
            The same type, (channel, height, width) of the film, 0 outside the rectangle.
        """
        rows, columns = maps.shape[1:]
        # OpenCV counts from the middle of a pixel, edges from its corner.
        across, down = self.width / columns, self.height / rows
        placed = np.array(
            [
                [across, 0, self.left + (across - 1) / 2],
                [0, down, self.top + (down - 1) / 2],
            ]
        )
        is_float = np.issubdtype(maps.dtype, np.floating)
        mode = cv2.INTER_LINEAR if is_float else cv2.INTER_NEAREST
        film = np.zeros((len(maps), *self.film), dtype=maps.dtype)
        inside = self._inside()
        for target, source in zip(film, maps, strict=True):
            plane = source if is_float else source.astype(np.uint8)
            drawn = cv2.warpAffine(
                plane, placed, self.film[::-1], flags=mode, borderMode=cv2.BORDER_REPLICATE
            )
            target[inside] = drawn[inside].astype(maps.dtype)
        return film

    def _inside(self) -> tuple[slice, slice]:
        rows = slice(max(round(self.top), 0), round(self.top + self.height))
        columns = slice(max(round(self.left), 0), round(self.left + self.width))
        return rows, columns


def window_of(
    image: MetaTensor, *, film: tuple[int, int], spacing_mm: tuple[float, float] | None
) -> Window | None:
    """Return where a picture lies on its film, from the affine that transforms keep.

    Args:
        image: (channel, height, width), read by `LoadRadiographd`.
        film: Height and width of the film as it was read.
        spacing_mm: Of the film as it was read.

    Returns:
        The window; None if the picture was turned or sheared.
    """
    affine = np.asarray(image.affine, dtype=np.float64)
    if np.abs(affine[:2, :2] - np.diag(np.diag(affine[:2, :2]))).max() > _SMALL:
        return None
    scale = np.array(spacing_mm or (1.0, 1.0))
    top, left = affine[:2, -1] / scale
    height, width = np.diag(affine)[:2] / scale * image.shape[1:]
    return Window(film, float(top), float(left), float(height), float(width))
