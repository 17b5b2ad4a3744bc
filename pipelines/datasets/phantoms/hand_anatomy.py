"""Whose hand it is: what both hands of one person have in common.

Lengths are in hand units (`hand_outline`). Proportions of an adult are varied; with falling
maturity the carpal bones are smaller and rounder, joint spaces wider and growth plates open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pipelines.datasets.phantoms.hand_outline import BoneShape


@dataclass(frozen=True, slots=True)
class Segment:
    """One bone of a finger.

    Attributes:
        number: The number in its label, `finger-<number>`.
        shape: Which kind of bone.
        length: Length in hand units.
        half_width: Half the width at the widest part, in hand units.
        base: Factor on the width of the base, around 1.
    """

    number: int
    shape: BoneShape
    length: float
    half_width: float
    base: float = 1.0


@dataclass(frozen=True, slots=True)
class Ray:
    """One finger with its metacarpal, from the wrist to the tip.

    Attributes:
        base: Where the metacarpal begins, x and y in hand units.
        angle: Direction of the metacarpal in degrees from the y axis towards the thumb.
        flesh: Half the width of the finger at its root, in hand units.
        segments: Metacarpal first.
    """

    base: tuple[float, float]
    angle: float
    flesh: float
    segments: tuple[Segment, ...]


_METACARPAL, _THUMB = BoneShape.METACARPAL, BoneShape.THUMB_METACARPAL
_PROXIMAL, _MIDDLE, _DISTAL = BoneShape.PROXIMAL, BoneShape.MIDDLE, BoneShape.DISTAL

RAYS: tuple[Ray, ...] = (
    Ray(
        (100, 18),
        38.0,
        34.0,
        (
            Segment(3, _THUMB, 132, 23),
            Segment(2, _PROXIMAL, 101, 22),
            Segment(1, _DISTAL, 66, 18),
        ),
    ),
    Ray(
        (54, 41),
        5.6,
        35.0,
        (
            Segment(7, _METACARPAL, 226, 26, 1.36),
            Segment(6, _PROXIMAL, 147, 27),
            Segment(5, _MIDDLE, 78, 21),
            Segment(4, _DISTAL, 46, 15),
        ),
    ),
    Ray(
        (2, 42),
        0.8,
        35.0,
        (
            Segment(11, _METACARPAL, 224, 26, 1.06),
            Segment(10, _PROXIMAL, 160, 28),
            Segment(9, _MIDDLE, 92, 22),
            Segment(8, _DISTAL, 52, 16),
        ),
    ),
    Ray(
        (-39, 40),
        -9.5,
        32.0,
        (
            Segment(15, _METACARPAL, 195, 23, 1.02),
            Segment(14, _PROXIMAL, 148, 25),
            Segment(13, _MIDDLE, 90, 20),
            Segment(12, _DISTAL, 53, 15),
        ),
    ),
    Ray(
        (-70, 33),
        -19.5,
        28.0,
        (
            Segment(19, _METACARPAL, 172, 22, 1.26),
            Segment(18, _PROXIMAL, 116, 20),
            Segment(17, _MIDDLE, 60, 15.5),
            Segment(16, _DISTAL, 43, 12.5),
        ),
    ),
)
"""Fingers of an adult, thumb first."""

PLATES: MappingProxyType[BoneShape, float] = MappingProxyType(
    {_METACARPAL: 0.865, _THUMB: 0.115, _PROXIMAL: 0.10, _MIDDLE: 0.125, _DISTAL: 0.17}
)
"""Where the growth plate lies, at the head of metacarpals, else at the base; share of length."""


_EVEN_ENDS = 0.8
_FULL_CARPALS = 0.88


@dataclass(frozen=True, slots=True)
class Person:
    """What both hands of one person have in common.

    Attributes:
        seed: Source of the shape of each bone.
        maturity: 1 for an adult, about 0.3 for a child of five years.
        openness: How far growth plates are open, 0 to 1.
        thickness: Factor on the width of all bones, around 1.
        flesh: Factor on the soft tissue, around 1.
        cortex: Factor on the thickness of cortical bone, around 1.
        density: Factor on the attenuation of bone, around 1.
    """

    seed: int
    maturity: float
    openness: float
    thickness: float
    flesh: float
    cortex: float
    density: float

    @property
    def joint_space(self) -> float:
        """Factor on the width of joint spaces: cartilage has not yet turned to bone in a child."""
        return 1 + 1.2 * max(0.0, _FULL_CARPALS - self.maturity)

    @property
    def carpal_size(self) -> float:
        """Size of the carpal bones as a share of an adult's."""
        return 1.03 - 0.75 * max(0.0, _FULL_CARPALS - self.maturity)

    @property
    def roundness(self) -> float:
        """0 for the carpal bones of an adult, towards 1 for the discs that a child's are."""
        return max(0.0, 1.3 * (_FULL_CARPALS - self.maturity))

    @property
    def has_narrow_ends(self) -> bool:
        """Whether the parts beyond the growth plates are still narrower than the shafts' ends."""
        return self.openness == 1 and self.maturity < _EVEN_ENDS


def draw_person(random: np.random.Generator) -> Person:
    """Draw a person: a third adults, half adolescents, the rest children."""
    stage = random.choice(3, p=(0.36, 0.48, 0.16))
    maturity = (1.0, random.uniform(0.72, 1.0), random.uniform(0.3, 0.72))[stage]
    openness = (0.0, random.uniform(0.15, 1.0), 1.0)[stage]
    return Person(
        seed=int(random.integers(2**31)),
        maturity=float(maturity),
        openness=float(openness),
        thickness=float(np.clip(random.normal(1.0, 0.07), 0.84, 1.18)),
        flesh=float(np.clip(random.normal(1.0 + 0.12 * (1 - maturity), 0.08), 0.82, 1.35)),
        cortex=float(random.uniform(0.7, 1.3)),
        density=float(random.uniform(0.85, 1.25)),
    )


def vary_rays(person: Person, random: np.random.Generator) -> Iterator[Ray]:
    """Give the fingers of a person: lengths and widths vary with the person, finger and bone.

    Args:
        person: Whose fingers.
        random: Source of the variation; the same for both hands of a person.

    Yields:
        Fingers, thumb first.
    """
    kinds = {shape: random.normal(1, 0.05) for shape in BoneShape}
    for ray in RAYS:
        finger = random.normal(1, 0.03)
        segments = tuple(
            Segment(
                segment.number,
                segment.shape,
                segment.length * finger * kinds[segment.shape] * random.normal(1, 0.03),
                segment.half_width * person.thickness * random.normal(1, 0.04),
                segment.base * random.normal(1, 0.06),
            )
            for segment in ray.segments
        )
        base = (ray.base[0] + random.normal(0, 2.5), ray.base[1] + random.normal(0, 3))
        angle = ray.angle + random.normal(0, 1.2)
        yield Ray(base, angle, ray.flesh * person.flesh * random.normal(1, 0.03), segments)
