"""What pictures of films are put together from: films on a panel, and lettering."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont
from PIL.PngImagePlugin import PngInfo

from pipelines.files import whole_file
from pipelines.radiograph import Pixels

GROUND, PANEL, TEXT, MUTED = "#121417", "#000000", "#F4F4F4", "#A9AFB6"

PANELS_KEY = "plainfilm:panels"
"""Text of a PNG that says where its panels lie: a list of left, top, right and bottom in pixels."""

FILM_KEY = "plainfilm:film"
"""Text of a PNG that says which film it shows, where its own name does not."""

_PACKED = 4
"""Of 1 to 9: half the time of PNG's usual 6 for a fifth more bytes."""


def save_sheet(
    path: Path,
    sheet: Image.Image,
    panels: Sequence[tuple[int, int, int, int]] = (),
    *,
    film: str = "",
) -> None:
    """Write a picture of several panels as PNG, whole or not at all.

    Args:
        path: Where to write.
        sheet: The picture.
        panels: Left, top, right and bottom of each panel, so that they can be shown alone.
        film: Name of the film in the tables, where the picture has another one.
    """
    told = PngInfo()
    if film:
        told.add_itxt(FILM_KEY, film)
    if panels:
        told.add_text(PANELS_KEY, json.dumps([list(box) for box in panels]))
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG", pnginfo=told, compress_level=_PACKED)


def letterboxed(pixels: Pixels, side: int) -> Image.Image:
    """Return a film as a picture whose longer side is `side`, with its aspect ratio.

    Args:
        pixels: 0 to 1, (1 or 3, height, width).
        side: Length of the longer side in pixels.
    """
    levels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    grey = levels.shape[0] == 1
    image = Image.fromarray(levels[0] if grey else np.moveaxis(levels, 0, -1))
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def shortened(text: str, lettering: ImageFont.FreeTypeFont, width: int) -> str:
    """Leave out the beginning of what does not fit: the end tells files apart."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text)
    if lettering.getlength(shown) <= width:
        return shown
    while shown and lettering.getlength(f"…{shown}") > width:
        shown = shown[1:]
    return f"…{shown}"


def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Open the font that matplotlib brings: it is on every machine and knows most scripts."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(_fonts() / name, size)


@cache
def _fonts() -> Path:
    """Where matplotlib keeps its fonts: a seventh of a second less than to import it and ask."""
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
        if folder.is_dir():
            return folder
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"
