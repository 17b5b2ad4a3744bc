"""Index a data set once: check it, split it, look for copies, write `datalist.json`."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypedDict

from pipelines.datasets.anomaly import AnomalyDataset
from pipelines.datasets.copies import find_copies
from pipelines.datasets.datalist import Datalist, Item, build_datalist
from pipelines.datasets.films import LayoutError, Split
from pipelines.datasets.lesions import require_lesion_table
from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, Reason
from pipelines.labels import HAND_BONES, PNEUMONIA_CLASSES
from pipelines.nearest import did_you_mean

DEFAULT_OUTPUT = Path("datalist.json")


class Layout(StrEnum):
    """Layouts by the names that the command line knows."""

    CHEST_XRAY = "chest_xray"
    CLASS_FOLDERS = "class_folders"
    FLAT = "flat"
    LESIONS = "lesions"
    HAND_BONES = "hand_bones"
    MASK_PAIRS = "mask_pairs"
    FILE = "file"


_MASKS: dict[str, tuple[str, ...]] = {
    Layout.HAND_BONES: HAND_BONES,
    Layout.MASK_PAIRS: ("mask",),
}
"""Layouts of films with masks, with the names of the channels where none are given."""


class _Given(TypedDict):
    val_fraction: float
    test_fraction: float
    seed: int
    group_column: str | None


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
            `flat` (films without labels, or class folders with the normal ones as `classes`, split
            by near copies as a detector of anomalies needs them), `lesions` (images with a
            `metadata.csv`), `hand_bones` (29 polygons a film), `mask_pairs` (films and masks of the
            same names), or `file` (JSON or CSV).
        directory: The data set's folder; the file for the layout `file`; either for films with
            masks.
        output: Where to write; `datalist.json` in the working directory without it. When masks have
            problems, all of them are written beside it as `<name>_problems.csv`.
        classes: Class names in the order of their labels, see `build_datalist`; names of the
            channels of masks; normal classes for `flat`.
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
    has_masks = layout in _MASKS
    wrong_kind = directory.is_dir() == (layout == Layout.FILE) and not has_masks
    if directory.exists() and wrong_kind:
        expected = "a file, JSON or CSV" if layout == Layout.FILE else "a folder"
        raise LayoutError(
            f"expected {expected} for the layout {layout}, got something else",
            remedy=f"choose another of {', '.join(Layout)}, or another path",
        )
    output = output or DEFAULT_OUTPUT
    if output.is_dir():
        _refuse_output("a folder")
    given = _Given(
        val_fraction=val_fraction, test_fraction=test_fraction, seed=seed, group_column=group_column
    )
    if has_masks:
        datalist = OpenedPairs(
            directory,
            classes=classes or _MASKS[layout],
            require=(),
            problems_file=output.with_name(f"{output.stem}_problems.csv"),
            **given,
        ).datalist
    elif layout == Layout.FLAT:
        datalist = AnomalyDataset(
            directory,
            normal_classes=classes or (),
            require=(),
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            seed=seed,
        ).datalist
    else:
        datalist = _of_classes(Layout(layout), directory, classes, given=given)
    datalist = replace(datalist, notes=(*datalist.notes, *describe_copies(datalist)))
    try:
        datalist.write(output)
    except OSError as error:
        _refuse_output(error.strerror or "an error")
    return datalist


def _of_classes(
    layout: Layout, directory: Path, classes: Sequence[str] | None, *, given: _Given
) -> Datalist:
    if layout is Layout.LESIONS and directory.is_dir():
        require_lesion_table(directory)
    if layout is Layout.CHEST_XRAY and classes is None:
        classes = PNEUMONIA_CLASSES
    return build_datalist(directory, classes=classes, require=None, **given)


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
        indices for indices in copies if len({_class(items[index][1]) for index in indices}) > 1
    ]
    if contradicting:
        example = " = ".join(names[index] for index in contradicting[0][:2])
        notes.append(f"{len(contradicting)} images stand in two classes, such as {example}")
    return tuple(notes)


def _class(item: Item) -> int | None:
    """The class; None for masks, which are drawn anew for a copy and mean no other class."""
    return item["label"] if isinstance(item["label"], int) else None


def _one_a_split(
    indices: Sequence[int], items: Sequence[tuple[Split, dict[str, object]]]
) -> list[int]:
    """The first index of each split."""
    first: dict[Split, int] = {}
    for index in indices:
        first.setdefault(items[index][0], index)
    return list(first.values())
