"""Colour samples become RGB from 0 to 1, or one grey channel where the colours are all grey.

The rule: palettes, YBR and RGB are turned to RGB over the range of the stored bits, without a
window (there is none for colour, PS3.3 C.11.2). If red, green and blue are equal in every pixel,
the film is grey and one channel is kept: a colour screenshot of a radiograph is a radiograph.
"""

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_attributes import Attributes, refuse_missing
from pipelines.ingest.dicom_decode import Decoded, Samples
from pipelines.ingest.dicom_grey import look_up, stored_values
from pipelines.ingest.dicom_layout import Photometric, PixelLayout
from pipelines.ingest.dicom_lut import FloatTable, read_table
from pipelines.radiograph import Pixels

_YBR = frozenset({Photometric.YBR_FULL, Photometric.YBR_FULL_422})
_COLOURS = ("Red", "Green", "Blue")


def render_colour(decoded: Decoded, layout: PixelLayout, attributes: Attributes) -> Pixels:
    """Turn a frame of colour samples to RGB.

    Args:
        decoded: The samples, and what they mean.
        layout: Which bits of them count.
        attributes: The header, for the palette.

    Returns:
        float32, 0 to 1: (3, height, width), or (1, height, width) if all colours are grey.

    Raises:
        InputError: MISSING_ATTRIBUTE if a palette is absent or short; UNSUPPORTED_PHOTOMETRIC for
            YBR whose samples do not fill 8 or 16 bits.
    """
    samples = decoded.samples
    stored = stored_values(decoded, layout)
    if decoded.photometric is Photometric.PALETTE_COLOR:
        tables = [_palette(colour, stored, layout, attributes) for colour in _COLOURS]
        planes = [samples] * 3
    else:
        if decoded.photometric in _YBR:
            samples = _to_rgb(samples, layout)
        scale = stored / (2**layout.bits_stored - 1)
        tables = [np.clip(scale, 0, 1).astype(np.float32)] * 3
        planes = list(cv2.split(np.ascontiguousarray(samples)))
    pixels: Pixels = np.empty((3, *samples.shape[:2]), np.float32)
    for target, plane, table in zip(pixels, planes, tables, strict=True):
        look_up(plane, table, target=target)
    if np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2]):
        return pixels[:1].copy()
    return pixels


def _palette(
    colour: str, stored: FloatTable, layout: PixelLayout, attributes: Attributes
) -> npt.NDArray[np.float32]:
    prefix = f"{colour}PaletteColorLookupTable"
    table = read_table(attributes, signed=layout.signed, prefix=prefix)
    if table is None:
        refuse_missing(f"{prefix}Data")
    entries = table.apply(stored) / table.maximum
    return np.minimum(entries, 1).astype(np.float32)


def _to_rgb(samples: Samples, layout: PixelLayout) -> Samples:
    if layout.bits_stored != samples.dtype.itemsize * 8:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC,
            f"expected YBR samples of 8 or 16 bits, got {layout.bits_stored}; convert to RGB",
        )
    # OpenCV wants red before blue.
    rgb: Samples = cv2.cvtColor(np.ascontiguousarray(samples[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)
    return rgb
