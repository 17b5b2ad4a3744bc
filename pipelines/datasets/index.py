"""Index a data set once: check it, split it, look for copies, write `datalist.json`."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from pipelines.datasets.copies import find_copies
from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.datasets.films import LayoutError, Split
from pipelines.datasets.lesions import require_lesion_table
from pipelines.errors import ConfigurationError, Reason
from pipelines.labels import PNEUMONIA_CLASSES
from pipelines.nearest import did_you_mean

DEFAULT_OUTPUT = Path("datalist.json")


class Layout(StrEnum):
    """Layouts by the names that the command line knows."""

    CHEST_XRAY = "chest_xray"
    CLASS_FOLDERS = "class_folders"
    LESIONS = "lesions"
    FILE = "file"


def write_datalist(
    layout: str,
    directory: Path,
    output: Path | None = None,
    *,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
    group_column: str | None = None,
) -> Datalist:
    """Index a data set and write the list.

    Args:
        layout: `chest_xray` (split and class folders, NORMAL and PNEUMONIA), `class_folders`,
            `lesions` (images with a `metadata.csv`), or `file` (JSON or CSV).
        directory: The data set's folder; the file for the layout `file`.
        output: Where to write; `datalist.json` in the working directory without it.
        classes: Class names in the order of their labels, see `build_datalist`.
        val_fraction: Share of the films for validation, 0 to 1.
        test_fraction: Share of the films for testing, 0 to 1, where no split is given.
        seed: Seed of the splits.
        group_column: Column of a file that says whose film it is.

    Returns:
        The list as written. Its notes say which files are copies of each other across splits or
        classes.

    Raises:
        ConfigurationError: UNKNOWN_NAME for another layout; OUTPUT_UNWRITABLE if the list cannot
            be written.
        LayoutError: If the data set is not laid out so.
    """
    if layout not in set(Layout):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected one of {', '.join(Layout)} as the layout, got {layout!r}"
            f"{did_you_mean(layout, Layout)}",
        )
    if directory.exists() and directory.is_dir() == (layout == Layout.FILE):
        expected = "a file, JSON or CSV" if layout == Layout.FILE else "a folder"
        raise LayoutError(
            f"expected {expected} for the layout {layout}, got something else",
            remedy=f"choose another of {', '.join(Layout)}, or another path",
        )
    output = output or DEFAULT_OUTPUT
    if output.is_dir():
        _refuse_output("a folder")
    if layout == Layout.LESIONS and directory.is_dir():
        require_lesion_table(directory)
    if layout == Layout.CHEST_XRAY and classes is None:
        classes = PNEUMONIA_CLASSES
    datalist = build_datalist(
        directory,
        classes=classes,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        seed=seed,
        group_column=group_column,
        require=None,
    )
    datalist = replace(datalist, notes=(*datalist.notes, *describe_copies(datalist)))
    try:
        datalist.write(output)
    except OSError as error:
        _refuse_output(error.strerror or "an error")
    return datalist


def _refuse_output(found: str) -> NoReturn:
    raise ConfigurationError(
        Reason.OUTPUT_UNWRITABLE,
        f"expected a file to write the list to as --output, got {found}; name another",
    )


def describe_copies(datalist: Datalist) -> tuple[str, ...]:
    """Say which files have the same bytes in two splits or in two classes; a sentence each."""
    items = list(datalist.with_splits())
    copies = find_copies([Path(item["image"]) for _, item in items])
    names = [datalist.name_of(item) for _, item in items]
    notes: list[str] = []
    across: dict[tuple[Split, ...], list[tuple[int, ...]]] = {}
    for indices in copies:
        splits = tuple(dict.fromkeys(items[index][0] for index in indices))
        if len(splits) > 1:
            across.setdefault(splits, []).append(indices)
    for splits, groups in across.items():
        example = " = ".join(names[index] for index in _one_a_split(groups[0], items))
        notes.append(
            f"{len(groups)} images stand in {' and in '.join(splits)}, such as {example}: "
            "figures on them are too good"
        )
    contradicting = [
        indices for indices in copies if len({items[index][1]["label"] for index in indices}) > 1
    ]
    if contradicting:
        example = " = ".join(names[index] for index in contradicting[0][:2])
        notes.append(f"{len(contradicting)} images stand in two classes, such as {example}")
    return tuple(notes)


def _one_a_split(
    indices: Sequence[int], items: Sequence[tuple[Split, dict[str, object]]]
) -> list[int]:
    """The first index of each split."""
    first: dict[Split, int] = {}
    for index in indices:
        first.setdefault(items[index][0], index)
    return list(first.values())
