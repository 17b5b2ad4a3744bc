"""One film: read, held against what flags text in its pixels, cleaned, written, and read back."""

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from pipelines.deploy.deidentify.burned_in import has_text_at_margins
from pipelines.deploy.deidentify.pixel_data import clean_pixel_data
from pipelines.deploy.deidentify.profile import Cleaner
from pipelines.errors import InputError, Reason
from pipelines.files import sha256, whole_file
from pipelines.ingest.dicom import DicomHeader, inspect_dicom
from pipelines.ingest.guard import guard_input
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.radiograph import Identity, Pixels

IMPLEMENTATION = UID("2.25.184756230945617232849571006244117350930")
"""ImplementationClassUID of the files that are written."""

UNKNOWN_PATIENT = "patient-unknown"


class Flag(StrEnum):
    """Why the pixels of a film may tell whose it is; a flag, not a guarantee."""

    BURNED_IN_ANNOTATION = "burned_in_annotation"
    SECONDARY_CAPTURE = "secondary_capture"
    TEXT_AT_MARGINS = "text_at_margins"


@dataclass(frozen=True, slots=True)
class Film:
    """A film that can be exported.

    Attributes:
        path: The file.
        header: What the reader says of it.
        flags: What speaks against exporting its pixels, sorted.
        instance: What tells it from other films: its UID, or the hash of its content.
        looks: A hash of the pixels of each frame.
    """

    path: Path
    header: DicomHeader
    flags: tuple[Flag, ...]
    instance: str = field(repr=False)
    looks: tuple[bytes, ...] = field(repr=False)

    @property
    def identity(self) -> Identity:
        """Whose film it is."""
        return self.header.identity


def inspect_film(path: Path) -> Film:
    """Read a film and look for what flags text in its pixels.

    Args:
        path: The file.

    Returns:
        The film; it can be read as `predict` reads it, every frame of it.

    Raises:
        InputError: NOT_DICOM for other formats, and whatever the reader refuses.
    """
    if sniff(path) is not FileFormat.DICOM:
        raise InputError(
            Reason.NOT_DICOM,
            "expected a DICOM file, got another image; it has no header to make pseudonyms of: "
            "re-encode it without metadata and rename it yourself",
        )
    with guard_input():
        header = inspect_dicom(path)
        instance = header.sop_instance_uid or sha256(path)
    told = (Flag.BURNED_IN_ANNOTATION, Flag.SECONDARY_CAPTURE)
    flags = {flag for flag in told if flag in header.flags}
    looks = []
    for frame in range(header.frames):
        pixels = read_radiograph(path, frame=frame).pixels
        looks.append(_look(pixels))
        if has_text_at_margins(pixels):
            flags.add(Flag.TEXT_AT_MARGINS)
    return Film(path, header, tuple(sorted(flags)), instance, tuple(looks))


def _look(pixels: Pixels) -> bytes:
    """A hash of pixels and their shape."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def place_of(film: Film, cleaner: Cleaner) -> str:
    """Return where a film is written, relative and with `/`: patient, study, film, by pseudonym."""
    identity, key = film.identity, cleaner.key
    patient = key.name("patient", identity.patient_id) if identity.patient_id else UNKNOWN_PATIENT
    study = key.name("study", identity.study_instance_uid)
    return f"{patient}/{study}/{key.name('film', film.instance)}.dcm"


def write_film(film: Film, target: Path, cleaner: Cleaner) -> None:
    """Write a film without identity, whole or not at all, and see that it reads the same.

    Args:
        film: What `inspect_film` has returned.
        target: The file to write.
        cleaner: Takes the identity out of its header.

    Raises:
        InputError: CORRUPT, or another reason why it cannot be taken apart; INTERNAL if the pixels
            read back differ, and then nothing is written.
        OSError: If it cannot be written.
    """
    with _quiet():
        with guard_input():
            content = BytesIO()
            _cleaned(film, cleaner).save_as(content, enforce_file_format=True)
        with whole_file(target) as temporary:
            temporary.write_bytes(content.getbuffer())
            _compare(film, temporary)


def _cleaned(film: Film, cleaner: Cleaner) -> Dataset:
    source = pydicom.dcmread(film.path, force=True, stop_before_pixels=True)
    made = cleaner.clean(source, film.identity)
    syntax = film.header.syntax
    made.SOPClassUID = film.header.sop_class
    made.SOPInstanceUID = cleaner.key.uid(film.instance)
    in_bytes = syntax.encapsulated or film.header.pixel_data.representation == "OB"
    pixels = clean_pixel_data(film.path)
    element = DataElement("PixelData", "OB" if in_bytes else "OW", pixels)
    element.is_undefined_length = syntax.encapsulated
    made.add(element)
    made.file_meta = _meta(made, str(syntax))
    return made


def _meta(made: Dataset, syntax: str) -> FileMetaDataset:
    """File meta information made anew: nothing of the source's, such as its AE title."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "PLAINFILM_1"
    return meta


def _compare(film: Film, written: Path) -> None:
    for frame, look in enumerate(film.looks):
        if _look(read_radiograph(written, frame=frame).pixels) != look:
            raise InputError(
                Reason.INTERNAL,
                "expected the pixels to be the same without the header's identity, got others; "
                "nothing was written, report what made this file",
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from telling the values of a header in warnings and log lines."""
    log = logging.getLogger("pydicom")
    settings, before = pydicom.config.settings, log.disabled
    modes = settings.reading_validation_mode, settings.writing_validation_mode
    log.disabled = True
    settings.reading_validation_mode = settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before
        settings.reading_validation_mode, settings.writing_validation_mode = modes
