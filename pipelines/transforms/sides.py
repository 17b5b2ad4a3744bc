"""One mask of a pair of organs becomes two, by where they lie on the film."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason

_PAIR = 2


def split_sides(mask: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Split a mask of two organs into one for each side of the film.

    The two largest connected parts are the organs; every further part goes to the nearer one.

    Args:
        mask: (height, width); not 0 belongs to either organ.

    Returns:
        uint8, 0 or 1, (2, height, width): first what lies on the left of the film, which on a
        frontal film is the patient's right.

    Raises:
        InputError: If all of the mask is connected, or there is none.
    """
    count, parts, boxes, centres = cv2.connectedComponentsWithStats((mask != 0).astype(np.uint8))
    if count <= _PAIR:
        raise InputError(
            Reason.CORRUPT,
            f"expected two organs apart from each other, got {count - 1} part; correct the mask",
        )
    largest = 1 + np.argsort(-boxes[1:, cv2.CC_STAT_AREA], kind="stable")[:_PAIR]
    largest = largest[np.argsort(centres[largest, 0])]
    distances = np.linalg.norm(centres[:, None] - centres[largest], axis=2)
    side = distances.argmin(axis=1)
    side[0] = _PAIR
    return np.stack([side[parts] == place for place in range(_PAIR)]).astype(np.uint8)
