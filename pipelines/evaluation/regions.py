"""The shape of one structure on a film: its box, its edge, its connected parts, its length.

A mask is bool or uint8, (height, width), rows first; what is not 0 belongs to the structure.
Everything is computed within the structure's bounding box, so that a small bone on a large film
costs little. Pixels that touch at a corner are connected.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.evaluation.cases import Floats

Mask = npt.NDArray[Any]

_DIAGONAL = 8
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A structure cut out of its film.

    Attributes:
        row: Row of the film that is the first of the box.
        column: Column of the film that is the first of the box.
        mask: uint8, (height, width) of the box; 0 outside the structure.
    """

    row: int
    column: int
    mask: npt.NDArray[np.uint8]

    @classmethod
    def around(cls, mask: Mask) -> "Box | None":
        """Cut a structure out; None if the mask is empty."""
        bytes_ = np.ascontiguousarray(mask != 0 if mask.dtype.itemsize > 1 else mask)
        column, row, width, height = cv2.boundingRect(bytes_.view(np.uint8))
        if not width:
            return None
        return cls(row, column, bytes_.view(np.uint8)[row : row + height, column : column + width])


def edge_points(mask: Mask) -> Floats:
    """Find the pixels of a structure that have a neighbour (up, down, left, right) outside it.

    The border of the film counts as outside.

    Args:
        mask: The structure.

    Returns:
        float64, (n, 2), row and column of each; n is 0 for an empty mask.
    """
    box = Box.around(mask)
    if box is None:
        return np.empty((0, 2))
    held = (box.mask != 0).astype(np.uint8)
    inner = cv2.erode(held, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    corner = np.array([box.row, box.column], dtype=np.float64)
    points: Floats = np.argwhere(held > inner).astype(np.float64) + corner
    return points


def count_components(mask: Mask) -> int:
    """Count the connected parts of a structure; 0 for an empty mask."""
    box = Box.around(mask)
    return 0 if box is None else cv2.connectedComponents(box.mask, connectivity=_DIAGONAL)[0] - 1


def without_fragments(mask: Mask, *, largest: bool = True, smallest_area: int = 0) -> Mask:
    """Remove connected parts that are no structure of their own.

    Args:
        mask: The structure.
        largest: Keep the largest part alone; of equal ones the first from the top.
        smallest_area: Remove every part of fewer pixels than this.

    Returns:
        bool, (height, width).
    """
    cleaned: Mask = np.zeros(mask.shape, dtype=np.bool_)
    box = Box.around(mask)
    if box is None:
        return cleaned
    _, labels, parts, _ = cv2.connectedComponentsWithStats(box.mask, connectivity=_DIAGONAL)
    areas = parts[1:, cv2.CC_STAT_AREA]
    kept = areas >= smallest_area
    if largest:
        kept &= np.arange(len(areas)) == np.argmax(areas)
    height, width = labels.shape
    cleaned[box.row : box.row + height, box.column : box.column + width] = np.r_[False, kept][
        labels
    ]
    return cleaned


def principal_length(mask: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Measure the extent of a structure along its principal axis.

    The principal axis is the direction in which the structure spreads most (that of the larger
    second central moment); the extent is the distance between the two lines at right angles to it
    that just enclose all pixels, taken as rectangles of the given sides (a Feret diameter).

    Args:
        mask: The structure.
        spacing: Distance between rows and between columns, such as in mm; the axis is found in
            these units, so pixels that are not square do not bend it.

    Returns:
        The extent in the units of `spacing`; 0 for an empty mask.

    References:
        Walton, Feret's statistical diameter as a measure of particle size, Nature 162 (1948).
    """
    box = Box.around(mask)
    if box is None:
        return 0.0
    moments = cv2.moments(box.mask, binaryImage=True)
    steps = np.asarray(spacing, dtype=np.float64)
    spread = np.array([[moments["mu02"], moments["mu11"]], [moments["mu11"], moments["mu20"]]])
    _, axes = np.linalg.eigh(spread * np.outer(steps, steps))
    axis = axes[:, -1]
    along = (edge_points(box.mask) * steps) @ axis
    return float(np.ptp(along) + np.abs(axis) @ steps)
