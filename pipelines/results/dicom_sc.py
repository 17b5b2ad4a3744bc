"""Secondary Captures: pictures that every viewer shows (PS3.3 A.8), where it knows nothing else."""

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import Finding, common_arguments, completed, reference_to
from pipelines.results.dicom_kinds import Kind
from pipelines.results.dicom_source import SourceImage

_COPIES = (
    "Laterality",
    "ImageLaterality",
    "PatientOrientation",
    "BodyPartExamined",
    "BurnedInAnnotation",  # words of the film itself; ours name nobody
    "PixelSpacing",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)

_UNPAIRED = frozenset(
    {
        "ABDOMEN",
        "ABDOMENPELVIS",
        "AORTA",
        "BACK",
        "BLADDER",
        "BRAIN",
        "CHEST",
        "CHESTABDOMEN",
        "CHESTABDPELVIS",
        "COCCYX",
        "COLON",
        "CSPINE",
        "CTSPINE",
        "DUODENUM",
        "ESOPHAGUS",
        "FACE",
        "GALLBLADDER",
        "HEAD",
        "HEADNECK",
        "HEART",
        "ILEUM",
        "JAW",
        "JEJUNUM",
        "LARYNX",
        "LIVER",
        "LSPINE",
        "LSSPINE",
        "MAXILLA",
        "MEDIASTINUM",
        "MOUTH",
        "NECK",
        "NECKCHEST",
        "NECKCHESTABDOMEN",
        "NOSE",
        "PANCREAS",
        "PELVIS",
        "PHARYNX",
        "RECTUM",
        "SCALP",
        "SKULL",
        "SPINE",
        "SPLEEN",
        "SSPINE",
        "STERNUM",
        "STOMACH",
        "THYMUS",
        "THYROID",
        "TLSPINE",
        "TONGUE",
        "TRACHEA",
        "TSPINE",
        "WHOLEBODY",
    }
)
"""Body parts of which there is one (PS3.16 annex L): an image of another one has a side, known or
not (PS3.3 C.7.3.1)."""


def secondary_capture(finding: Finding, picture: npt.NDArray[np.uint8], *, shows: str) -> Dataset:
    """Make the Secondary Capture of a film.

    Args:
        finding: The film.
        picture: (height, width, 3); the pixels of the film have their own size in it.
        shows: What is laid over the film, in a few words.

    Returns:
        An RGB image of 8 bits, uncompressed.
    """
    dataset: Dataset = SCImage.from_ref_dataset(
        ref_dataset=reference_to(finding.source),
        pixel_array=np.ascontiguousarray(picture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom wants one; the source's takes its place
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **common_arguments(finding, Kind.SC, shows),
    )
    dataset.ConversionType = "WSD"
    dataset.DerivationDescription = code.label(shows)
    dataset.SourceImageSequence = [_source(finding.source)]
    completed(dataset, finding, copies=_COPIES)
    has_side = "Laterality" in dataset or "ImageLaterality" in dataset
    if not has_side and dataset.get("BodyPartExamined") not in _UNPAIRED:
        dataset.Laterality = ""
    if "PixelSpacing" not in dataset:
        _set_aspect_ratio(dataset, finding.source)
    return dataset


def _source(source: SourceImage) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.attributes.SOPClassUID
    item.ReferencedSOPInstanceUID = source.attributes.SOPInstanceUID
    if source.frame_numbers is not None:
        item.ReferencedFrameNumber = source.frame_numbers
    item.PurposeOfReferenceCodeSequence = [code.SOURCE_IMAGE]
    return item


def _set_aspect_ratio(dataset: Dataset, source: SourceImage) -> None:
    ratio = source.aspect_ratio
    if ratio != (1, 1):
        dataset.PixelAspectRatio = list(ratio)
