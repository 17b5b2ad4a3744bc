"""What a codestream says of itself, read before a decoder believes it: size, components, precision.

A decoder allocates what the codestream asks for, not what the DICOM header says, so the two are
held against each other first.
"""

import struct
from typing import NamedTuple

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_elements import refuse_corrupt
from pipelines.ingest.dicom_kind import Syntax
from pipelines.ingest.dicom_layout import PixelLayout

_MARKER = 0xFF
_END = b"\xff\xd9"
_ADOBE = 0xEE
_JFIF = 0xE0
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_STARTS = {
    Syntax.JPEG_BASELINE: frozenset({0xC0, 0xC1}),
    Syntax.JPEG_EXTENDED: frozenset({0xC0, 0xC1}),
    Syntax.JPEG_LOSSLESS: frozenset({0xC3}),
    Syntax.JPEG_LOSSLESS_SV1: frozenset({0xC3}),
    Syntax.JPEG_LS_LOSSLESS: frozenset({0xF7}),
    Syntax.JPEG_LS_NEAR: frozenset({0xF7}),
}
_ANY_FRAME_START = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_CODESTREAM = b"\xff\x4f\xff\x51"
_LEAST_PART = 14
"""Bytes of the shortest tile part: its two markers."""
_MAX_TILES = 4096
"""Tiles of a JPEG 2000 image; encoders write one, or some dozens. Bounds the time."""


class Codestream(NamedTuple):
    """What a codestream says of itself.

    Attributes:
        rows: Height.
        columns: Width.
        components: Samples per pixel.
        precision: Bits of a sample.
        signed: Whether samples are two's complement (JPEG 2000 only).
        to_rgb: Whether a decoder that follows the codestream turns its components to RGB; None if
            it does not say.
        tiles: Parts that are encoded apart (JPEG 2000 only).
        levels: How many times it can be decoded at half the size (JPEG 2000 only).
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    to_rgb: bool | None = None
    tiles: int = 1
    levels: int = 0


def parse(encoded: bytes, syntax: Syntax) -> Codestream:
    """Read the head of a codestream.

    Args:
        encoded: The codestream of one frame; not RLE, which says nothing of itself.
        syntax: What the DICOM header says it is.

    Returns:
        What it says.

    Raises:
        InputError: CORRUPT if it is another kind of codestream, or none; TRUNCATED if its end
            marker is missing.
    """
    if syntax in _FRAME_STARTS:
        return _parse_jpeg(encoded, syntax)
    return _parse_jpeg_2000(encoded)


def check(codestream: Codestream, layout: PixelLayout) -> None:
    """Hold what a codestream says against the DICOM header.

    Args:
        codestream: What it says.
        layout: What the header says.

    Raises:
        InputError: PIXEL_LENGTH_MISMATCH if size or components differ; INVALID_ATTRIBUTE if
            samples have more bits than the header allocates; CORRUPT for too many tiles.
    """
    said = (codestream.rows, codestream.columns, codestream.components)
    expected = (layout.rows, layout.columns, layout.photometric.samples)
    if said != expected:
        raise InputError(
            Reason.PIXEL_LENGTH_MISMATCH,
            f"expected rows, columns and samples {expected} from the header, got {said} in the "
            "codestream; export the image again",
        )
    if codestream.tiles > _MAX_TILES:
        refuse_corrupt(f"at most {_MAX_TILES} tiles in JPEG 2000", str(codestream.tiles))
    if not 1 <= codestream.precision <= layout.bits_allocated:
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected at most {layout.bits_allocated} bits from the header, got "
            f"{codestream.precision} in the codestream; export the image again",
        )


def _parse_jpeg(encoded: bytes, syntax: Syntax) -> Codestream:
    if encoded[:2] != b"\xff\xd8":
        refuse_corrupt("a JPEG codestream", "other bytes")
    at = 2
    to_rgb: bool | None = None
    while True:
        if at + 4 > len(encoded) or encoded[at] != _MARKER:
            refuse_corrupt("a frame header in the codestream", "none")
        marker = encoded[at + 1]
        if marker in _STANDALONE or marker == _MARKER:
            at += 1 if marker == _MARKER else 2
            continue
        (length,) = struct.unpack_from(">H", encoded, at + 2)
        segment = encoded[at + 4 : at + 2 + length]
        if marker in _ANY_FRAME_START:
            _check_end(encoded, at)
            return _frame_start(segment, marker, syntax, to_rgb=to_rgb)
        if marker == _JFIF and segment[:4] == b"JFIF":
            to_rgb = True
        if marker == _ADOBE and segment[:5] == b"Adobe" and len(segment) > 11:  # noqa: PLR2004
            to_rgb = to_rgb or segment[11] == 1
        at += 2 + length


def _check_end(encoded: bytes, start: int) -> None:
    # Compressed data never look like the marker. Without it, libjpeg-turbo makes up the rest.
    if encoded.rfind(_END, start) < 0:
        raise InputError(
            Reason.TRUNCATED,
            "expected a codestream with its end marker, got one that ends too early; "
            "export the image again",
        )


def _frame_start(segment: bytes, marker: int, syntax: Syntax, *, to_rgb: bool | None) -> Codestream:
    if marker not in _FRAME_STARTS[syntax] or len(segment) < 6:  # noqa: PLR2004 (fixed part)
        refuse_corrupt(f"the JPEG process of transfer syntax {syntax}", f"marker FF{marker:02X}")
    precision, rows, columns, components = struct.unpack_from(">BHHB", segment)
    if to_rgb is None and segment[6::3][:3] in {b"RGB", b"rgb"}:
        to_rgb = False
    return Codestream(rows, columns, components, precision, to_rgb=to_rgb)


def _parse_jpeg_2000(encoded: bytes) -> Codestream:
    start = 0
    if encoded[:8] == _JP2_SIGNATURE:
        start = encoded.find(_CODESTREAM)
    if start < 0 or encoded[start : start + 4] != _CODESTREAM or len(encoded) < start + 45:
        refuse_corrupt("a JPEG 2000 codestream", "other bytes")
    size = struct.unpack_from(">8IH", encoded, start + 8)
    width, height, left, top, tile_width, tile_height, tile_left, tile_top, components = size
    depth, across, down = struct.unpack_from(">3B", encoded, start + 42)
    if not (left < width and top < height and tile_width and tile_height and across and down):
        refuse_corrupt("a JPEG 2000 image of some size", "none")
    to_rgb, levels = _coding_style(encoded, start)
    return Codestream(
        rows=-(-height // down) - -(-top // down),
        columns=-(-width // across) - -(-left // across),
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        to_rgb=to_rgb,
        tiles=-(-(width - tile_left) // tile_width) * -(-(height - tile_top) // tile_height),
        levels=0 if left or top else levels,
    )


def is_whole(encoded: bytes) -> bool:
    """Whether every tile part of a JPEG 2000 codestream is there, by the lengths that they say.

    A decoder that is asked for less than the full size does not look at what it leaves out.

    Args:
        encoded: The codestream, which `parse` has let through.
    """
    at = max(encoded.find(_CODESTREAM), 0) + 2
    parts = 0
    while at + 12 <= len(encoded):
        marker, length = struct.unpack_from(">HH", encoded, at)
        if marker == 0xFF90:  # noqa: PLR2004 (SOT)
            (length,) = struct.unpack_from(">I", encoded, at + 6)
            if length < _LEAST_PART:
                return False
            at, parts = at + length, parts + 1
        else:
            at += 2 + length
    return parts > 0 and encoded[at : at + 2] == _END


def _coding_style(encoded: bytes, start: int) -> tuple[bool | None, int]:
    """Whether components are transformed, which decoders undo by themselves; and the levels."""
    at = start + 2
    while at + 10 <= len(encoded):
        marker, length = struct.unpack_from(">HH", encoded, at)
        if marker == 0xFF52:  # noqa: PLR2004 (COD)
            return encoded[at + 8] == 1, encoded[at + 9]
        if marker in {0xFF90, 0xFF93}:
            break
        at += 2 + length
    return None, 0
