"""Changes of what PNG and JPEG are made of: chunks with right checksums, samples, segments."""

import struct
import zlib
from collections.abc import Sequence
from random import Random

from mutations.changes import BYTES, Change, number, packed
from mutations.dicom import marker_changed

PNG_START = b"\x89PNG\r\n\x1a\n"


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Split a PNG file; what is no chunk is left out."""
    found, at = [], len(PNG_START)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def _png(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    return PNG_START + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in chunks
    )


_CHUNKS = (
    *(b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"gAMA", b"cHRM", b"sBIT"),
    *(b"pHYs", b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IHDR", b"IEND", b"bKGD", b"hIST", b"tIME"),
)


def _chunk_changed(content: bytes, random: Random) -> bytes:
    """Change, leave out, double, move or add a chunk; checksums are right afterwards."""
    chunks = _chunks(content)
    if not chunks:
        return content
    at = random.randrange(len(chunks))
    kind, body = chunks[at]
    what = random.randrange(6)
    if what == 0:
        chunks[at] = kind, random.choice(BYTES)(body, random)
    elif what == 1:
        del chunks[at]
    elif what == 2:
        chunks[at:at] = [chunks[at]] * random.choice((1, 2, 200))
    elif what == 3:
        chunks.insert(random.randrange(len(chunks)), chunks.pop(at))
    elif what == 4:
        body = random.choice((random.randbytes(random.choice((0, 1, 6, 40))), body))
        chunks.insert(at, (random.choice(_CHUNKS), body))
    else:
        chunks[at] = random.choice(_CHUNKS), body
    return _png(chunks)


def _png_header_changed(content: bytes, random: Random) -> bytes:
    """Change size, depth, colour type or interlacing of a PNG."""
    chunks = _chunks(content)
    if not chunks or len(chunks[0][1]) != 13:
        return content
    width, height, *rest = struct.unpack(">LLBBBBB", chunks[0][1])
    sizes = (1, 7, 8, 9, 7000, 7071, 65535, 65536, 2**31 - 1)
    what = random.randrange(4)
    if what == 0:
        width = random.choice(sizes)
    elif what == 1:
        height = random.choice(sizes)
    else:
        rest[0], rest[1] = random.choice((1, 2, 4, 8, 16, 3)), random.choice((0, 2, 3, 4, 6, 1))
        rest[4] = random.choice((0, 0, 1, 2))
    chunks[0] = chunks[0][0], struct.pack(">LLBBBBB", width, height, *rest)
    return _png(chunks)


def _png_samples_changed(content: bytes, random: Random) -> bytes:
    """Change the samples before they are packed, so that they unpack and are wrong."""
    chunks = _chunks(content)
    try:
        body = zlib.decompressobj().decompress(
            b"".join(body for kind, body in chunks if kind == b"IDAT"), 1_000_000
        )
    except zlib.error:
        return content
    packed = zlib.compress(random.choice(BYTES)(body, random), random.choice((0, 1, 9)))
    at = random.randrange(len(packed) + 1)
    samples = [(b"IDAT", packed[:at]), (b"IDAT", packed[at:])]
    before = [each for each in chunks if each[0] not in {b"IDAT", b"IEND"}]
    return _png([*before, *samples, (b"IEND", b"")])


def _segments(content: bytes) -> tuple[list[bytes], bytes]:
    """Split a JPEG file: its segments up to the first scan, and all behind that."""
    found, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        length = 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        found.append(content[at : at + length])
        at += length
    return found, content[at:]


def _segment_changed(content: bytes, random: Random) -> bytes:
    """Change, leave out, double, move or add a segment, or double what is behind all."""
    segments, rest = _segments(content)
    if not segments:
        return content
    at = random.randrange(len(segments))
    what = random.randrange(7)
    if what == 0:
        body = random.choice(BYTES)(segments[at][4:], random)
        segments[at] = segments[at][:2] + packed(len(body) + 2, 2, ">") + body
    elif what == 1:
        segments[at] = segments[at][:2] + packed(number(random), 2, ">") + segments[at][4:]
    elif what == 2:
        del segments[at]
    elif what == 3:
        segments[at:at] = [segments[at]] * random.choice((1, 2, 100))
    elif what == 4:
        marker = bytes([0xFF, random.choice((*range(0xC0, 0xD0), *range(0xD8, 0xFF)))])
        segments[at] = marker + segments[at][2:]
    elif what == 5:
        body = random.choice((b"Exif\0\0II*\0", b"Adobe", b"JFIF\0", b"ICC_PROFILE\0", b"MPF\0"))
        body += random.randbytes(random.choice((0, 8, 60)))
        marker = bytes([0xFF, random.choice((0xE0, 0xE1, 0xE2, 0xEE, 0xDD, 0xFE))])
        segments.insert(at, marker + packed(len(body) + 2, 2, ">") + body)
    else:
        rest = rest[:-2] * random.choice((2, 3, 90)) + rest[-2:]
    return content[:2] + b"".join(segments) + rest


def _frame_changed(content: bytes, random: Random) -> bytes:
    """Change precision, size, components or sampling that the frame of a JPEG declares."""
    segments, rest = _segments(content)
    for index, each in enumerate(segments):
        if 0xC0 <= each[1] <= 0xCF and each[1] not in {0xC4, 0xC8, 0xCC} and len(each) > 10:
            changed = bytearray(each)
            at = random.randrange(4, len(changed))
            size = 2 if at in {5, 7} and random.random() < 0.8 else 1
            changed[at : at + size] = packed(number(random), size, ">")
            segments[index] = bytes(changed)
    return content[:2] + b"".join(segments) + rest


PNG_CHANGES: tuple[Change, ...] = (
    *(_chunk_changed, _chunk_changed),
    *(_png_header_changed, _png_samples_changed),
)
JPEG_CHANGES: tuple[Change, ...] = (
    *(_segment_changed, _segment_changed),
    *(_frame_changed, marker_changed),
)
