"""Polygons become layers: one plane of bits in which structures may overlap."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.annotations import Points

Layers: TypeAlias = npt.NDArray[np.int32]
"""(1, height, width); bit k is set where channel k is."""

MOST_LAYERS = 31
"""Channels that fit into an int32 beside its sign."""


def fill_polygons(
    polygons: Mapping[str, Points], *, classes: Sequence[str], size: tuple[int, int]
) -> Layers:
    """Fill each polygon into the layer of its name.

    A pixel is filled when its centre lies inside the polygon, and also when the outline passes
    through it: the rule of `cv2.fillPoly`, by which annotation tools and the public score fill
    them. Points are rounded to whole pixels first.

    Args:
        polygons: Points of each structure, by its name.
        classes: Names in the order of the layers, at most 31.
        size: Height and width of the film.

    Returns:
        The layers.

    Examples:
        >>> square = np.array([[1.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0]])
        >>> fill_polygons({"a": square}, classes=["b", "a"], size=(2, 4)).tolist()
        [[[0, 2, 2, 0], [0, 2, 2, 0]]]
    """
    layers = np.zeros(size, dtype=np.int32)
    for channel, name in enumerate(classes):
        if name not in polygons:
            continue
        points = np.rint(polygons[name]).astype(np.int32)
        left, top, width, height = cv2.boundingRect(points)
        filled = np.zeros((height, width), dtype=np.int32)
        cv2.fillPoly(filled, [points - (left, top)], 1 << channel)
        layers[top : top + height, left : left + width] |= filled
    return layers[None]
