"""Whose a film is that does not say so itself: a PNG or JPEG becomes a Secondary Capture first.

The user gives patient and study; nothing of them is made up. The capture is the film that all
results refer to, so an archive can show both.
"""

import csv
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import sha256
from pipelines.ingest.read import read_radiograph
from pipelines.nearest import right_names
from pipelines.results.dicom_common import (
    MANUFACTURER,
    NAMESPACE,
    set_times,
    uid_of,
    write_charset,
)
from pipelines.results.dicom_sides import admit_side
from pipelines.results.dicom_source import IDENTITY, NEEDED, fits

FILM_SERIES = 9000
FILENAME = "filename"


@dataclass(frozen=True, slots=True, repr=False)
class Identities:
    """Patient and study of films that carry none.

    Attributes:
        films: Values by DICOM keyword, by name of the film; `""` stands for every film.
        digest: Names the content of the file that they come from.
    """

    films: Mapping[str, Mapping[str, str]]
    digest: str

    def __repr__(self) -> str:
        """Hide every value: reprs end up in logs and tracebacks."""
        return "Identities(...)"

    def find(self, filename: str) -> Mapping[str, str] | None:
        """Return the identity of a film; None where it has none."""
        return self.films.get(filename) or self.films.get("")


def read_identities(path: Path) -> Identities:
    """Read a JSON object of DICOM keywords, for all films, or a CSV with a row a film.

    Args:
        path: `.json`, or `.csv` with the column `filename` and columns named by DICOM keywords.

    Returns:
        The identities, each held against its value representation.

    Raises:
        ConfigurationError: If the file cannot be read, names what is no attribute of patient or
            study, lacks one that is needed, or has a value that cannot stand in DICOM. Messages
            hold keywords and row numbers, never a value.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _rows_of_csv(text) if path.suffix == ".csv" else {"": json.loads(text)}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected dicom_identity to be a JSON object or a CSV that can be read, "
            f"got {type(error).__name__}; check the path and the file",
        ) from None
    return Identities(
        {name: _checked(row, place) for place, (name, row) in enumerate(rows.items(), start=1)},
        sha256(path),
    )


def film_object(path: Path, identity: Mapping[str, str]) -> Dataset:
    """Make a film into a Secondary Capture of the patient and study that were given.

    Args:
        path: A film of any format without identity.
        identity: Values by DICOM keyword.

    Returns:
        The film, 8 or 16 bits as it was, with a window over all of its range.

    Raises:
        InputError: If the film cannot be read.
    """
    film = read_radiograph(path)
    bits = 8 if film.provenance.bits <= 8 or len(film.pixels) > 1 else 16  # noqa: PLR2004 (bits)
    top = 2**bits - 1
    levels = np.rint(film.pixels * top).astype(np.uint8 if bits == 8 else np.uint16)  # noqa: PLR2004
    grey = len(levels) == 1
    made_of = json.dumps([sha256(path), identity["PatientID"], identity["StudyInstanceUID"]])
    dataset: Dataset = SCImage(
        pixel_array=levels[0] if grey else np.ascontiguousarray(np.moveaxis(levels, 0, -1)),
        photometric_interpretation="MONOCHROME2" if grey else "RGB",
        bits_allocated=bits,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom wants one; what was given takes its place
        study_instance_uid=identity["StudyInstanceUID"],
        series_instance_uid=uid_of(uuid.uuid5(NAMESPACE, f"series {made_of}")),
        series_number=FILM_SERIES,
        sop_instance_uid=uid_of(uuid.uuid5(NAMESPACE, f"film {made_of}")),
        instance_number=1,
        manufacturer=MANUFACTURER,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    dataset.ConversionType = "WSD"
    dataset.SeriesDescription = "Film as it was given"
    dataset.PatientOrientation = ""
    for keyword in IDENTITY:
        value = identity.get(keyword, "")
        if value or keyword in NEEDED:
            setattr(dataset, keyword, value.split("\\") if "\\" in value else value)
    if grey:
        dataset.WindowCenter, dataset.WindowWidth = str((top + 1) / 2), str(top + 1)
    admit_side(dataset)
    set_times(dataset, datetime.now(UTC).astimezone())
    write_charset(dataset)
    return dataset


def _rows_of_csv(text: str) -> dict[str, dict[str, str]]:
    table = csv.DictReader(text.splitlines())
    rows = list(table)
    if FILENAME not in (table.fieldnames or ()):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a column {FILENAME} in the CSV of dicom_identity, got none; "
            "name films as predictions.csv does",
        )
    return {row.pop(FILENAME): row for row in rows}


def _checked(row: object, place: int) -> Mapping[str, str]:
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected texts by DICOM keyword in dicom_identity, got others in row {place}",
        )
    _refuse(place, "an attribute of patient or study", (k for k in row if k not in IDENTITY))
    missing = [k for k in ("PatientID", "StudyInstanceUID") if not row.get(k)]
    _refuse(place, "patient and study to be given, and is missing", missing)
    _refuse(
        place, "a value as DICOM writes it", (k for k, v in row.items() if v and not fits(k, v))
    )
    return row


def _refuse(place: int, rule: str, wrong: Iterable[str]) -> None:
    for keyword in wrong:
        known = "" if keyword in IDENTITY else right_names(keyword, IDENTITY)
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected {rule} in row {place} of dicom_identity: {keyword}{known}",
        )
