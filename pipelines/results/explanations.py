"""A film beside the same film with a heat map over it."""

from pathlib import Path

import matplotlib as mpl
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

_COLOURS = "inferno"
"""Its lightness grows all the way, so that it is read without telling red from green."""
_STRONGEST = 0.65  # how far the colour covers the film where the heat is 1
_GAP, _HEADER, _FOOTER = 16, 64, 44


def write_explanation(
    path: Path,
    film: Pixels,
    heat: npt.NDArray[np.float32],
    *,
    title: str,
    filename: str = "",
    side: int = 512,
) -> None:
    """Write one PNG: the film untouched, beside it the film under its heat map, and a legend.

    Args:
        path: PNG to write.
        film: 0 to 1, (1 or 3, height, width).
        heat: 0 to 1, (height, width) of the film. Nothing covers the film where it is 0.
        title: What was predicted.
        filename: Of the film.
        side: Longer side of each picture of the film, in pixels.

    Raises:
        ConfigurationError: If film and heat differ in size.
    """
    if film.shape[1:] != heat.shape:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a heat map of the film's size {film.shape[1:]}, got {heat.shape}",
        )
    plain = letterboxed(film, side).convert("RGB")
    warmth = np.asarray(
        Image.fromarray(heat.astype(np.float32)).resize(plain.size, Image.Resampling.BILINEAR)
    )
    covered = _covered(np.asarray(plain), warmth)

    width, height = plain.size
    sheet = Image.new("RGB", (2 * width + 3 * _GAP, height + _HEADER + _FOOTER), GROUND)
    sheet.paste(plain, (_GAP, _HEADER))
    sheet.paste(Image.fromarray(covered), (width + 2 * _GAP, _HEADER))
    draw = ImageDraw.Draw(sheet)
    room = sheet.width - 2 * _GAP
    large, small = font(17, bold=True), font(12)
    draw.text((_GAP, 12), shortened(title, large, room), fill=TEXT, font=large)
    draw.text((_GAP, 38), shortened(filename, small, room), fill=MUTED, font=small)
    _draw_legend(sheet, (_GAP, _HEADER + height + 12), room)
    lefts = (_GAP, width + 2 * _GAP)
    save_sheet(path, sheet, [(left, _HEADER, left + width, _HEADER + height) for left in lefts])


def _covered(film: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Lay colours over a film, (height, width, 3), the more the hotter."""
    hot = np.clip(heat, 0, 1)
    colours = mpl.colormaps[_COLOURS](hot)[..., :3] * 255
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
    bar = _covered(np.full((12, long, 3), 110, np.uint8), ramp)
    draw.text((left, top), words[0], fill=MUTED, font=small)
    sheet.paste(Image.fromarray(bar), (left + before, top + 1))
    draw.text((left + before + long + 8, top), words[1], fill=MUTED, font=small)
