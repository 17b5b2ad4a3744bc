"""Index a data set once: split it, check it for leaks, count it, write `datalist.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypedDict

from pipelines.datasets.anomaly import AnomalyDataset
from pipelines.datasets.data_card import FILE_NAME as DATA_CARD
from pipelines.datasets.data_card import describe_data
from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.datasets.films import LayoutError
from pipelines.datasets.leak_fix import Fix, check_fix, fix_leaks
from pipelines.datasets.leak_report import FILE_NAME as LEAKAGE
from pipelines.datasets.leak_report import count_kinds, write_leaks
from pipelines.datasets.leakage import Finding, find_leaks
from pipelines.datasets.lesions import require_lesion_table
from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import write_json
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


@dataclass(frozen=True, slots=True)
class Indexed:
    """A list as it was written.

    Attributes:
        datalist: The list.
        found: What the leak check found, before anything was mended.
        left: What is left of it in the list.
    """

    datalist: Datalist
    found: tuple[Finding, ...]
    left: tuple[Finding, ...]


class _Given(TypedDict):
    val_fraction: float
    test_fraction: float
    seed: int
    group_column: str | None


def write_datalist(  # noqa: PLR0913 - what the options of the verb are
    layout: str,
    directory: Path,
    output: Path | None = None,
    *,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
    group_column: str | None = None,
    fix: Fix | None = None,
) -> Indexed:
    """Index a data set, check it for leaks, and write the list.

    Beside the list stand `data_card.json` and `leakage.csv`.

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
        fix: What becomes of copies and shared groups, see `fix_leaks`; None leaves all as it is.

    Returns:
        The list as written, with what was found.

    Raises:
        ConfigurationError: UNKNOWN_NAME for another layout or fix; OUTPUT_UNWRITABLE if the list
            cannot be written.
        LayoutError: If the data set is not laid out so.
    """
    known = _known_layout(layout, directory)
    if fix is not None:
        check_fix(fix)
    output = output or DEFAULT_OUTPUT
    if output.is_dir():
        _refuse_output("a folder")
    given = _Given(
        val_fraction=val_fraction, test_fraction=test_fraction, seed=seed, group_column=group_column
    )
    if known in _MASKS:
        datalist = OpenedPairs(
            directory,
            classes=classes or _MASKS[known],
            require=(),
            problems_file=output.with_name(f"{output.stem}_problems.csv"),
            **given,
        ).datalist
    elif known is Layout.FLAT:
        datalist = _of_normal_films(directory, classes, given=given)
    else:
        datalist = _of_classes(known, directory, classes, given=given)
    return _write(datalist, output, fix)


def _known_layout(layout: str, directory: Path) -> Layout:
    """Return the layout of that name.

    Raises:
        ConfigurationError: If there is none.
        LayoutError: If it asks for a folder where there is a file, or the other way.
    """
    if layout not in set(Layout):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected one of {', '.join(Layout)} as the layout, got {layout!r}"
            f"{did_you_mean(layout, Layout)}",
        )
    wrong_kind = directory.is_dir() == (layout == Layout.FILE) and layout not in _MASKS
    if directory.exists() and wrong_kind:
        expected = "a file, JSON or CSV" if layout == Layout.FILE else "a folder"
        raise LayoutError(
            f"expected {expected} for the layout {layout}, got something else",
            remedy=f"choose another of {', '.join(Layout)}, or another path",
        )
    return Layout(layout)


def _write(datalist: Datalist, output: Path, fix: Fix | None) -> Indexed:
    found = left = find_leaks(datalist)
    if fix is not None:
        datalist = fix_leaks(datalist, fix)
        left = find_leaks(datalist)
    card = describe_data(datalist, datalist.surveyed(), count_kinds(left))
    try:
        datalist.write(output)
        write_json(output.with_name(DATA_CARD), card)
        write_leaks(output.with_name(LEAKAGE), found)
    except FileNotFoundError:  # folders are made as needed: it is a film that is gone
        raise
    except OSError as error:
        _refuse_output(error.strerror or "an error")
    return Indexed(datalist, found, left)


def _of_normal_films(
    directory: Path, normal_classes: Sequence[str] | None, *, given: _Given
) -> Datalist:
    dataset = AnomalyDataset(
        directory,
        normal_classes=normal_classes or (),
        require=(),
        val_fraction=given["val_fraction"],
        test_fraction=given["test_fraction"],
        seed=given["seed"],
    )
    dataset.allow_gaps = True
    return dataset.datalist


def _of_classes(
    layout: Layout, directory: Path, classes: Sequence[str] | None, *, given: _Given
) -> Datalist:
    if layout is Layout.LESIONS and directory.is_dir():
        require_lesion_table(directory)
    if layout is Layout.CHEST_XRAY and classes is None:
        classes = PNEUMONIA_CLASSES
    return build_datalist(directory, classes=classes, require=None, allow_gaps=True, **given)


def _refuse_output(found: str) -> NoReturn:
    raise ConfigurationError(
        Reason.OUTPUT_UNWRITABLE,
        f"expected a file to write the list to as --output, got {found}; name another",
    )
