"""Which format a file has, told from its content: names lie, and DICOM often has no suffix."""

import re
import stat
import zlib
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias

from pipelines.errors import InputError, Reason
from pipelines.ingest.guard import guard_input

_HEAD_BYTES = 4096


class FileFormat(StrEnum):
    """Formats that can hold a radiograph."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    BMP = "bmp"
    TIFF = "tiff"
    GIF = "gif"
    NIFTI = "nifti"
    METAIMAGE = "metaimage"
    NRRD = "nrrd"


_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), FileFormat.PNG),
    (re.compile(rb"\xff\xd8\xff"), FileFormat.JPEG),
    (re.compile(rb"GIF8[79]a"), FileFormat.GIF),
    # BM is also the start of many a text: the length of the second header must be a known one.
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), FileFormat.BMP),
    (re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"), FileFormat.TIFF),
    (re.compile(rb"NRRD000[1-5]"), FileFormat.NRRD),
    (re.compile(rb"(?=[A-Za-z]+ *= *\S)(?s:.{0,2000}?)\bNDims *= *\d"), FileFormat.METAIMAGE),
)
_UNSUPPORTED = (
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"....ftyp(heic|heix|mif1|avif)", re.DOTALL), "HEIF"),
)
_NIFTI_MAGIC = ((344, b"n+1\0"), (4, b"n+2\0\r\n\x1a\n"))
_NIFTI_MAGIC_END = 348
_GZIP = zlib.MAX_WBITS | 16
_NIFTI_PAIR_MAGIC = ((344, b"ni1\0"), (4, b"ni2\0\r\n\x1a\n"))
# PS3.5 7.1.2: the length has four bytes after two reserved ones, or two bytes.
_LONG_REPRESENTATIONS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_FIRST_TAG_AFTER_HEADER = 0x0030_0000
_ByteOrder: TypeAlias = Literal["little", "big"]


def sniff(path: Path) -> FileFormat:
    """Tell the format of a file from its first bytes.

    Args:
        path: Any path; its name is not looked at.

    Returns:
        The format. The rest of the file may still be broken.

    Raises:
        InputError: EMPTY_FILE; FILE_UNREADABLE if it cannot be opened; UNSUPPORTED_FORMAT for an
            image format that is not read; NOT_AN_IMAGE for everything else.
    """
    head = _read_head(path)
    if not head:
        raise InputError(Reason.EMPTY_FILE, "expected an image, got a file of 0 bytes; remove it")
    if head[:2] == b"\x1f\x8b":
        return _sniff_gzip(head)
    return _sniff_head(head)


def _read_head(path: Path) -> bytes:
    with guard_input():
        # Opening a pipe would wait for a writer for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(
                Reason.NOT_AN_IMAGE,
                "expected a regular file, got a folder, pipe or device; give the path of a file",
            )
        with path.open("rb") as content:
            return content.read(_HEAD_BYTES)


def _sniff_gzip(head: bytes) -> FileFormat:
    inflated = b""
    with suppress(zlib.error):
        # No more than the magic needs: what is damaged behind it is for the reader to find.
        inflated = zlib.decompressobj(_GZIP).decompress(head, _NIFTI_MAGIC_END)
    if _has_any(inflated, _NIFTI_MAGIC):
        return FileFormat.NIFTI
    raise InputError(
        Reason.NOT_AN_IMAGE, "expected NIfTI inside gzip, got something else; unpack it first"
    )


def _sniff_head(head: bytes) -> FileFormat:
    # DICOM first: its preamble may be made up as another format, such as TIFF.
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return FileFormat.DICOM
    for magic, file_format in _MAGIC:
        if magic.match(head):
            return file_format
    if _has_any(head, _NIFTI_MAGIC):
        return FileFormat.NIFTI
    if _has_any(head, _NIFTI_PAIR_MAGIC):
        raise _unsupported("a NIfTI header apart from its image")
    for magic, name in _UNSUPPORTED:
        if magic.match(head):
            raise _unsupported(name)
    raise InputError(
        Reason.NOT_AN_IMAGE,
        "expected a DICOM or image file, got content of another kind; "
        "if it should be a film, export it again",
    )


def _unsupported(name: str) -> InputError:
    return InputError(
        Reason.UNSUPPORTED_FORMAT,
        f"expected one of {', '.join(FileFormat)}, got {name}; convert it",
    )


def _has_any(head: bytes, magics: tuple[tuple[int, bytes], ...]) -> bool:
    return any(head.startswith(magic, start) for start, magic in magics)


def _is_bare_dicom(head: bytes) -> bool:
    """Whether two data elements in a row start here: group 2 or 8, with tags that ascend."""
    # Group 8 in big endian occurs without a preamble in old files; group 2 is never big endian.
    return _starts_dataset(head, "little", groups=(2, 8)) or _starts_dataset(
        head, "big", groups=(8,)
    )


def _starts_dataset(head: bytes, order: _ByteOrder, *, groups: tuple[int, ...]) -> bool:
    tag, end = _element(head, 0, order=order)
    following, _ = _element(head, end, order=order)
    return tag >> 16 in groups and tag < following < _FIRST_TAG_AFTER_HEADER


def _element(head: bytes, start: int, *, order: _ByteOrder) -> tuple[int, int]:
    """Parse the header of one data element: its tag, and where the next element starts."""
    group, element, representation, length, long_length = (
        head[start + first : start + last]
        for first, last in ((0, 2), (2, 4), (4, 6), (6, 8), (8, 12))
    )
    tag = int.from_bytes(group, order) << 16 | int.from_bytes(element, order)
    if representation in _LONG_REPRESENTATIONS:
        return tag, start + 12 + int.from_bytes(long_length, order)
    if representation in _SHORT_REPRESENTATIONS:
        return tag, start + 8 + int.from_bytes(length, order)
    return tag, start + 8 + int.from_bytes(representation + length, order)
