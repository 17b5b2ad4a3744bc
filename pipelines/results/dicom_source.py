"""The film that a DICOM result is about: what is copied from its header into every object.

Only named attributes are taken, each held against its value representation first: a result never
holds what its source has wrong, and nothing that its source does not say.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    RE_VALID_UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
from pydicom.valuerep import VR, validate_value

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom import DicomHeader, inspect_dicom
from pipelines.ingest.dicom_attributes import refuse_invalid, refuse_missing
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.results.dicom_text import TextDecoder

_CHARACTER_SET = 0x0008_0000
"""Where the reader puts SpecificCharacterSet, see `Stream.read`."""

_OF_FRAMES = frozenset(
    {
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
_LONGEST_UID = 64
_FINEST, _LARGEST_SIDE = 1000, 1e6
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_WHO = ("PatientID", "PatientName", "IssuerOfPatientID")
"""Whose film it is: an object without, or with another value, would go to another patient."""
NEEDED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Of type 2: present in every object, empty where unknown."""
_OPTIONAL = (
    "IssuerOfPatientID",
    "PatientAge",
    "StudyDescription",
    "TimezoneOffsetFromUTC",
    "Modality",
    "Laterality",
    "ImageLaterality",
    "PatientOrientation",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_ENUMERATED = {
    "PatientSex": {"F", "M", "O"},
    "Laterality": {"L", "R"},
    "ImageLaterality": {"L", "R", "U", "B"},
    "BurnedInAnnotation": {"YES", "NO"},
    "LossyImageCompression": {"00", "01"},
}
IDENTITY = (
    *NEEDED,
    "StudyInstanceUID",
    "IssuerOfPatientID",
    "StudyDescription",
    "PatientAge",
    "Laterality",
    "PatientOrientation",
    "BodyPartExamined",
)
"""What may be said of a film that carries no identity."""
_SEVERAL = {"PatientOrientation", "LossyImageCompressionRatio", "LossyImageCompressionMethod"}
_DIRECTION = re.compile("[AFHLPR]{1,3}")
"""Of the rows or of the columns of an image: letters of PS3.3 C.7.6.1.1.1."""

_TAGS = frozenset({_CHARACTER_SET, *(int(Tag(keyword)) for keyword in (*NEEDED, *_OPTIONAL))})


@dataclass(frozen=True, slots=True, repr=False)
class SourceImage:
    """A film that results are about.

    Attributes:
        attributes: The named attributes of its header, clean, and without pixels.
        header: What the reader knows about it.
        frame: Index of the frame, from 0.
    """

    attributes: Dataset
    header: DicomHeader
    frame: int = 0

    def __repr__(self) -> str:
        """Hide every value: reprs end up in logs and tracebacks."""
        return "SourceImage(...)"

    @property
    def sop_instance_uid(self) -> str:
        """UID of the image."""
        return str(self.attributes.SOPInstanceUID)

    @property
    def frame_numbers(self) -> list[int] | None:
        """Number of the frame as DICOM counts, for references; None for an image of one frame."""
        return [self.frame + 1] if self.header.frames > 1 else None

    @property
    def is_of_frames(self) -> bool:
        """Whether its SOP class is one whose images may have several frames."""
        return self.header.sop_class in _OF_FRAMES

    @property
    def laterality(self) -> str:
        """`L`, `R`, `B` or `U`; empty where the header says nothing."""
        return str(self.attributes.get("ImageLaterality") or self.attributes.get("Laterality", ""))

    @property
    def aspect_ratio(self) -> tuple[int, int]:
        """Height to width of a pixel, in whole numbers (PS3.3 C.7.6.3.1.7)."""
        spacing = self.attributes.get("PixelSpacing") or self.attributes.get("ImagerPixelSpacing")
        numbers = spacing or self.header.attributes.numbers("PixelAspectRatio")
        if len(numbers) != 2 or not all(0 < float(n) < _LARGEST_SIDE for n in numbers):  # noqa: PLR2004 (row and column)
            return 1, 1
        ratio = Fraction(float(numbers[0]) / float(numbers[1])).limit_denominator(_FINEST)
        return (ratio.numerator, ratio.denominator) if ratio else (1, 1)

    @property
    def is_measured_at_detector(self) -> bool:
        """Whether millimetres are those of the detector, where a body casts a larger shadow."""
        imager = self.attributes.get("ImagerPixelSpacing")
        return imager is not None and self.attributes.get("PixelSpacing", imager) == imager


def read_source(path: Path, *, frame: int = 0) -> SourceImage:
    """Read what results take from a film.

    Args:
        path: The file.
        frame: Index of the frame, from 0.

    Returns:
        The source.

    Raises:
        InputError: NO_DICOM_SOURCE if the file is no DICOM file; MISSING_ATTRIBUTE or
            INVALID_ATTRIBUTE if it does not say which patient, study and image it is; else as
            `inspect_dicom`.
    """
    if sniff(path) is not FileFormat.DICOM:
        raise InputError(
            Reason.NO_DICOM_SOURCE,
            "expected a DICOM film, whose patient and study a DICOM result belongs to, got a file "
            "of another format; leave it out, or say whose it is with "
            "--set dicom_identity=FILE",
        )
    return source_of(inspect_dicom(path, also=_TAGS), frame=frame)


def source_of(header: DicomHeader, *, frame: int = 0) -> SourceImage:
    """Take what results need from a header that was read with `source_tags`.

    Args:
        header: The header.
        frame: Index of the frame, from 0.

    Returns:
        The source.

    Raises:
        InputError: MISSING_ATTRIBUTE or INVALID_ATTRIBUTE if patient, study or image are not told,
            or not in a way that can be copied.
    """
    if header.frames > 1 and header.sop_class not in _OF_FRAMES:
        refuse_invalid("one frame in an image of its SOP class", header.frames)
    return SourceImage(_Copier(header).copied(), header, frame)


class _Copier:
    """Copies attributes from a header into a clean data set."""

    def __init__(self, header: DicomHeader) -> None:
        self._header = header
        self._target = Dataset()

    @cached_property
    def _text(self) -> TextDecoder:
        declared = self._header.attributes.elements.get(Tag(_CHARACTER_SET))
        # A group length, which files of old have there, is four bytes of a number.
        value = declared.value if declared is not None else b""
        is_text = isinstance(value, bytes) and value.strip(b"\0 ")[:3] in {b"ISO", b"GB1", b"GBK"}
        extended = isinstance(value, bytes) and value.startswith(b"\\")
        return TextDecoder(value if isinstance(value, bytes) and (is_text or extended) else b"")

    def copied(self) -> Dataset:
        target = self._target
        target.SpecificCharacterSet = "ISO_IR 192"  # for the strings below; results choose theirs
        target.SOPClassUID = self._header.sop_class
        for keyword in _UIDS:
            self._copy_uid(keyword)
        for keyword in NEEDED:
            self._copy(keyword, empty="")
        for keyword in _OPTIONAL:
            self._copy(keyword)
        if "ImageLaterality" in target:  # then the series may not have one (PS3.3 C.7.3.1)
            target.pop("Laterality", None)
        target.Modality = target.get("Modality") or "OT"
        layout = self._header.layout
        target.Rows, target.Columns = layout.rows, layout.columns
        target.SamplesPerPixel = layout.photometric.samples
        target.PhotometricInterpretation = str(layout.photometric)
        self._copy_spacing()
        return target

    def _copy_uid(self, keyword: str) -> None:
        value = self._header.attributes.text(keyword)
        if not value:
            refuse_missing(keyword)
        if not fits(keyword, value):
            refuse_invalid(f"{keyword} to be a UID", "something else")
        setattr(self._target, keyword, value)

    def _copy(self, keyword: str, *, empty: str | None = None) -> None:
        value = self._header.attributes.data(keyword)
        text = self._text.decode(value) if value else ""
        if text and not fits(keyword, text):
            if keyword in _WHO:
                refuse_invalid(f"{keyword} as DICOM writes it", "a value that cannot be copied")
            text = ""
        if text or empty is not None:
            setattr(self._target, keyword, text.split("\\") if "\\" in text else text)

    def _copy_spacing(self) -> None:
        """Millimetres between rows and columns, where the header tells them rightly."""
        for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
            numbers = self._header.attributes.numbers(keyword)
            parts = self._header.attributes.text(keyword).split("\\")
            if len(numbers) == 2 and all(n > 0 for n in numbers) and _all_fit(VR.DS, parts):  # noqa: PLR2004 (row and column)
                setattr(self._target, keyword, parts)


def fits(keyword: str, text: str) -> bool:
    """Whether a text may be the value of an attribute.

    Args:
        keyword: Of an attribute of text, a date, a time or a UID.
        text: Its value, or values with a backslash between them.
    """
    if keyword.endswith("UID"):
        return len(text) <= _LONGEST_UID and re.fullmatch(RE_VALID_UID, text) is not None
    if text not in _ENUMERATED.get(keyword, {text}):
        return False
    values = text.split("\\")
    if keyword == "PatientOrientation":
        return len(values) == 2 and all(map(_DIRECTION.fullmatch, values))  # noqa: PLR2004 (rows and columns)
    several = keyword in _SEVERAL or len(values) == 1
    return several and text.isprintable() and _all_fit(VR(dictionary_VR(keyword)), values)


def _all_fit(representation: VR, values: list[str]) -> bool:
    """Whether values are as their representation asks (PS3.5 6.2)."""
    try:
        for value in values:
            validate_value(representation, value.strip(), RAISE)
    except ValueError:
        return False
    return True
