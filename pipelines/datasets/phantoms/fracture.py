"""Generated films of limb bones, whole and broken.

A film shows one long bone or two side by side as X-rays show tubes: dense cortex at the edges, less
in the middle, broad ends, soft tissue around, a collimated field that is often turned. A break goes
through one bone or both: a jagged dark line, with the far piece shifted and bent away. It is made
to try a pipeline out, not to train a model that anyone should use.

Coordinates of a bone: `along` runs from 0 at one end to 1 at the other, `across` is the distance
from its middle line in the same unit.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float32]
"""float32, (height, width), rows first."""

FILM_SHAPE = (400, 300)
"""Rows and columns of a generated film."""

_BENT = np.float32(0.022)
"""How far a limb strays from a straight one, in heights of the film."""


@dataclass(frozen=True, slots=True)
class Bone:
    """One long bone.

    Attributes:
        middle: Place of its middle, in heights of the film from the film's middle: x and y.
        length: In heights of the film.
        width: Half width of its shaft against its length.
        flare: How much wider its two ends are, against the shaft.
        bend: Curvature: how far its middle strays from the chord, against its length.
    """

    middle: tuple[float, float]
    length: float
    width: float
    flare: tuple[float, float]
    bend: float


@dataclass(frozen=True, slots=True)
class Break:
    """Where and how a bone is broken.

    Attributes:
        along: Place on the bone.
        slope: Change along the bone for each unit across it: 0 is transverse.
        gap: Width of the line, against the length.
        shift: How far the far piece lies to the side, against the length.
        angle: How far it is bent away, in radians.
        teeth: Two frequencies and two phases of the jagged line.
    """

    along: float
    slope: float
    gap: float
    shift: float
    angle: float
    teeth: tuple[float, float, float, float]


def limb_film(
    random: np.random.Generator, *, broken: bool, shape: tuple[int, int] = FILM_SHAPE
) -> Plane:
    """Draw one film of a limb.

    Args:
        random: Source of everything that varies.
        broken: Whether a bone is broken.
        shape: Rows and columns.

    Returns:
        float32, 0 to 1, (height, width); bone is bright.
    """
    x, y = _limb_grid(random, shape)
    bones = _draw_bones(random)
    breaks = [_draw_break(random) for _ in bones]
    # Drawn in both cases, so that films of both classes are alike in all else for equal seeds.
    both = random.random() < 0.5  # noqa: PLR2004 - half of the pairs
    first = int(random.integers(len(bones)))
    density = _soft_tissue(x, y, bones=bones)
    for index, (bone, fracture) in enumerate(zip(bones, breaks, strict=True)):
        hurt = broken and (both or index == first)
        density += 0.5 * _bone(x, y, bone=bone, fracture=fracture if hurt else None)
    return _expose(density, random=random)


def _limb_grid(random: np.random.Generator, shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Coordinates of every pixel in the limb's frame, in heights of the film."""
    rows, columns = shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    x, y = (x - columns / 2) / rows, (y - rows / 2) / rows
    turn = random.normal(0, 0.15)
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    shift = random.uniform(-0.04, 0.04, 2)
    # Bent softly: straight limbs would be copies of one film but for their pose.
    bent_x, bent_y = (_BENT * _smooth_noise(random, shape, rows / 6) for _ in range(2))
    return (x - shift[0] + bent_x).astype(np.float32), (y - shift[1] + bent_y).astype(np.float32)


def _smooth_noise(random: np.random.Generator, shape: tuple[int, int], grain: float) -> Plane:
    """Noise of unit deviation whose grain is so many pixels wide."""
    noise = random.standard_normal(shape, dtype=np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain), dtype=np.float32)
    return blurred / np.float32(blurred.std() + 1e-6)


def _draw_bones(random: np.random.Generator) -> tuple[Bone, ...]:
    """One bone, as in the upper arm, or two, as in the forearm."""
    length = random.uniform(0.72, 0.95)
    flare = (random.uniform(0.5, 1.1), random.uniform(0.6, 1.3))
    bend = random.normal(0, 0.012)
    if random.random() < 0.5:  # noqa: PLR2004 - half of the films
        return (Bone((0.0, 0.0), length, random.uniform(0.05, 0.065), flare, bend),)
    apart = random.uniform(0.075, 0.1)
    thick, thin = random.uniform(0.035, 0.045), random.uniform(0.025, 0.035)
    side = random.choice([-1.0, 1.0])
    return (
        Bone((side * apart, 0.0), length, thick, flare, bend),
        Bone((-side * apart, 0.02), 0.98 * length, thin, flare[::-1], bend / 2),
    )


def _draw_break(random: np.random.Generator) -> Break:
    return Break(
        along=float(random.uniform(0.25, 0.75)),
        slope=float(random.normal(0, 0.6)),
        gap=float(random.uniform(0.006, 0.016)),
        shift=float(random.uniform(0.01, 0.04) * random.choice([-1, 1])),
        angle=float(random.uniform(0.03, 0.25) * random.choice([-1, 1])),
        teeth=(
            float(random.uniform(60, 110)),
            float(random.uniform(140, 220)),
            float(random.uniform(0, 2 * np.pi)),
            float(random.uniform(0, 2 * np.pi)),
        ),
    )


def _bone(x: Plane, y: Plane, *, bone: Bone, fracture: Break | None) -> Plane:
    """Density of a bone, 0 to about 1."""
    across = ((x - bone.middle[0]) / bone.length).astype(np.float32)
    along = ((y - bone.middle[1]) / bone.length + 0.5).astype(np.float32)
    if fracture is None:
        return _tube(along, across, bone=bone)
    near = _tube(along, across, bone=bone) * _side(-_beyond(along, across, fracture))
    cosine, sine = np.cos(fracture.angle), np.sin(fracture.angle)
    down, aside = along - fracture.along - fracture.gap, across - fracture.shift
    turned_along = (cosine * down - sine * aside + fracture.along).astype(np.float32)
    turned_across = (sine * down + cosine * aside).astype(np.float32)
    far = _tube(turned_along, turned_across, bone=bone)
    return near + far * _side(_beyond(turned_along, turned_across, fracture))


def _beyond(along: Plane, across: Plane, fracture: Break) -> Plane:
    """How far a point lies beyond the jagged line."""
    first, second, phase, other = fracture.teeth
    jagged = 0.006 * np.sin(first * across + phase) + 0.003 * np.sin(second * across + other)
    line = fracture.along + fracture.slope * across + jagged
    return np.asarray(along - line, dtype=np.float32)


def _side(distance: Plane) -> Plane:
    """1 where `distance` is positive, 0 where it is negative."""
    return np.asarray(0.5 + 0.5 * np.tanh(distance / 0.002), dtype=np.float32)


def _tube(along: Plane, across: Plane, *, bone: Bone) -> Plane:
    """What X-rays meet of a hollow bone: the way through its wall, and a little marrow."""
    across = across - bone.bend * (1 - (2 * along - 1) ** 2)
    start, end = np.exp(-((along / 0.13) ** 2)), np.exp(-(((along - 1) / 0.13) ** 2))
    outer = bone.width * (1 + bone.flare[0] * start + bone.flare[1] * end)
    # The wall is thick in the shaft and thin at the ends, which spongy bone fills.
    inner = outer * (0.6 + 0.33 * np.maximum(start, end))
    chord = np.sqrt(np.clip(outer**2 - across**2, 0, None))
    hollow = np.sqrt(np.clip(inner**2 - across**2, 0, None))
    rounded = np.minimum(along, 1 - along) - across**2 / (3 * outer)
    ends = np.clip(rounded / 0.02, 0, 1)
    wall = (chord - 0.75 * hollow) / bone.width
    return np.asarray(wall * np.sqrt(ends), dtype=np.float32)


def _soft_tissue(x: Plane, y: Plane, *, bones: tuple[Bone, ...]) -> Plane:
    half_width = 0.17 + 0.03 * len(bones) + 0.02 * np.sin(3 * y + 0.5)
    inside = np.sqrt(np.clip(1 - (x / half_width) ** 2, 0, 1))
    return np.asarray(0.3 * inside, dtype=np.float32)


def _expose(density: Plane, *, random: np.random.Generator) -> Plane:
    """Scatter, display curve, noise, and a collimated field."""
    blurred = cv2.GaussianBlur(density, (0, 0), random.uniform(0.6, 1.2))
    scattered = 0.85 * blurred + 0.15 * cv2.GaussianBlur(density, (0, 0), 20)
    shown = np.clip(scattered * random.uniform(0.8, 1.1) + 0.03, 0, 1) ** random.uniform(0.8, 1.3)
    grain = cv2.GaussianBlur(random.standard_normal(density.shape, dtype=np.float32), (0, 0), 0.7)
    film = shown + random.uniform(0.01, 0.03) * grain
    rows, columns = density.shape
    field = (rows * random.uniform(0.9, 1.3), columns * random.uniform(0.85, 1.3))
    corners = cv2.boxPoints(
        ((columns / 2, rows / 2), (field[1], field[0]), float(random.normal(0, 5)))
    )
    opened = np.zeros(density.shape, np.float32)
    cv2.fillConvexPoly(opened, np.rint(corners).astype(np.int32), 1.0, cv2.LINE_AA)
    return np.asarray(np.clip(film * opened, 0, 1), dtype=np.float32)
