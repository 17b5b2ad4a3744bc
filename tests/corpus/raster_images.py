"""Samples and files for the raster cases, some put together by hand as no library writes them."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

ROWS, COLUMNS = 21, 34

_random = np.random.default_rng(7)
GREY8 = np.linspace(0, 255, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.uint8)
GREY16 = _random.integers(0, 65536, (ROWS, COLUMNS), dtype=np.uint16)
GREY16[0, :2] = 0, 65535
COLOUR8 = _random.integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
COLOUR16 = _random.integers(0, 65536, (ROWS, COLUMNS, 3), dtype=np.uint16)
ALPHA8 = _random.integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8)
BITS = (GREY8 // 16) % 2 == 1


def scaled(values: npt.NDArray[np.generic], largest: int) -> npt.NDArray[np.float32]:
    """What `values`, (height, width) or (height, width, 3), have to become."""
    channels_last = np.atleast_3d(values)
    return np.moveaxis(channels_last.astype(np.float64) / largest, 2, 0).astype(np.float32)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, image_format, **options)
    return content.getvalue()


def png(size: tuple[int, int], *, depth: int, kind: int, body: bytes, before: bytes = b"") -> bytes:
    """Put a PNG together by hand: for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tiff_12(values: npt.NDArray[np.uint16]) -> bytes:
    """12 bits a sample, packed: two samples in three bytes."""
    high, low = values[:, ::2].astype(np.uint32), values[:, 1::2].astype(np.uint32)
    words = (high << 12 | low).astype(">u4").view(np.uint8).reshape(ROWS, -1, 4)
    body = words[..., 1:].tobytes()
    tags = [
        (256, COLUMNS), (257, ROWS), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 9 * 12 + 4),
        (277, 1), (278, ROWS), (279, len(body)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + body


def tiff_of_strips(order: str, numbers: int) -> bytes:
    """One row in each strip, and all strips at one place."""
    data = 200
    tags = [
        (256, 4, 1, 100), (257, 4, 1, min(numbers, 100)), (258, 3, 1, 8), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, numbers, data), (277, 3, 1, 1), (278, 4, 1, 1),
        (279, 4, numbers, data),
    ]  # fmt: skip
    shorts = {3: "HHLHxx", 4: "HHLL"}
    entries = b"".join(struct.pack(order + shorts[tag[1]], *tag) for tag in tags)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "LH", 8, len(tags))
    return (head + entries + bytes(4)).ljust(data, b"\0") + bytes(4 * numbers)
