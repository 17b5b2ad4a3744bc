"""Attributes of a DICOM header by keyword: bytes become text, integers and numbers."""

import math
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydicom.tag import Tag

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_elements import Element, Encoding, FoundElement, Stream, read_elements

_WANTED = frozenset(
    Tag(keyword)
    for keyword in (
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "SOPClassUID",
        "SOPInstanceUID",
        "PresentationIntentType",
        "PatientID",
        "PatientSex",
        "PatientAge",
        "ViewPosition",
        "Modality",
        "BodyPartExamined",
        "Manufacturer",
        "InstitutionName",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "PixelSpacing",
        "PixelAspectRatio",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "BurnedInAnnotation",
        "WindowCenter",
        "WindowWidth",
        "RescaleIntercept",
        "RescaleSlope",
        "VOILUTFunction",
        "RedPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "ModalityLUTSequence",
        "LUTDescriptor",
        "LUTData",
        "VOILUTSequence",
        "PresentationLUTShape",
    )
)
"""Tags of what the reader looks at; it passes over all other elements."""

_MAX_MAGNITUDE = 1e12


@dataclass(frozen=True, slots=True, repr=False)
class Attributes:
    """Values of one data set or item, as the bytes of the file.

    pydicom converts none of them: what it finds wrong with a damaged value it tells by `warnings`,
    which have one state for all threads, and prints the value.

    Attributes:
        encoding: How the values are written.
        elements: The elements that the reader looks at, by tag.
    """

    encoding: Encoding
    elements: dict[int, FoundElement] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Hide every value: reprs end up in logs and tracebacks."""
        return "Attributes(...)"

    def read(
        self, stream: Stream, *, stop: Callable[[int], bool], also: Set[int] = frozenset()
    ) -> Element | None:
        """Read on from where the stream stands, and keep what the reader looks at.

        Args:
            stream: The file.
            stop: Says of a tag whether its element ends the reading.
            also: Tags of elements to keep besides those that the reader looks at.

        Returns:
            The element that ended the reading; None at the end of the data set.
        """
        found, last = read_elements(stream, self.encoding, wanted=_WANTED | also, stop=stop)
        self.elements.update(found)
        return last

    def item(self, keyword: str) -> "Attributes | None":
        """Return the first item of a sequence of look-up tables; None if it says nothing."""
        sequence = self._value(keyword)
        elements = sequence[0].elements() if sequence else ()
        item = Attributes(self.encoding, {element.tag: element for element in elements})
        return None if _WANTED.isdisjoint(item.elements) else item

    def data(self, keyword: str) -> bytes:
        """Return a value as the file has it; empty if it is absent."""
        value = self._value(keyword)
        return value if isinstance(value, bytes) else b""

    def _value(self, keyword: str) -> Any:
        element = self.elements.get(Tag(keyword))
        return None if element is None else element.value

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

    def integers(self, keyword: str) -> list[int]:
        """Return the 16-bit integers of a binary value; empty if it is absent."""
        value = self.data(keyword)
        order = self.encoding.order
        return [int.from_bytes(value[at : at + 2], order) for at in range(0, len(value) - 1, 2)]

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
