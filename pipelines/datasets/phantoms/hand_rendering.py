"""What X-rays lose on their way through a hand: soft tissue, cortical bone and its inner mesh.

Attenuation is relative: a finger without bone is about 1. Overlapping bones add up. Each bone is
taken for a body as thick as it is wide: the path through it grows from its rim inwards as the
chord of a circle does, and the path through its shell is what the hollow leaves of that.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.phantoms.hand_bone import Bone, Hand
from pipelines.datasets.phantoms.hand_outline import Points

Plane: TypeAlias = npt.NDArray[np.float32]
"""float32, (height, width), rows first."""

_FRACTION_BITS = 4
_TEXTURE_SIDE = 512
_FLESH_SIDE = 512
_EDGE = 0.5


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a hand lies on a square of pixels.

    Attributes:
        scale: Pixels a hand unit.
        turn: Turn of the hand on the film towards the right, in radians.
        mirrored: Whether it is a right hand.
        shift: Where the origin of the hand lies, x and y from the upper left corner, in pixels.
    """

    scale: float
    turn: float
    mirrored: bool
    shift: tuple[float, float]

    def to_pixels(self, points: Points) -> Points:
        """Map (n, 2) from hand units to pixels; a pixel covers its number to the next."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        x = -points[:, 0] if self.mirrored else points[:, 0]
        y = points[:, 1]
        across, up = x * cosine + y * sine, y * cosine - x * sine
        return np.column_stack(
            [self.shift[0] + self.scale * across, self.shift[1] - self.scale * up]
        )

    def enlarged(self, factor: float) -> "Placement":
        """The same place on a square of another size."""
        shift = (self.shift[0] * factor, self.shift[1] * factor)
        return Placement(self.scale * factor, self.turn, self.mirrored, shift)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the bones of one film have in common.

    Attributes:
        cortex: Factor on the thickness of cortical bone, around 1.
        hollow: Attenuation of spongy bone as a share of cortical bone's.
        mesh: How strongly its texture shows.
        texture: The texture, of unit deviation.
        openness: How far growth plates are open, 0 to 1.
        gap: Width of a growth plate, in hand units.
    """

    cortex: float
    hollow: float
    mesh: float
    texture: Plane
    openness: float
    gap: float


def fill(points: Points, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Fill a polygon given in pixels; 255 inside, soft at the edge, 0 outside."""
    mask = np.zeros(shape, np.uint8)
    fixed = np.round((points - 0.5) * 2**_FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=_FRACTION_BITS)
    return mask


def attenuate(hand: Hand, placement: Placement, *, side: int, random: np.random.Generator) -> Plane:
    """Compute the attenuation of a hand.

    Args:
        hand: The hand.
        placement: Where it lies.
        side: Height and width of the picture.
        random: Source of texture and of the share of each tissue.

    Returns:
        Attenuation, 0 for air, (side, side).
    """
    total = _tissue(hand, placement, side=side, random=random)
    look = _Look(
        cortex=hand.person.cortex,
        hollow=random.uniform(0.42, 0.8),
        mesh=random.uniform(0.03, 0.2),
        texture=_texture(placement.scale, random),
        openness=hand.person.openness,
        gap=random.uniform(0.8, 2.2) + 3.2 * (1 - hand.person.maturity),
    )
    share = random.uniform(0.85, 1.9) * hand.person.density
    # Bones that cross are flat where they do: less than the sum of both.
    power = random.uniform(1.0, 2.0)
    crossed = np.zeros_like(total)
    for bone in hand.bones:
        window, path = _bone(bone, placement, side=side, look=look)
        crossed[window] += path**power
    total += share * crossed ** (1 / power)
    for pebble in hand.pebbles:
        center = placement.to_pixels(np.array([[pebble.x, pebble.y]]))[0]
        disc = np.zeros_like(total)
        middle = (round(center[0]), round(center[1]))
        cv2.circle(disc, middle, round(pebble.radius * placement.scale), 1.0, -1)
        total += 0.3 * share * cv2.GaussianBlur(disc, (0, 0), 1.2 * placement.scale)
    return total


def _tissue(hand: Hand, placement: Placement, *, side: int, random: np.random.Generator) -> Plane:
    """Attenuation of the soft tissue."""
    factor = _FLESH_SIDE / side
    small = placement.enlarged(factor)
    shape = (_FLESH_SIDE, _FLESH_SIDE)
    mask = np.zeros(shape, np.uint8)
    for polygon in hand.flesh:
        np.maximum(mask, fill(small.to_pixels(polygon), shape), out=mask)
    smooth = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 7 * small.scale)
    inside = (smooth > _EDGE).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / small.scale
    depth = cv2.GaussianBlur(depth, (0, 0), 1.0)
    radius = random.uniform(26, 40)
    rim = np.minimum(depth / radius, 1)
    finger = np.sqrt(rim * (2 - rim))
    spread = random.uniform(30, 55) * small.scale
    broad = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), spread)
    palm = random.uniform(0.5, 1.3) * broad**2 * finger
    muscle = fill(small.to_pixels(hand.muscle), shape).astype(np.float32) / 255
    muscle = cv2.GaussianBlur(muscle, (0, 0), random.uniform(3, 10) * small.scale)
    palm += random.uniform(0.05, 0.3) * muscle * finger
    finger *= random.uniform(0.45, 0.9)
    total = (finger + palm) * (1 + random.uniform(0, 0.5) * _towards_arm(small, shape))
    cloud = cv2.resize(
        random.normal(0, 1, (24, 24)).astype(np.float32), shape, interpolation=cv2.INTER_CUBIC
    )
    total *= 1 + random.uniform(0.01, 0.05) * cloud
    large = cv2.resize(total, (side, side), interpolation=cv2.INTER_LINEAR)
    edge = cv2.resize(smooth, (side, side), interpolation=cv2.INTER_CUBIC)
    crisp = np.clip((edge - _EDGE) * 7 * placement.scale / 2 + 0.5, 0, 1)
    return np.asarray(large * crisp, dtype=np.float32)


def _towards_arm(placement: Placement, shape: tuple[int, int]) -> Plane:
    """0 at the fingers, 1 at the wrist and beyond."""
    ends = placement.to_pixels(np.array([[0.0, 150.0], [0.0, -60.0]]))
    direction = (ends[1] - ends[0]) / ((ends[1] - ends[0]) ** 2).sum()
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    share = (columns - ends[0, 0]) * direction[0] + (rows - ends[0, 1]) * direction[1]
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def _texture(scale: float, random: np.random.Generator) -> Plane:
    """The mesh of spongy bone, drawn out along y; unit deviation."""
    noise = random.standard_normal((_TEXTURE_SIDE, _TEXTURE_SIDE), dtype=np.float32)
    long, wide = random.uniform(0.8, 2.6) * scale, random.uniform(0.4, 1.0) * scale
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=wide, sigmaY=long)
    fine -= cv2.GaussianBlur(fine, (0, 0), 4 * scale)
    return np.asarray(fine / (fine.std() + 1e-6), dtype=np.float32)


def _window(points: Points, side: int, margin: int) -> tuple[slice, slice]:
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - margin, 0, side)
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + margin, 0, side)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _bone(
    bone: Bone, placement: Placement, *, side: int, look: _Look
) -> tuple[tuple[slice, slice], Plane]:
    """The picture's window that holds a bone, and the bone's attenuation in it."""
    scale = placement.scale
    outline = placement.to_pixels(bone.outline)
    window = _window(outline, side, 3)
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    corner = np.array([window[1].start, window[0].start])
    soft = fill(outline - corner, shape)
    # A frame of what lies beyond the film, else its edge would count as the rim of the bone.
    framed = cv2.copyMakeBorder(soft // 128, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[8:-8, 8:-8] / scale
    radius = float(np.clip(np.percentile(depth, 99.8), 2.0, 34.0))
    shaft = _shaft(bone, placement, corner=corner, shape=shape)
    shell = look.cortex * (1.3 + shaft * min(0.2 * radius, 6.0))
    outer, inner = _chord(depth, radius), _chord(depth - shell, radius)
    grain = cv2.warpAffine(
        look.texture,
        _texture_map(bone, placement),
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    spongy = look.hollow * (1 - 0.6 * shaft) * (1 + look.mesh * (1 - 0.6 * shaft) * grain)
    path = (outer - inner) + spongy * inner
    for fold in bone.folds:
        path += 0.16 * _stroke(placement.to_pixels(fold) - corner, shape, scale, 1.8) * outer
    for plate in bone.plates:
        line = placement.to_pixels(plate) - corner
        rim = _stroke(line, shape, scale, 3.0 + 2 * look.gap)
        rim -= _stroke(line, shape, scale, 2 * look.gap)
        path *= 1 + 0.25 * np.clip(rim, 0, 1)
        path *= 1 - 0.9 * look.openness * _stroke(line, shape, scale, look.gap)
    strength = bone.strength * (radius / 22) ** 0.6
    weighted = np.clip(strength * path, 0, None) * (soft / np.float32(255))
    return window, np.asarray(weighted, dtype=np.float32)


def _chord(depth: Plane, radius: float) -> Plane:
    """Path through a round body at a depth below its rim; 1 at the middle."""
    share = np.clip(depth / radius, 0, 1)
    return np.asarray(np.sqrt(share * (2 - share)), dtype=np.float32)


def _shaft(bone: Bone, placement: Placement, *, corner: Points, shape: tuple[int, int]) -> Plane:
    """1 in the middle of a long bone's shaft, 0 at its ends and in a carpal bone."""
    if bone.axis is None:
        return np.zeros(shape, np.float32)
    base, head = placement.to_pixels(bone.axis) - corner
    direction = (head - base) / ((head - base) ** 2).sum()
    columns = (np.arange(shape[1], dtype=np.float32) - base[0]) * direction[0]
    rows = (np.arange(shape[0], dtype=np.float32) - base[1]) * direction[1]
    share = rows[:, None] + columns[None, :]
    if bone.name in {"Radius", "Ulna"}:
        return np.asarray(np.clip(1.0 - share, 0, 1) ** 2, dtype=np.float32)
    return np.asarray(np.exp(-(((share - 0.48) / 0.2) ** 2)), dtype=np.float32)


def _texture_map(bone: Bone, placement: Placement) -> npt.NDArray[np.float64]:
    """From a pixel of the bone's window to the texture, whose y runs along the bone."""
    angle, offset = 0.0, float(abs(bone.outline[0]).sum() * 7.3 % _TEXTURE_SIDE)
    if bone.axis is not None:
        ends = placement.to_pixels(bone.axis)
        angle = float(np.arctan2(ends[1, 0] - ends[0, 0], ends[0, 1] - ends[1, 1]))
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine, offset], [-sine, cosine, offset]])


def _stroke(line: Points, shape: tuple[int, int], scale: float, width: float) -> Plane:
    """A soft line, 1 along its middle, `width` hand units wide."""
    canvas = np.zeros(shape, np.uint8)
    fixed = np.round((line - 0.5) * 2**_FRACTION_BITS).astype(np.int32)
    thickness = max(1, round(width * scale))
    cv2.polylines(
        canvas, [fixed], False, 255, thickness, lineType=cv2.LINE_AA, shift=_FRACTION_BITS
    )
    soft = cv2.GaussianBlur(canvas, (0, 0), max(0.5, 0.35 * width * scale))
    return np.asarray(soft / 255, dtype=np.float32)
