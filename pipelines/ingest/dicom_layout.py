"""Size and form of the samples of one DICOM frame (PS3.3 C.7.6.3), and its spacing."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_attributes import Attributes, refuse_invalid, refuse_missing
from pipelines.ingest.limits import check_samples


class Photometric(StrEnum):
    """How samples mean grey or colour (PS3.3 C.7.6.3.1.2)."""

    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"
    PALETTE_COLOR = "PALETTE COLOR"
    RGB = "RGB"
    YBR_FULL = "YBR_FULL"
    YBR_FULL_422 = "YBR_FULL_422"
    YBR_ICT = "YBR_ICT"
    YBR_RCT = "YBR_RCT"

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return 1 if self in _ONE_SAMPLE else 3

    @property
    def grey(self) -> bool:
        """Whether the sample is a grey value."""
        return self in {Photometric.MONOCHROME1, Photometric.MONOCHROME2}


_ONE_SAMPLE = frozenset(
    {Photometric.MONOCHROME1, Photometric.MONOCHROME2, Photometric.PALETTE_COLOR}
)


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """Size and form of the samples.

    Attributes:
        rows: Height in pixels.
        columns: Width in pixels.
        photometric: What the samples mean; it says how many there are of each pixel.
        planar: Whether all red samples come first, then all green, then all blue.
        bits_allocated: Bits of the container of a sample: 8 or 16.
        bits_stored: Bits of it that hold the sample.
        shift: Unused bits below the sample.
        signed: Whether samples are two's complement.
        subsampled: Whether two pixels share their colour samples in uncompressed data.
    """

    rows: int
    columns: int
    photometric: Photometric
    planar: bool
    bits_allocated: int
    bits_stored: int
    shift: int
    signed: bool
    subsampled: bool = False

    @property
    def samples(self) -> int:
        """Samples of one frame after decoding: rows x columns x samples per pixel."""
        return self.rows * self.columns * self.photometric.samples

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        if self.subsampled:
            return self.rows * self.columns * 2
        return self.samples * self.bits_allocated // 8


def read_layout(attributes: Attributes, *, encapsulated: bool) -> PixelLayout:
    """Read the layout and refuse what cannot be.

    Args:
        attributes: The header.
        encapsulated: Whether the pixels are compressed.

    Returns:
        The layout.

    Raises:
        InputError: MISSING_ATTRIBUTE, INVALID_ATTRIBUTE, UNSUPPORTED_FORMAT,
            UNSUPPORTED_PHOTOMETRIC or TOO_LARGE.
    """
    rows, columns = attributes.integer("Rows"), attributes.integer("Columns")
    if rows < 1 or columns < 1:
        refuse_invalid("Rows and Columns of 1 or more", f"{rows} x {columns}")
    photometric = _photometric(attributes)
    check_samples(rows * columns * photometric.samples)
    allocated, stored = attributes.integer("BitsAllocated"), attributes.integer("BitsStored")
    if allocated not in {8, 16}:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected 8 or 16 BitsAllocated, got {allocated}; export the image at 8 or 16 bit",
        )
    if not 1 <= stored <= allocated:
        refuse_invalid(f"BitsStored between 1 and {allocated}", stored)
    subsampled = photometric is Photometric.YBR_FULL_422 and not encapsulated
    if subsampled and (columns % 2 or allocated != 8):  # noqa: PLR2004 (bits)
        refuse_invalid("an even number of Columns at 8 bit for YBR_FULL_422", columns)
    return PixelLayout(
        rows=rows,
        columns=columns,
        photometric=photometric,
        planar=attributes.integers("PlanarConfiguration")[:1] == [1],
        bits_allocated=allocated,
        bits_stored=stored,
        shift=_shift(attributes, allocated, stored),
        signed=attributes.integer("PixelRepresentation") == 1,
        subsampled=subsampled,
    )


def _photometric(attributes: Attributes) -> Photometric:
    text = attributes.text("PhotometricInterpretation")
    if not text:
        refuse_missing("PhotometricInterpretation")
    try:
        photometric = Photometric(text)
    except ValueError:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC,
            f"expected one of {', '.join(Photometric)}, got another PhotometricInterpretation; "
            "convert the image to MONOCHROME2",
        ) from None
    samples = attributes.integer("SamplesPerPixel")
    if samples != photometric.samples:
        refuse_invalid(f"{photometric.samples} SamplesPerPixel for {photometric}", samples)
    return photometric


def _shift(attributes: Attributes, allocated: int, stored: int) -> int:
    """Bits below the sample: none in today's standard. A HighBit that cannot be is passed over."""
    high = attributes.integers("HighBit")
    if high and stored - 1 <= high[0] < allocated:
        return high[0] - (stored - 1)
    return 0


def read_spacing(attributes: Attributes) -> tuple[tuple[float, float] | None, set[str]]:
    """Read the distance of pixels.

    PixelSpacing comes first: it is calibrated where it differs from ImagerPixelSpacing. That one
    is measured at the detector, where a body casts a larger shadow; it is flagged
    `spacing_at_detector`. What cannot be right is flagged `spacing_invalid` and passed over.

    Args:
        attributes: The header.

    Returns:
        Millimetres between rows and between columns, or None; and flags.
    """
    flags: set[str] = set()
    spacing = None
    imager = _pair(attributes, "ImagerPixelSpacing", flags)
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = spacing or _pair(attributes, keyword, flags)
    if spacing is not None and spacing == imager:
        flags.add("spacing_at_detector")
    aspect = attributes.numbers("PixelAspectRatio")
    uneven = len(aspect) > 1 and aspect[0] != aspect[1]
    if spacing[0] != spacing[1] if spacing else uneven:
        flags.add("pixels_not_square")
    return spacing, flags


def _pair(attributes: Attributes, keyword: str, flags: set[str]) -> tuple[float, float] | None:
    numbers = attributes.numbers(keyword)
    if len(numbers) == 2 and all(number > 0 for number in numbers):  # noqa: PLR2004 (row and column)
        return numbers[0], numbers[1]
    if numbers:
        flags.add("spacing_invalid")
    return None
