"""Outlines of structures on a film, at any size of the picture.

Colours are those of Okabe and Ito, told apart by colour-blind people; structures take them in turn,
so that neighbours in the list of classes differ.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.evaluation.cases import Floats
from pipelines.evaluation.regions import Box, Mask
from pipelines.radiograph import Pixels

Picture = npt.NDArray[np.uint8]
"""(height, width, 3), red, green and blue."""

COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
)
"""For dark grounds, so without Okabe and Ito's black and dark blue."""

_FILL = 0.22
_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Where a structure lies on its film.

    Attributes:
        contours: Closed lines around its parts and the holes in them, (n, 2) each, column and row.
        centre: Column and row of a pixel well inside it.
    """

    contours: tuple[Floats, ...]
    centre: tuple[float, float]


def outline(mask: Mask) -> Outline | None:
    """Trace a structure; None if the mask is empty.

    Args:
        mask: bool or uint8, (height, width).

    Returns:
        The outline in pixels of the film.
    """
    box = Box.around(mask)
    if box is None:
        return None
    corner = np.array([box.column, box.row], dtype=np.float64)
    found, _ = cv2.findContours(box.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # The pixel farthest from the edge: the centre of mass of a bent bone may lie outside it.
    depth = cv2.distanceTransform(cv2.copyMakeBorder(box.mask, 1, 1, 1, 1, 0), cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return Outline(
        contours=tuple(contour[:, 0, :].astype(np.float64) + corner for contour in found),
        centre=(float(column - 1 + box.column), float(row - 1 + box.row)),
    )


def film_picture(pixels: Pixels, longest: int) -> tuple[Picture, float]:
    """Show a film at the size of a picture.

    Args:
        pixels: float32, 0 to 1, (1 or 3, height, width).
        longest: Length of the longer side in pixels; small films are enlarged to it.

    Returns:
        The picture, and its pixels to a pixel of the film.
    """
    scale = longest / max(pixels.shape[1:])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[1:])
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    planes = [
        cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=mode)
        for plane in pixels
    ]
    levels = np.rint(np.clip(np.stack(planes, axis=-1), 0, 1) * 255).astype(np.uint8)
    # A copy, also of what has three channels already: outlines are drawn into it.
    return np.broadcast_to(levels, (height, width, 3)).copy(), scale


def draw_outline(picture: Picture, traced: Outline, *, scale: float, number: int) -> None:
    """Draw a structure into a picture: its outline, and a light fill.

    Args:
        picture: Of the film; changed.
        traced: The structure, in pixels of the film.
        scale: Pixels of the picture to a pixel of the film.
        number: Place of the structure in the list of classes; it decides the colour.
    """
    colour = COLOURS[number % len(COLOURS)]
    lines = [_in_picture(contour, scale) for contour in traced.contours]
    everything = np.concatenate(lines) >> _FRACTION_BITS
    left, top = np.maximum(everything.min(axis=0), 0)
    right, bottom = everything.max(axis=0) + 2
    area = np.zeros(picture.shape[:2], dtype=np.uint8)
    cv2.fillPoly(area, lines, 1, shift=_FRACTION_BITS)
    part = picture[top:bottom, left:right]
    inside = area[top:bottom, left:right, None] * np.float32(_FILL)
    part[:] = np.rint(part * (1 - inside) + np.array(colour, np.float32) * inside)
    thickness = max(1, round(max(picture.shape[:2]) / 700))
    cv2.polylines(
        picture,
        lines,
        isClosed=True,
        color=colour,
        thickness=thickness,
        lineType=cv2.LINE_AA,
        shift=_FRACTION_BITS,
    )


def in_picture(place: tuple[float, float], scale: float) -> tuple[float, float]:
    """Return where the centre of a pixel of the film lies in a picture of it."""
    return (place[0] + 0.5) * scale - 0.5, (place[1] + 0.5) * scale - 0.5


def _in_picture(contour: Floats, scale: float) -> npt.NDArray[np.int32]:
    places = (contour + 0.5) * scale - 0.5
    rounded: npt.NDArray[np.int32] = np.rint(places * 2**_FRACTION_BITS).astype(np.int32)
    # At small sizes most points of a contour fall onto their neighbours.
    changed = np.r_[True, np.any(rounded[1:] != rounded[:-1], axis=1)]
    kept: npt.NDArray[np.int32] = rounded[changed]
    return kept
