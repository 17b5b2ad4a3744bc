"""A datalist file, JSON or CSV, becomes rows: image, label, split, patient and further columns.

JSON has the form of MONAI's decathlon lists: `training`, `validation` and `test`, each a list of
`{"image": …, "label": …}`, further keys as they come; `classes` names the labels. CSV has a row a
film with the columns `image` and `label` and, where known, `group` (whose film it is) and `split`;
the case of column names does not matter. A column of patients leaves the file as pseudonyms.
"""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.datasets.films import SPLIT_OF_NAME, LayoutError, Split
from pipelines.datasets.pseudonyms import pseudonym
from pipelines.datasets.traits import is_identifying
from pipelines.nearest import did_you_mean, nearest

DATASET_DIR_KEY = "dataset_dir"
"""Where a JSON datalist says which folder its images are relative to; its own without it."""

FINGERPRINT_KEY = "fingerprint"
"""A list that has it was written by this package: its groups are pseudonyms already."""

IMAGE_COLUMNS = ("image", "image_id", "image_index", "filename", "file", "path")
"""What the column of images may be called, the first of them that is there counts."""

_LABEL_COLUMNS = ("label", "class", "diagnosis", "dx")
_GROUP_COLUMNS = ("group", "patient", "patient_id", "patientid")
_REMEDY = "write a CSV with the columns image,label[,group][,split], or make a list with `datalist`"


@dataclass(frozen=True, slots=True)
class DatalistRow:
    """One line of a CSV, or one item of a JSON list.

    Attributes:
        image: Path of the image as written.
        label: Name of the class, or its index in digits; empty when there is none.
        split: The split; None when the file names none.
        patient: Pseudonym of the patient; None when the file names none.
        columns: Further columns; those that name people are left out.
    """

    image: str
    label: str
    split: Split | None = None
    patient: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatalistTable:
    """All rows of a file.

    Attributes:
        root: Folder that images are relative to.
        rows: In the order of the file.
        classes: Class names, when the file has them.
        is_selection: Whether images without a row are left out on purpose, as in a JSON list.
    """

    root: Path
    rows: tuple[DatalistRow, ...]
    classes: tuple[str, ...] = ()
    is_selection: bool = False


def read_rows(file: Path, *, group_column: str | None = None) -> DatalistTable:
    """Read a datalist file; JSON and CSV are told apart by the content.

    Args:
        file: The file.
        group_column: Column that says whose film it is; `group` or `patient_id` without it.

    Raises:
        LayoutError: If the file is neither, or a column is missing.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"expected a datalist in UTF-8, got {type(error).__name__}", remedy=_REMEDY
        ) from None
    if text.lstrip().startswith("{"):
        return _read_json(text, file, group_column=group_column)
    return _read_csv(text, file, group_column=group_column)


def _read_json(text: str, file: Path, *, group_column: str | None) -> DatalistTable:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise LayoutError(
            f"expected a JSON datalist, got an error in line {error.lineno}", remedy=_REMEDY
        ) from None
    written_here = FINGERPRINT_KEY in content
    rows = [
        _row({"split": key} | _item(item), group_column=group_column, is_pseudonym=written_here)
        for key, items in content.items()
        if key.casefold() in SPLIT_OF_NAME and isinstance(items, list)
        for item in items
    ]
    if not rows:
        raise LayoutError(
            "expected lists named training, validation or test in the JSON datalist, "
            f"got the keys {', '.join(content) or 'none'}",
            remedy=_REMEDY,
        )
    return DatalistTable(
        root=Path(os.path.normpath(file.absolute().parent / content.get(DATASET_DIR_KEY, "."))),
        rows=tuple(rows),
        classes=tuple(str(name) for name in content.get("classes", ())),
        is_selection=True,
    )


def _item(item: object) -> dict[Any, Any]:
    """An entry of a list; MONAI writes unlabelled ones as a bare path."""
    return item if isinstance(item, dict) else {"image": item, "label": None}


def _read_csv(text: str, file: Path, *, group_column: str | None) -> DatalistTable:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        lines = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, restval=""))
    except csv.Error as error:
        raise LayoutError(
            f"expected a CSV datalist, got one with a fault: {error}", remedy=_REMEDY
        ) from None
    if not lines:
        raise LayoutError(
            "expected a datalist with a header and a row a film, got no rows", remedy=_REMEDY
        )
    rows = [_row(line, group_column=group_column, is_pseudonym=False) for line in lines]
    return DatalistTable(root=file.parent, rows=tuple(rows))


def _row(item: Mapping[Any, Any], *, group_column: str | None, is_pseudonym: bool) -> DatalistRow:
    values = {_column_key(key): value for key, value in item.items() if key is not None}
    image = _required(values, IMAGE_COLUMNS)
    label = _required(values, _LABEL_COLUMNS)
    groups = (_column_key(group_column),) if group_column else _GROUP_COLUMNS
    if group_column:
        _required(values, groups)
    patient = next((str(values[key]) for key in groups if values.get(key)), None)
    if patient is not None and not is_pseudonym:
        patient = pseudonym(patient)
    split = str(values.get("split", "") or "").casefold()
    if split and split not in SPLIT_OF_NAME:
        raise LayoutError(
            f"expected train, val or test in the column 'split', got {split!r}"
            f"{did_you_mean(split, SPLIT_OF_NAME)}",
            remedy="correct it, or leave it empty and the split is made",
        )
    used = {image, label, *groups, *_GROUP_COLUMNS, "split"}
    return DatalistRow(
        image=str(values[image]).strip(),
        label="" if values[label] is None else str(values[label]).strip(),
        split=SPLIT_OF_NAME[split] if split else None,
        patient=patient,
        columns={
            key: value
            for key, value in values.items()
            if key not in used and not is_identifying(key)
        },
    )


def _required(values: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of `names` that is a column.

    Raises:
        LayoutError: If none is.
    """
    for name in names:
        if name in values:
            return name
    close = nearest(names[0], values)
    raise LayoutError(
        f"expected a column {names[0]!r} in the datalist, got {', '.join(values)}",
        remedy=f"rename {close!r} to {names[0]!r}" if close else _REMEDY,
    )


def _column_key(name: str) -> str:
    return name.strip().casefold().replace(" ", "_")
