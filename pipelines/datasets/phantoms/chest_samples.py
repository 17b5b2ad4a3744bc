"""Generated chest films in the layout of the public chest X-ray set, DICOM and PNG mixed.

Layout: `train|val|test/{NORMAL,PNEUMONIA}`, files named as in Kermany et al. (2018), so that the
same rules group them by patient: `IM-0003-0001.png` is the first film of normal patient 3,
`person4_bacteria_2.dcm` the second film of patient 4 with pneumonia. In DICOM the PatientID says
so too (`SAMPLE-0004`). Every other pair of patients has DICOM files, the rest PNG of
8 bits; every third patient's DICOM files are MONOCHROME1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from pipelines.datasets.phantoms.chest import chest_film
from pipelines.datasets.phantoms.counts import check_count
from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.files import whole_file
from pipelines.labels import PNEUMONIA_CLASSES

MINIMUM_COUNT = 12
"""Films: two a class and split."""

MAXIMUM_COUNT = 10_000
"""Films: some 3 GB; file names number no more patients than this."""

_FILMS_OF_PATIENT = (1, 2, 1, 3)


@dataclass(frozen=True, slots=True)
class PlannedFilm:
    """One film to be written.

    Attributes:
        split: `train`, `val` or `test`.
        label: Index into `PNEUMONIA_CLASSES`.
        patient: Number of the patient, from 1, not repeated within the set.
        number: Number of the film among the patient's, from 1.
    """

    split: Literal["train", "val", "test"]
    label: int
    patient: int
    number: int

    @property
    def is_dicom(self) -> bool:
        """Whether the film is written as DICOM."""
        return self.patient // 2 % 2 == 1

    @property
    def name(self) -> str:
        """Path below the folder, with forward slashes."""
        suffix = "dcm" if self.is_dicom else "png"
        if self.label:
            stem = f"person{self.patient}_bacteria_{self.number}"
        else:
            stem = f"IM-{self.patient:04d}-{self.number:04d}"
        return f"{self.split}/{PNEUMONIA_CLASSES[self.label]}/{stem}.{suffix}"


def plan_chest_samples(count: int) -> tuple[PlannedFilm, ...]:
    """Share films out: a quarter for test, a fifth for validation, half of each with pneumonia.

    Args:
        count: How many films, `MINIMUM_COUNT` to `MAXIMUM_COUNT`; rounded up to an even number.

    Raises:
        ConfigurationError: If `count` is out of its range.
    """
    check_count(count, least=MINIMUM_COUNT, most=MAXIMUM_COUNT)
    pairs = count + 1 >> 1
    test, validation = max(2, pairs // 4), max(2, pairs // 5)
    sizes: dict[Literal["train", "val", "test"], int] = {
        "train": pairs - test - validation,
        "val": validation,
        "test": test,
    }
    patients = iter(range(1, 2 * pairs + 1))
    return tuple(
        film
        for split, size in sizes.items()
        for label in range(len(PNEUMONIA_CLASSES))
        for film in _films_of_class(split, size, label=label, patients=patients)
    )


def write_chest_samples(directory: Path, *, count: int = 48, seed: int = 0) -> tuple[Path, ...]:
    """Write generated chest films; the same arguments give the same bytes.

    Args:
        directory: Folder to write into; made if it is missing.
        count: How many films, as `plan_chest_samples` shares them out.
        seed: Another seed gives other films of other patients.

    Returns:
        The files, in the order in which they were planned.
    """
    written: list[Path] = []
    for film in plan_chest_samples(count):
        path = directory / film.name
        _write_film(path, film, seed=seed)
        written.append(path)
    return tuple(written)


def _films_of_class(
    split: Literal["train", "val", "test"], size: int, *, label: int, patients: Iterator[int]
) -> Iterator[PlannedFilm]:
    remaining = size
    while remaining:
        patient = next(patients)
        for number in range(1, min(_FILMS_OF_PATIENT[patient % 4], remaining) + 1):
            yield PlannedFilm(split, label, patient=patient, number=number)
            remaining -= 1


def _write_film(path: Path, film: PlannedFilm, *, seed: int) -> None:
    random = np.random.default_rng((seed, film.patient, film.number))
    pixels = chest_film(random, opacity=bool(film.label))
    with whole_file(path) as temporary:
        if film.is_dicom:
            header = FilmHeader(
                key=f"plainfilm chest sample {seed} {film.patient} {film.number}",
                patient_id=f"SAMPLE-{film.patient:04d}",
                number=film.number,
                inverted=film.patient % 3 == 0,
                sex="FM"[film.patient % 2],
                age_years=18 + film.patient * 7 % 72,
            )
            write_dx(temporary, pixels, header=header)
        else:
            cv2.imwrite(str(temporary), np.rint(pixels * 255).astype(np.uint8))
