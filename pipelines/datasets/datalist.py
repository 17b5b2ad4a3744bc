"""The list of films to train, validate and test on, and how it is made from a folder or a file."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.datasets.class_folders import find_class_folders
from pipelines.datasets.copies import FilmCopies
from pipelines.datasets.datalist_files import find_listed_films
from pipelines.datasets.datalist_rows import DATASET_DIR_KEY, FINGERPRINT_KEY
from pipelines.datasets.films import SPLITS, FilmsFound, LayoutError, Split
from pipelines.datasets.folds import Fold, fold_splits
from pipelines.datasets.groups import find_patients
from pipelines.datasets.lesions import find_lesions, lesion_table
from pipelines.datasets.named_classes import refuse_contradicting_names
from pipelines.datasets.splitting import assign_splits
from pipelines.datasets.survey import SurveyedFilm
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import write_json
from pipelines.text_table import text_table

Item: TypeAlias = dict[str, Any]
"""`{"image": absolute path, "label": …, "group": pseudonym}` and further columns.

The label is the index of a class, or the absolute path of masks.
"""

ALL_FOR_TESTING = (
    "no split is given: all films count as test; "
    "figures on films that the network was trained on are too good"
)
"""Note of a list whose films are all for testing because nothing else was asked for."""
_JSON_KEYS: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Datalist:
    """Films by split, in stable order.

    Attributes:
        classes: Names, in the order of the labels.
        train: Items to train on; each has `image` (absolute path), `label` (index into `classes`,
            or the absolute path of masks with a channel for each of them), `group` (pseudonym of
            the patient) and the further columns of its table, if any.
        val: Items to choose the model and the operating point on.
        test: Items to judge the model on.
        root: The data set's folder; names are relative to it.
        notes: What a user should know about how the list was made, a sentence each.
        without_patient: How many films tell no patient; each is taken as a patient of its own.
        left_out: Names of files in the data set's folder that are no images.
        empty: Names of its class folders without images.
        copies: The copies among the films, where they were looked for.
    """

    classes: tuple[str, ...]
    train: list[Item]
    val: list[Item]
    test: list[Item]
    root: Path = field(default_factory=Path)
    notes: tuple[str, ...] = ()
    without_patient: int = 0
    left_out: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    copies: FilmCopies | None = field(default=None, compare=False, repr=False)

    def with_splits(self) -> Iterator[tuple[Split, Item]]:
        """Give every item with its split."""
        for split, items in zip(SPLITS, (self.train, self.val, self.test), strict=True):
            for item in items:
                yield split, item

    def film_copies(self) -> FilmCopies:
        """Return the copies among the films, looked for where that was not done yet."""
        return self.copies or FilmCopies(Path(item["image"]) for _, item in self.with_splits())

    def surveyed(self) -> tuple[SurveyedFilm, ...]:
        """Return what each film's file told, in the order of `with_splits`."""
        copies = self.film_copies()
        return tuple(copies.surveyed(Path(item["image"])) for _, item in self.with_splits())

    def name_of(self, item: Item) -> str:
        """Return an item's path below the root; the whole path when it lies elsewhere."""
        return self._below(Path(item["image"]))

    def counts(self) -> list[dict[str, str | int]]:
        """Count films and patients: a row a split and class, with `split,class,films,patients`.

        Films with masks show all classes, so they have a row a split and no `class`.
        """
        items = list(self.with_splits())
        if not all(isinstance(item["label"], int) for _, item in items):
            films = Counter(split for split, _ in items)
            patients = Counter(split for split, _ in {(s, item["group"]) for s, item in items})
            return [
                {"split": split, "films": films[split], "patients": patients[split]}
                for split in SPLITS
            ]
        by_class = Counter((split, item["label"]) for split, item in items)
        patients_by_class = Counter(
            (split, label)
            for split, label, _ in {(s, item["label"], item["group"]) for s, item in items}
        )
        return [
            {
                "split": split,
                "class": name,
                "films": by_class[split, label],
                "patients": patients_by_class[split, label],
            }
            for split in SPLITS
            for label, name in enumerate(self.classes)
        ]

    def __str__(self) -> str:
        """Give the counts as a table, then the notes, one a line."""
        counts = self.counts()
        rows = [tuple(counts[0]), *(tuple(map(str, row.values())) for row in counts)]
        return "\n".join([text_table(rows), *self.notes])

    def fingerprint(self) -> str:
        """Return a SHA-256 over names, file sizes and labels, whatever the split and the order."""
        lines = sorted(
            f"{self.name_of(item)}\t{Path(item['image']).stat().st_size}\t{self._told(item)}\n"
            for _, item in self.with_splits()
        )
        return hashlib.sha256("".join([*self.classes, "\n", *lines]).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the list as JSON, in the form of MONAI's decathlon lists.

        Images and masks are relative to `dataset_dir`, which is relative to the file's own folder.
        """
        lists: dict[str, list[Item]] = {key: [] for key in _JSON_KEYS.values()}
        for split, item in self.with_splits():
            names: Item = {"image": self.name_of(item)}
            if isinstance(item["label"], str):
                names["label"] = self._below(Path(item["label"]))
            lists[_JSON_KEYS[split]].append(item | names)
        content = {
            "classes": list(self.classes),
            FINGERPRINT_KEY: self.fingerprint(),
            DATASET_DIR_KEY: Path(os.path.relpath(self.root, path.absolute().parent)).as_posix(),
            "notes": list(self.notes),
        }
        write_json(path, content | lists)

    @staticmethod
    def read(path: Path) -> "Datalist":
        """Read a list of films with classes that `write` has written; nothing is split anew.

        Raises:
            LayoutError: If it is no such list, or images are missing.
        """
        return build_datalist(path, val_fraction=0, require=())

    def _below(self, path: Path) -> str:
        return (
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
        )

    def _told(self, item: Item) -> str:
        """The label as far as it tells one data set from another: masks by name and size."""
        if not isinstance(item["label"], str):
            return str(item["label"])
        masks = Path(item["label"])
        files = sorted(masks.iterdir()) if masks.is_dir() else [masks]
        return ",".join(f"{self._below(path)}={path.stat().st_size}" for path in files)


def build_datalist(  # noqa: PLR0913 - what the data set of a config names
    dataset_dir: str | Path,
    *,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
    group_column: str | None = None,
    require: Collection[Split] | None = ("train", "val"),
    fold: Fold | None = None,
    allow_gaps: bool = False,
) -> Datalist:
    """Make the list of films from a folder or a file.

    What is accepted: the chest X-ray layout as downloaded (`train|val|test/{NORMAL,PNEUMONIA}`),
    any tree of class folders, images with a `metadata.csv` as HAM10000 has them (see `lesions`), or
    a datalist file, JSON or CSV (see `datalist_rows`). Given splits stay, but a validation split
    below 5 % of the training films, such as the 16 films of the chest set, is merged into the
    training split and made anew. Splits are made by patient (see `groups`), stratified by class,
    with copies of a film on one side, and depend on nothing but names, labels, copies and `seed`.
    Files that are no images are left out and counted in the notes.

    Args:
        dataset_dir: The folder or the file.
        classes: Class names in the order of their labels; without them what the folder holds, in
            alphabetical order.
        val_fraction: Share of the films for validation, where no validation split is given.
        test_fraction: Share of the films for testing, where no split at all is given. When it is
            0, `test` is required and `train` is not, all of them are.
        seed: Another seed gives another split.
        group_column: Column of a datalist file, or of `metadata.csv`, that says whose film it is.
        require: Splits that must have films of every class. None asks for those that are given and
            for those that are made from them: a folder may hold nothing but test films.
        fold: The part that validates in cross-validation, in place of a given or made validation
            split; all other films that are not for testing train.
        allow_gaps: Take splits that lack a class, and a single class; the leak check tells them.

    Returns:
        The list; splits that are neither given nor made are empty.

    Raises:
        ConfigurationError: If a share or the seed is out of its range.
        LayoutError: If the layout is not as expected, a required split lacks a class, or a file
            name contradicts the class.
    """
    check_split(val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    found = _find_films(
        Path(dataset_dir), classes=classes, group_column=group_column, allow_gaps=allow_gaps
    )
    refuse_contradicting_names(found)
    patients = find_patients(found.films)
    given = {film.split for film in found.films}
    required = _splits_there(given) if require is None else require
    only_test = "test" in required and "train" not in required
    all_for_testing = only_test and given == {None} and not test_fraction
    if all_for_testing:
        test_fraction = 1.0
    copies = FilmCopies(film.path for film in found.films)
    assigned = assign_splits(
        found.films,
        patients,
        copies=copies,
        fractions={"val": 0.0 if fold else val_fraction, "test": test_fraction},
        seed=seed,
    )
    if fold is not None and not all_for_testing:
        assigned = replace(
            assigned,
            splits=fold_splits(
                assigned.splits,
                fold,
                paths=[film.path for film in found.films],
                copies=copies,
                groups=assigned.groups,
                labels=[film.label for film in found.films],
            ),
        )
    parts: dict[Split, list[Item]] = {split: [] for split in SPLITS}
    for film, group, split in zip(found.films, assigned.groups, assigned.splits, strict=True):
        item = {"image": str(film.path), "label": film.label, "group": group}
        parts[split].append(item | dict(film.columns))
    if not allow_gaps:
        _check_required(parts, require=required, classes=found.classes)
    unknown = sum(not patient.known for patient in patients)
    notes = [*found.notes, *assigned.notes]
    if all_for_testing:
        notes.append(ALL_FOR_TESTING)
    if unknown:
        notes.append(f"{unknown} films tell no patient: each is taken as a patient of its own")
    return Datalist(
        found.classes,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        root=found.root.absolute(),
        notes=tuple(notes),
        without_patient=unknown,
        left_out=found.left_out,
        empty=found.empty,
        copies=copies,
    )


def check_split(*, val_fraction: float, test_fraction: float = 0.0, seed: int = 0) -> None:
    """Refuse a share or a seed that no split can be made with.

    Args:
        val_fraction: Share of the films for validation, 0 to 1.
        test_fraction: Share of the films for testing, 0 to 1.
        seed: Seed of the split, 0 or more.

    Raises:
        ConfigurationError: If one is out of its range.
    """
    for name, share in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= share <= 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected {name} from 0 to 1, got {share}; give a share of the films, such as 0.1",
            )
    if seed < 0:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected a seed of 0 or more, got {seed}; give another"
        )


def _splits_there(given: Collection[Split | None]) -> tuple[Split, ...]:
    """The splits that a data set has, or has once its training films are split."""
    if None in given or "train" in given:
        return ("train", "val")
    return tuple(split for split in SPLITS if split in given)


def _find_films(
    source: Path, *, classes: Sequence[str] | None, group_column: str | None, allow_gaps: bool
) -> FilmsFound:
    if source.is_dir() and lesion_table(source):
        return find_lesions(source, classes=classes, group_column=group_column)
    if source.is_dir():
        return find_class_folders(source, classes=classes, allow_gaps=allow_gaps)
    if source.is_file():
        return find_listed_films(source, classes=classes, group_column=group_column)
    raise LayoutError(
        "expected the folder of a data set or a datalist file, got a path where nothing is",
        remedy="check --dataset_dir (or --data)",
    )


def _check_required(
    parts: dict[Split, list[Item]], *, require: Collection[Split], classes: Sequence[str]
) -> None:
    """Refuse a required split that is empty or lacks a class.

    Raises:
        LayoutError: With what is lacking.
    """
    missing = [
        f"{split}: {name}"
        for split in require
        for label, name in enumerate(classes)
        if not any(item["label"] == label for item in parts[split])
    ]
    if missing:
        raise LayoutError(
            f"expected films of every class in {' and '.join(require)}, "
            f"got none in {len(missing)} cases",
            missing,
            remedy="add films; a split needs films of two patients or more in every class",
        )
