"""Small pictures of films, kept beside the tables so that a run that goes on has them all."""

import base64
import io
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.radiograph import Pixels
from pipelines.table_cells import table_filename

FILE_NAME = ".thumbnails.jsonl"
SIDE = 96
"""Longer side of a thumbnail in pixels."""
MOST = 20_000
"""Films of which a thumbnail is kept: about 40 MB on disk."""

_QUALITY = 60
_log = logging.getLogger(__name__)


class ThumbnailFile:
    """A line a film: its name as tables have it, and its thumbnail. A second line replaces a first.

    A thumbnail that cannot be written is left out with a warning; no run is lost for one.

    Args:
        folder: Where the file stands.
        anew: Forget what is there.
    """

    def __init__(self, folder: Path, *, anew: bool = False) -> None:
        self._path = folder / FILE_NAME
        self._count = 0
        if anew:
            self._path.unlink(missing_ok=True)

    def add(
        self, filename: str, prepared: npt.ArrayLike, *, size: tuple[int, int] | None = None
    ) -> None:
        """Keep the thumbnail of a film.

        Args:
            filename: Of the film.
            prepared: As a network sees it, (1 or 3, height, width).
            size: Height and width of the film itself, whose aspect ratio is shown.
        """
        if self._count >= MOST:
            return
        self._count += 1
        line = {"filename": table_filename(filename), "webp": encode(shrunk(prepared, size))}
        try:
            with self._path.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps(line) + "\n")
        except OSError as error:
            _log.warning("a thumbnail was not kept: %s", error.strerror)

    def read(self) -> dict[str, str]:
        """Return what is there: WebP in base64 by file name; damaged lines are passed over."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            try:
                kept = json.loads(line)
                found[str(kept["filename"])] = str(kept["webp"])
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a process that was killed
        return found


def stretched(prepared: npt.ArrayLike) -> Pixels:
    """Stretch a film as a network sees it to 0 … 1, whatever its normalisation was.

    Args:
        prepared: (channel, height, width).

    Returns:
        The same shape.
    """
    picture = np.asarray(prepared, dtype=np.float32)
    low, high = float(picture.min()), float(picture.max())
    full: Pixels = (picture - low) / max(high - low, 1e-6)
    return full


def shrunk(prepared: npt.ArrayLike, size: tuple[int, int] | None = None) -> Image.Image:
    """Return a film as a thumbnail, stretched to the full range of grey.

    Made small first, since the rest then costs a fifth.

    Args:
        prepared: As a network sees it, whatever its normalisation, (1 or 3, height, width).
        size: Height and width whose aspect ratio is shown; None takes that of the picture.

    Returns:
        A picture whose longer side is `SIDE`.
    """
    planes = np.asarray(prepared, dtype=np.float32)
    height, width = size or planes.shape[1:]
    scale = SIDE / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [cv2.resize(plane, target, interpolation=cv2.INTER_AREA) for plane in planes]
    levels = np.round(stretched(np.stack(small)) * 255).astype(np.uint8)
    picture = levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)
    return Image.fromarray(np.ascontiguousarray(picture))


def encode(picture: Image.Image, *, quality: int = _QUALITY) -> str:
    """Return a picture as WebP in base64."""
    held = io.BytesIO()
    picture.save(held, format="WEBP", quality=quality, method=0)
    return base64.b64encode(held.getvalue()).decode("ascii")
