"""The frame of a bone: a box along the bone's own axes, in which all hands look alike.

Bones of the fingers lie along their own length, tip upwards; bones of the wrist and forearm along
the hand; and the thumb is always on the right, whichever hand it is. A frame is found on coarse
masks, and what lies in it is cut out of a film of any resolution, or pasted back onto it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Affine: TypeAlias = npt.NDArray[np.float64]
"""(2, 3): from (x, y, 1) to (x, y)."""

Point: TypeAlias = npt.NDArray[np.float64]
"""(2,): x and y."""

Plane: TypeAlias = npt.NDArray[np.float32]
"""(height, width), rows first."""

_UP = np.array([0.0, -1.0])
_LEAST_ELONGATION = 1.15
_LEAST_SIDE = 2.0
_LENGTH = "finger-"
_THUMB = ("finger-1", "finger-2", "finger-3")
_LITTLE = ("finger-16", "finger-17", "finger-18", "finger-19")


@dataclass(frozen=True, slots=True, eq=False)
class BoneFrame:
    """Where the box of a bone lies on a picture.

    Attributes:
        matrix: From the box, each coordinate from -1 (left; tip of the finger) to 1 (right, the
            side of the thumb; wrist), to pixels of the picture, x before y.
    """

    matrix: Affine

    def placed(self, onto: Affine) -> "BoneFrame":
        """Return the same box on another picture, by the map from one to the other."""
        return BoneFrame(compose(onto, self.matrix))

    def crop_map(self, shape: tuple[int, int], span: float = 1.0) -> Affine:
        """Map the pixels of a crop to those of the picture.

        Args:
            shape: Height and width of the crop.
            span: How much of the picture it shows, in boxes; 1 shows the box.

        Returns:
            From a pixel of the crop, x before y, to one of the picture.
        """
        height, width = shape
        unit = np.array(
            [
                [2 * span / width, 0, span * (1 / width - 1)],
                [0, 2 * span / height, span * (1 / height - 1)],
            ]
        )
        return compose(self.matrix, unit)

    def bounds(self, size: tuple[int, int], span: float = 1.0) -> tuple[slice, slice]:
        """Find the rows and columns of a picture that hold the box.

        Args:
            size: Height and width of the picture.
            span: How much is asked for, in boxes.

        Returns:
            Rows and columns, a pixel more on each side; empty where the box lies beyond.
        """
        corners = self.matrix @ np.array(
            [[-span, span, span, -span], [-span, -span, span, span], [1, 1, 1, 1]]
        )
        low = np.clip(np.floor(corners.min(axis=1)).astype(int) - 1, 0, size[::-1])
        high = np.clip(np.ceil(corners.max(axis=1)).astype(int) + 2, 0, size[::-1])
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def inside(self, bounds: tuple[slice, slice]) -> "BoneFrame":
        """Return the same box on the part of the picture within bounds."""
        rows, columns = bounds
        corner = np.array([[0, 0, columns.start], [0, 0, rows.start]], np.float64)
        return BoneFrame(self.matrix - corner)


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return the map that applies `inner`, then `outer`."""
    result: Affine = outer @ np.vstack([inner, [0.0, 0.0, 1.0]])
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """A mask's pixels and what they have in common."""

    points: npt.NDArray[np.float64]
    center: Point
    axis: Point
    elongation: float

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_]) -> "_Moments | None":
        held = np.ascontiguousarray(mask).view(np.uint8)
        left, top, width, height = cv2.boundingRect(held)
        if not width:
            return None
        # Of a mask of a whole film only the bone's box is gone through.
        rows, columns = np.nonzero(held[top : top + height, left : left + width])
        points = np.column_stack([columns + left, rows + top]).astype(np.float64)
        center = points.mean(axis=0)
        # A pixel is an area: without its own spread a line of pixels would have no width.
        spread = np.cov(points.T, bias=True) + np.eye(2) / 12 if len(rows) > 1 else np.eye(2)
        values, vectors = np.linalg.eigh(spread)
        elongation = float(np.sqrt(values[1] / values[0]))
        return cls(points, center, vectors[:, 1], elongation)


def find_frames(
    masks: npt.NDArray[np.bool_], *, classes: Sequence[str], margin: float
) -> list[BoneFrame | None]:
    """Find the frame of each bone.

    Args:
        masks: (bones, height, width); empty where a bone was not found.
        classes: Name of each; of a hand, those of `HAND_BONES`. Without fingers among them all
            frames are upright.
        margin: What a box is larger than its bone on each side, as a share of the root of length
            times width.

    Returns:
        A frame each, on the masks' own pixels; None where the mask is empty.
    """
    found = {name: _Moments.of(mask) for name, mask in zip(classes, masks, strict=True)}
    bones = {name: moments for name, moments in found.items() if moments is not None}
    wrist, up, side = _hand(bones)
    frames: list[BoneFrame | None] = []
    for name in classes:
        bone = bones.get(name)
        if bone is None:
            frames.append(None)
            continue
        along = _direction(bone, away=bone.center - wrist) if name.startswith(_LENGTH) else up
        frames.append(_frame(bone, along=along, side=side, margin=margin))
    return frames


def _hand(bones: dict[str, _Moments]) -> tuple[Point, Point, float]:
    """The middle of the wrist, the direction of the fingers, and 1 or -1 for the thumb's side."""
    fingers = [bone.center for name, bone in bones.items() if name.startswith(_LENGTH)]
    others = [bone.center for name, bone in bones.items() if not name.startswith(_LENGTH)]
    if not fingers or not others:
        middle = np.mean([bone.center for bone in bones.values()] or [np.zeros(2)], axis=0)
        return middle, _UP, 1.0
    wrist = np.mean(others, axis=0)
    up = _unit(np.mean(fingers, axis=0) - wrist)
    thumb, little = (
        [bones[name].center for name in names if name in bones] for names in (_THUMB, _LITTLE)
    )
    if not thumb or not little:
        return wrist, up, 1.0
    across = _right_of(up) @ (np.mean(thumb, axis=0) - np.mean(little, axis=0))
    return wrist, up, 1.0 if across >= 0 else -1.0


def _direction(bone: _Moments, *, away: Point) -> Point:
    """Along a bone, away from the wrist; a bone that looks round lies as `away` says."""
    if bone.elongation < _LEAST_ELONGATION:
        return _unit(away)
    return bone.axis if bone.axis @ away >= 0 else -bone.axis


def _unit(vector: Point) -> Point:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else _UP


def _right_of(up: Point) -> Point:
    return np.array([-up[1], up[0]])


def _frame(bone: _Moments, *, along: Point, side: float, margin: float) -> BoneFrame:
    axes = np.stack([side * _right_of(along), -along])
    places = bone.points @ axes.T
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    half = np.maximum((high - low) / 2, _LEAST_SIDE / 2)
    half = half + margin * 2 * np.sqrt(half[0] * half[1])
    center = (low + high) / 2 @ axes
    return BoneFrame(np.column_stack([axes[0] * half[0], axes[1] * half[1], center]))


class Pyramid:
    """A picture at several sizes, so that crops of any scale are cut without aliasing.

    Args:
        picture: (height, width), float32.
    """

    def __init__(self, picture: Plane) -> None:
        self._levels = [np.ascontiguousarray(picture)]

    def cut(self, frame: BoneFrame, shape: tuple[int, int], *, span: float = 1.0) -> Plane:
        """Cut a bone out.

        Args:
            frame: Where its box lies on the picture.
            shape: Height and width of the crop.
            span: How much of the picture it shows, in boxes.

        Returns:
            float32, of that shape; 0 beyond the picture.
        """
        placed = frame.crop_map(shape, span)
        level = self._level(_level_of(placed))
        shrink = [few / many for few, many in zip(level.shape, self._levels[0].shape, strict=True)]
        smaller = np.column_stack([np.diag(shrink[::-1]), [(s - 1) / 2 for s in shrink[::-1]]])
        crop = cv2.warpAffine(
            level,
            compose(smaller, placed),
            shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return np.asarray(crop, dtype=np.float32)

    def _level(self, number: int) -> Plane:
        while len(self._levels) <= number and min(self._levels[-1].shape) > 1:
            last = self._levels[-1]
            half = (last.shape[1] // 2, last.shape[0] // 2)
            smaller = cv2.resize(last, half, interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(smaller, dtype=np.float32))
        return self._levels[min(number, len(self._levels) - 1)]


def _level_of(placed: Affine) -> int:
    """How often a picture is halved before a crop is cut out of it."""
    scale = float(np.sqrt(abs(np.linalg.det(placed[:, :2]))))
    return int(np.log2(max(scale, 1.0)))


def footprint(
    frame: BoneFrame, size: tuple[int, int], shape: tuple[int, int], *, span: float = 1.0
) -> tuple[slice, slice]:
    """Find all pixels of a picture that a crop may depend on.

    Args:
        frame: Where its box lies.
        size: Height and width of the picture.
        shape: Height and width of the crop.
        span: How much of the picture it shows, in boxes.

    Returns:
        Rows and columns; empty where the box lies beyond the picture.
    """
    # A pixel of a smaller level holds so many, and interpolation takes one more on each side.
    reach = 3 * 2 ** _level_of(frame.crop_map(shape, span))
    rows, columns = frame.bounds(size, span)
    return (
        slice(max(rows.start - reach, 0), min(rows.stop + reach, size[0])),
        slice(max(columns.start - reach, 0), min(columns.stop + reach, size[1])),
    )


def paste(
    crop: Plane, frame: BoneFrame, size: tuple[int, int], *, outside: float
) -> tuple[tuple[slice, slice], Plane]:
    """Lay a crop that shows the frame's box back onto the picture.

    Args:
        crop: (height, width).
        frame: Where the box lies.
        size: Height and width of the picture.
        outside: Value beyond the box.

    Returns:
        Rows and columns of the part of the picture that holds the box, and that part; empty where
        the box lies beyond the picture.
    """
    part = frame.bounds(size)
    height, width = (place.stop - place.start for place in part)
    if min(width, height) < 1:
        return part, np.empty((max(height, 0), max(width, 0)), np.float32)
    drawn: Any = cv2.warpAffine(
        crop,
        frame.inside(part).crop_map((crop.shape[0], crop.shape[1])),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(outside),
    )
    return part, np.asarray(drawn, dtype=np.float32)
