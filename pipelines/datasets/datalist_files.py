"""The rows of a datalist file become labelled films.

Images are named relative to the file's folder; a CSV may also give the bare name, with or without
its suffix, of an image in a folder below.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.datalist_rows import DatalistRow, DatalistTable, read_rows
from pipelines.datasets.films import (
    FilmGathering,
    FilmsFound,
    LayoutError,
    class_key,
    is_image,
    relative_name,
)
from pipelines.nearest import did_you_mean

_MASK_FOLDERS = frozenset({"mask", "masks"})
"""Folders whose files bear the names of the images that they belong to."""


def find_listed_films(
    file: Path, *, classes: Sequence[str] | None = None, group_column: str | None = None
) -> FilmsFound:
    """Read a datalist file and find its images.

    Args:
        file: JSON or CSV.
        classes: Class names in the order of their labels; without them those of the file, or all
            labels that occur, in alphabetical order.
        group_column: Column that says whose film it is; `group` or `patient_id` without it.

    Returns:
        The films, by name.

    Raises:
        LayoutError: If the file cannot be read, a column is missing, a label is
            unknown, an image is missing or listed twice, or an image beside those of a CSV has no
            row.
    """
    table = read_rows(file, group_column=group_column)
    names = _class_names(table, classes)
    labels = _labels(table, names)
    paths = _locate(table)
    _check_paths(table, paths)
    gathering = FilmGathering(table.root, names)
    for row, path, label in zip(table.rows, paths, labels, strict=True):
        gathering.add(path, label=label, split=row.split, patient=row.patient, columns=row.columns)
    return gathering.found()


def _class_names(table: DatalistTable, classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes:
        return tuple(classes)
    if table.classes:
        return table.classes
    names = {row.label for row in table.rows if row.label}
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names, key=str.casefold))


def _labels(table: DatalistTable, names: Sequence[str]) -> list[int]:
    """Label of every row.

    Raises:
        LayoutError: If a row has none, or one that is no class.
    """
    unlabelled = [row.image for row in table.rows if not row.label]
    if unlabelled:
        raise LayoutError(
            f"expected a label in every row, got {len(unlabelled)} images without one",
            unlabelled,
            remedy="fill them in, or remove the rows",
        )
    labels = {class_key(name): label for label, name in enumerate(names)}
    found = [labels.get(class_key(_label_name(row, table, names))) for row in table.rows]
    unknown = Counter(
        row.label for row, label in zip(table.rows, found, strict=True) if label is None
    )
    if unknown:
        raise LayoutError(
            f"expected labels of the classes {', '.join(names)}, got {len(unknown)} others",
            [
                f"{name!r} in {count} rows{did_you_mean(name, names)}"
                for name, count in unknown.items()
            ],
            remedy="correct them",
        )
    return [label for label in found if label is not None]


def _label_name(row: DatalistRow, table: DatalistTable, names: Sequence[str]) -> str:
    """Name of the class; a number is an index into the file's classes, unless it is a name."""
    known = table.classes or tuple(names)
    if row.label in known or not row.label.isdecimal() or int(row.label) >= len(known):
        return row.label
    return known[int(row.label)]


def _locate(table: DatalistTable) -> list[Path]:
    """The file of every row.

    Raises:
        LayoutError: If there is none for a row, or more than one by its bare name.
    """
    below: dict[str, list[Path]] | None = None
    paths: list[Path] = []
    missing: list[str] = []
    for row in table.rows:
        path = table.root / row.image
        if not path.is_file() and not table.is_selection:
            below = _by_name(table.root) if below is None else below
            candidates = below.get(row.image, [])
            path = candidates[0] if len(candidates) == 1 else path
        paths.append(path)
        if not path.is_file():
            missing.append(relative_name(path, table.root))
    if missing:
        raise LayoutError(
            f"expected one image for every row, got {len(missing)} rows without one",
            missing,
            remedy="add the images, or name them relative to the datalist's folder",
        )
    return paths


def _by_name(root: Path) -> dict[str, list[Path]]:
    """Every file below a folder, by its name and by its name without suffix; no masks."""
    below: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        if path.is_file() and not _MASK_FOLDERS.intersection(path.relative_to(root).parts):
            for name in {path.name, path.stem}:
                below[name].append(path)
    return below


def _check_paths(table: DatalistTable, paths: Sequence[Path]) -> None:
    """Refuse images that are listed twice, and images beside those of a CSV without a row.

    Raises:
        LayoutError: With examples.
    """
    times = Counter(relative_name(path, table.root) for path in paths)
    twice = [name for name, count in times.items() if count > 1]
    if twice:
        raise LayoutError(
            f"expected one row for every image, got {len(twice)} images with several",
            twice,
            remedy="remove the superfluous rows",
        )
    if table.is_selection:
        return
    listed = set(paths)
    unlisted = [
        relative_name(path, table.root)
        for folder in sorted({path.parent for path in paths})
        for path in folder.iterdir()
        if path not in listed and path.is_file() and is_image(path)
    ]
    if unlisted:
        raise LayoutError(
            f"expected a row for every image beside the listed ones, "
            f"got {len(unlisted)} images without a label",
            unlisted,
            remedy="add rows, or move these images elsewhere",
        )
