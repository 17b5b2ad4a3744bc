"""The bytes of one frame: cut out of PixelData without reading the other frames."""

import numpy as np

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_elements import (
    ITEM,
    SEQUENCE_END,
    Element,
    Encoding,
    Source,
    Walker,
    refuse_corrupt,
    refuse_truncated,
)
from pipelines.ingest.dicom_header import DicomHeader
from pipelines.ingest.dicom_kind import Syntax

_FRAGMENTS = Encoding(explicit=False, little=True)
_STARTS = (b"\xff\xd8", b"\xff\x4f")
"""First bytes of a codestream: JPEG and JPEG-LS, JPEG 2000."""
_HEADROOM = 1_000_000
_MAX_TABLE_BYTES = 400_000
_MAX_WAVELET_BYTES = 64_000_000
"""JPEG 2000 decodes 5 to 10 MB a second on one core; the largest films have some 30 MB."""


def native_frame(source: Source, header: DicomHeader, frame: int) -> bytes:
    """Read the bytes of one uncompressed frame.

    Args:
        source: Where the pixels stand.
        header: The header; `layout.frame_bytes` are read.
        frame: Index from 0; the caller has checked it.

    Returns:
        The bytes, 16-bit samples in the byte order of the file.

    Raises:
        InputError: TRUNCATED if the file ends before.
    """
    size = header.layout.frame_bytes
    first = frame * size
    in_words = header.pixel_data.representation == b"OW" and header.layout.bits_allocated == 8  # noqa: PLR2004
    if header.attributes.encoding.little or not in_words:
        return source.read(header.pixel_data.start + first, size)
    # Big endian swaps the bytes of words, and a frame of odd length begins within one.
    before = first % 2
    length = before + size
    words = source.read(header.pixel_data.start + first - before, length + length % 2)
    return np.frombuffer(words, "<u2").byteswap().tobytes()[before:length]


def encoded_frame(source: Source, header: DicomHeader, frame: int) -> bytes:
    """Read the codestream of one compressed frame (PS3.5, A.4).

    Args:
        source: Where the pixels stand.
        header: The header.
        frame: Index from 0; the caller has checked it.

    Returns:
        The codestream, its fragments joined.

    Raises:
        InputError: TRUNCATED if the file ends before; CORRUPT if there are no fragments;
            PIXEL_LENGTH_MISMATCH if there are fewer than frames; TOO_LARGE if the codestream is
            longer than uncompressed pixels would be, or would take too long to decode.
    """
    table, fragments = _fragments(source, header.pixel_data)
    if header.frames == 1:
        chosen = fragments
    elif len(fragments) == header.frames:
        chosen = fragments[frame : frame + 1]
    else:
        chosen = _by_starts(source, header, fragments, table)[frame]
    size = sum(fragment.length for fragment in chosen)
    largest = header.layout.frame_bytes * 5 // 4 + _HEADROOM
    if header.syntax.wavelet:
        largest = min(largest, _MAX_WAVELET_BYTES)
    if size > largest:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {largest} bytes of codestream for this image, got {size}",
        )
    return b"".join(source.read(fragment.start, fragment.length) for fragment in chosen)


def _fragments(source: Source, pixel_data: Element) -> tuple[list[int], list[Element]]:
    # The data of the fragments are not read.
    walker = Walker(source)
    first = _item(walker, pixel_data.start)
    if first is None or first.length > _MAX_TABLE_BYTES:
        refuse_corrupt(f"an offset table of at most {_MAX_TABLE_BYTES} bytes", "another item")
    offsets = source.read(first.start, first.length)
    table = [int.from_bytes(offsets[at : at + 4], "little") for at in range(0, len(offsets), 4)]
    fragments: list[Element] = []
    start = first.start + first.length
    while (fragment := _item(walker, start)) is not None:
        fragments.append(fragment)
        start = fragment.start + fragment.length
    if not fragments:
        raise InputError(
            Reason.NO_PIXEL_DATA, "expected fragments in PixelData, got none; export again"
        )
    return table, fragments


def _item(walker: Walker, start: int) -> Element | None:
    # A file without the closing delimiter is whole as long as its fragments are.
    if not walker.source.reaches(start + 1):
        return None
    item = walker.element(start, _FRAGMENTS)
    if item.tag == SEQUENCE_END:
        return None
    if item.tag != ITEM:
        refuse_corrupt("a fragment in PixelData", "other bytes")
    if not walker.source.reaches(item.start + item.length):
        refuse_truncated()
    return item


def _by_starts(
    source: Source, header: DicomHeader, fragments: list[Element], table: list[int]
) -> list[list[Element]]:
    # By the offset table if it is complete, else by how codestreams begin.
    origin = fragments[0].start
    offsets = set(table) if len(table) == header.frames else set()
    frames: list[list[Element]] = []
    for fragment in fragments:
        if offsets:
            begins = fragment.start - origin in offsets
        else:
            begins = header.syntax is Syntax.RLE or source.peek(fragment.start, 2) in _STARTS
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
