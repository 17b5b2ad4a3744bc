"""What a posed hand is made of, before X-rays meet it."""

from dataclasses import dataclass

import numpy as np

from pipelines.datasets.phantoms.hand_anatomy import Person
from pipelines.datasets.phantoms.hand_outline import Points, placed

OUTLINE_POINTS = 160
"""Points on the outline of a bone."""

_WRIST = np.array([-5.0, -62.0])


@dataclass(frozen=True, slots=True)
class Pose:
    """How one hand lies.

    Attributes:
        spread: How far the fingers are spread: 0 side by side, 1 relaxed, 2 wide.
        fan: Factor on the angles between the metacarpals, around 1.
        thumb: Direction of the thumb's metacarpal in degrees from the y axis.
        flexion: Share of its length that a bent bone may lose to foreshortening.
        deviation: Turn of the forearm against the hand, in degrees.
        turn: Turn of the whole hand on the film, in degrees.
    """

    spread: float
    fan: float
    thumb: float
    flexion: float
    deviation: float
    turn: float


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone as it lies on the film.

    Attributes:
        name: Its label.
        outline: Closed curve, (n, 2), hand units.
        axis: From base to head of a long bone, (2, 2), hand units; None for a carpal bone.
        plates: Growth plates, each a line across the bone, (n, 2), hand units.
        folds: Edges of the bone's own surface that cross its shadow, each (n, 2), hand units.
        strength: Factor on its attenuation.
    """

    name: str
    outline: Points
    axis: Points | None
    plates: tuple[Points, ...]
    folds: tuple[Points, ...]
    strength: float


@dataclass(frozen=True, slots=True)
class Pebble:
    """A small round bone without a label, in hand units."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Hand:
    """A posed hand.

    Attributes:
        person: Whose hand.
        bones: The 29 bones, in no order.
        pebbles: Sesamoid bones.
        flesh: Polygons whose union is the soft tissue, hand units.
        muscle: The fold of the ball of the thumb, hand units.
    """

    person: Person
    bones: tuple[Bone, ...]
    pebbles: tuple[Pebble, ...]
    flesh: tuple[Points, ...]
    muscle: Points


@dataclass(frozen=True, slots=True)
class Draw:
    """What every part of a hand is built from.

    Attributes:
        person: Whose hand.
        pose: How it lies.
        shapes: Source of what both hands of the person share.
        random: Source of what differs between them.
    """

    person: Person
    pose: Pose
    shapes: np.random.Generator
    random: np.random.Generator


def turned_at_wrist(points: Points, degrees: float) -> Points:
    """Turn points around the middle of the wrist."""
    origin = (float(_WRIST[0]), float(_WRIST[1]))
    return placed(points - _WRIST, origin=origin, angle=float(np.radians(degrees)))
