"""Attributes of a DICOM header by keyword: bytes become text, integers and numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_elements import (
    UNDEFINED,
    Element,
    Encoding,
    Walker,
)

TAGS: Mapping[str, int] = {
    "MediaStorageSOPClassUID": 0x0002_0002,
    "TransferSyntaxUID": 0x0002_0010,
    "SOPClassUID": 0x0008_0016,
    "SOPInstanceUID": 0x0008_0018,
    "PresentationIntentType": 0x0008_0068,
    "PatientID": 0x0010_0020,
    "ImagerPixelSpacing": 0x0018_1164,
    "NominalScannedPixelSpacing": 0x0018_2010,
    "StudyInstanceUID": 0x0020_000D,
    "SeriesInstanceUID": 0x0020_000E,
    "SamplesPerPixel": 0x0028_0002,
    "PhotometricInterpretation": 0x0028_0004,
    "PlanarConfiguration": 0x0028_0006,
    "NumberOfFrames": 0x0028_0008,
    "Rows": 0x0028_0010,
    "Columns": 0x0028_0011,
    "PixelSpacing": 0x0028_0030,
    "PixelAspectRatio": 0x0028_0034,
    "BitsAllocated": 0x0028_0100,
    "BitsStored": 0x0028_0101,
    "HighBit": 0x0028_0102,
    "PixelRepresentation": 0x0028_0103,
    "BurnedInAnnotation": 0x0028_0301,
    "WindowCenter": 0x0028_1050,
    "WindowWidth": 0x0028_1051,
    "RescaleIntercept": 0x0028_1052,
    "RescaleSlope": 0x0028_1053,
    "VOILUTFunction": 0x0028_1056,
    "RedPaletteColorLookupTableDescriptor": 0x0028_1101,
    "GreenPaletteColorLookupTableDescriptor": 0x0028_1102,
    "BluePaletteColorLookupTableDescriptor": 0x0028_1103,
    "RedPaletteColorLookupTableData": 0x0028_1201,
    "GreenPaletteColorLookupTableData": 0x0028_1202,
    "BluePaletteColorLookupTableData": 0x0028_1203,
    "ModalityLUTSequence": 0x0028_3000,
    "LUTDescriptor": 0x0028_3002,
    "LUTData": 0x0028_3006,
    "VOILUTSequence": 0x0028_3010,
    "PresentationLUTShape": 0x2050_0020,
    "PixelData": 0x7FE0_0010,
}
"""What the reader looks at, by keyword (PS3.6)."""

WANTED = frozenset(TAGS.values())
_SEQUENCES = frozenset({TAGS["ModalityLUTSequence"], TAGS["VOILUTSequence"]})
_MAX_VALUE_BYTES = 4_000_000
_MAX_MAGNITUDE = 1e12


@dataclass(frozen=True, slots=True, repr=False)
class Attributes:
    """Values of one data set or item, as the bytes of the file.

    Attributes:
        encoding: How the values are written.
        values: Value by tag.
        items: The first item of a sequence, by tag of the sequence.
    """

    encoding: Encoding
    values: dict[int, bytes] = field(default_factory=dict)
    items: dict[int, "Attributes"] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Hide every value: reprs end up in logs and tracebacks."""
        return "Attributes(...)"

    def take(self, walker: Walker, element: Element) -> None:
        """Keep the value of an element if the reader looks at it.

        Args:
            walker: The walker that found the element.
            element: Any element but PixelData.

        Raises:
            InputError: TRUNCATED if the file ends within the value; INVALID_ATTRIBUTE if it is
                longer than any sensible value.
        """
        if element.tag not in WANTED:
            return
        if element.tag in _SEQUENCES:
            item = Attributes(self.encoding)
            for nested in walker.first_item(element, self.encoding):
                item.take(walker, nested)
            self.items[element.tag] = item
            return
        if element.length == UNDEFINED or element.length > _MAX_VALUE_BYTES:
            raise InputError(
                Reason.INVALID_ATTRIBUTE,
                f"expected at most {_MAX_VALUE_BYTES} bytes in ({element.tag >> 16:04X},"
                f"{element.tag & 0xFFFF:04X}), got more; the header is damaged",
            )
        self.values[element.tag] = walker.source.read(element.start, element.length)

    def item(self, keyword: str) -> "Attributes | None":
        """Return the first item of a sequence; None if it is absent or empty."""
        found = self.items.get(TAGS[keyword])
        return found if found is not None and found.values else None

    def data(self, keyword: str) -> bytes:
        """Return a value as the file has it; empty if it is absent."""
        return self.values.get(TAGS[keyword], b"")

    def text(self, keyword: str) -> str:
        """Return a value as text without padding; empty if it is absent."""
        value = self.data(keyword)
        try:
            return value.decode("utf-8").strip(" \0")
        except UnicodeDecodeError:
            return value.decode("latin-1").strip(" \0")

    def numbers(self, keyword: str) -> list[float]:
        """Return the numbers of a decimal or integer string; NaN for each that is none."""
        text = self.text(keyword)
        return [_number(part) for part in text.split("\\")] if text else []

    def integers(self, keyword: str, *, signed: bool = False) -> list[int]:
        """Return the 16-bit integers of a binary value; empty if it is absent."""
        value = self.data(keyword)
        order = self.encoding.order
        return [
            int.from_bytes(value[at : at + 2], order, signed=signed)
            for at in range(0, len(value) - 1, 2)
        ]

    def integer(self, keyword: str) -> int:
        """Return the one unsigned integer of a required attribute.

        Raises:
            InputError: MISSING_ATTRIBUTE if it is absent or empty.
        """
        found = self.integers(keyword)
        if not found:
            refuse_missing(keyword)
        return found[0]


def refuse_missing(keyword: str) -> NoReturn:
    """Refuse a file without a required attribute.

    Raises:
        InputError: MISSING_ATTRIBUTE, always.
    """
    raise InputError(
        Reason.MISSING_ATTRIBUTE,
        f"expected the attribute {keyword}, got none; export the image again with a full header",
    ) from None


def refuse_invalid(rule: str, got: object) -> NoReturn:
    """Refuse a file with an attribute that cannot be right.

    Raises:
        InputError: INVALID_ATTRIBUTE, always.
    """
    raise InputError(
        Reason.INVALID_ATTRIBUTE,
        f"expected {rule}, got {got}; the header is damaged or not a radiograph's",
    ) from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if abs(number) <= _MAX_MAGNITUDE else math.nan
