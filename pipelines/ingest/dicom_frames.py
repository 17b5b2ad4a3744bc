"""The bytes of one frame: cut out of PixelData without reading the other frames."""

from itertools import pairwise
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from pydicom.encaps import parse_fragments

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_elements import (
    Element,
    Stream,
    refuse_corrupt,
    refuse_truncated,
    refusing_damage,
)
from pipelines.ingest.dicom_header import DicomHeader
from pipelines.ingest.dicom_kind import Syntax

_STARTS = (b"\xff\xd8", b"\xff\x4f")
"""First bytes of a codestream: JPEG and JPEG-LS, JPEG 2000."""
_ITEM_HEAD = 8
_HEADROOM = 1_000_000
_MAX_TABLE_BYTES = 400_000
_MAX_WAVELET_BYTES = 64_000_000
"""JPEG 2000 decodes 5 to 10 MB a second on one core; the largest films have some 30 MB."""


class _Fragment(NamedTuple):
    start: int
    length: int


def native_frame(stream: Stream, header: DicomHeader, frame: int) -> bytes:
    """Read the bytes of one uncompressed frame.

    Args:
        stream: Where the pixels stand.
        header: The header; `layout.frame_bytes` are read.
        frame: Index from 0; the caller has checked it.

    Returns:
        The bytes, 16-bit samples in the byte order of the file.

    Raises:
        InputError: TRUNCATED if the file ends before.
    """
    size = header.layout.frame_bytes
    first = frame * size
    in_words = header.pixel_data.representation == "OW" and header.layout.bits_allocated == 8  # noqa: PLR2004
    if header.attributes.encoding.little or not in_words:
        return stream.read_at(header.pixel_data.start + first, size)
    # Big endian swaps the bytes of words, and a frame of odd length begins within one.
    before = first % 2
    length = before + size
    words = stream.read_at(header.pixel_data.start + first - before, length + length % 2)
    return np.frombuffer(words, "<u2").byteswap().tobytes()[before:length]


def encoded_frame(stream: Stream, header: DicomHeader, frame: int) -> bytes:
    """Read the codestream of one compressed frame (PS3.5, A.4).

    Args:
        stream: Where the pixels stand.
        header: The header.
        frame: Index from 0; the caller has checked it.

    Returns:
        The codestream, its fragments joined.

    Raises:
        InputError: TRUNCATED if the file ends before; CORRUPT if there are no fragments;
            PIXEL_LENGTH_MISMATCH if there are fewer than frames; TOO_LARGE if the codestream is
            longer than uncompressed pixels would be, or would take too long to decode.
    """
    table, fragments = _fragments(stream, header.pixel_data)
    if header.frames == 1:
        chosen = fragments
    elif len(fragments) == header.frames:
        chosen = fragments[frame : frame + 1]
    else:
        chosen = _by_starts(stream, header, fragments, table)[frame]
    size = sum(fragment.length for fragment in chosen)
    largest = header.layout.frame_bytes * 5 // 4 + _HEADROOM
    if header.syntax.wavelet:
        largest = min(largest, _MAX_WAVELET_BYTES)
    if size > largest:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {largest} bytes of codestream for this image, got {size}",
        )
    return b"".join(stream.read_at(fragment.start, fragment.length) for fragment in chosen)


def _fragments(stream: Stream, pixel_data: Element) -> tuple[list[int], list[_Fragment]]:
    # The offset table and the fragments; the data of the fragments are not read.
    stream.seek(pixel_data.start)
    with refusing_damage(stream):
        _, items = parse_fragments(cast(BinaryIO, stream))
    if items:
        stream.seek(items[-1] + _ITEM_HEAD // 2)
        items.append(items[-1] + _ITEM_HEAD + int.from_bytes(stream.read(4), "little"))
        # A file without the closing delimiter is whole as long as its fragments are.
        left = stream.size - items[-1]
        if left != 0 and left < _ITEM_HEAD:
            refuse_truncated()
    found = [
        _Fragment(start + _ITEM_HEAD, end - start - _ITEM_HEAD) for start, end in pairwise(items)
    ]
    if not found or found[0].length > _MAX_TABLE_BYTES:
        refuse_corrupt(f"an offset table of at most {_MAX_TABLE_BYTES} bytes", "another item")
    table, *fragments = found
    if not fragments:
        raise InputError(
            Reason.NO_PIXEL_DATA, "expected fragments in PixelData, got none; export again"
        )
    offsets = stream.read_at(table.start, table.length)
    return np.frombuffer(offsets, "<u4", count=len(offsets) // 4).tolist(), fragments


def _by_starts(
    stream: Stream, header: DicomHeader, fragments: list[_Fragment], table: list[int]
) -> list[list[_Fragment]]:
    # By the offset table if it is complete, else by how codestreams begin.
    origin = fragments[0].start
    offsets = set(table) if len(table) == header.frames else set()
    frames: list[list[_Fragment]] = []
    for fragment in fragments:
        if offsets:
            begins = fragment.start - origin in offsets
        else:
            begins = header.syntax is Syntax.RLE or stream.peek(fragment.start, 2) in _STARTS
        if begins or not frames:
            frames.append([])
        frames[-1].append(fragment)
    if len(frames) != header.frames:
        raise InputError(
            Reason.PIXEL_LENGTH_MISMATCH,
            f"expected {header.frames} frames from the header, got {len(frames)} codestreams; "
            "export the image again",
        )
    return frames
