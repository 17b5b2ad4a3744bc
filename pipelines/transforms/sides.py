"""One mask of a pair of organs becomes two, by where they lie on the film."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason

_PAIR = 2
_SMALLEST_SHARE = 0.1
_EROSIONS = (0, 1, 2, 4, 8, 16)


def split_sides(mask: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Split a mask of two organs into one for each side of the film.

    The two largest connected parts are the organs, where each has a tenth of the mask; organs that
    touch are worn down from the edges until they part. Every other pixel goes to the nearer one.

    Args:
        mask: (height, width); not 0 belongs to either organ.

    Returns:
        uint8, 0 or 1, (2, height, width): first what lies on the left of the film, which on a
        frontal film is the patient's right.

    Raises:
        InputError: If the mask does not fall into two parts.
    """
    whole = (mask != 0).astype(np.uint8)
    for steps in _EROSIONS:
        worn = cv2.erode(whole, None, iterations=steps) if steps else whole
        organs = _two_largest(worn, smallest=_SMALLEST_SHARE * worn.sum())
        if organs is not None:
            left, right = (
                cv2.distanceTransform(np.uint8(1) - organ, cv2.DIST_L2, cv2.DIST_MASK_5)
                for organ in organs
            )
            return np.stack([whole & (left <= right), whole & (left > right)])
    raise InputError(
        Reason.CORRUPT,
        "expected a mask of two organs, got one that does not fall into two parts; correct it",
    )


def _two_largest(
    mask: npt.NDArray[np.uint8], *, smallest: float
) -> list[npt.NDArray[np.uint8]] | None:
    """The two largest connected parts from left to right, when both are large enough."""
    _, parts, boxes, centres = cv2.connectedComponentsWithStats(mask)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    largest = 1 + np.argsort(-areas, kind="stable")[:_PAIR]
    if len(largest) < _PAIR or areas[largest - 1].min() < max(smallest, 1):
        return None
    ordered = largest[np.argsort(centres[largest, 0])]
    return [(parts == place).astype(np.uint8) for place in ordered]
