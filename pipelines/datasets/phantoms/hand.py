"""Generated hand radiographs with the exact outline of each of the 29 bones.

`hand_radiograph` draws one film: a person (`hand_anatomy`), a pose (`hand_pose`), the attenuation
(`hand_rendering`) and the film (`hand_film`).
"""

from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.phantoms.hand_anatomy import Person
from pipelines.datasets.phantoms.hand_bone import Hand
from pipelines.datasets.phantoms.hand_film import expose
from pipelines.datasets.phantoms.hand_placing import Film, draw_film, film_window, place_hand
from pipelines.datasets.phantoms.hand_pose import draw_pose, lay_hand
from pipelines.datasets.phantoms.hand_rendering import Placement, attenuate
from pipelines.labels import HAND_BONES

_LEAST_DRAWN_SIDE = 1024
_ATTEMPTS = 20
_FINENESS = 4


@dataclass(frozen=True, slots=True)
class HandRadiograph:
    """One generated film.

    Attributes:
        pixels: uint8, (side, side).
        polygons: Bone to its outline, (n, 2) int32, x before y: filled with its border by the
            polygon rule of OpenCV it gives the very pixels of the bone. In the order of
            `HAND_BONES`.
    """

    pixels: npt.NDArray[np.uint8]
    polygons: MappingProxyType[str, npt.NDArray[np.int32]]


def hand_radiograph(
    person: Person, *, right: bool, random: np.random.Generator, side: int = 2048
) -> HandRadiograph:
    """Draw the film of one hand.

    Args:
        person: Whose hand.
        right: Whether it is the right hand.
        random: Source of pose, exposure and everything else.
        side: Height and width of the film; 256 or more.

    Returns:
        The film, all 29 bones on it.
    """
    drawn = max(side, _LEAST_DRAWN_SIDE)
    for _ in range(_ATTEMPTS):
        pose = draw_pose(random)
        hand = lay_hand(person, pose, random)
        film = draw_film(random)
        unit_place = place_hand(hand, film, mirrored=right, turn=pose.turn, random=random)
        polygons = trace_bones(hand, unit_place.enlarged(side), film=film, side=side)
        if len(polygons) == len(HAND_BONES):
            break
    place = unit_place.enlarged(drawn)
    attenuation = attenuate(hand, place, side=drawn, random=random)
    pixels = expose(attenuation, hand, place, film=film, random=random)
    if drawn != side:
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return HandRadiograph(pixels, MappingProxyType(polygons))


def trace_bones(
    hand: Hand, placement: Placement, *, film: Film, side: int
) -> dict[str, npt.NDArray[np.int32]]:
    """Find the pixels of each bone, those of which at least half is bone.

    Args:
        hand: The hand.
        placement: Where it lies, in pixels.
        film: The film; what lies beyond it is cut off.
        side: Height and width of the picture.

    Returns:
        Bone to polygon as in `HandRadiograph`; bones that are not on the film are left out.
    """
    outlines = {bone.name: bone.outline for bone in hand.bones}
    rows, columns = film_window(film, side)
    polygons = {}
    for name in HAND_BONES:
        outline = placement.to_pixels(outlines[name])
        low = np.clip(np.floor(outline.min(axis=0)).astype(int) - 1, 0, side)
        high = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 1, 0, side)
        if (high <= low).any():
            continue
        width, height = high - low
        fine = np.zeros((_FINENESS * height, _FINENESS * width), np.uint8)
        cv2.fillPoly(fine, [np.round((outline - low) * _FINENESS - 0.5).astype(np.int32)], 1)
        mask = cv2.resize(fine * 255, (width, height), interpolation=cv2.INTER_AREA) // 128
        inside = np.zeros(mask.shape, np.bool_)
        inside[
            max(rows.start - low[1], 0) : max(rows.stop - low[1], 0),
            max(columns.start - low[0], 0) : max(columns.stop - low[0], 0),
        ] = True
        mask[~inside] = 0
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if rings:
            ring = max(rings, key=cv2.contourArea)[:, 0]
            polygons[name] = (ring + low).astype(np.int32)
    return polygons
