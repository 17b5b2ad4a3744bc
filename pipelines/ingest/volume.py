"""NIfTI, MetaImage and NRRD files that hold one 2-D image or a single slice.

What is done:

- Axes of length 1 are dropped. Of the two that remain the faster one runs along the columns, the
  slower one down the rows, as they are stored; directions in the header turn nothing, since
  converters of radiographs rarely set them.
- Unsigned 8-bit samples without a slope are scaled by 255. All others are stretched from the 0.5th
  to the 99.5th percentile of the image, since nothing names a window, and flagged `voi_guessed`. An
  image of one value becomes 0.5, as in DICOM.
- Samples that are not finite become 0 and are flagged `not_finite`.
- A spacing of exactly 1 by 1 is what writers put where it is unknown, and is taken so.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason
from pipelines.ingest.guard import guard_input
from pipelines.ingest.limits import check_file_bytes, check_samples, check_sides
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.ingest.volume_headers import (
    MAX_HEADER_BYTES,
    VolumeHeader,
    parse_metaimage,
    parse_nrrd,
)
from pipelines.radiograph import Pixels, Provenance, Radiograph

_PERCENTILES = (0.5, 99.5)
_CHANNELS = frozenset({1, 3})
_MAX_SAMPLE_BYTES = 8
_NIFTI_HEADER_BYTES = 540
_MAX_NIFTI_OFFSET = 10_000_000
_MAX_REST = 1_000_000
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


@dataclass(frozen=True, slots=True)
class _Slice:
    """Stored values (height, width, channel), and what the header says of them."""

    values: npt.NDArray[Any]
    spacing_mm: tuple[float, float] | None
    decoder: str
    slope: float = 1.0
    intercept: float = 0.0


def read_volume(path: Path) -> Radiograph:
    """Read a 2-D image or a single slice from a NIfTI, MetaImage or NRRD file.

    Args:
        path: The file; a detached header leads to a data file beside it.

    Returns:
        The film, as the module describes.

    Raises:
        InputError: VOLUME if it holds more than one slice; TOO_LARGE from the header alone;
            TRUNCATED, CORRUPT or DECODE_FAILED; UNSUPPORTED_FORMAT for what is not read.
    """
    file_format = sniff(path)
    with guard_input():
        check_file_bytes(path)
        if file_format is FileFormat.NIFTI:
            found = _read_nifti(path)
        elif file_format in {FileFormat.METAIMAGE, FileFormat.NRRD}:
            found = _read_text_headed(path, file_format)
        else:
            raise InputError(
                Reason.UNSUPPORTED_FORMAT,
                f"expected nifti, metaimage or nrrd, got {file_format}; use read_radiograph",
            )
        return _radiograph(found, file_format)


def _read_nifti(path: Path) -> _Slice:
    import nibabel

    with _inflated(path) as content:
        head = content.read(_NIFTI_HEADER_BYTES)
        if len(head) < _NIFTI_HEADER_BYTES:
            _refuse_truncated()
        kind = nibabel.Nifti2Header if head[4:7] == b"n+2" else nibabel.Nifti1Header
        # Unchecked, since nibabel's check logs; what is used of the header is checked here.
        header = kind(head[: kind.sizeof_hdr], check=False)
        with _refusing_header():
            dtype, offset = header.get_data_dtype(), int(header.get_data_offset())
            shape = tuple(int(size) for size in header.get_data_shape())
            slope, intercept = header.get_slope_inter()
            unit = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
            zooms = tuple(float(zoom) * unit for zoom in header.get_zooms())
        row_axis, column_axis = _plane_axes(shape)
        pixel_shape = (shape[row_axis], shape[column_axis], 1)
        size = _checked_bytes(pixel_shape, dtype)
        content.seek(_checked_offset(offset))
        values = _array(content.read(size), dtype, pixel_shape)
        # Reaching the end of a packed file is what checks its sum.
        content.read(_MAX_REST)
    spacing_mm = _spacing_mm(zooms, row_axis, column_axis)
    slope, intercept = (1.0, 0.0) if slope is None else (slope, intercept)
    return _Slice(values, spacing_mm, "nibabel", slope=slope, intercept=intercept)


def _read_text_headed(path: Path, file_format: FileFormat) -> _Slice:
    parse = parse_metaimage if file_format is FileFormat.METAIMAGE else parse_nrrd
    with path.open("rb") as content:
        header = parse(content.read(MAX_HEADER_BYTES))
    row_axis, column_axis = _plane_axes(header.shape)
    if header.channels not in _CHANNELS:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected 1 or 3 channels, got {header.channels}; convert the file",
        )
    pixel_shape = (header.shape[row_axis], header.shape[column_axis], header.channels)
    size = _checked_bytes(pixel_shape, header.dtype)
    with _data_file(path, header.data_file).open("rb") as content:
        values = _array(_payload(content, header, size), header.dtype, pixel_shape)
    return _Slice(values, _spacing_mm(header.spacing, row_axis, column_axis), decoder="numpy")


def _plane_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    # Rows run along the slower and columns along the faster of the axes longer than 1.
    if len(shape) < 2 or min(shape) < 1:  # noqa: PLR2004 (rows and columns)
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected two axes of positive size, got {shape}; export the file again",
        )
    # The longest two; of equal ones the first.
    column_axis, row_axis = sorted(sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2])
    if math.prod(shape) != shape[row_axis] * shape[column_axis]:
        raise InputError(
            Reason.VOLUME, f"expected one 2-D image, got a volume of {shape}; export single slices"
        )
    return row_axis, column_axis


def _checked_bytes(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> int:
    if dtype.kind not in "iuf" or dtype.itemsize > _MAX_SAMPLE_BYTES:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected integers or floats of at most 64 bits, got {dtype}; convert the file",
        )
    check_sides(shape[0], shape[1])
    # The limit is about memory: 64-bit samples count twice.
    check_samples(math.prod(shape) * max(1, dtype.itemsize // 4))
    return math.prod(shape) * dtype.itemsize


def _checked_offset(offset: int) -> int:
    # Extensions stand before the data, and could be of any length.
    if not 0 < offset <= _MAX_NIFTI_OFFSET:
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected vox_offset from 1 to {_MAX_NIFTI_OFFSET}, got {offset}; export again",
        )
    return offset


@contextmanager
def _refusing_header() -> Iterator[None]:
    # nibabel looks codes up in tables, and raises what the look-up raises.
    from nibabel.spatialimages import HeaderDataError

    try:
        yield
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected codes and numbers of the NIfTI standard, got {type(error).__name__}; "
            "export the file again",
        ) from None


@contextmanager
def _inflated(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if is_packed else path.open("rb") as content:
            yield cast("IO[bytes]", content)
    except EOFError:
        _refuse_truncated()
    except (zlib.error, gzip.BadGzipFile):
        _refuse_packing()


def _payload(content: IO[bytes], header: VolumeHeader, size: int) -> bytes:
    if header.offset < 0:
        content.seek(-size, os.SEEK_END)
        return content.read(size)
    content.seek(header.offset)
    if not header.is_compressed:
        return content.read(size)
    try:
        stream = zlib.decompressobj(_ZLIB_OR_GZIP)
        # Packed samples are hardly ever longer than the samples.
        inflated = stream.decompress(content.read(size + _MAX_REST), size)
        # Reaching the end is what checks the sum.
        stream.decompress(stream.unconsumed_tail, _MAX_REST)
    except zlib.error:
        _refuse_packing()
    return inflated


def _data_file(path: Path, name: str) -> Path:
    # The header may name any path; only a file beside it is opened.
    if not name:
        return path
    other = path.parent / name
    if Path(name).name != name or other.is_symlink() or not other.is_file():
        raise InputError(
            Reason.FILE_UNREADABLE,
            "expected a header with its data in one file beside it, got a missing file, a list or "
            "a path; put both into one folder or convert to one file",
        )
    check_file_bytes(other)
    return other


def _array(content: bytes, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    if len(content) < math.prod(shape) * dtype.itemsize:
        _refuse_truncated()
    return np.frombuffer(content, dtype).reshape(shape)


def _spacing_mm(
    spacing: tuple[float, ...], row_axis: int, column_axis: int
) -> tuple[float, float] | None:
    if len(spacing) <= max(row_axis, column_axis):
        return None
    rows, columns = spacing[row_axis], spacing[column_axis]
    is_known = (rows, columns) != (1.0, 1.0) and min(rows, columns) > 0
    return (rows, columns) if is_known and math.isfinite(rows + columns) else None


def _radiograph(found: _Slice, file_format: FileFormat) -> Radiograph:
    is_rescaled = (found.slope, found.intercept) != (1, 0)
    is_byte = found.values.dtype == np.uint8 and not is_rescaled
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = np.moveaxis(found.values, 2, 0).astype(np.float32, order="C")
        pixels *= np.float32(found.slope)
        pixels += np.float32(found.intercept)
        finite = np.isfinite(pixels)
        low, high = (0.0, 255.0) if is_byte else _percentile_range(pixels[finite])
        if low == high:
            low, high = low - 0.5, high + 0.5
        pixels -= np.float32(low)
        pixels /= np.float32(high - low)
    # Also where a range beyond that of float32 made them so.
    pixels[~np.isfinite(pixels)] = 0
    named = (("colour", len(pixels) > 1), ("not_finite", not finite.all()))
    flags = {flag for flag, is_set in (*named, ("voi_guessed", not is_byte)) if is_set}
    return Radiograph(
        np.clip(pixels, 0, 1, out=pixels),
        found.spacing_mm,
        Provenance(
            format=file_format,
            bits=found.values.dtype.itemsize * 8,
            modality_lut="rescale" if is_rescaled else "none",
            voi="full_range" if is_byte else "percentile",
            decoder=found.decoder,
            flags=tuple(sorted(flags)),
        ),
    )


def _percentile_range(values: Pixels) -> tuple[float, float]:
    """Return the values that become 0 and 1: the extremes where the percentiles are equal."""
    if not values.size:
        return 0.0, 1.0
    extremes = float(values.min()), float(values.max())
    low, high = np.percentile(values, _PERCENTILES, overwrite_input=True).tolist()
    return (low, high) if low < high else extremes


def _refuse_truncated() -> NoReturn:
    raise InputError(
        Reason.TRUNCATED, "expected as many samples as the header says, got fewer; copy it again"
    ) from None


def _refuse_packing() -> NoReturn:
    raise InputError(
        Reason.DECODE_FAILED, "expected data packed by gzip or zlib, got broken ones; copy it again"
    ) from None
