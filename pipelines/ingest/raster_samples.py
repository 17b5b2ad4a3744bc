"""Samples of a raster image in the precision of the file, and the pixels that they become."""

import re
import struct
import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from pipelines.errors import InputError, Reason
from pipelines.ingest.limits import check_samples
from pipelines.radiograph import Pixels

Samples: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16 values as stored, (height, width, channel)."""

DEEP_BITS = 16
"""Bits of a sample that Pillow keeps in grey images only."""

_CONVERSIONS = {
    "PA": "RGBA",
    "La": "LA",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
}
_CHANNELS_WITH_ALPHA = (2, 4)


def stored_bits(image: ImageFile) -> int:
    """Return the bits of one sample in the file, from its header; 8 for palette colours."""
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(BITSPERSAMPLE, (1,))))
    if image.mode == "1":
        return 1
    arguments = image.tile[0].args if image.tile else None
    raw_mode = re.fullmatch(r"(?:L|LA|I|RGB|RGBA);(\d+)B?", str(arguments))
    return int(raw_mode[1]) if raw_mode else 8


def samples_of(image: ImageFile, *, bits: int) -> Samples:
    """Take the samples out of a loaded image of 8 bits, or of 16 bits in grey.

    Args:
        image: Loaded image in one of the modes that `read_raster` lets through.
        bits: Of one sample in the file, as `stored_bits` tells before the image is loaded.

    Returns:
        Samples of one or three channels, with an alpha channel behind them where the file has
        transparency in any form.
    """
    if image.mode == "P":
        return _through_palette(image)
    if image.mode in _CONVERSIONS:
        return _array(image.convert(_CONVERSIONS[image.mode]))
    samples, transparent = _array(image), image.info.get("transparency")
    if transparent is None:
        return samples
    if image.mode == "1":  # whose values are 0 and 1, while Pillow calls this one 0 or 255
        return _with_alpha(samples, min(transparent, 1), largest=1)
    if image.mode == "L":  # Pillow scales 2 and 4 bits to 8, and leaves this value as it is
        transparent *= 255 // (2**bits - 1)
    return _with_alpha(samples, transparent, largest=int(np.iinfo(samples.dtype).max))


def deep_samples(image: ImageFile, content: bytes) -> Samples:
    """Decode colour of 16 bits with OpenCV, held against what Pillow made of it in 8.

    Args:
        image: The image, loaded by Pillow, which reports damage that OpenCV passes over.
        content: The file.

    Returns:
        uint16 samples (height, width, 3 or 4), red first.

    Raises:
        InputError: DECODE_FAILED if the two decoders disagree.
    """
    import cv2

    if isinstance(image, PngImageFile):
        content = _essential_png(content)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is not None and decoded.dtype == np.uint16:
        rough, order = _array(image.convert("RGB")), [2, 1, 0]
        if decoded.shape[-1] in _CHANNELS_WITH_ALPHA:
            rough, order = _array(image.convert("RGBA")), [2, 1, 0, 3]
        samples: Samples = decoded[..., order]
        if np.array_equal(samples >> 8, rough):
            transparent = image.info.get("transparency")
            if transparent is None:
                return samples
            return _with_alpha(samples, transparent, largest=2**DEEP_BITS - 1)
    raise InputError(
        Reason.DECODE_FAILED,
        f"expected one result from two decoders, got two for {image.mode} in 16 bits; "
        "export the image as 8 bits or as 16 bits in grey",
    )


def _essential_png(content: bytes) -> bytes:
    """Keep the header and the samples of a PNG file; OpenCV trusts the lengths of what is more."""
    signature, header = content[:8], content[16:29]
    samples, position = [], 8
    while position < len(content):
        length, kind = struct.unpack(">L4s", content[position : position + 8].ljust(8, b"\0"))
        if kind == b"IDAT":
            samples.append(content[position + 8 : position + 8 + length])
        position += length + 12
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(samples)), (b"IEND", b""))
    return signature + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def orient(samples: Samples, orientation: int) -> Samples:
    """Turn samples as their EXIF orientation says.

    Args:
        samples: As stored.
        orientation: EXIF tag 0x0112, 1 to 8.

    Returns:
        Samples as they are to be seen.

    Examples:
        >>> orient(np.array([[[1], [2]], [[3], [4]]], np.uint8), 6)[..., 0].tolist()
        [[3, 1], [4, 2]]
    """
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    mirrored = samples[:, ::-1] if orientation in {2, 4, 5, 7} else samples
    return np.rot90(mirrored, quarter_turns)


def to_pixels(samples: Samples, *, largest: int) -> tuple[Pixels, bool]:
    """Scale samples to 0 to 1, on black, with grey in one channel.

    Args:
        samples: One or three channels, and perhaps alpha.
        largest: The largest value of the sample type.

    Returns:
        The pixels, and whether any of them was transparent.
    """
    has_alpha = samples.shape[2] in _CHANNELS_WITH_ALPHA
    colours = samples[..., :-1] if has_alpha else samples
    if all(np.array_equal(colours[..., 0], colours[..., n]) for n in range(colours.shape[2])):
        colours = colours[..., :1]
    pixels = _scaled(np.moveaxis(colours, 2, 0), largest)
    if not has_alpha or bool(np.all(samples[..., -1] == largest)):
        return pixels, False
    pixels *= _scaled(samples[..., -1], largest)
    return pixels, True


def _scaled(samples: Samples, largest: int) -> npt.NDArray[np.float32]:
    return np.divide(samples, np.float32(largest), dtype=np.float32, order="C")


def _array(image: Image) -> Samples:
    """View an image as (height, width, channel), with a native unsigned type."""
    values = np.atleast_3d(np.asarray(image))
    return values.astype(np.uint16 if image.mode.startswith("I;16") else np.uint8, copy=False)


def _through_palette(image: ImageFile) -> Samples:
    """Look palette indices up; a palette of greys gives one channel, to save memory."""
    image.apply_transparency()
    palette = np.zeros((256, 4), np.uint8)
    colours = np.array(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    palette[: len(colours)] = colours
    is_grey = all(np.array_equal(palette[:, 0], palette[:, n]) for n in (1, 2))
    is_opaque = bool(np.all(colours[:, 3] == 255))  # noqa: PLR2004
    channels = [0] if is_grey else [0, 1, 2]
    channels += [] if is_opaque else [3]
    check_samples(image.width * image.height * len(channels))
    samples: Samples = palette[:, channels][np.asarray(image)]
    return samples


def _with_alpha(samples: Samples, transparent: int | tuple[int, ...], *, largest: int) -> Samples:
    """Append an alpha channel in which one colour, declared transparent, is 0."""
    is_transparent = np.all(samples == np.array(transparent), axis=2, keepdims=True)
    alpha = np.where(is_transparent, 0, largest).astype(samples.dtype)
    return np.concatenate([samples, alpha], axis=2)
