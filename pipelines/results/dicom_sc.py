"""Secondary Captures: pictures that every viewer shows (PS3.3 A.8), where it knows nothing else."""

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import (
    Finding,
    common_arguments,
    completed,
    reference_to,
)
from pipelines.results.dicom_kinds import Kind
from pipelines.results.dicom_sides import admit_side
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
    admit_side(dataset)
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
