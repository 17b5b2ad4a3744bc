"""Small image files for tests of data sets: every name gets content of its own."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset


def make_image(path: Path, *, content: str = "") -> Path:
    """Write a PNG of 8 x 8 pixels whose content follows from `content`, or from the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32((content or path.name).encode()))
    encoded = cv2.imencode(".png", random.integers(0, 256, (8, 8), dtype=np.uint8))[1]
    path.write_bytes(encoded.tobytes())
    return path


def make_images(root: Path, names: list[str]) -> Path:
    for name in names:
        make_image(root / name)
    return root


def make_chest_set(root: Path, *, persons: int = 40) -> Path:
    """A folder in the layout and with the names of the public chest set, two films a patient."""
    names = [
        f"train/PNEUMONIA/person{n}_bacteria_{n * 2 + i}" for n in range(persons) for i in (0, 1)
    ]
    names += [f"train/PNEUMONIA/person{n}_virus_{n}" for n in range(0, persons, 4)]
    names += [f"train/NORMAL/IM-{n:04d}-0001" for n in range(persons)]
    names += [f"train/NORMAL/NORMAL2-IM-{n:04d}-0001" for n in range(persons // 2)]
    names += ["val/NORMAL/NORMAL2-IM-1427-0001", "val/PNEUMONIA/person1946_bacteria_4874"]
    # Numbers of other patients of the training split, as in the real one.
    names += ["test/NORMAL/NORMAL2-IM-0030-0001", "test/PNEUMONIA/person1_virus_6"]
    return make_images(root, [f"{name}.jpeg" for name in names])


def set_patient(path: Path, patient_id: str) -> None:
    """Give a DICOM file another PatientID and instance."""
    dataset: Dataset = pydicom.dcmread(path)
    dataset.PatientID = patient_id
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
        pydicom.uid.generate_uid()
    )
    dataset.save_as(path)
