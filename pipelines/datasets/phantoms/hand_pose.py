"""A hand laid on the film: every bone's outline and the soft tissue around, in hand units.

The hand is a left one seen from the back (thumb at the right); the film mirrors it for a right one.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_anatomy import PLATES, Person, Ray, Segment, vary_rays
from pipelines.datasets.phantoms.hand_bone import OUTLINE_POINTS, Bone, Draw, Hand, Pose
from pipelines.datasets.phantoms.hand_flesh import lay_flesh, lay_muscle, lay_pebbles
from pipelines.datasets.phantoms.hand_outline import (
    BoneShape,
    Points,
    closed_curve,
    long_bone,
    placed,
)
from pipelines.datasets.phantoms.hand_wrist import lay_carpals, lay_forearm

_JOINT_GAPS = (0.5, 3.2, 3.2, 3.0)
_METACARPALS = (BoneShape.METACARPAL, BoneShape.THUMB_METACARPAL)


def draw_pose(random: np.random.Generator) -> Pose:
    """Draw how a hand lies: mostly upright and flat, now and then bent, tilted or upside down."""
    turn = random.normal(0, 7) if happens(random, 0.75) else random.uniform(-32, 32)
    if happens(random, 0.005):
        turn += 180
    return Pose(
        spread=float(np.clip(random.normal(1.0, 0.65), -0.15, 2.6)),
        fan=float(np.clip(random.normal(1.0, 0.13), 0.7, 1.4)),
        thumb=float(np.clip(random.normal(39, 10), 14, 68)),
        flexion=float(random.choice((0.03, 0.12, 0.3), p=(0.7, 0.22, 0.08))),
        deviation=float(np.clip(random.normal(0, 6), -18, 18)),
        turn=float(turn),
    )


def lay_hand(person: Person, pose: Pose, random: np.random.Generator) -> Hand:
    """Build a person's hand in a pose.

    Args:
        person: Whose hand; its seed fixes the shapes.
        pose: How it lies.
        random: Source of what differs between the hands of a person.

    Returns:
        The hand, in hand units, thumb at the right and fingers up.
    """
    draw = Draw(person, pose, np.random.default_rng(person.seed), random)
    stretch = np.array([draw.shapes.normal(1, 0.04), draw.shapes.normal(1, 0.05)])
    rays = tuple(vary_rays(person, draw.shapes))
    bones: list[Bone] = []
    joints: list[Points] = []
    for index, ray in enumerate(rays):
        chain, line = _lay_ray(ray, _directions(index, ray, draw), stretch * ray.base, draw)
        bones += chain
        joints.append(line)
    bones += lay_carpals(draw, stretch=stretch)
    bones += lay_forearm(draw)
    return Hand(
        person,
        tuple(bones),
        tuple(lay_pebbles(joints, draw)),
        tuple(lay_flesh(joints, [ray.flesh for ray in rays], draw)),
        lay_muscle(joints, random),
    )


def _directions(index: int, ray: Ray, draw: Draw) -> list[float]:
    """Directions of the bones of a finger, in radians, metacarpal first."""
    pose, random = draw.pose, draw.random
    if index == 0:
        angles = [pose.thumb, random.normal(-3, 12), random.normal(4, 12)]
    else:
        abduction = (9.0 * pose.spread - 1, 1.0, -4.0 * pose.spread + 5, -14 * pose.spread + 6)
        drift = (0, 0, 1.0, 3.5)[index - 1]
        angles = [
            ray.angle * pose.fan,
            abduction[index - 1] + random.normal(0, 3.5),
            random.normal(drift, 2.5),
            random.normal(drift, 3.5),
        ]
    return [float(angle) for angle in np.radians(np.cumsum(angles))]


def _lay_ray(
    ray: Ray, angles: Sequence[float], base: Points, draw: Draw
) -> tuple[list[Bone], Points]:
    """Put the bones of a finger one behind the other; give them and the joints, (n, 2)."""
    bones = []
    joints = [base]
    bent = happens(draw.random, 0.6)
    for order, (segment, angle) in enumerate(zip(ray.segments, angles, strict=True)):
        direction = np.array([np.sin(angle), np.cos(angle)])
        lost = draw.random.uniform(0, draw.pose.flexion) if bent and order else 0.0
        gap = _JOINT_GAPS[order] * draw.person.joint_space + draw.random.normal(0, 1.2)
        place = joints[-1] + direction * gap * (1 - 2.5 * lost)
        length = segment.length * (1 - lost)
        bones.append(_finger_bone(segment, length, place=place, angle=angle, draw=draw))
        joints.append(place + direction * length)
    return bones, np.array(joints)


def _finger_bone(
    segment: Segment, length: float, *, place: Points, angle: float, draw: Draw
) -> Bone:
    person, shapes = draw.person, draw.shapes
    corners = long_bone(
        segment.shape,
        length=length,
        half_width=segment.half_width,
        random=shapes,
        slimness=float(shapes.normal(1.02, 0.07)),
        base=segment.base,
    )
    level = (PLATES[segment.shape] + shapes.normal(0, 0.008)) * length
    narrowing = shapes.uniform(0.2, 0.7) * (0.9 - person.maturity)
    if person.has_narrow_ends:
        beyond = (corners[:, 1] > level) == (level > length / 2)
        corners[beyond, 0] *= 1 - narrowing
    folds = _folds(segment, length, shapes)
    plates = [_plate(level, segment.half_width, shapes)]
    origin = (float(place[0]), float(place[1]))
    weak = 0.8 if segment.shape == BoneShape.DISTAL else 1.0
    return Bone(
        name=f"finger-{segment.number}",
        outline=closed_curve(placed(corners, origin=origin, angle=angle), count=OUTLINE_POINTS),
        axis=placed(np.array([[0.0, 0.0], [0.0, length]]), origin=origin, angle=angle),
        plates=tuple(
            placed(plate, origin=origin, angle=angle) for plate in plates if person.openness > 0
        ),
        folds=tuple(placed(fold, origin=origin, angle=angle) for fold in folds),
        strength=float(shapes.normal(1, 0.08)) * weak,
    )


def _plate(level: float, half_width: float, shapes: np.random.Generator) -> Points:
    """A slightly wavy line across the bone."""
    across = np.linspace(-1.3, 1.3, 9) * half_width
    wave = level + shapes.normal(0, 0.7, across.shape) + shapes.normal(0, 0.05) * across
    wave += shapes.normal(0, 1.5) * np.cos(across / half_width * 2)
    return np.column_stack([across, wave])


def _folds(segment: Segment, length: float, shapes: np.random.Generator) -> list[Points]:
    """Rims of the near and far lip of each joint surface, seen through the bone."""
    turn = np.linspace(0, np.pi, 12)
    width = segment.half_width
    lip = shapes.uniform(0.1, 0.35) * width + shapes.uniform(0, 0.25) * width * np.sin(turn)
    folds = [np.column_stack([np.cos(turn) * width * 0.85, lip])]
    if segment.shape != BoneShape.DISTAL:
        head = width * (0.86 if segment.shape in _METACARPALS else 0.6)
        depth = shapes.uniform(0.3, 1.0) * head * shapes.choice((1, -0.4))
        across = np.cos(turn) * head * shapes.uniform(0.7, 0.95)
        folds.append(np.column_stack([across, length - 0.9 * head + depth * np.sin(turn)]))
    return folds
