"""A simple look for text at the margins of a film: rows of marks that are alike, thin and sharp.

It finds printed lines such as a name and a date, not handwriting, not text over bright anatomy, and
not what stands in the middle. A flag, not a guarantee: what passes may still hold text.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.radiograph import Pixels

_SIDE = 1024
"""Longest side that is looked at; text that is legible there is at least some 8 pixels high."""

_MARGIN = 0.2
"""Share of each side that counts as margin."""

_CONTRAST = 70
"""Grey values of 255 by which a mark differs from what surrounds it."""

_STROKE = 9
"""Pixels: strokes of letters are thinner."""

_HEIGHTS = (6, 64)
_WIDEST = 1.6
"""Width of a mark, in its own heights."""

_LIKE = 1.35
"""How much the heights of two neighbours differ at most, as a ratio."""

_CLOSE = 1.2
"""Gap between neighbours, in their heights."""

_LEVEL = 0.35
"""How far apart the bottoms, or the tops, of two neighbours are, in their heights."""

FEWEST_MARKS = 4
"""Marks in a row that count as text: a letter for the side, or L, R and a number, are fewer."""

_Binary = npt.NDArray[np.uint8]


class _Mark(NamedTuple):
    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


def has_text_at_margins(pixels: Pixels) -> bool:
    """Whether there is what looks like printed text near an edge of a film.

    Args:
        pixels: float32, 0 to 1, (channel, height, width).
    """
    grey = _prepared(pixels)
    for turned in (grey, np.rot90(grey).copy()):
        for strokes in _strokes(turned):
            if _longest_row(sorted(_marks(strokes))) >= FEWEST_MARKS:
                return True
    return False


def _prepared(pixels: Pixels) -> _Binary:
    grey = np.rint(np.clip(pixels.mean(axis=0), 0, 1) * 255).astype(np.uint8)
    scale = _SIDE / max(grey.shape)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        return cast("_Binary", cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    return cast("_Binary", grey)


def _strokes(grey: _Binary) -> Iterator[_Binary]:
    """What is bright and thin, and what is dark and thin."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        found = cv2.morphologyEx(grey, kind, kernel)
        yield cast("_Binary", (found >= _CONTRAST).astype(np.uint8))


def _marks(strokes: _Binary) -> Iterator[_Mark]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    height, width = strokes.shape
    for left, top, wide, high, area in stats[1:].tolist():
        mark = _Mark(left, top, wide, high)
        x, y = left + wide / 2, top + high / 2
        inside = _MARGIN < x / width < 1 - _MARGIN and _MARGIN < y / height < 1 - _MARGIN
        sized = _HEIGHTS[0] <= high <= _HEIGHTS[1] and wide <= _WIDEST * high
        if sized and not inside and area > high:
            yield mark


def _longest_row(marks: list[_Mark]) -> int:
    """Marks in the longest row, each beside the one before; `marks` go from left to right."""
    longest = [1] * len(marks)
    for place, mark in enumerate(marks):
        for before in range(place - 1, -1, -1):
            if mark.left - marks[before].left > (_WIDEST + _CLOSE) * _HEIGHTS[1]:
                break
            if longest[before] >= longest[place] and _beside(marks[before], mark):
                longest[place] = longest[before] + 1
    return max(longest, default=0)


def _beside(first: _Mark, second: _Mark) -> bool:
    low, high = sorted((first.height, second.height))
    level = min(abs(first.bottom - second.bottom), abs(first.top - second.top)) <= _LEVEL * low
    gap = second.left - first.right
    return high <= _LIKE * low and level and -0.2 * low <= gap <= _CLOSE * high
