"""Masks as text: run lengths in row-major order, as tables of segmentations hold them.

A mask of height H and width W is read row by row into H * W pixels that are counted from 1. Each
run of pixels that are set becomes two numbers, its first pixel and its length; all numbers are
joined by single spaces. An empty mask is an empty string.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason

Mask = npt.NDArray[np.bool_]
"""bool, (height, width), rows first; true where the structure is."""


def encode(mask: npt.NDArray[Any]) -> str:
    """Write a mask as run lengths.

    Args:
        mask: (height, width); what is not 0 is set.

    Returns:
        `start length start length …`, ascending, no two runs touching; empty for an empty mask.

    Examples:
        >>> encode(np.array([[0, 1, 1], [1, 0, 1]]))
        '2 3 6 1'
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return ""
    # Runs may go on from row to row, so whole rows are taken; the empty ones around need no look.
    held = (mask[rows[0] : rows[-1] + 1] != 0).ravel()
    changes = np.flatnonzero(held[1:] != held[:-1]) + 1
    edges = np.r_[[0] if held[0] else [], changes, [held.size] if held[-1] else []].astype(np.int64)
    starts = edges[::2]
    runs = np.stack([starts + int(rows[0]) * mask.shape[1] + 1, edges[1::2] - starts], axis=1)
    return " ".join(map(str, runs.ravel().tolist()))


def decode(rle: str, shape: tuple[int, int]) -> Mask:
    """Read a mask back from run lengths.

    Args:
        rle: As `encode` writes it; runs may touch.
        shape: Height and width.

    Returns:
        bool, (height, width).

    Raises:
        InputError: CORRUPT if the text is no ascending list of runs within the mask.

    Examples:
        >>> decode("2 3 6 1", (2, 3)).astype(int)
        array([[0, 1, 1],
               [1, 0, 1]])
    """
    height, width = shape
    runs = _numbers(rle)
    starts, ends = runs[::2] - 1, runs[::2] - 1 + runs[1::2]
    if np.any(runs < 1) or np.any(starts[1:] < ends[:-1]) or np.any(ends > height * width):
        raise InputError(
            Reason.CORRUPT,
            f"expected runs of at least 1 pixel in ascending order within {height} x {width} "
            "pixels, got others; check that the table belongs to films of this size",
        )
    steps = np.zeros(height * width + 1, dtype=np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_).reshape(shape)


def _numbers(rle: str) -> npt.NDArray[np.int64]:
    words = rle.split()
    # Ten digits count more pixels than any film has, and stay far from the end of 64 bits.
    if len(words) % 2 or not all(w.isascii() and w.isdecimal() and len(w) <= 10 for w in words):  # noqa: PLR2004
        raise InputError(
            Reason.CORRUPT,
            f"expected pairs of whole numbers, start and length, got {len(words)} words that are "
            "no such pairs; write the table anew",
        )
    return np.array(words, dtype=np.int64)
