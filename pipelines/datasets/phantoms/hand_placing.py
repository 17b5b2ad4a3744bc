"""Where the film lies within the square, and the hand on the film."""

from dataclasses import dataclass

import numpy as np

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_bone import Hand
from pipelines.datasets.phantoms.hand_rendering import Placement


@dataclass(frozen=True, slots=True)
class Film:
    """The film's place within the square, in shares of its side.

    Attributes:
        left: Left edge.
        top: Upper edge.
        width: Width.
        height: Height.
    """

    left: float
    top: float
    width: float
    height: float


def draw_film(random: np.random.Generator) -> Film:
    """Draw a format: mostly portrait, a quarter square, seldom landscape."""
    ratio = float(np.clip(random.normal(0.77, 0.09), 0.5, 1.15))
    if happens(random, 0.25):
        ratio = 1.0
    width, height = min(1.0, ratio), min(1.0, 1 / ratio)
    return Film((1 - width) / 2, (1 - height) / 2, width, height)


def place_hand(
    hand: Hand, film: Film, *, mirrored: bool, turn: float, random: np.random.Generator
) -> Placement:
    """Find a place where every finger and the wrist are on the film.

    Args:
        hand: The hand, in hand units.
        film: Where the film lies in a square of side 1.
        mirrored: Whether it is a right hand.
        turn: Turn on the film, in degrees.
        random: Source of the size and the place.

    Returns:
        The place in a square of side 1.
    """
    trial = Placement(1.0, float(np.radians(turn)), mirrored, (0.0, 0.0))
    arm = float(random.uniform(15, 330) if happens(random, 0.9) else random.uniform(330, 600))
    points = [bone.outline for bone in hand.bones if bone.name not in {"Radius", "Ulna"}]
    points += [np.array([[55.0, -95.0 - arm], [-90.0, -95.0 - arm]])]
    corners = trial.to_pixels(np.vstack(points))
    low, high = corners.min(axis=0) - 20, corners.max(axis=0) + 20
    # No margin at the forearm, which runs off the film.
    if np.cos(trial.turn) > 0:
        high[1] -= 20
    else:
        low[1] += 20
    size = high - low
    available = np.array([film.width, film.height])
    room = 1 - abs(random.normal(0, 0.12))
    scale = float((available * float(np.clip(room, 0.6, 1.0)) / size).min())
    slack = available - size * scale
    share = np.array([random.beta(2, 2), random.uniform(0.5, 1.0)])
    shift = np.array([film.left, film.top]) + slack * share - low * scale
    return Placement(scale, trial.turn, mirrored, (float(shift[0]), float(shift[1])))


def film_window(film: Film, side: int) -> tuple[slice, slice]:
    """Rows and columns of a square of `side` pixels that the film covers."""
    left, top = round(film.left * side), round(film.top * side)
    return (
        slice(top, round((film.top + film.height) * side)),
        slice(left, round((film.left + film.width) * side)),
    )
