"""Films for a detector of anomalies: normal ones to train on, labels for the evaluation alone."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipelines.datasets.class_folders import find_class_folders
from pipelines.datasets.copies import FilmCopies, places_of
from pipelines.datasets.datalist import ALL_FOR_TESTING, Datalist, Item, check_split
from pipelines.datasets.datalist_files import find_listed_films
from pipelines.datasets.films import (
    SPLITS,
    FilmsFound,
    LabelledFilm,
    LayoutError,
    Split,
    class_key,
)
from pipelines.datasets.flat_folder import find_flat_films, is_flat
from pipelines.datasets.folds import fold_of
from pipelines.datasets.groups import find_patients, tie_groups
from pipelines.datasets.leak_report import LeakPolicy
from pipelines.datasets.near_copies import original_name
from pipelines.datasets.opened import Opened, check_split_name
from pipelines.datasets.splits import choose_groups, deal_folds
from pipelines.errors import ConfigurationError, Reason

CLASSES = ("normal", "anomalous")
"""Class names of every such data set, whatever its folders are called."""


class AnomalyDataset(Opened):
    """Normal films in a training split, and normal and anomalous ones to judge the score on.

    Near copies of one film (see `near_copies`) and films of one patient stand in one split.
    Anomalous films never train: those that no split or folder puts into the test split validate.

    Args:
        dataset_dir: A flat folder of films, all taken as normal; a folder of class folders, with or
            without split folders above them; or a datalist file with a class for each film.
        normal_classes: Classes whose films are normal; all others are anomalous. It says nothing
            about a flat folder.
        require: Splits that must have normal films; `all` takes any.
        val_fraction: Share of the films for validation, by group, where no split is given.
        test_fraction: Share of the films for testing, by group, where no split is given.
        folds: Number of parts for cross-validation.
        fold: The part that validates, from 0; of the other parts the normal films train, and the
            anomalous ones are left out. None splits by `val_fraction`.
        seed: Seed of the split.
        unreadable: `refuse` stops before training when a film cannot be read; `leave_out` goes on
            without such films and counts them in the notes.
        leaks: What to do about films that stand on two sides of the split: `refuse` them, `warn`,
            or `ignore` them.

    Attributes:
        allow_gaps: Take class folders of one class, and splits that lack one: for the index alone.

    Raises:
        ConfigurationError: If `require` names no split, `unreadable` is neither, or a number is out
            of its range.
    """

    classes = CLASSES
    allow_gaps = False

    def __init__(  # noqa: PLR0913 - a config names each
        self,
        dataset_dir: str | Path,
        *,
        normal_classes: Sequence[str] = (),
        require: Sequence[str] = ("train", "val"),
        val_fraction: float = 0.2,
        test_fraction: float = 0.0,
        folds: int = 5,
        fold: int | None = None,
        seed: int = 0,
        unreadable: Literal["refuse", "leave_out"] = "refuse",
        leaks: LeakPolicy = "refuse",
    ) -> None:
        super().__init__(leaks)
        check_split(val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
        for name in require:
            check_split_name(name)
        if unreadable not in {"refuse", "leave_out"}:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected refuse or leave_out for unreadable films, got {unreadable!r}",
            )
        self.dataset_dir = Path(dataset_dir)
        self.normal_classes = tuple(normal_classes)
        self.require = tuple(require)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.fold = fold_of(fold, count=folds, seed=seed)
        self.seed = seed
        self.unreadable = unreadable

    def _build(self) -> Datalist:
        found = find_anomaly_films(
            self.dataset_dir, normal_classes=self.normal_classes, allow_gaps=self.allow_gaps
        )
        copies = FilmCopies(film.path for film in found.films)
        if self.unreadable == "leave_out":
            found = _without_unreadable(found, copies)
        known = find_patients(found.films)
        patients = [patient.group for patient in known]
        named = [original_name(film.name) for film in found.films]
        same = places_of(copies.sets, [film.path for film in found.films])
        groups = tie_groups(patients, [*_members(named), *same])
        splits = self._folded(found.films, groups, self._splits(found.films, groups))
        parts: dict[Split, list[Item]] = {split: [] for split in SPLITS}
        for film, group, split in zip(found.films, groups, splits, strict=True):
            item = {"image": str(film.path), "label": film.label, "group": group}
            if split is not None:
                parts[split].append(item | dict(film.columns))
        self._check_required(parts)
        note = f"{len(found.films)} films are {len(set(groups))} films and their near copies"
        notes = [*found.notes, note]
        if None in splits:
            notes.append(f"{splits.count(None)} films of anomalous groups belong to other folds")
        if self._all_for_testing({film.split for film in found.films}):
            notes.append(ALL_FOR_TESTING)
        return Datalist(
            CLASSES,
            train=parts["train"],
            val=parts["val"],
            test=parts["test"],
            root=found.root.absolute(),
            notes=tuple(notes),
            without_patient=sum(not patient.known for patient in known),
            left_out=found.left_out,
            empty=found.empty,
            copies=copies,
        )

    def _splits(self, films: Sequence[LabelledFilm], groups: Sequence[str]) -> list[Split]:
        """Keep given splits, but train on normal films alone; make those that are missing."""
        given = {film.split for film in films}
        splits: list[Split] = [film.split or "train" for film in films]
        for number, (part, share) in enumerate(self._shares(given).items()):
            pool = [place for place, split in enumerate(splits) if split == "train"]
            chosen = choose_groups(
                [groups[place] for place in pool],
                [films[place].label for place in pool],
                fraction=share,
                seed=self.seed + number,
            )
            for place in pool:
                splits[place] = part if groups[place] in chosen else "train"
        anomalous = {group for group, film in zip(groups, films, strict=True) if film.label}
        return [
            "val" if split == "train" and group in anomalous else split
            for split, group in zip(splits, groups, strict=True)
        ]

    def _folded(
        self, films: Sequence[LabelledFilm], groups: Sequence[str], splits: Sequence[Split]
    ) -> list[Split | None]:
        """Let one part validate; anomalous groups of the others have no part in this fold."""
        folded: list[Split | None] = list(splits)
        if self.fold is None:
            return folded
        anomalous = {group for group, film in zip(groups, films, strict=True) if film.label}
        pool = [place for place, split in enumerate(splits) if split != "test"]
        dealt = deal_folds(
            [groups[place] for place in pool],
            labels=[films[place].label for place in pool],
            folds=self.fold.count,
            seed=self.fold.seed,
        )
        for place, part in zip(pool, dealt, strict=True):
            outside: Split | None = None if groups[place] in anomalous else "train"
            folded[place] = "val" if part == self.fold.part else outside
        return folded

    def _shares(self, given: Collection[Split | None]) -> dict[Split, float]:
        """Shares of the films that are held out, where the data set itself does not say."""
        if self._all_for_testing(given):
            return {"test": 1.0}
        shares: dict[Split, float] = {}
        if given == {None}:
            shares["test"] = self.test_fraction
        if "val" not in given:
            shares["val"] = self.val_fraction
        return shares

    def _all_for_testing(self, given: Collection[Split | None]) -> bool:
        only_test = "test" in self.require and "train" not in self.require
        return set(given) == {None} and only_test and not self.test_fraction

    def _check_required(self, parts: dict[Split, list[Item]]) -> None:
        lacking = [
            name
            for name in SPLITS
            if name in self.require and not any(item["label"] == 0 for item in parts[name])
        ]
        if lacking:
            raise LayoutError(
                f"expected normal films in {' and '.join(self.require)}, got none in "
                f"{' and '.join(lacking)}",
                remedy="add films, or change val_fraction and test_fraction; near copies of one "
                "film stand in one split",
            )


def find_anomaly_films(
    source: Path, *, normal_classes: Sequence[str], allow_gaps: bool = False
) -> FilmsFound:
    """Read a flat folder, class folders or a datalist file; label 0 is normal, 1 anomalous.

    Args:
        source: The folder or file.
        normal_classes: See `AnomalyDataset`.
        allow_gaps: Take splits that lack a class, and a single class.

    Returns:
        The films, by name.

    Raises:
        LayoutError: If nothing is there, a folder is neither flat nor has class folders, or none of
            its classes is a normal one.
    """
    if source.is_file():
        return _relabelled(find_listed_films(source, classes=None), normal_classes)
    if not source.is_dir():
        raise LayoutError(
            "expected the folder of a data set or a datalist file, got a path where nothing is",
            remedy="check --dataset_dir (or --data)",
        )
    if is_flat(source):
        return find_flat_films(source, classes=CLASSES)
    return _relabelled(find_class_folders(source, allow_gaps=allow_gaps), normal_classes)


def _relabelled(found: FilmsFound, normal_classes: Sequence[str]) -> FilmsFound:
    if found.classes == CLASSES:
        return found
    normal = {class_key(name) for name in normal_classes}
    missing = sorted(normal - {class_key(name) for name in found.classes})
    if missing or not normal:
        raise LayoutError(
            f"expected the normal classes among the classes {', '.join(found.classes)}, got "
            f"{', '.join(normal_classes) or 'none'}",
            remedy="set normal_classes to those whose films are normal, or give a flat folder of "
            "normal films",
        )
    is_normal = [class_key(name) in normal for name in found.classes]
    films = tuple(replace(film, label=int(not is_normal[film.label])) for film in found.films)
    return replace(found, classes=CLASSES, films=films)


def _without_unreadable(found: FilmsFound, copies: FilmCopies) -> FilmsFound:
    """Leave out films that cannot be read, and say how many and such as which."""
    lost = [film.name for film in found.films if copies.surveyed(film.path).facts is None]
    if not lost:
        return found
    note = f"{len(lost)} films left out that cannot be read, such as {lost[0]}"
    films = tuple(film for film in found.films if film.name not in set(lost))
    return replace(found, films=films, notes=(*found.notes, note))


def _members(groups: Sequence[str]) -> list[list[int]]:
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    return [places for places in members.values() if len(places) > 1]
