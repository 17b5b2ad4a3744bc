"""The bytes of PixelData: as they are, but for text that can hide in them beside the pixels.

Comments and application segments of a codestream are blanked in their place, so that no offset
moves; what follows an image is dropped; bits above those stored, where old writers put overlays,
are cleared. Decoded pixels stay the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.encaps import encapsulate

from pipelines.ingest.dicom_elements import Stream
from pipelines.ingest.dicom_frames import encoded_frame
from pipelines.ingest.dicom_header import DicomHeader, parse_header

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_J2K_START = b"\xff\x4f"
_J2K_COMMENT, _J2K_TILE, _J2K_DATA = 0x64, 0x90, 0x93
_J2K_KIND_BYTES = 2
_SCAN = 0xDA
_COMMENT = 0xFE
_APPLICATIONS = range(0xE0, 0xF0)
_PLAIN = {b"JFIF\0": 14, b"Adobe": 12, b"mrfx": 5}
"""Application segments that decoders need, by their beginning, and how long they are."""

_MARK = 0xFF
"""First byte of a marker; more of them before it fill up."""

_HEAD = 4
"""Bytes of a marker and the length behind it."""

_STANDALONE = {0x01, *range(0xD0, 0xD9), _MARK}
_LATER = re.compile(rb"\xff([\xe0-\xef\xfe])(..)", re.DOTALL)
_WHOLE_BYTES = {8, 16}


def clean_pixel_data(path: Path) -> bytes:
    """Return the value of PixelData without what is not pixels.

    Args:
        path: A film that the reader reads.

    Returns:
        The value; where it was compressed, each codestream in one fragment.

    Raises:
        InputError: If the file cannot be read.
    """
    with path.open("rb") as content:
        header, stream = parse_header(content)
        if not header.syntax.encapsulated:
            return _clean_native(stream, header)
        frames = [encoded_frame(stream, header, frame) for frame in range(header.frames)]
    return bytes(encapsulate([clean_codestream(each) for each in frames], has_bot=len(frames) > 1))


def _clean_native(stream: Stream, header: DicomHeader) -> bytes:
    layout = header.layout
    size = layout.frame_bytes * header.frames
    there = min(size + size % 2, header.pixel_data.length)
    value = stream.read_at(header.pixel_data.start, there)
    value += b"\0" * (len(value) % 2)
    unused = layout.bits_allocated - header.attributes.integer("HighBit") - 1
    if unused <= 0 or layout.bits_allocated not in _WHOLE_BYTES:
        return value
    order = "<" if header.attributes.encoding.little else ">"
    kind = "i" if header.attributes.integer("PixelRepresentation") else "u"
    samples = np.frombuffer(value, f"{order}{kind}{layout.bits_allocated // 8}")
    # Up and down again: zeros come in, or the sign.
    return ((samples << unused).astype(samples.dtype) >> unused).astype(samples.dtype).tobytes()


def clean_codestream(code: bytes) -> bytes:
    """Blank comments and unknown application segments of a JPEG, JPEG-LS or JPEG 2000 codestream.

    Args:
        code: One frame; of another kind, such as RLE, it stays as it is.

    Returns:
        A codestream of the same length, or shorter by what followed its end.
    """
    if not code.startswith((_JPEG_START, _J2K_START)):
        return code
    end = code.rfind(_JPEG_END)  # JPEG 2000 ends with the same two bytes
    cleaned = bytearray(code[: end + 2] if end > 0 else code)
    finds = _segments_of_wavelet if code.startswith(_J2K_START) else _segments_of_jpeg
    for start, stop in finds(code):
        cleaned[start:stop] = bytes(stop - start)
    return bytes(cleaned) + b"\0" * (len(cleaned) % 2)


def _segments_of_jpeg(code: bytes) -> Iterator[tuple[int, int]]:
    place = 2
    while place + _HEAD <= len(code) and code[place] == _MARK:
        marker = code[place + 1]
        if marker in _STANDALONE:
            place += 1 if marker == _MARK else 2
            continue
        stop = place + 2 + max(2, int.from_bytes(code[place + 2 : place + 4], "big"))
        yield from _blanked(code, marker, place + _HEAD, stop)
        place = stop
        if marker == _SCAN:
            break
    # Between scans: in the data of a scan a byte of ones has no such byte behind it.
    for found in _LATER.finditer(code, place):
        start = found.end()
        yield from _blanked(code, found[1][0], start, start - 2 + int.from_bytes(found[2], "big"))


def _blanked(code: bytes, marker: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield what of a segment goes: all of a comment, of others what no decoder needs."""
    plain = 0
    if marker in _APPLICATIONS:
        # What stands behind a known beginning, such as the thumbnail of JFIF, goes too.
        plain = next((size for name, size in _PLAIN.items() if code.startswith(name, start)), 0)
    elif marker != _COMMENT:
        return
    stop = min(stop, len(code))
    if start + plain < stop:
        yield start + plain, stop


def _segments_of_wavelet(code: bytes) -> Iterator[tuple[int, int]]:
    place, following = 2, 0
    while place + _HEAD <= len(code) and code[place] == _MARK:
        marker = code[place + 1]
        if marker == _J2K_DATA:
            if following <= place:
                return
            place = following
            continue
        stop = place + 2 + max(2, int.from_bytes(code[place + 2 : place + 4], "big"))
        if marker == _J2K_TILE:
            following = place + int.from_bytes(code[place + 6 : place + 10], "big")
        elif marker == _J2K_COMMENT:
            start = place + _HEAD + _J2K_KIND_BYTES
            yield start, max(start, min(stop, len(code)))
        place = stop
