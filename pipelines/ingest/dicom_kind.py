"""Which DICOM objects and transfer syntaxes are read: everything else is refused by its name."""

from enum import StrEnum

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_attributes import Attributes, refuse_missing

_PRESENTATION = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray, for presentation
    }
)
_PROCESSING = frozenset(
    {"1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2.1"}  # DX and MG
)
_SECONDARY_CAPTURE = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word
        "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color
    }
)
RADIOGRAPHS = _PRESENTATION | _PROCESSING | _SECONDARY_CAPTURE
"""SOP classes that are read."""
DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of DICOMDIR, the directory of a medium."""


class Syntax(StrEnum):
    """Transfer syntaxes that are read (PS3.5, annex A)."""

    IMPLICIT = "1.2.840.10008.1.2"
    EXPLICIT = "1.2.840.10008.1.2.1"
    DEFLATED = "1.2.840.10008.1.2.1.99"
    BIG_ENDIAN = "1.2.840.10008.1.2.2"
    JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
    JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
    JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
    JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
    JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
    JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
    JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
    JPEG_2000 = "1.2.840.10008.1.2.4.91"
    HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
    HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
    HTJ2K = "1.2.840.10008.1.2.4.203"
    RLE = "1.2.840.10008.1.2.5"

    @property
    def encapsulated(self) -> bool:
        """Whether the pixels are a codestream in fragments."""
        return self not in _NATIVE

    @property
    def cosine(self) -> bool:
        """Whether it is the JPEG of photographs, whose decoders turn colours to RGB."""
        return self in {Syntax.JPEG_BASELINE, Syntax.JPEG_EXTENDED}

    @property
    def wavelet(self) -> bool:
        """Whether it is of the JPEG 2000 family, which takes long to decode."""
        return self in _WAVELET

    @property
    def lossy(self) -> bool:
        """Whether decoded samples may differ from the ones that were encoded."""
        return self.cosine or self in {Syntax.JPEG_LS_NEAR, Syntax.JPEG_2000, Syntax.HTJ2K}


_WAVELET = frozenset(
    {
        Syntax.JPEG_2000_LOSSLESS,
        Syntax.JPEG_2000,
        Syntax.HTJ2K_LOSSLESS,
        Syntax.HTJ2K_LOSSLESS_RPCL,
        Syntax.HTJ2K,
    }
)
_NATIVE = frozenset({Syntax.IMPLICIT, Syntax.EXPLICIT, Syntax.DEFLATED, Syntax.BIG_ENDIAN})


def check_class(attributes: Attributes, meta: Attributes) -> str:
    """Refuse what is no radiograph.

    Args:
        attributes: The data set, at least up to its SOPClassUID.
        meta: The file meta information, which is asked if the data set does not say.

    Returns:
        UID of the SOP class; it is on the allow-list.

    Raises:
        InputError: NOT_A_RADIOGRAPH, or MISSING_ATTRIBUTE if the file does not say what it is.
    """
    uid = attributes.text("SOPClassUID") or meta.text("MediaStorageSOPClassUID")
    if not uid:
        refuse_missing("SOPClassUID")
    if uid not in RADIOGRAPHS:
        raise InputError(
            Reason.NOT_A_RADIOGRAPH,
            "expected a CR, DX, MG or Secondary Capture image, got the SOP class "
            f"{_shown(uid)}; leave it out, such objects are passed over",
        )
    return uid


def find_syntax(uid: str) -> Syntax:
    """Find the transfer syntax.

    Args:
        uid: Its UID.

    Returns:
        The syntax.

    Raises:
        InputError: UNSUPPORTED_TRANSFER_SYNTAX if it is none of still images.
    """
    try:
        return Syntax(uid)
    except ValueError:
        raise InputError(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            f"expected a transfer syntax of still images, got {_shown(uid)}; "
            "convert the file to Explicit VR Little Endian",
        ) from None


def kind_flags(attributes: Attributes, sop_class: str) -> set[str]:
    """Tell what a user should know about the kind of image.

    Args:
        attributes: The header.
        sop_class: UID of the SOP class.

    Returns:
        Of `for_processing`, `secondary_capture` and `burned_in_annotation` those that hold.
    """
    flags = set()
    for_processing = attributes.text("PresentationIntentType") == "FOR PROCESSING"
    if sop_class in _PROCESSING or for_processing:
        flags.add("for_processing")
    if sop_class in _SECONDARY_CAPTURE:
        flags.add("secondary_capture")
    if attributes.text("BurnedInAnnotation") == "YES":
        flags.add("burned_in_annotation")
    return flags


def _shown(uid: str) -> str:
    """A UID as it may stand in a message: one with other characters could be anything."""
    return uid if len(uid) <= 64 and not set(uid) - set("0123456789.") else "(an invalid UID)"  # noqa: PLR2004 (PS3.5, 9.1)
