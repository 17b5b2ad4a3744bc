"""A film beside the same film with a heat map over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.drawing import (
    GROUND,
    MUTED,
    TEXT,
    font,
    letterboxed,
    save_sheet,
    shortened,
)
from pipelines.radiograph import Pixels
from pipelines.table_cells import table_filename
from pipelines.transforms.geometry import resize_area

Plane: TypeAlias = npt.NDArray[np.float32]
"""(height, width)."""

_COLOURS = "inferno"
"""Its lightness grows all the way, so that it is read without telling red from green."""
_STRONGEST = 0.65  # how far the colour covers the film where the heat is 1
_GAP, _HEADER, _LINE, _FOOTER = 16, 64, 20, 64


class Placement(Protocol):
    """Where the network's picture lies on the film."""

    def to_film(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring maps (channel, h, w) of the network's size to (channel, height, width)."""


def write_explanation(
    path: Path,
    film: Pixels,
    heats: Mapping[str, Plane],
    *,
    title: str,
    filename: str = "",
    note: str = "",
    side: int = 512,
) -> None:
    """Write one PNG: the film untouched, beside it the film under each heat map, and a legend.

    Args:
        path: PNG to write.
        film: 0 to 1, (1 or 3, height, width).
        heats: By what they are: 0 to 1, (height, width) of the film. Nothing covers the film where
            one is 0.
        title: What was predicted.
        filename: Of the film.
        note: A line below the legend.
        side: Longer side of each picture of the film, in pixels.

    Raises:
        ConfigurationError: If film and a heat map differ in size.
    """
    for heat in heats.values():
        if film.shape[1:] != heat.shape:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a heat map of the film's size {film.shape[1:]}, got {heat.shape}",
            )
    plain = letterboxed(film, side).convert("RGB")
    width, height = plain.size
    panels = {"The film": plain} | {name: _under(plain, heat) for name, heat in heats.items()}
    footer = _FOOTER + (_LINE if note else 0)
    across = len(panels) * (width + _GAP) + _GAP
    sheet = Image.new("RGB", (across, _HEADER + height + footer), GROUND)
    draw = ImageDraw.Draw(sheet)
    room = sheet.width - 2 * _GAP
    large, small = font(17, bold=True), font(12)
    draw.text((_GAP, 12), shortened(title, large, room), fill=TEXT, font=large)
    draw.text((_GAP, 38), shortened(filename, small, room), fill=MUTED, font=small)
    boxes = []
    for place, (name, panel) in enumerate(panels.items()):
        left = _GAP + place * (width + _GAP)
        sheet.paste(panel, (left, _HEADER))
        below = (left, _HEADER + height + 5)
        draw.text(below, shortened(name, small, width), fill=MUTED, font=small)
        boxes.append((left, _HEADER, left + width, _HEADER + height))
    _draw_legend(sheet, (_GAP, _HEADER + height + 12 + _LINE), room)
    last = (_GAP, _HEADER + height + 14 + 2 * _LINE)
    draw.text(last, shortened(note, small, room), fill=MUTED, font=small)
    save_sheet(path, sheet, boxes, film=table_filename(filename))


def on_film(heat: Plane, placement: Placement | None, size: tuple[int, int]) -> Plane:
    """Bring a heat map of the network's picture to its film.

    Args:
        heat: float32, 0 to 1, (h, w).
        placement: Where the picture lies on the film; None where it is all of it.
        size: Height and width of the film.

    Returns:
        float32, (height, width).
    """
    if placement is not None:
        placed: Plane = placement.to_film(heat[None])[0]
        return placed
    height, width = size
    spread: Plane = resize_area(heat[None], height=height, width=width)[0]
    return spread


def _under(plain: Image.Image, heat: Plane) -> Image.Image:
    """The film under a heat map."""
    warmth = np.asarray(
        Image.fromarray(heat.astype(np.float32)).resize(plain.size, Image.Resampling.BILINEAR)
    )
    return Image.fromarray(covered(np.asarray(plain), warmth))


def covered(film: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Lay colours over a film, the more the hotter.

    Args:
        film: (height, width, 3).
        heat: 0 to 1, (height, width); nothing covers the film where it is 0.

    Returns:
        (height, width, 3).
    """
    from matplotlib import colormaps

    hot = np.clip(heat, 0, 1)
    colours = colormaps[_COLOURS](hot)[..., :3] * 255
    share = (_STRONGEST * hot)[..., None]
    mixed: npt.NDArray[np.uint8] = np.round(film * (1 - share) + colours * share).astype(np.uint8)
    return mixed


def _draw_legend(sheet: Image.Image, corner: tuple[int, int], width: int) -> None:
    """Draw the colours as they look over mid-grey, from no weight to the largest."""
    left, top = corner
    draw, small = ImageDraw.Draw(sheet), font(12)
    words = ("no weight", "largest weight")
    before, after = (round(small.getlength(each)) + 8 for each in words)
    long = max(width - before - after, 1)
    ramp = np.tile(np.linspace(0, 1, long, dtype=np.float32), (12, 1))
    bar = covered(np.full((12, long, 3), 110, np.uint8), ramp)
    draw.text((left, top), words[0], fill=MUTED, font=small)
    sheet.paste(Image.fromarray(bar), (left + before, top + 1))
    draw.text((left + before + long + 8, top), words[1], fill=MUTED, font=small)
