"""What all DICOM results of a film share: identity, UIDs that follow from it, times, equipment."""

import json
import uuid
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from pipelines.predictions import Prediction
from pipelines.results.dicom_codes import dcm, label
from pipelines.results.dicom_kinds import Kind, SegLayers
from pipelines.results.dicom_source import SourceImage

MANUFACTURER = "plainfilm"

_LATIN_1, _UTF_8 = "ISO_IR 100", "ISO_IR 192"
NAMESPACE = uuid.UUID("6d0f3a52-9d3c-5b0e-8f6d-0f5b0f0b1c41")
_PROCESSING_EQUIPMENT = dcm("109102", "Processing Equipment")
_STUDY = (
    "PatientID",
    "PatientName",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
)


@dataclass(frozen=True, slots=True)
class Model:
    """What made a result.

    Attributes:
        bundle: Name of the bundle.
        bundle_version: Of the bundle.
        weights_sha256: Of the file of weights.
        plainfilm_version: Of this package.
        settings: Whatever else shapes an answer, such as the threshold, as one short text.
    """

    bundle: str
    bundle_version: str
    weights_sha256: str
    plainfilm_version: str
    settings: str = ""

    @property
    def name(self) -> str:
        """Name of the algorithm."""
        return label(f"plainfilm {self.bundle}")

    @property
    def version(self) -> str:
        """Version of the algorithm."""
        return label(f"{self.bundle_version} (plainfilm {self.plainfilm_version})")

    @property
    def uid(self) -> str:
        """UID of the algorithm as a device that observes."""
        made_of = (self.bundle, self.bundle_version, self.weights_sha256)
        return uid_of(uuid.uuid5(NAMESPACE, json.dumps(made_of)))


@dataclass(frozen=True, slots=True)
class Decision:
    """The operating point that a prediction was decided by.

    Attributes:
        threshold: Of the decision; None where the most probable class is called, or there is none.
        positive_classes: Names of the classes whose probabilities are held against it together.
        foreign_limit: A film whose guard score is above it is unlike the training films; None where
            there is no guard.
    """

    threshold: float | None = None
    positive_classes: tuple[str, ...] = ()
    foreign_limit: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One film, and all that its objects say.

    Attributes:
        source: The film.
        record: What was predicted of it.
        decision: How it was decided.
        model: What predicted it.
        created: When the objects are made, with a time zone.
        seg_layers: Whether structures that overlap share one segmentation.
    """

    source: SourceImage
    record: Prediction
    decision: Decision
    model: Model
    created: datetime
    seg_layers: SegLayers = SegLayers.ONE

    def key(self, *parts: str) -> uuid.UUID:
        """Return what is always the same for this film, model, settings and these parts."""
        model = self.model
        made_of = (
            self.source.sop_instance_uid,
            self.source.frame,
            model.bundle,
            model.bundle_version,
            model.weights_sha256,
            model.plainfilm_version,
            model.settings,
            *parts,
        )
        return uuid.uuid5(NAMESPACE, json.dumps(made_of))

    def uid(self, *parts: str) -> str:
        """Return the UID of `key`, under 2.25 (PS3.5 B.2)."""
        return uid_of(self.key(*parts))

    def tracking_uid(self, name: str) -> str:
        """Return the UID of a class or structure of this film, the same in all its objects."""
        return self.uid("tracked", name)


def uid_of(key: uuid.UUID) -> str:
    """Write a UUID as a UID (PS3.5 B.2)."""
    return f"2.25.{key.int}"


def now_in(source: SourceImage) -> datetime:
    """Return the time in the time zone that the source declares; else in that of this machine."""
    now = datetime.now(UTC)
    offset = str(source.attributes.get("TimezoneOffsetFromUTC", ""))
    if not offset:
        return now.astimezone()
    minutes = int(offset[-4:-2]) * 60 + int(offset[-2:])
    return now.astimezone(timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))


def common_arguments(finding: Finding, kind: Kind, *parts: str, number: int = 1) -> dict[str, Any]:
    """Return what every constructor of highdicom takes: series, instance and equipment.

    Args:
        finding: The film.
        kind: What is made.
        parts: What shapes the object besides the model.
        number: InstanceNumber, from 1.
    """
    model = finding.model
    return {
        "series_instance_uid": finding.uid(kind, "series", *parts),
        "series_number": kind.series_number,
        "sop_instance_uid": finding.uid(kind, *parts, str(number)),
        "instance_number": number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": label(model.bundle),
        "software_versions": software_versions(model),
        "device_serial_number": model.weights_sha256,
        "series_description": kind.series_description,
    }


def software_versions(model: Model) -> list[str]:
    """Say which package and which bundle made a result."""
    return [
        label(f"plainfilm {model.plainfilm_version}"),
        label(f"{model.bundle} {model.bundle_version}"),
    ]


def reference_to(source: SourceImage) -> Dataset:
    """Return the source for highdicom: its image and study, and nobody's name.

    highdicom logs a name that it finds odd. Identity is put into the result by `completed`.
    """
    reference = deepcopy(source.attributes)
    for keyword in _STUDY:
        if keyword != "StudyInstanceUID" and keyword in reference:
            setattr(reference, keyword, "")
    return reference


def completed(dataset: Dataset, finding: Finding, *, copies: Sequence[str] = ()) -> Dataset:
    """Put in what all results have in common.

    Args:
        dataset: As highdicom made it; changed.
        finding: The film.
        copies: Keywords of what else the object has as its source has it. Whether laterality stands
            in the series (CR) or in the image (DX, MG), and whether a result may say it at all, is
            different for each kind of object.

    Returns:
        The same data set.
    """
    source = finding.source.attributes
    for keyword in _STUDY:
        dataset.pop(keyword, None)
        if keyword in source:
            dataset[keyword] = source[keyword]
    for keyword in copies:
        dataset.pop(keyword, None)
        if keyword in source:
            dataset[keyword] = source[keyword]
        elif keyword == "PatientOrientation":
            dataset.PatientOrientation = ""  # required, and empty where it is unknown
    set_times(dataset, finding.created)
    model = finding.model
    dataset.ContributingEquipmentSequence = [
        ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=_PROCESSING_EQUIPMENT,
            manufacturer_model_name=label(model.bundle),
            software_versions=software_versions(model),
            contribution_description=f"Predicted by weights of SHA-256 {model.weights_sha256}",
        )
    ]
    write_charset(dataset)
    return dataset


def write_charset(dataset: Dataset) -> None:
    """Declare the character set that the text of a data set needs."""
    dataset.SpecificCharacterSet = _LATIN_1 if _is_latin_1(dataset) else _UTF_8


def _is_latin_1(dataset: Dataset) -> bool:
    """Whether the older character set does, which every viewer and validator knows."""
    try:
        for element in dataset.iterall():
            if isinstance(element.value, str | PersonName):
                str(element.value).encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def set_times(dataset: Dataset, created: datetime) -> None:
    """Give one time to everything that says when an object was made.

    Args:
        dataset: As highdicom made it; changed.
        created: With a time zone.
    """
    date, time = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    for made in ("InstanceCreation{}", "Content{}", "PresentationCreation{}"):
        for part, value in (("Date", date), ("Time", time)):
            if made.format(part) in dataset:
                setattr(dataset, made.format(part), value)
    for keyword, value in (("DateOfSecondaryCapture", date), ("TimeOfSecondaryCapture", time)):
        if keyword in dataset:
            setattr(dataset, keyword, value)
