"""What the node wants to know of a film when it arrives, from its header alone."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.deploy.node.traits import Traits
from pipelines.errors import InputError, Outcome, Reason
from pipelines.files import sha256
from pipelines.ingest.dicom import DicomHeader, inspect_dicom
from pipelines.ingest.dicom_elements import UNDEFINED
from pipelines.ingest.dicom_kind import Syntax

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_LONGEST_UID = 64
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A film that has just come.

    Attributes:
        key: Names the film without showing its UID: equal for what has the same SOP Instance UID.
        pixels: Hash of its pixel data as they are encoded.
        frames: Number of radiographs in it.
        traits: What rules look at.
        damage: Why its header cannot be read; None where it can.
    """

    key: str
    pixels: str
    frames: int
    traits: Traits
    damage: InputError | None = None


def inspect_arrival(path: Path, *, calling_ae: str = "", announced: str | None = None) -> Arrival:
    """Look at a film that has come.

    Args:
        path: The file.
        calling_ae: AE title of the sender.
        announced: SOP Instance UID that the sender has named; None where it named none.

    Returns:
        What is to be known of it; a radiograph whose header is damaged is taken all the same.

    Raises:
        InputError: If it is no radiograph (the reason is one of those that are skipped), or
            INVALID_UID if its SOP Instance UID breaks the rules of DICOM or is not the one that
            was announced.
    """
    if announced is not None:
        check_uid(announced)
    try:
        header = inspect_dicom(path)
    except InputError as damage:
        if damage.reason.outcome is Outcome.SKIPPED:
            raise
        content = sha256(path)
        key = content if announced is None else key_of(announced)
        return Arrival(key, content, 1, Traits(calling_ae=calling_ae), damage)
    check_uid(header.sop_instance_uid)
    if announced not in {None, header.sop_instance_uid}:
        raise InputError(
            Reason.INVALID_UID,
            "expected the SOP Instance UID that was announced, got another one in the data set",
        )
    return Arrival(
        key_of(header.sop_instance_uid),
        _pixels(path, header),
        header.frames,
        Traits(
            modality=_code(header, "Modality"),
            body_part=_code(header, "BodyPartExamined"),
            view_position=_code(header, "ViewPosition"),
            calling_ae=calling_ae,
        ),
    )


def check_uid(uid: str) -> None:
    """Refuse a UID that breaks the rules of DICOM (PS3.5, 9.1).

    Args:
        uid: The UID; it is never shown.

    Raises:
        InputError: INVALID_UID if it has other characters, an empty part, a leading zero, or more
            than 64 characters.
    """
    if len(uid) > _LONGEST_UID or not _UID.fullmatch(uid):
        raise InputError(
            Reason.INVALID_UID,
            "expected a SOP Instance UID of digits and dots, 64 characters at most, got another "
            "text; correct what made the object",
        )


def key_of(uid: str) -> str:
    """Return what stands for a UID in the database: equal for equal ones, and not the UID."""
    return hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest()


def _code(header: DicomHeader, keyword: str) -> str:
    """A defined term of the header, in capitals; the first where there are several."""
    return header.attributes.text(keyword).split("\\")[0].strip().upper()[:64]


def _pixels(path: Path, header: DicomHeader) -> str:
    """Hash the encoded pixels, so that a corrected header does not make another film."""
    if header.syntax is Syntax.DEFLATED:
        return sha256(path)
    length = header.pixel_data.length
    return _hash(path, header.pixel_data.start, None if length == UNDEFINED else length)


def _hash(path: Path, start: int, length: int | None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        content.seek(start)
        left = path.stat().st_size if length is None else length
        while left > 0 and (chunk := content.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
