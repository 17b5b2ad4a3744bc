"""A film with every structure outlined and named, and the untouched film beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw

from pipelines.evaluation.drawing import GROUND, MUTED, font, save_sheet
from pipelines.evaluation.region_pictures import (
    COLOURS,
    Outline,
    Picture,
    draw_outline,
    film_picture,
    in_picture,
)
from pipelines.radiograph import Pixels

_GAP, _LEADER_GAP = 16, 8
_LINE = 0.6  # opacity of the lines to names
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
    save_sheet(path, *_sheet(*film_picture(pixels, longest), structures))


def outlined_film(pixels: Pixels, structures: Sequence[tuple[str, Outline | None]]) -> Image.Image:
    """Draw the outlined film alone, at its own size, with the names beside it.

    Args:
        pixels: float32, 0 to 1, (1 or 3, height, width).
        structures: As in `write_overlay`.

    Returns:
        An RGB picture, larger than the film by its margins.
    """
    return _sheet(*film_picture(pixels, max(pixels.shape[1:])), structures, untouched=False)[0]


@dataclass(frozen=True, slots=True)
class _Label:
    """A name, and where its structure lies in the picture of the film."""

    name: str
    number: int
    column: float
    row: float

    @property
    def colour(self) -> tuple[int, int, int]:
        return COLOURS[self.number % len(COLOURS)]


@dataclass(frozen=True, slots=True)
class _PlacedLabel:
    """A name, where it stands on the sheet, and the place that its line leads to."""

    label: _Label
    place: tuple[int, int]
    anchor: str
    target: tuple[int, int]

    @property
    def line_start(self) -> tuple[int, int]:
        column, row = self.place
        return column + (_LEADER_GAP if self.anchor == "rm" else -_LEADER_GAP), row


def _sheet(
    plain: Picture,
    scale: float,
    structures: Sequence[tuple[str, Outline | None]],
    *,
    untouched: bool = True,
) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """Draw the sheet; say where the pictures of the film lie on it, the untouched one first."""
    height, width = plain.shape[:2]
    labels = [
        _Label(name, number, *in_picture(traced.centre, scale))
        for number, (name, traced) in enumerate(structures)
        if traced is not None
    ]
    size = max(11, round(max(height, width) / _TEXT_SHARE))
    letters, step = font(size), round(size * 1.35)
    margin = 2 * _GAP + round(max((letters.getlength(each.name) for each in labels), default=0))
    tall = max(height, step * (len(labels) + 1) // 2)
    rows = slice(_GAP + (tall - height) // 2, _GAP + (tall - height) // 2 + height)
    lefts = [_GAP] if untouched else []
    first = _GAP + (width + _GAP) * len(lefts) + margin  # column of the outlined film
    canvas = np.full(
        (tall + 3 * _GAP + step, first + width + margin + _GAP, 3),
        ImageColor.getrgb(GROUND),
        np.uint8,
    )
    for left in lefts:
        canvas[rows, left : left + width] = plain
    canvas[rows, first : first + width] = plain
    placed = _placed(labels, corner=(first, rows.start), width=width, tall=tall, step=step)
    canvas = _with_lines(canvas, placed)
    # Outlines over lines, since those cross structures that are not theirs.
    film = np.ascontiguousarray(canvas[rows, first : first + width])
    for number, (_, traced) in enumerate(structures):
        if traced is not None:
            draw_outline(film, traced, scale=scale, number=number)
    canvas[rows, first : first + width] = film
    for each in placed:
        cv2.circle(canvas, each.target, max(2, size // 6), each.label.colour, -1, cv2.LINE_AA)

    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for each in placed:
        draw.text(
            each.place, each.label.name, fill=each.label.colour, font=letters, anchor=each.anchor
        )
    missing = [name for name, traced in structures if traced is None]
    if missing:
        text = "not found: " + ", ".join(missing)
        if letters.getlength(text) > sheet.width - 2 * _GAP:
            text = f"not found: {len(missing)} of {len(structures)}"
        draw.text((_GAP, tall + 2 * _GAP), text, fill=MUTED, font=letters)
    return sheet, [(left, rows.start, left + width, rows.stop) for left in (*lefts, first)]


def _with_lines(canvas: Picture, placed: Sequence[_PlacedLabel]) -> Picture:
    lined = canvas.copy()
    for each in placed:
        cv2.line(lined, each.line_start, each.target, each.label.colour, 1, cv2.LINE_AA)
    blended: Picture = cv2.addWeighted(lined, _LINE, canvas, 1 - _LINE, 0)
    return blended


def _placed(
    labels: Sequence[_Label], *, corner: tuple[int, int], width: int, tall: int, step: int
) -> list[_PlacedLabel]:
    """Place names in the margins, each at the height of its structure where there is room."""
    left, top = corner
    placed = []
    for side, column, anchor in zip(
        _sides(labels), (left - _GAP, left + width + _GAP), ("rm", "lm"), strict=True
    ):
        wished = [top - _GAP + each.row for each in side]
        for each, row in zip(side, _spread(wished, step=step, room=tall), strict=True):
            target = (round(left + each.column), round(top + each.row))
            placed.append(_PlacedLabel(each, (column, round(row) + _GAP), anchor, target))
    return placed


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
