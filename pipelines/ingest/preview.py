"""A film as a small grey picture, as cheaply as its format allows: a JPEG is decoded at a fraction.

A preview is good for telling films apart and for counting greys. What a network sees comes from
`read_radiograph`.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL.ExifTags import Base as ExifTag
from PIL.JpegImagePlugin import JpegImageFile

from pipelines.ingest.guard import guard_input
from pipelines.ingest.limits import check_file_bytes, check_samples, check_sides
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.radiograph import Pixels

Grey = npt.NDArray[np.uint8]
"""uint8, (height, width); 0 is black."""

_MAX_SCANS = 100
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue, ITU-R BT.601, as JPEG has them."""


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small picture of a film, and what its file told on the way.

    Attributes:
        grey: The film squeezed to a square, (side, side).
        height: Rows of the film.
        width: Columns of the film.
        bits: Bits stored a sample.
        file_format: Told from the content.
        has_spacing: Whether the file tells the distance between pixels.
    """

    grey: Grey
    height: int
    width: int
    bits: int
    file_format: FileFormat
    has_spacing: bool = False


def read_preview(path: Path, *, side: int) -> Preview:
    """Read a film as a small square of grey.

    Args:
        path: A file of any format that is read.
        side: Rows and columns of the picture.

    Returns:
        The picture and what the file told.

    Raises:
        InputError: If the file cannot be read as a film.
    """
    file_format = sniff(path)
    if file_format is FileFormat.JPEG:
        reduced = _reduced_jpeg(path, side)
        if reduced is not None:
            return reduced
    film = read_radiograph(path)
    return Preview(
        _squeezed(_levels(film.pixels), side),
        height=film.pixels.shape[1],
        width=film.pixels.shape[2],
        bits=film.provenance.bits,
        file_format=file_format,
        has_spacing=film.spacing_mm is not None,
    )


def _reduced_jpeg(path: Path, side: int) -> Preview | None:
    """Decode a plain JPEG at half, a quarter or an eighth; None leaves it to the whole reader."""
    with guard_input():
        check_file_bytes(path)
        content = path.read_bytes()
    if content.count(b"\xff\xda") > _MAX_SCANS:
        return None
    try:
        image = JpegImageFile(BytesIO(content))
        width, height = image.size
        check_sides(height, width)
        check_samples(width * height)
        turned = "exif" in image.info and image.getexif().get(ExifTag.Orientation, 1) != 1
        if turned or image.mode not in {"L", "RGB"}:
            return None
        image.draft("L", (side, side))
        grey = np.asarray(image.convert("L"))
    # Whatever is wrong with it, the whole reader finds and names it.
    except Exception:  # noqa: BLE001
        return None
    return Preview(
        _squeezed(grey, side), height=height, width=width, bits=8, file_format=FileFormat.JPEG
    )


def _levels(pixels: Pixels) -> Grey:
    grey = pixels[0] if len(pixels) == 1 else np.tensordot(_LUMA, pixels[:3], axes=1)
    return np.asarray(np.rint(grey.clip(0, 1) * 255), dtype=np.uint8)


def _squeezed(grey: Grey, side: int) -> Grey:
    shrinks = min(grey.shape) >= side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (side, side), interpolation=method), dtype=np.uint8)
