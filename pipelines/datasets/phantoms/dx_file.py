"""A generated film as a DICOM file: Digital X-Ray Image Storage, for presentation (PS3.3 A.26)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from pipelines.datasets.phantoms.chest import Plane

BITS_STORED = 12
PIXEL_SPACING_MM = (0.8, 0.8)
"""At the detector, rows and columns: a film of 512 x 420 pixels covers 41 x 34 cm."""

_IMPLEMENTATION = UID("2.25.184756230945617232849571006244117350929")
_STUDY_DATE = "20200101"


@dataclass(frozen=True, slots=True)
class FilmHeader:
    """What differs between the headers of generated films.

    Attributes:
        key: Names the film within its set; UIDs follow from it.
        patient_id: A made-up patient, such as `SAMPLE-0001`.
        number: InstanceNumber, from 1.
        inverted: Whether stored values are MONOCHROME1 (0 is white).
        sex: `F` or `M`.
        age_years: 18 to 89.
    """

    key: str
    patient_id: str
    number: int
    inverted: bool
    sex: str
    age_years: int


def generated_uid(key: str) -> UID:
    """Return a UID under 2.25 (PS3.5 B.2) that is always the same for the same key.

    Examples:
        >>> generated_uid("a") == generated_uid("a") != generated_uid("b")
        True
    """
    digest = hashlib.sha256(key.encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def write_dx(path: Path, film: Plane, *, header: FilmHeader) -> None:
    """Write a film as 12 bits stored in 16, uncompressed; the same arguments give the same bytes.

    Args:
        path: Where to write.
        film: float32, 0 to 1, (height, width); bone is bright.
        header: What its header says.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generated_uid(f"{header.key}/instance")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "PLAINFILM_1"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    _describe_patient(dataset, header)
    _describe_acquisition(dataset)
    _describe_anatomy(dataset)
    _store_pixels(dataset, film, inverted=header.inverted)
    dataset.save_as(path, enforce_file_format=True)


def _describe_patient(dataset: Dataset, header: FilmHeader) -> None:
    """Patient, study, series and instance."""
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generated_uid(f"{header.key}/instance")
    dataset.PatientName = "Sample^Generated"
    dataset.PatientID = header.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = header.sex
    dataset.PatientAge = f"{header.age_years:03d}Y"
    dataset.StudyInstanceUID = generated_uid(f"{header.key}/study")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = _STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "120000"
    dataset.ContentDate, dataset.ContentTime = _STUDY_DATE, "120000"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesInstanceUID = generated_uid(f"{header.key}/series")
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = header.number
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = "plainfilm"
    dataset.ManufacturerModelName = "chest phantom"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = "1"


def _describe_acquisition(dataset: Dataset) -> None:
    """DX image, detector and positioning (PS3.3 C.8.11)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.DetectorType = "DIRECT"
    dataset.DetectorDescription = "simulated"
    dataset.ImagerPixelSpacing = list(PIXEL_SPACING_MM)
    dataset.PixelSpacing = list(PIXEL_SPACING_MM)
    dataset.PixelSpacingCalibrationType = "GEOMETRY"
    dataset.PixelSpacingCalibrationDescription = "no magnification assumed"
    dataset.ViewPosition = "PA"
    dataset.PositionerType = "NONE"
    dataset.PatientOrientation = ["L", "F"]
    dataset.KVP = "120"
    dataset.AcquisitionContextSequence = []
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.ViewCodeSequence = [_code("399348003", "SCT", "postero-anterior")]


def _describe_anatomy(dataset: Dataset) -> None:
    """The chest is one unpaired region: ImageLaterality stands and says so (PS3.3 C.8.11.2)."""
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = [_code("51185008", "SCT", "Chest")]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _store_pixels(dataset: Dataset, film: Plane, *, inverted: bool) -> None:
    """Pixels and the grey scale pipeline; the window spans what the film holds."""
    top = (1 << BITS_STORED) - 1
    stored = np.rint(film * top).astype("<u2")
    low, high = (float(each) for each in np.percentile(film, (0, 100)) * top)
    if inverted:
        stored, low, high = (top - stored).astype("<u2"), top - high, top - low
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS_STORED, BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    # Density rises with attenuation in MONOCHROME2; the sign is that of intensity (C.8.11.3.1.2).
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter = f"{(low + high + 1) / 2:.1f}"
    dataset.WindowWidth = f"{max(high - low + 1, 2):.1f}"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
