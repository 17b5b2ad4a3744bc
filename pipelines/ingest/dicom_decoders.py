"""The libraries that decode codestreams, each behind one function with the same signature.

They are imported when they are first needed: most files are not compressed.
"""

from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.ingest.dicom_codestream import Codestream
from pipelines.ingest.dicom_kind import Syntax
from pipelines.ingest.dicom_layout import Photometric, PixelLayout
from pipelines.ingest.reduction import reduced_size


class Request(NamedTuple):
    """What is to be decoded.

    Attributes:
        encoded: The codestream of one frame.
        codestream: What it says of itself; it agrees with the header.
        syntax: The transfer syntax.
        layout: What the header says of the samples.
        factor: By how much the frame is to be reduced while it is decoded: 1, 2, 4 or 8.
    """

    encoded: bytes
    codestream: Codestream
    syntax: Syntax
    layout: PixelLayout
    factor: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the samples: (rows, columns) or (rows, columns, 3), reduced."""
        rows, columns = reduced_size(self.layout.rows, self.layout.columns, self.factor)
        samples = self.layout.photometric.samples
        return (rows, columns) if samples == 1 else (rows, columns, samples)


def decode_rle(request: Request) -> npt.NDArray[np.generic]:
    """Decode RLE with pylibjpeg-rle.

    Args:
        request: What is to be decoded.

    Returns:
        The samples: (rows, columns) or (rows, columns, 3).

    Raises:
        ValueError: If the runs do not give the image.
    """
    from rle.utils import decode_pixel_data

    layout = request.layout
    try:
        buffer = decode_pixel_data(
            request.encoded,
            version=2,
            rows=layout.rows,
            columns=layout.columns,
            bits_allocated=layout.bits_allocated,
        )
    except BaseException as error:
        # The library is written in Rust, whose panics are no `Exception`.
        if type(error).__name__ == "PanicException":
            raise ValueError("expected whole runs, got one that ends too early") from None
        raise
    flat = _flat(buffer, layout.bits_allocated)
    if layout.photometric.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    return np.moveaxis(flat.reshape(3, layout.rows, layout.columns), 0, -1)


def decode_openjpeg(request: Request) -> npt.NDArray[np.generic]:
    """Decode HTJ2K with pylibjpeg-openjpeg; (rows, columns) or (rows, columns, 3)."""
    from openjpeg.utils import decode_pixel_data

    buffer = decode_pixel_data(request.encoded, version=2)
    return _interleaved(_flat(buffer, request.codestream.precision), request)


def decode_wavelet(request: Request) -> npt.NDArray[np.generic]:
    """Decode JPEG 2000 with imagecodecs; (rows, columns) or (rows, columns, 3).

    The same library inside as in `decode_openjpeg`, but other threads go on meanwhile.
    """
    import imagecodecs

    return _interleaved(imagecodecs.jpeg2k_decode(request.encoded, planar=False), request)


def decode_jpegls(request: Request) -> npt.NDArray[np.generic]:
    """Decode JPEG-LS with pyjpegls; (rows, columns) or (rows, columns, 3)."""
    import jpeg_ls

    buffer, told = jpeg_ls.decode_pixel_data(request.encoded)
    flat = _flat(buffer, request.codestream.precision)
    if request.codestream.components > 1 and told["interleave_mode"] == 0:
        return np.moveaxis(flat.reshape(3, request.layout.rows, request.layout.columns), 0, -1)
    return _interleaved(flat, request)


def decode_pillow(request: Request) -> npt.NDArray[np.generic]:
    """Decode 8-bit JPEG with Pillow; (rows, columns) or (rows, columns, 3), which is RGB."""
    from PIL import Image

    factor = request.factor
    with Image.open(BytesIO(request.encoded), formats=("JPEG",)) as image:
        size = (max(1, image.width // factor), max(1, image.height // factor))
        as_they_are = (
            request.codestream.to_rgb is None and request.layout.photometric is Photometric.RGB
        )
        # Without a word in the codestream, the library takes it for YCbCr. Asking for YCbCr leaves
        # the components as they are.
        image.draft("YCbCr" if as_they_are else None, size)
        return np.asarray(image)


def decode_wavelet_reduced(request: Request) -> npt.NDArray[np.generic]:
    """Decode grey JPEG 2000 and HTJ2K at a lower resolution with Pillow; (rows, columns).

    Raises:
        ValueError: If the codestream does not give the image of that size.
    """
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

    image = Jpeg2KImageFile(BytesIO(request.encoded))
    image.reduce = request.factor.bit_length() - 1
    image.load()
    samples = np.asarray(image)
    if samples.shape != request.shape or image.mode not in {"L", "I;16"}:
        raise ValueError("expected an image of the reduced size in grey")
    precision = request.codestream.precision
    # Pillow fills 8 or 16 bits from above, and turns signed samples to unsigned ones.
    return samples >> (8 * samples.dtype.itemsize - precision)


def decode_imagecodecs(request: Request) -> npt.NDArray[np.generic]:
    """Decode 12-bit JPEG and JPEG lossless with imagecodecs; (rows, columns) or (rows, columns, 3).

    GDCM can do this too, but a damaged codestream makes it end the process.
    """
    import imagecodecs

    told = request.codestream.to_rgb
    photometric = request.layout.photometric
    as_they_are = told is False or (told is None and photometric is Photometric.RGB)
    if photometric.samples == 1 or (request.syntax.cosine and not as_they_are):
        decoded = imagecodecs.jpeg_decode(request.encoded)
    else:
        decoded = imagecodecs.jpeg_decode(request.encoded, colorspace="RGB", outcolorspace="RGB")
    return _interleaved(decoded, request)


def _interleaved(flat: npt.NDArray[np.generic], request: Request) -> npt.NDArray[np.generic]:
    """Shape samples of which all components of a pixel stand together.

    Raises:
        ValueError: If the decoder gave another number of samples than it should.
    """
    layout = request.layout
    shape = (layout.rows, layout.columns)
    return flat.reshape(shape if layout.photometric.samples == 1 else (*shape, 3))


def _flat(
    buffer: bytes | bytearray | npt.NDArray[np.generic], bits: int
) -> npt.NDArray[np.generic]:
    return np.frombuffer(buffer, np.uint8 if bits <= 8 else np.dtype("<u2"))  # noqa: PLR2004
