"""Films of each kind that results are written for, small, as their devices might write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from bundle_fixture import write_dicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)


def write_source(path: Path, change: Callable[[Dataset], None], *, seed: int = 0) -> Path:
    """Write a film of 60 x 50 pixels whose header is changed; an odd seed makes it MONOCHROME1."""
    write_dicom(path, seed=seed, patient="P-1", name="Doe^Jane")
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(path)
    return path


def cr(dataset: Dataset) -> None:
    """A CR film of a left hand: laterality stands in its series."""
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    del dataset.ImageLaterality
    dataset.Laterality, dataset.BodyPartExamined = "L", "HAND"


def cr_of_little(dataset: Dataset) -> None:
    """A CR film that says neither body part nor side nor orientation nor window."""
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    for keyword in ("BodyPartExamined", "ImageLaterality", "PatientOrientation"):
        del dataset[keyword]
    for keyword in ("WindowCenter", "WindowWidth"):
        del dataset[keyword]


def cr_of_a_chest(dataset: Dataset) -> None:
    """A CR film of a body part that has no side."""
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    del dataset.ImageLaterality


def one_frame(dataset: Dataset) -> None:
    """A secondary capture of a class of several frames, with one."""
    dataset.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    dataset.Modality, dataset.ConversionType, dataset.NumberOfFrames = "OT", "WSD", 1


def dx_right(dataset: Dataset) -> None:
    """A DX film of a right side: laterality stands in the image."""
    dataset.ImageLaterality = "R"


def dx_uneven(dataset: Dataset) -> None:
    """A DX film whose pixels are twice as high as wide, measured at the detector."""
    del dataset.PixelSpacing
    dataset.ImagerPixelSpacing = [0.2, 0.1]


def dx_with_table(dataset: Dataset) -> None:
    """A DX film with a look-up table of 12 bits in place of a window."""
    for keyword in ("WindowCenter", "WindowWidth"):
        del dataset[keyword]
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    curve = np.rint(4095 * np.linspace(0, 1, 4096) ** 2).astype("<u2")
    table.add_new("LUTData", "OW", curve.tobytes())
    table["LUTDescriptor"].VR = "US"
    dataset.VOILUTSequence = [table]


def mg(dataset: Dataset) -> None:
    """A mammogram."""
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.Modality, dataset.ImageLaterality = "MG", "L"
    dataset.PatientOrientation = ["A", "F"]


def of_a_chinese_name(dataset: Dataset) -> None:
    """A name that Latin letters do not hold."""
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "王^小东"


def frames(dataset: Dataset) -> None:
    """A secondary capture of three frames."""
    dataset.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    dataset.Modality, dataset.ConversionType, dataset.NumberOfFrames = "OT", "WSD", 3
    dataset.PixelData *= 3


def colour(dataset: Dataset) -> None:
    """A photograph as a secondary capture."""
    dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, "OT"
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "RGB", 3
    dataset.PlanarConfiguration, dataset.BitsAllocated = 0, 8
    dataset.BitsStored, dataset.HighBit = 8, 7
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)
    dataset["PixelData"].VR = "OB"
    dataset.PixelData = pixels.tobytes()
