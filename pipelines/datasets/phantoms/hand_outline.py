"""Outlines of the bones of a hand: smooth closed curves through few points.

Lengths are in hand units: the third metacarpal is about 225 long, so that one unit is a little
more than a quarter of a millimetre in an adult. x points to the thumb, y to the fingertips, and
the origin lies in the capitate.
"""

from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

Points: TypeAlias = npt.NDArray[np.float64]
"""float64, (n, 2), x before y."""


class BoneShape(StrEnum):
    """Kinds of bones that lie along a finger."""

    METACARPAL = "metacarpal"
    THUMB_METACARPAL = "thumb metacarpal"
    PROXIMAL = "proximal phalanx"
    MIDDLE = "middle phalanx"
    DISTAL = "distal phalanx"


_Profile: TypeAlias = tuple[tuple[float, float], ...]

_PROFILES: MappingProxyType[BoneShape, _Profile] = MappingProxyType(
    {
        BoneShape.METACARPAL: (
            (0.0, 0.02),
            (0.45, 0.0),
            (0.80, 0.015),
            (0.86, 0.06),
            (0.74, 0.13),
            (0.56, 0.24),
            (0.46, 0.42),
            (0.46, 0.56),
            (0.58, 0.70),
            (0.82, 0.795),
            (0.98, 0.85),
            (0.98, 0.905),
            (0.82, 0.96),
            (0.45, 0.992),
            (0.0, 1.0),
        ),
        BoneShape.THUMB_METACARPAL: (
            (0.0, 0.03),
            (0.50, 0.0),
            (0.92, 0.015),
            (1.08, 0.08),
            (0.92, 0.18),
            (0.70, 0.32),
            (0.60, 0.48),
            (0.62, 0.62),
            (0.78, 0.76),
            (0.96, 0.86),
            (0.95, 0.92),
            (0.75, 0.97),
            (0.40, 0.995),
            (0.0, 1.0),
        ),
        BoneShape.PROXIMAL: (
            (0.0, 0.025),
            (0.55, 0.005),
            (0.90, 0.01),
            (1.0, 0.06),
            (0.90, 0.12),
            (0.72, 0.23),
            (0.57, 0.42),
            (0.52, 0.60),
            (0.56, 0.76),
            (0.68, 0.875),
            (0.70, 0.94),
            (0.58, 0.985),
            (0.30, 1.0),
            (0.0, 0.975),
        ),
        BoneShape.MIDDLE: (
            (0.0, 0.0),
            (0.45, 0.025),
            (0.85, 0.01),
            (1.0, 0.07),
            (0.90, 0.15),
            (0.68, 0.29),
            (0.52, 0.48),
            (0.49, 0.64),
            (0.56, 0.80),
            (0.70, 0.90),
            (0.70, 0.955),
            (0.55, 0.995),
            (0.28, 1.0),
            (0.0, 0.97),
        ),
        BoneShape.DISTAL: (
            (0.0, 0.0),
            (0.45, 0.02),
            (0.85, 0.01),
            (1.0, 0.09),
            (0.86, 0.19),
            (0.62, 0.33),
            (0.44, 0.50),
            (0.40, 0.64),
            (0.48, 0.76),
            (0.58, 0.86),
            (0.52, 0.94),
            (0.30, 0.99),
            (0.0, 1.0),
        ),
    }
)
"""One side of each bone from the middle of its base to the middle of its head: distance from the
axis as a share of the half width, then place along the axis as a share of the length."""

CARPALS: MappingProxyType[str, _Profile] = MappingProxyType(
    {
        "Trapezium": (
            (60, 30), (70, 37), (81, 40), (86, 30), (92, 18), (100, 7),
            (98, -7), (90, -14), (73, -17), (65, -7), (54, 2), (51, 14),
        ),
        "Trapezoid": (
            (28, 22), (33, 31), (45, 36), (58, 34), (65, 25), (63, 11), (54, 4), (40, 8), (29, 12),
        ),
        "Capitate": (
            (-23, 43), (-10, 38), (10, 37), (22, 27), (24, 12), (20, 0), (23, -14), (19, -28),
            (8, -36), (-5, -36), (-14, -27), (-18, -10), (-20, 10), (-22, 30),
        ),
        "Hamate": (
            (-80, 20), (-68, 29), (-57, 37), (-42, 40), (-25, 36), (-21, 22), (-20, 0), (-20, -18),
            (-26, -27), (-35, -23), (-48, -10), (-62, 1), (-76, 8),
        ),
        "Scaphoid": (
            (31, -2), (45, -6), (58, -15), (66, -24), (65, -34), (52, -42), (42, -51), (30, -62),
            (15, -67), (4, -64), (2, -55), (12, -42), (22, -28), (27, -12),
        ),
        "Lunate": (
            (-20, -31), (-30, -35), (-42, -45), (-49, -57), (-43, -67), (-25, -72), (-8, -69),
            (2, -61), (3, -50), (-5, -41), (-11, -32),
        ),
        "Triquetrum": (
            (-92, -17), (-85, -5), (-74, 1), (-63, 1), (-51, -12), (-36, -29), (-47, -44),
            (-60, -51), (-71, -44), (-81, -29),
        ),
        "Pisiform": (
            (-84, -30), (-74, -25), (-62, -29), (-54, -42), (-57, -54), (-70, -59), (-81, -53),
            (-86, -41),
        ),
    }
)  # fmt: skip
"""Outlines of the carpal bones of a left hand seen from the back, in hand units."""

RADIUS: _Profile = (
    (62, -45), (70, -56), (72, -72), (68, -93), (66, -112), (56, -142), (47, -180), (42, -225),
    (38, -330), (36, -600), (36, -950), (-12, -950), (-12, -600), (-12, -330), (-16, -225),
    (-21, -175), (-29, -138), (-39, -110), (-43, -90), (-42, -76), (-26, -71), (0, -70),
    (25, -63), (42, -55), (52, -47),
)  # fmt: skip
"""Radius from the tip of its styloid; the far end always lies outside the film."""

ULNA: _Profile = (
    (-98, -60), (-92, -70), (-85, -76), (-62, -75), (-49, -82), (-45, -95), (-49, -115),
    (-58, -148), (-64, -190), (-66, -330), (-66, -600), (-66, -950), (-106, -950), (-104, -600),
    (-103, -330), (-102, -180), (-106, -125), (-109, -98), (-108, -82), (-104, -67),
)  # fmt: skip
"""Ulna from the tip of its styloid."""


def closed_curve(corners: Points, *, count: int = 160) -> Points:
    """Draw a smooth closed curve through points.

    Args:
        corners: Points in order, (n, 2), n at least 4; no two neighbours are the same.
        count: Points on the curve.

    Returns:
        (count, 2); the last point is not a repetition of the first.
    """
    ring = np.vstack([corners, corners[:1]])
    # Centripetal: no loops where points stand close together.
    steps = np.sqrt(np.hypot(*np.diff(ring, axis=0).T))
    place = np.concatenate([[0.0], np.cumsum(steps)])
    spline = CubicSpline(place, ring, bc_type="periodic")
    return np.asarray(spline(np.linspace(0, place[-1], count, endpoint=False)))


def long_bone(
    shape: BoneShape,
    *,
    length: float,
    half_width: float,
    random: np.random.Generator,
    slimness: float = 1.0,
    base: float = 1.0,
) -> Points:
    """Draw a bone of a finger with its base at the origin and its head at (0, `length`).

    Args:
        shape: Which kind of bone.
        length: Length in hand units.
        half_width: Half the width at the widest part, in hand units.
        random: Source of what differs from bone to bone.
        slimness: Factor on the width of the shaft alone, around 1.
        base: Factor on the width of the base alone, around 1.

    Returns:
        Corners for `closed_curve`, (n, 2), hand units.
    """
    profile = np.array(_PROFILES[shape])
    shaft = np.exp(-(((profile[:, 1] - 0.5) / 0.22) ** 2))
    foot = np.exp(-((profile[:, 1] / 0.15) ** 2))
    across = profile[:, 0] * (1 + (slimness - 1) * shaft + (base - 1) * foot) * half_width
    along = profile[:, 1] * length
    slant = random.normal(0, 0.06)
    sides = []
    for side in (1, -1):
        width = (
            across * (1 + random.normal(0, 0.05))
            + random.normal(0, 0.03, across.shape) * (across > 0) * half_width
        )
        height = along + random.normal(0, 0.006, along.shape) * length
        # Only the base is slanted, as that of the metacarpals.
        height += side * slant * across * np.exp(-along / (0.15 * length))
        sides.append(np.column_stack([side * width, height]))
    right, left = sides
    bend = random.normal(0, 0.018) * length
    corners = np.vstack([right, left[-2:0:-1]])
    share = corners[:, 1] / length
    corners[:, 0] += bend * 4 * share * (1 - share)
    return corners


def vary(corners: Points, *, strength: float, random: np.random.Generator) -> Points:
    """Change an outline a little: size, proportions, turn, place, and a few waves along its rim.

    Args:
        corners: (n, 2), hand units.
        strength: 0 for none, 1 for what differs between adults.
        random: Source of the change.

    Returns:
        Corners, (n, 2).
    """
    center = corners.mean(axis=0)
    offset = corners - center
    angle = np.arctan2(offset[:, 1], offset[:, 0])
    radius = 1 + strength * sum(
        random.normal(0, 0.05 / order) * np.cos(order * angle + random.uniform(0, 2 * np.pi))
        for order in (2, 3, 4, 5)
    )
    turn = strength * random.normal(0, 0.07)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    size = 1 + strength * random.normal(0, 0.05)
    moved = (offset * radius[:, None]) @ rotation.T * size
    return np.asarray(center + moved + strength * random.normal(0, 2.2, 2))


def placed(corners: Points, *, origin: Sequence[float], angle: float) -> Points:
    """Turn corners by an angle, from the y axis towards the thumb (radians), and move them."""
    x, y = corners[:, 0], corners[:, 1]
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.column_stack([x * cosine + y * sine + origin[0], y * cosine - x * sine + origin[1]])
