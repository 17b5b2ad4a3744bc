"""Tags of a TIFF file, held against the file before its image is decoded.

Pillow makes a Python object of every value of a tag, so that a file of 100 MB can take minutes and
gigabytes; and libtiff writes of missing data to the standard error stream.
"""

import os
import struct
from collections.abc import Iterator
from typing import IO, NoReturn

from PIL import TiffImagePlugin

from pipelines.errors import InputError, Reason

MAX_TAG_VALUES = 100_000
"""Numbers in one tag: more than an image of `MAX_SIDE` rows has strips."""

_BIG_TIFF = 43
_BYTES_TEXT_UNDEFINED = frozenset({1, 2, 7})
_EXIF_GPS_INTEROPERABILITY = frozenset({34665, 34853, 40965})
_MAX_DIRECTORIES = 16
_MAX_ENTRIES = 4096
_SEGMENTS = (
    (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS),
    (TiffImagePlugin.TILEOFFSETS, TiffImagePlugin.TILEBYTECOUNTS),
)


def check_tags(content: IO[bytes]) -> None:
    """Refuse a TIFF file whose tags hold more numbers than an image can need.

    The first directory is looked at, and those of EXIF that it leads to: Pillow parses these. The
    refusal is TOO_LARGE.

    Args:
        content: The file; its position is changed.
    """
    content.seek(0)
    head = content.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(order + "H", head[2:4])[0] == _BIG_TIFF
    pending = [_unpack(order + "Q", head[8:]) if is_big else _unpack(order + "L", head[4:])]
    for _ in range(_MAX_DIRECTORIES):
        if not pending:
            return
        for tag, kind, count, value in _entries(content, pending.pop(), order, is_big=is_big):
            if count > MAX_TAG_VALUES and kind not in _BYTES_TEXT_UNDEFINED:
                _refuse_too_large(f"{MAX_TAG_VALUES} numbers in a tag", count)
            if tag in _EXIF_GPS_INTEROPERABILITY:
                pending.append(value)
    _refuse_too_large(f"{_MAX_DIRECTORIES} directories of tags", "more")


def _entries(
    content: IO[bytes], offset: int, order: str, *, is_big: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, number of values and value (or its offset) of each entry of a directory."""
    number_format, entry_format = ("Q", "HHQQ") if is_big else ("H", "HHLL")
    content.seek(min(offset, os.fstat(content.fileno()).st_size))
    number = _unpack(order + number_format, content.read(struct.calcsize(order + number_format)))
    entries = content.read(min(number, _MAX_ENTRIES) * struct.calcsize(order + entry_format))
    whole = len(entries) - len(entries) % struct.calcsize(order + entry_format)
    yield from struct.iter_unpack(order + entry_format, entries[:whole])


def _unpack(number_format: str, content: bytes) -> int:
    """Unpack one number from the start of `content`; 0 where the file ends before it."""
    size = struct.calcsize(number_format)
    return int(struct.unpack(number_format, content[:size].ljust(size, b"\0"))[0])


def _refuse_too_large(limit: str, found: int | str) -> NoReturn:
    raise InputError(
        Reason.TOO_LARGE, f"expected at most {limit}, got {found}; export the image again"
    )


def lacks_data(image: TiffImagePlugin.TiffImageFile, content: IO[bytes]) -> bool:
    """Whether strips or tiles that libtiff would decode lie behind the end of the file.

    Args:
        image: The image, not loaded.
        content: The file.

    Returns:
        False for samples that are not packed: Pillow reads those, and says what is missing.
    """
    if not image.tile or image.tile[0].codec_name != "libtiff":
        return False
    size = os.fstat(content.fileno()).st_size
    return any(
        start + count > size
        for offsets, counts in _SEGMENTS
        for start, count in zip(
            image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=False
        )
    )
