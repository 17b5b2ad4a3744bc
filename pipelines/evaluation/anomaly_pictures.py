"""A film, what the network made of it, and where the two differ, side by side.

The film on the left is shown as it is. On the right the error is laid over it in the colours of
`inferno`, which rise evenly in brightness and so are told apart by colour-blind people too; a bar
says which error a colour stands for.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pipelines.evaluation.drawing import font, save_sheet

Plane = npt.NDArray[np.float32]

PANEL_SIDE = 384
"""Longer side of each of the three panels in pixels."""

_GAP, _HEADER, _BAR, _LEGEND = 12, 30, 14, 46
_GROUND, _TEXT, _MUTED = "#121417", "#F4F4F4", "#A9AFB6"
_COLOURS, _PANELS = "inferno", "panels"
_SMOOTHING = 0.008
_VISIBLE = 0.15


def draw_anomaly(
    original: Plane,
    film: Plane,
    reconstruction: Plane,
    *,
    error_scale: float,
    title: str,
) -> Image.Image:
    """Draw film, reconstruction and error beside each other.

    Args:
        original: The film as it was read, 0 to 1, (height, width); all panels get its shape.
        film: As the network sees it, 0 to 1, (h, w).
        reconstruction: What the network makes of it, (h, w).
        error_scale: Absolute error that is shown brightest, above 0.
        title: What was found, in one line.

    Returns:
        An RGB picture, which knows where its panels lie.
    """
    longest = max(original.shape)
    height, width = (max(1, round(n * PANEL_SIDE / longest)) for n in original.shape)
    grey = _fitted(original.clip(0, 1), height, width)
    made = _fitted(reconstruction.clip(0, 1), height, width)
    heat = _fitted(heat_map(film, reconstruction, error_scale=error_scale), height, width)
    panels = [_grey_picture(grey), _grey_picture(made), overlaid(grey, heat)]
    sheet = Image.new(
        "RGB", (4 * _GAP + 3 * width, 2 * _HEADER + 2 * _GAP + height + _LEGEND), _GROUND
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), title, fill=_TEXT, font=font(15))
    boxes = []
    names = ("Film", "Reconstruction", "Error")
    for place, (panel, name) in enumerate(zip(panels, names, strict=True)):
        left = _GAP + place * (width + _GAP)
        draw.text((left, _HEADER + 6), name, fill=_MUTED, font=font(13))
        sheet.paste(Image.fromarray(panel), (left, 2 * _HEADER))
        boxes.append((left, 2 * _HEADER, left + width, 2 * _HEADER + height))
    sheet.info[_PANELS] = boxes
    _draw_legend(sheet, left=2 * (width + _GAP) + _GAP, width=width, error_scale=error_scale)
    return sheet


def heat_map(film: Plane, reconstruction: Plane, *, error_scale: float) -> Plane:
    """Return the absolute error, a little smoothed, as a share of `error_scale`: 0 to 1, (h, w)."""
    error = np.abs(reconstruction - film)
    width = max(_SMOOTHING * max(error.shape), 0.5)
    smooth = cv2.GaussianBlur(error, (0, 0), width)
    return np.asarray(np.clip(smooth / error_scale, 0, 1), dtype=np.float32)


def write_picture(path: Path, picture: Image.Image, *, film: str = "") -> None:
    """Write a picture as PNG, whole or not at all; `film` as in `save_sheet`."""
    save_sheet(path, picture, picture.info.get(_PANELS, ()), film=film)


def stack_pictures(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures below each other; there is one at least."""
    sheet = Image.new(
        "RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), _GROUND
    )
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def _fitted(plane: Plane, height: int, width: int) -> Plane:
    shrinks = plane.shape[0] > height and plane.shape[1] > width
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=mode), dtype=np.float32)


def _grey_picture(plane: Plane) -> npt.NDArray[np.uint8]:
    levels = np.rint(plane * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def overlaid(grey: Plane, heat: Plane, *, light: float = 0.6) -> npt.NDArray[np.uint8]:
    """Lay colours over a film, the more opaque the larger the error.

    Args:
        grey: The film, 0 to 1, (height, width).
        heat: The error as a share of the largest that is told apart, 0 to 1, of the same shape.
        light: Share of its brightness that the film keeps; below 1 colours stand out.

    Returns:
        (height, width, 3).
    """
    from matplotlib import colormaps

    colours = colormaps[_COLOURS](heat)[..., :3]
    share = np.clip(heat / _VISIBLE, 0, 1)[..., None] * 0.85
    mixed = (1 - share) * grey[..., None] * light + share * colours
    levels: npt.NDArray[np.uint8] = np.rint(mixed * 255).astype(np.uint8)
    return levels


def _draw_legend(sheet: Image.Image, *, left: int, width: int, error_scale: float) -> None:
    from matplotlib import colormaps

    top = sheet.height - _LEGEND
    shades = colormaps[_COLOURS](np.linspace(0, 1, width))[None, :, :3]
    bar = np.rint(np.repeat(shades, _BAR, axis=0) * 255).astype(np.uint8)
    sheet.paste(Image.fromarray(bar), (left, top))
    draw, lettering = ImageDraw.Draw(sheet), font(12)
    below = top + _BAR + 4
    draw.text((left, below), "0", fill=_MUTED, font=lettering)
    draw.text(
        (left + width / 2, below), "share of full grey", fill=_MUTED, font=lettering, anchor="ma"
    )
    draw.text(
        (left + width, below), f"≥ {error_scale:.2g}", fill=_MUTED, font=lettering, anchor="ra"
    )
