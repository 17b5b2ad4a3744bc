"""Soft tissue around the bones of a hand, and the small bones that lie in it."""

from collections.abc import Sequence

import cv2
import numpy as np

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_bone import Draw, Pebble, turned_at_wrist
from pipelines.datasets.phantoms.hand_outline import Points

_FINGER_WIDTHS = (1.15, 1.0, 0.9, 0.8, 0.73)
_THUMB_WIDTHS = (1.15, 1.0, 0.9, 0.78)
_ADOLESCENT = 0.75
_FOREARM = (
    (-118, 15), (-120, -60), (-124, -150), (-132, -300), (-150, -600), (-170, -950), (135, -950),
    (112, -500), (90, -220), (92, -110), (104, -50), (118, -10),
)  # fmt: skip
_SESAMOID_CHANCES = (0.75, 0.15, 0, 0, 0.12)


def lay_flesh(joints: Sequence[Points], widths: Sequence[float], draw: Draw) -> list[Points]:
    """Wrap the hand in soft tissue.

    Args:
        joints: For each finger, thumb first, its joints from the wrist to the end of the last
            bone, (n, 2).
        widths: For each finger half its width at the root.
        draw: Person, pose and sources.

    Returns:
        Polygons whose union is the soft tissue.
    """
    polygons = [
        polygon
        for line, width in zip(joints, widths, strict=True)
        for polygon in _finger(line, width)
    ]
    polygons += _palm(joints, draw.person.flesh)
    forearm = np.array(_FOREARM, dtype=np.float64)
    forearm[:, 0] = (forearm[:, 0] + 15) * (0.35 + 0.65 * draw.person.flesh) - 15
    polygons.append(turned_at_wrist(forearm, draw.pose.deviation))
    return polygons


def _hull_of_discs(*discs: tuple[Points, float]) -> Points:
    """Convex hull of discs, each a center and a radius."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    rim = np.vstack([center + radius * circle for center, radius in discs])
    return np.asarray(cv2.convexHull(rim.astype(np.float32))[:, 0], dtype=np.float64)


def _finger(joints: Points, width: float) -> list[Points]:
    """Soft tissue along a finger, one polygon a bone."""
    shares = _FINGER_WIDTHS if len(joints) == len(_FINGER_WIDTHS) else _THUMB_WIDTHS
    return [
        _hull_of_discs((joints[at], width * shares[at]), (joints[at + 1], width * shares[at + 1]))
        for at in range(len(joints) - 1)
    ]


def _palm(joints: Sequence[Points], flesh: float) -> list[Points]:
    """Soft tissue of the palm and of the web of the thumb."""
    thumb, index, *_, little = joints
    pad = 30 * flesh
    heads = [
        (line[1] + (line[2] - line[1]) * share, pad)
        for line, share in zip(joints[1:], (0.12, 0.2, 0.2, 0.12), strict=True)
    ]
    wrist = [(np.array([-88.0, -40.0]), pad * 0.9), (np.array([70.0, -30.0]), pad)]
    palm = _hull_of_discs(*heads, (little[0], pad * 1.2), (index[0], pad), *wrist)
    web = 0.55 * (index[0] + 0.75 * (index[1] - index[0])) + 0.45 * thumb[1]
    web = web + 0.18 * (index[0] - web)
    fold = np.array([index[0], index[0] + 0.85 * (index[1] - index[0]), web, thumb[1], thumb[0]])
    return [palm, fold, _hull_of_discs((thumb[0], pad * 1.1), wrist[1])]


def lay_muscle(joints: Sequence[Points], random: np.random.Generator) -> Points:
    """The rounded edge of the muscle between the thumb and the second metacarpal, (n, 2)."""
    thumb, index = joints[0], joints[1]
    middle = (thumb[0] + thumb[1] + index[0] + index[1]) / 4
    reach = np.linalg.norm(thumb[1] - index[1]) * random.uniform(0.38, 0.5)
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    circle = np.column_stack([np.cos(turn), 1.15 * np.sin(turn)])
    return np.asarray(middle + reach * circle)


def lay_pebbles(joints: Sequence[Points], draw: Draw) -> list[Pebble]:
    """Sesamoid bones: at the thumb of most adults, seldom at other fingers."""
    if draw.person.maturity < _ADOLESCENT:
        return []
    random = draw.random
    pebbles = []
    for index, (line, chance) in enumerate(zip(joints, _SESAMOID_CHANCES, strict=True)):
        if happens(random, chance):
            along = (line[1] - line[0]) / np.linalg.norm(line[1] - line[0])
            aside = np.array([-along[1], along[0]]) * (1 if index == 0 else -1)
            x, y = line[1] + aside * random.uniform(8, 24) - along * random.uniform(-3, 10)
            pebbles.append(Pebble(float(x), float(y), float(random.uniform(4, 7.5))))
    return pebbles
