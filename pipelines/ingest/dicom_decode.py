"""A codestream becomes samples: one decoder for each transfer syntax.

Chosen by speed, by what each is known to get right, and by how it takes damaged codestreams. All
are called directly: none of them looks at the DICOM header, so none can apply it a second time.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason
from pipelines.ingest import dicom_decoders as libraries
from pipelines.ingest.dicom_codestream import Codestream, check, is_whole, parse
from pipelines.ingest.dicom_decoders import Request
from pipelines.ingest.dicom_kind import Syntax
from pipelines.ingest.dicom_layout import Photometric, PixelLayout

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Containers of samples, bit for bit as in the file: (rows, columns) or (rows, columns, 3)."""


class Decoded(NamedTuple):
    """One frame after decoding.

    Attributes:
        samples: uint8 or uint16, (rows, columns) or (rows, columns, 3).
        photometric: What they mean now: RGB where the decoder turned them.
        decoder: Name of the library.
        saturate: Whether a sample beyond the stored bits is an overshoot of lossy compression, to
            be cut off; otherwise bits above the stored ones are no part of the sample.
        reduced_by: Rows and columns of the frame that a sample stands for.
        off_centre: Whether reduced samples lie at the first pixel of their blocks, not in the
            middle: see `moved_to_blocks`.
    """

    samples: Samples
    photometric: Photometric
    decoder: str
    saturate: bool = False
    reduced_by: int = 1
    off_centre: bool = False


_Decode = Callable[[Request], npt.NDArray[np.generic]]


class _Decoder(NamedTuple):
    package: str
    module: str
    decode: _Decode


def decode_native(frame: bytes, layout: PixelLayout, *, little: bool) -> Decoded:
    """Turn the bytes of an uncompressed frame into samples.

    Args:
        frame: The bytes, `layout.frame_bytes` of them.
        layout: Their form.
        little: Whether the file is written in little endian.

    Returns:
        The samples; a view of `frame` where it can be.
    """
    kind = "u1" if layout.bits_allocated == 8 else "<u2" if little else ">u2"  # noqa: PLR2004
    samples = np.frombuffer(frame, kind)
    samples = _in_rows(samples.astype(samples.dtype.newbyteorder("="), copy=False), layout)
    return Decoded(samples, layout.photometric, "numpy")


def decode_encapsulated(
    encoded: bytes, syntax: Syntax, layout: PixelLayout, *, factor: int = 1
) -> Decoded:
    """Decode a compressed frame.

    Args:
        encoded: The codestream.
        syntax: The transfer syntax.
        layout: What the header says of the samples.
        factor: By how much the frame may be reduced while it is decoded: 1, 2, 4 or 8.

    Returns:
        The samples; reduced where the codestream can be decoded so and is whole.

    Raises:
        InputError: PIXEL_LENGTH_MISMATCH, INVALID_ATTRIBUTE or CORRUPT if the codestream and the
            header disagree; TRUNCATED if the codestream has no end; DECODER_MISSING if the decoder
            is not installed; DECODE_FAILED if it gives up.
    """
    if syntax is Syntax.RLE:
        codestream = _rle_codestream(encoded, layout)
    else:
        codestream = parse(encoded, syntax)
        check(codestream, layout)
    request = Request(encoded, codestream, syntax, layout)
    reduced = _decode_reduced(request._replace(factor=factor)) if factor > 1 else None
    if reduced is not None:
        return reduced
    decoder = _decoder(syntax, codestream.precision)
    if not _installed(decoder.module):
        raise InputError(
            Reason.DECODER_MISSING,
            f"expected a decoder of {syntax.name}, got none; run pip install {decoder.package}",
        )
    try:
        samples = _widen(decoder.decode(request), request)
    except Exception as error:
        # Each library has its own ways to say that a codestream is broken.
        if isinstance(error, MemoryError):
            raise
        raise InputError(
            Reason.DECODE_FAILED,
            f"expected a codestream of {syntax.name}, got one that {decoder.package} cannot "
            "decode; export the image again",
        ) from None
    return Decoded(samples, _meaning(request), decoder.package, saturate=_saturates(request))


def _decode_reduced(request: Request) -> Decoded | None:
    """Decode at a lower resolution; None where that is not possible, or the full decode refuses."""
    decode = _reducing_decoder(request)
    if decode is None:
        return None
    try:
        samples = _widen(decode(request), request)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        return None  # the full decode says what is wrong
    if samples.shape != request.shape:
        return None
    return Decoded(
        samples,
        _meaning(request),
        "pillow",
        saturate=_saturates(request),
        reduced_by=request.factor,
        off_centre=request.syntax.wavelet,
    )


def _reducing_decoder(request: Request) -> _Decode | None:
    codestream = request.codestream
    if request.syntax.cosine and codestream.precision <= 8:  # noqa: PLR2004 (what Pillow can)
        return libraries.decode_pillow
    can_reduce = (
        request.syntax.wavelet
        and request.layout.photometric.grey
        and not codestream.signed
        and codestream.tiles == 1
        and 2**codestream.levels >= request.factor
    )
    if can_reduce and is_whole(request.encoded):
        return libraries.decode_wavelet_reduced
    return None


def _saturates(request: Request) -> bool:
    return request.syntax.lossy and request.codestream.signed == request.layout.signed


def _decoder(syntax: Syntax, precision: int) -> _Decoder:
    if syntax.cosine:
        return _PILLOW if precision <= 8 else _IMAGECODECS  # noqa: PLR2004 (what Pillow can)
    return _DECODERS[syntax]


@cache
def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _rle_codestream(encoded: bytes, layout: PixelLayout) -> Codestream:
    segments = int.from_bytes(encoded[:4], "little")
    expected = layout.photometric.samples * layout.bits_allocated // 8
    if segments != expected:
        raise InputError(
            Reason.PIXEL_LENGTH_MISMATCH,
            f"expected {expected} RLE segments from the header, got {segments}; export again",
        )
    return Codestream(
        layout.rows, layout.columns, layout.photometric.samples, layout.bits_allocated
    )


def _meaning(request: Request) -> Photometric:
    """What the samples mean after decoding: the decoders turn to RGB what the codestream says."""
    photometric = request.layout.photometric
    if photometric.samples == 1 or request.syntax is Syntax.RLE:
        return photometric
    if request.syntax.cosine or (request.syntax.wavelet and request.codestream.to_rgb):
        return Photometric.RGB
    if photometric in {Photometric.YBR_ICT, Photometric.YBR_RCT}:
        return Photometric.RGB
    return photometric


def _widen(samples: npt.NDArray[np.generic], request: Request) -> Samples:
    """Put decoded samples into the containers that the header allocates, with their sign."""
    layout = request.layout
    container = np.dtype(f"u{layout.bits_allocated // 8}")
    if samples.dtype.itemsize < container.itemsize and request.codestream.signed:
        samples = samples.view(np.int8).astype(np.int16)
    if samples.dtype.itemsize == container.itemsize:
        return samples.view(container)
    return samples.astype(container)


def _in_rows(flat: npt.NDArray[np.generic], layout: PixelLayout) -> Samples:
    shape: tuple[int, ...] = (layout.rows, layout.columns)
    rows: Samples
    if layout.subsampled:
        # Y1 Y2 Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2).
        pairs = flat.reshape(-1, 4)
        colour = np.repeat(pairs[:, None, 2:], 2, axis=1)
        rows = np.concatenate([pairs[:, :2, None], colour], axis=2).reshape(*shape, 3)
        return rows
    if layout.photometric.samples == 1:
        return flat.reshape(shape)  # type: ignore[return-value]
    if layout.planar:
        return np.moveaxis(flat.reshape(3, *shape), 0, -1)  # type: ignore[return-value]
    return flat.reshape(*shape, 3)  # type: ignore[return-value]


_PILLOW = _Decoder("pillow", "PIL", libraries.decode_pillow)
_IMAGECODECS = _Decoder("imagecodecs", "imagecodecs", libraries.decode_imagecodecs)
_OPENJPEG = _Decoder("pylibjpeg-openjpeg", "openjpeg", libraries.decode_openjpeg)
_WAVELET = _Decoder("imagecodecs", "imagecodecs", libraries.decode_wavelet)
_JPEGLS = _Decoder("pyjpegls", "jpeg_ls", libraries.decode_jpegls)
_RLE = _Decoder("pylibjpeg-rle", "rle", libraries.decode_rle)

_DECODERS = {
    Syntax.JPEG_LOSSLESS: _IMAGECODECS,
    Syntax.JPEG_LOSSLESS_SV1: _IMAGECODECS,
    Syntax.JPEG_LS_LOSSLESS: _JPEGLS,
    Syntax.JPEG_LS_NEAR: _JPEGLS,
    Syntax.JPEG_2000_LOSSLESS: _WAVELET,
    Syntax.JPEG_2000: _WAVELET,
    Syntax.HTJ2K_LOSSLESS: _OPENJPEG,
    Syntax.HTJ2K_LOSSLESS_RPCL: _OPENJPEG,
    Syntax.HTJ2K: _OPENJPEG,
    Syntax.RLE: _RLE,
}
