"""Photographs of skin lesions in the layout of HAM10000: a table of metadata beside its images.

`metadata.csv` (or `HAM10000_metadata.csv`) has a row a photograph with the columns `lesion_id`,
`image_id` and `dx`, and further ones as they come (`dx_type`, `age`, `sex`, `localization`). Images
lie in folders below, one or several, and bear the `image_id` as their name, whatever their suffix.
A lesion was often photographed several times: all its photographs stay on one side of a split.

References:
    Tschandl, Rosendahl and Kittler, The HAM10000 dataset, Scientific Data 5, 180161 (2018).
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.datalist_files import find_listed_films
from pipelines.datasets.films import FilmsFound, LabelledFilm, LayoutError

GROUP_COLUMN = "lesion_id"
"""The column that says which lesion a photograph shows, unless another is named."""

_COLUMNS = ("image_id", "dx")
_TABLES = ("metadata.csv", "ham10000_metadata.csv")


def lesion_table(directory: Path) -> Path | None:
    """Return the table of metadata in a folder; None when there is none with its columns."""
    tables = [path for path in directory.iterdir() if path.name.casefold() in _TABLES]
    return min(filter(_has_columns, tables), default=None)


def require_lesion_table(directory: Path) -> Path:
    """Return the table of metadata in a folder.

    Raises:
        LayoutError: If there is none.
    """
    table = lesion_table(directory)
    if table is None:
        raise LayoutError(
            f"expected a metadata.csv with the columns {' and '.join(_COLUMNS)}, got none",
            remedy="give the folder that holds metadata.csv and the images",
        )
    return table


def _has_columns(table: Path) -> bool:
    with table.open(encoding="utf-8-sig", errors="replace") as lines:
        header = re.split(r"[,;\t]", lines.readline().casefold())
    return set(_COLUMNS) <= {name.strip().strip('"') for name in header}


def find_lesions(
    directory: Path, *, classes: Sequence[str] | None = None, group_column: str | None = None
) -> FilmsFound:
    """Read a folder of photographs with its table of metadata.

    Args:
        directory: The data set's folder.
        classes: Class names in the order of their labels; without them every diagnosis that
            occurs, in alphabetical order.
        group_column: Column that says what must stay on one side of a split, such as the patient;
            `lesion_id` without it.

    Returns:
        The photographs, by name; each belongs to its lesion.

    Raises:
        LayoutError: If there is no such table, a column is missing, a diagnosis is no class, an
            image is missing or has several rows, or one lesion has two diagnoses.
    """
    table = require_lesion_table(directory)
    found = find_listed_films(table, classes=classes, group_column=group_column or GROUP_COLUMN)
    if group_column is None:
        _refuse_two_diagnoses(found)
    return found


def _refuse_two_diagnoses(found: FilmsFound) -> None:
    """Refuse lesions whose photographs bear different diagnoses.

    Raises:
        LayoutError: With one photograph of each diagnosis.
    """
    lesions: dict[str, dict[int, LabelledFilm]] = defaultdict(dict)
    for film in found.films:
        if film.patient is not None:
            lesions[film.patient].setdefault(film.label, film)
    contradicting = [
        " and ".join(f"{film.name} ({found.classes[label]})" for label, film in diagnoses.items())
        for diagnoses in lesions.values()
        if len(diagnoses) > 1
    ]
    if contradicting:
        raise LayoutError(
            f"expected one diagnosis for every lesion, got {len(contradicting)} with several",
            contradicting,
            remedy="correct the column dx, or lesion_id",
        )
