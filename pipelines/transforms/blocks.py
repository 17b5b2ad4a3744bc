"""From means of blocks of a film to means of other areas of it.

The mean over an area that does not end where blocks end is not known from the blocks alone. Their
running sum is known at every edge of a block; between the edges it is interpolated by cubics, so
that a film that changes smoothly gives what all of its pixels would give, where taking each block
as one flat pixel would not.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.radiograph import Pixels

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Extent: TypeAlias = tuple[float, float]
"""Height and width that a film takes up of a picture, in pixels of the picture."""

_KEPT = 64
"""Weights of so many sizes stay in memory: about 20 kB each."""
_NOTHING = 1e-9


def resize_blocks(pixels: Pixels, *, height: int, width: int, extent: Extent) -> Pixels:
    """Resize means of blocks by averaging areas.

    Args:
        pixels: float32, (channel, height, width).
        height: New height in pixels, less than that of `pixels`.
        width: New width in pixels, less than that of `pixels`.
        extent: What of the pixels becomes the new picture, from the upper left corner, to parts of
            a pixel: the last blocks may reach beyond the film.

    Returns:
        float32, (channel, height, width).
    """
    down = _weights(pixels.shape[1], extent[0], height)
    across = _weights(pixels.shape[2], extent[1], width)
    planes = [(across @ np.ascontiguousarray((down @ plane).T)).T for plane in pixels]
    return np.stack(planes).astype(np.float32, copy=False)


@lru_cache(_KEPT)
def _weights(blocks: int, extent: float, count: int) -> "csr_array":
    """Return how much each block adds to each of `count` areas along one axis."""
    from scipy.sparse import csr_array

    edges = np.linspace(0, extent, count + 1)
    sums = np.tril(np.ones((blocks + 1, blocks)), -1)
    weights = np.diff(_interpolation(edges, blocks) @ sums, axis=0) * (count / extent)
    weights[np.abs(weights) < _NOTHING] = 0
    return csr_array(weights.astype(np.float32))


def _interpolation(places: npt.NDArray[np.float64], last: int) -> npt.NDArray[np.float64]:
    """Return cubic (Lagrange) weights of values at 0 … last; the ends go on in straight lines."""
    first = np.minimum(np.floor(places).astype(np.int64), last - 1)
    part = places - first
    cubic = {
        -1: -part * (part - 1) * (part - 2) / 6,
        0: (part + 1) * (part - 1) * (part - 2) / 2,
        1: -(part + 1) * part * (part - 2) / 2,
        2: (part + 1) * part * (part - 1) / 6,
    }
    # One place more at either end, taken back to the two that are next to it.
    weights = np.zeros((len(places), last + 3))
    for offset, each in cubic.items():
        weights[np.arange(len(places)), first + offset + 1] = each
    weights[:, [1, 2]] += weights[:, [0]] * [2, -1]
    weights[:, [-2, -3]] += weights[:, [-1]] * [2, -1]
    return weights[:, 1:-1]
