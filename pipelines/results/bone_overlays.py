"""A film with every structure outlined and named, and the untouched film beside it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw

from pipelines.evaluation.drawing import GROUND, MUTED, font
from pipelines.evaluation.region_pictures import (
    COLOURS,
    Outline,
    Picture,
    draw_outline,
    film_picture,
    in_picture,
)
from pipelines.files import whole_file
from pipelines.radiograph import Pixels

_GAP, _LEADER_GAP = 16, 8
_TEXT_SHARE = 60  # letters are a sixtieth of the longer side high


def write_overlay(
    path: Path, pixels: Pixels, structures: Sequence[tuple[str, Outline | None]], *, longest: int
) -> None:
    """Write one PNG: the film as it is, and the film with outlines and names.

    Names stand in margins beside the film, joined to their structures by thin lines, so that they
    hide nothing. Names of structures that were not found stand below.

    Args:
        path: PNG to write.
        pixels: float32, 0 to 1, (1 or 3, height, width) of the film at its original size.
        structures: Name and outline of each, in class order; None where it was not found.
        longest: Length of the longer side of the film in the picture, in pixels.
    """
    plain, scale = film_picture(pixels, longest)
    outlined = plain.copy()
    labels = []
    for number, (name, traced) in enumerate(structures):
        if traced is not None:
            draw_outline(outlined, traced, scale=scale, number=number)
            column, row = in_picture(traced.centre, scale)
            labels.append(_Label(name, number, column, row))
    missing = [name for name, traced in structures if traced is None]
    with whole_file(path) as temporary:
        _sheet(plain, outlined, labels, missing).save(temporary, format="PNG")


class _Label:
    """A name and where its structure lies in the picture of the film."""

    def __init__(self, name: str, number: int, column: float, row: float) -> None:
        self.name = name
        self.colour = COLOURS[number % len(COLOURS)]
        self.column = column
        self.row = row


def _sheet(
    plain: Picture, outlined: Picture, labels: Sequence[_Label], missing: Sequence[str]
) -> Image.Image:
    height, width = plain.shape[:2]
    size = max(11, round(max(height, width) / _TEXT_SHARE))
    letters = font(size)
    step = round(size * 1.35)
    left, right = _sides(labels)
    margin = 2 * _GAP + round(max((letters.getlength(each.name) for each in labels), default=0))
    tall = max(height, step * max(len(left), len(right), 1))
    top = (tall - height) // 2
    below = step + _GAP if missing else 0
    canvas = np.full(
        (tall + 2 * _GAP + below, 3 * _GAP + 2 * (width + margin), 3),
        ImageColor.getrgb(GROUND),
        np.uint8,
    )
    first = 2 * _GAP + width + margin  # column of the outlined film
    canvas[_GAP + top : _GAP + top + height, _GAP : _GAP + width] = plain
    canvas[_GAP + top : _GAP + top + height, first : first + width] = outlined

    places = []
    for side, edge, anchor in ((left, first - _GAP, "rm"), (right, first + width + _GAP, "lm")):
        rows = _spread([each.row + top for each in side], step=step, room=tall)
        for each, row in zip(side, rows, strict=True):
            begin = (edge + (_LEADER_GAP if anchor == "rm" else -_LEADER_GAP), round(row) + _GAP)
            end = (round(first + each.column), round(_GAP + top + each.row))
            cv2.line(canvas, begin, end, each.colour, 1, cv2.LINE_AA)
            cv2.circle(canvas, end, max(2, size // 6), each.colour, -1, cv2.LINE_AA)
            places.append((each, (edge, round(row) + _GAP), anchor))
    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for each, place, anchor in places:
        draw.text(place, each.name, fill=each.colour, font=letters, anchor=anchor)
    if missing:
        text = "not found: " + ", ".join(missing)
        draw.text((_GAP, tall + 2 * _GAP), text, fill=MUTED, font=letters)
    return sheet


def _sides(labels: Sequence[_Label]) -> tuple[list[_Label], list[_Label]]:
    """Give each margin half of the names, those of the structures nearest to it, from the top."""
    across = sorted(labels, key=lambda each: each.column)
    half = len(across) // 2
    left, right = (sorted(part, key=lambda e: e.row) for part in (across[:half], across[half:]))
    return left, right


def _spread(rows: Sequence[float], *, step: float, room: float) -> list[float]:
    """Move rows, in ascending order, apart by at least `step` and as little as that takes."""
    groups: list[list[float]] = []  # each: sum of wished first rows, count
    for place, row in enumerate(rows):
        groups.append([row - place * step, 1])
        # Neighbours that would overlap move together, about their common middle.
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    starts = [total / count for total, count in groups for _ in range(int(count))]
    lowest, highest = step / 2, room - step / 2 - (len(rows) - 1) * step
    return [min(max(s, lowest), max(highest, lowest)) + k * step for k, s in enumerate(starts)]
