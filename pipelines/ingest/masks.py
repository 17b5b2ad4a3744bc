"""Masks, read with the values that stand in the file: label maps, grey masks, NIfTI of channels.

Films are stretched when they are read; a mask must not be. The checks of size and of damage are
those of films.
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason
from pipelines.ingest.guard import guard_input
from pipelines.ingest.limits import check_file_bytes, check_samples, check_sides
from pipelines.ingest.raster import read_raster
from pipelines.ingest.sniff import FileFormat, sniff

Levels: TypeAlias = npt.NDArray[np.int64]
"""Whole numbers as stored, (channel, height, width), rows first."""

_PLANE = 2
_STACK = 3


def read_mask(path: Path) -> Levels:
    """Read a mask with its stored values.

    Args:
        path: PNG, BMP, TIFF or GIF in grey, of 1 to 16 bits; or NIfTI with axes (column, row), as
            films are read, and perhaps a third one of channels.

    Returns:
        The values; one channel except for NIfTI with a third axis longer than 1.

    Raises:
        InputError: If it cannot be read, is in colour, or holds values that are no whole numbers.
    """
    if sniff(path) is FileFormat.NIFTI:
        with guard_input():
            check_file_bytes(path)
            return _read_nifti(path)
    film = read_raster(path)
    if len(film.pixels) > 1:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC,
            "expected a mask in grey, got colour; save it as a label map or as one grey mask",
        )
    largest = 2**film.provenance.bits - 1
    levels: Levels = np.rint(film.pixels * largest).astype(np.int64)
    return levels


def _read_nifti(path: Path) -> Levels:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.load(path)
        shape = _stack_shape(image.shape)
        check_sides(shape[1], shape[0])
        check_samples(int(np.prod(shape)))
        values = np.asarray(image.dataobj).reshape(shape)
    except (ImageFileError, EOFError, OSError, ValueError) as error:
        raise InputError(
            Reason.DECODE_FAILED,
            f"expected a NIfTI file that can be read, got {type(error).__name__}; copy it again",
        ) from None
    with np.errstate(invalid="ignore"):
        levels = np.rint(values).astype(np.int64)
    if not np.array_equal(levels, values):
        raise InputError(
            Reason.CORRUPT, "expected whole numbers in a mask, got fractions; save it as integers"
        )
    turned: Levels = np.ascontiguousarray(np.transpose(levels, (2, 1, 0)))
    return turned


def _stack_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(column, row, channel) of a file, whose axes of length 1 mean nothing.

    Raises:
        InputError: VOLUME if there are more axes.
    """
    kept = [*shape[:_PLANE], *(side for side in shape[_PLANE:] if side > 1)]
    if len(kept) not in {_PLANE, _STACK}:
        raise InputError(
            Reason.VOLUME,
            f"expected the axes column, row and perhaps channel, got {shape}; export single masks",
        )
    columns, rows, channels = (*kept, 1)[:_STACK]
    return columns, rows, channels
