"""Films read smaller than they are, where what comes behind needs less.

A film that is to become a picture of 224 pixels need not be decoded at 2048. It is read at a half,
a quarter or an eighth of its size, such that at least `OVERSAMPLING` pixels are left for each one
that is needed: JPEG 2000 and JPEG leave out the fine detail while decoding, other films are
averaged over blocks at once. Pixel (i, j) of a film reduced by k stands for rows k i to k (i + 1)
of the whole film and the columns likewise; the last ones may reach beyond its edge, so that size
and spacing of the whole film, and k, say where everything lies.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.radiograph import Pixels, Radiograph

LeastSize: TypeAlias = Callable[[int, int], tuple[int, int]]
"""Tells for the height and width of a film how many rows and columns of it are needed."""

OVERSAMPLING = 1.75
"""Pixels read along each one that is needed, at least: fewer lose detail that is needed."""

_FACTORS = (8, 4, 2)


def reduction(height: int, width: int, least_size: LeastSize | None) -> int:
    """Tell by how much a film may be reduced while it is read.

    Args:
        height: Of the film in pixels.
        width: Of the film in pixels.
        least_size: What is needed of it; None needs all of it.

    Returns:
        8, 4, 2, or 1 for the whole film.

    Examples:
        >>> reduction(2048, 1792, lambda height, width: (224, 224))
        4
    """
    if least_size is None:
        return 1
    rows, columns = least_size(height, width)
    room = min(height / rows, width / columns) / OVERSAMPLING
    return next((factor for factor in _FACTORS if factor <= room), 1)


def reduced_size(height: int, width: int, factor: int) -> tuple[int, int]:
    """Return height and width of a film of the given ones, reduced; parts of blocks count."""
    return -(-height // factor), -(-width // factor)


def block_means(plane: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """Average blocks of pixels.

    Args:
        plane: (height, width) of uint8, uint16, int16 or float32.
        factor: Side of a block: 1, 2, 4 or 8. A block that reaches beyond the edge is averaged over
            what there is of it.

    Returns:
        The same type, whole numbers rounded, of the size that `reduced_size` says.

    Examples:
        >>> block_means(np.array([[0, 2, 5], [2, 4, 7]], np.uint16), 2)
        array([[2, 6]], dtype=uint16)
    """
    while factor > 1:
        plane, factor = _halved(plane), factor // 2
    return plane


def _halved(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # By two at a time: OpenCV has vector code for blocks of two, and none for larger ones.
    height, width = (side // 2 * 2 for side in plane.shape)
    half = np.empty(reduced_size(plane.shape[0], plane.shape[1], 2), plane.dtype)
    # The even part, then an odd column, an odd row and the corner, which is a block of one pixel.
    for rows in (slice(0, height), slice(height, None)):
        for columns in (slice(0, width), slice(width, None)):
            block = plane[rows, columns]
            if block.size:
                target = half[_half_of(rows), _half_of(columns)]
                target[:] = cv2.resize(block, target.shape[::-1], interpolation=cv2.INTER_AREA)
    return half


def _half_of(part: slice) -> slice:
    return slice(part.start // 2, part.stop and part.stop // 2)


def moved_to_blocks(plane: Pixels, factor: int) -> Pixels:
    """Move what JPEG 2000 gives at a lower resolution to the middles of blocks.

    Its filters leave values at the first pixel of each block (ISO/IEC 15444-1, annex F): taken for
    means of blocks, the film would lie (factor - 1) / 2 pixels too far to the right and below.

    Args:
        plane: float32, (height, width).
        factor: Side of a block.

    Returns:
        The same shape, interpolated bilinearly.
    """
    shift = (factor - 1) / (2 * factor)
    weights = np.array([1 - shift, shift])
    moved: Pixels = np.asarray(
        cv2.sepFilter2D(plane, -1, weights, weights, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    )
    return moved


def reduce_film(film: Radiograph, least_size: LeastSize | None) -> Radiograph:
    """Reduce a film that was read whole.

    Args:
        film: The film; one that is reduced already stays as it is.
        least_size: What is needed of it.

    Returns:
        The film, as much smaller as `reduction` says.
    """
    factor = 1 if film.reduced_by > 1 else reduction(*film.size, least_size)
    if factor == 1:
        return film
    pixels = np.stack([block_means(plane, factor) for plane in film.pixels])
    return replace(film, pixels=pixels, whole_size=film.size, reduced_by=factor)
