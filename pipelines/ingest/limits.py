"""How much one file may ask for; held against its header, before anything is decoded."""

from pathlib import Path

from pipelines.errors import InputError, Reason

MAX_SAMPLES = 50_000_000
"""Samples (rows x columns x channels) of one frame: about twice the largest detector in use.

Decoding takes about 12 bytes a sample at its peak, so this keeps a process below 1 GB.
"""

MAX_SIDE = 65_535
"""Rows or columns: as many as DICOM can declare."""

MAX_FILE_BYTES = 300_000_000
"""Bytes of a file that holds one image: three times the largest one, uncompressed in 16 bits."""


def check_samples(samples: int) -> None:
    """Refuse an image that its header declares too large.

    Args:
        samples: Rows x columns x channels of the frame to be decoded.

    Raises:
        InputError: TOO_LARGE if there are more than `MAX_SAMPLES`.
    """
    if samples > MAX_SAMPLES:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {MAX_SAMPLES} samples, got {samples} in the header; "
            "crop or downsample the image",
        )


def check_sides(rows: int, columns: int) -> None:
    """Refuse an image that is longer than `MAX_SIDE`, however narrow it is.

    Args:
        rows: Height in pixels.
        columns: Width in pixels.

    Raises:
        InputError: TOO_LARGE if either is more than `MAX_SIDE`.
    """
    if max(rows, columns) > MAX_SIDE:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {MAX_SIDE} rows and columns, got {max(rows, columns)} in the "
            "header; crop or downsample the image",
        )


def check_file_bytes(path: Path) -> None:
    """Refuse a file that is too large to hold one film.

    Args:
        path: The file.

    Raises:
        InputError: TOO_LARGE if it has more than `MAX_FILE_BYTES`.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected a file of at most {MAX_FILE_BYTES} bytes, got {size}; "
            "compress or downsample the image",
        )
