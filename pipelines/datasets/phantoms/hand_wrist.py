"""The bones of the wrist and the ends of the forearm."""

import numpy as np

from pipelines.datasets.phantoms.hand_bone import OUTLINE_POINTS, Bone, Draw, turned_at_wrist
from pipelines.datasets.phantoms.hand_outline import (
    CARPALS,
    RADIUS,
    ULNA,
    Points,
    closed_curve,
    placed,
    vary,
)

_LOOSENESS = {"Pisiform": 5.0, "Trapezoid": 2.5, "Trapezium": 2.5}
_STYLOID_LEVEL = -75.0
_PLATE_LEVEL = -93.0
_RADIUS_PLATE = ((-48, -92), (-20, -90), (10, -92), (40, -94), (75, -98))
_ULNA_PLATE = ((-112, -90), (-95, -91), (-75, -93), (-60, -92), (-40, -92))


def lay_carpals(draw: Draw, *, stretch: Points) -> list[Bone]:
    """Put the eight bones of the wrist in their places.

    Args:
        draw: Person, pose and sources.
        stretch: Factors on x and y that the whole hand shares, (2,).

    Returns:
        The bones, with what they overlap of each other.
    """
    shapes, person = draw.shapes, draw.person
    size = person.carpal_size * shapes.normal(1.03, 0.035)
    shear = np.array([[1.0, shapes.normal(0, 0.05)], [shapes.normal(0, 0.04), 1.0]])
    bones = []
    for name, template in CARPALS.items():
        corners = vary(np.array(template, dtype=np.float64), strength=1.0, random=shapes)
        corners = (corners * stretch) @ shear.T
        middle = corners.mean(axis=0)
        center = middle + shapes.normal(0, 1, 2) * _LOOSENESS.get(name, 0.0)
        offset = corners - middle
        if name == "Trapezium":
            angle = float(np.radians(0.3 * (draw.pose.thumb - 38)))
            offset = placed(offset, origin=(0, 0), angle=angle)
        offset = _rounder(offset, person.roundness) * size
        outline = closed_curve(center + offset, count=OUTLINE_POINTS)
        folds = [_facet(outline, shapes) for _ in range(shapes.integers(0, 3))]
        if name == "Hamate":
            folds.append(_hook(outline, shapes))
        bones.append(Bone(name, outline, None, (), tuple(folds), float(shapes.normal(1, 0.1))))
    return bones


def _rounder(offset: Points, share: float) -> Points:
    """Blend an outline around the origin with the disc of equal mean radius."""
    radius = np.hypot(offset[:, 0], offset[:, 1])[:, None]
    return np.asarray(offset * ((1 - share) + share * radius.mean() / radius))


def _facet(outline: Points, shapes: np.random.Generator) -> Points:
    """A part of the outline, drawn inwards: the rim of a joint surface."""
    start = int(shapes.integers(len(outline)))
    part = np.roll(outline, -start, axis=0)[: int(shapes.integers(30, 90)) : 4]
    center = outline.mean(axis=0)
    return np.asarray(center + (part - center) * shapes.uniform(0.6, 0.92) + shapes.normal(0, 2, 2))


def _hook(outline: Points, shapes: np.random.Generator) -> Points:
    """The hook of the hamate, seen end-on as a ring."""
    center = outline.mean(axis=0)
    hook = 0.28 * shapes.uniform(0.7, 1.3) * (outline - center)[::8]
    return np.asarray(np.vstack([hook, hook[:1]]) + center + (3, 8) + shapes.normal(0, 3, 2))


def lay_forearm(draw: Draw) -> list[Bone]:
    """Put radius and ulna in their places, turned against the hand."""
    return [
        _forearm_bone("Radius", RADIUS, _RADIUS_PLATE, draw),
        _forearm_bone("Ulna", ULNA, _ULNA_PLATE, draw),
    ]


def _forearm_bone(
    name: str,
    template: tuple[tuple[float, float], ...],
    plate: tuple[tuple[float, float], ...],
    draw: Draw,
) -> Bone:
    person, shapes = draw.person, draw.shapes
    gap = 5 * (person.joint_space - 1)
    corners = np.array(template, dtype=np.float64)
    corners += shapes.normal(0, 1.2, corners.shape)
    if name == "Ulna":
        # Stubby in some, and the whole bone a little shorter or longer than the radius.
        styloid = np.clip(corners[:, 1] - _STYLOID_LEVEL, 0, None) / 15
        corners[:, 1] -= shapes.uniform(0, 9) * styloid
        corners[:, 1] += shapes.normal(0, 5)
    center = corners[:, 0].mean()
    width = person.thickness * shapes.normal(1, 0.04)
    across = (corners[:, 0] - center) * width
    if person.has_narrow_ends:
        across[corners[:, 1] > _PLATE_LEVEL] *= 0.55 + 0.5 * person.maturity
    apart = abs(shapes.normal(0, 5)) + 10 * max(0.0, person.thickness - 1)
    center += apart if name == "Radius" else -apart
    corners[:, 0] = center + across
    corners[:, 1] -= gap
    line = np.array(plate, dtype=np.float64)
    line[:, 1] += shapes.normal(0, 1.2, len(line)) + shapes.normal(0, 2) - gap
    rim = np.column_stack(
        [center + np.linspace(-36, 36, 9) * width, shapes.normal(0, 2, 9) - 80 - gap]
    )
    axis = np.array([[center, -330.0], [center, -70.0]])
    degrees = draw.pose.deviation
    return Bone(
        name=name,
        outline=turned_at_wrist(closed_curve(corners, count=3 * OUTLINE_POINTS), degrees),
        axis=turned_at_wrist(axis, degrees),
        plates=(turned_at_wrist(line, degrees),) if person.openness > 0 else (),
        folds=(turned_at_wrist(rim, degrees),),
        strength=float(shapes.normal(1.05, 0.08)),
    )
