"""Films with masks that a config names: split by person, refused when a run starts.

As with `opened.OpenedDataset`, what cannot be used has no films at first, and its problem is raised
by `datalist`.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pipelines.datasets.copies import FilmCopies, places_of
from pipelines.datasets.datalist import ALL_FOR_TESTING, Datalist, check_split
from pipelines.datasets.films import SPLITS, LabelledFilm, LayoutError, Split
from pipelines.datasets.folds import fold_of
from pipelines.datasets.groups import find_patients, tie_groups
from pipelines.datasets.leak_report import LeakPolicy
from pipelines.datasets.opened import Opened, check_split_name
from pipelines.datasets.pair_checks import check_pairs
from pipelines.datasets.pair_files import find_listed_pairs
from pipelines.datasets.pairs import PairsFound, find_pairs
from pipelines.datasets.splits import deal_folds
from pipelines.datasets.splitting import AssignedSplits, assign_splits


class OpenedPairs(Opened):
    """The films with masks below a folder, or in a table.

    Args:
        dataset_dir: A folder as `pairs.find_pairs` takes it, or a file as
            `pair_files.find_listed_pairs` does.
        classes: Names of the channels, in order.
        sides: One mask shows two organs, the two classes, see `load_layers`.
        require: Splits that must have films; where `test` is required and `train` is not, and no
            split is given, all films count as test.
        val_fraction: Share of the films for validation, where none is given.
        test_fraction: Share of the films for testing, where no split is given.
        folds: Number of parts for cross-validation.
        fold: The part that validates, from 0; with a column `fold` in the table, the one of its
            values that does, in order. None splits by `val_fraction`.
        seed: Seed of the splits.
        group_column: Column of a table that says whose film it is.
        problems_file: Where to write all problems of the files, a row each.
        leaks: What to do about films that stand on two sides of the split: `refuse` them, `warn`,
            or `ignore` them.

    Raises:
        ConfigurationError: If a number is out of its range, or `require` names no split.
    """

    def __init__(  # noqa: PLR0913 - a config names each
        self,
        dataset_dir: str | Path,
        *,
        classes: Sequence[str],
        sides: bool = False,
        require: Sequence[str] = ("train", "val"),
        val_fraction: float = 0.1,
        test_fraction: float = 0.0,
        folds: int = 5,
        fold: int | None = None,
        seed: int = 0,
        group_column: str | None = None,
        problems_file: str | Path | None = None,
        leaks: LeakPolicy = "refuse",
    ) -> None:
        super().__init__(leaks)
        check_split(val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
        for name in require:
            check_split_name(name)
        fold_of(fold, count=folds, seed=seed)
        self.dataset_dir = Path(dataset_dir)
        self.classes = tuple(classes)
        self.sides = sides
        self.require = tuple(name for name in SPLITS if name in require)
        self.fractions: dict[Literal["val", "test"], float] = {
            "val": val_fraction if fold is None else 0.0,
            "test": test_fraction,
        }
        self.folds = folds
        self.fold = fold
        self.seed = seed
        self.group_column = group_column
        self.problems_file = None if problems_file is None else Path(problems_file)

    def _build(self) -> Datalist:
        found = self._find()
        inspected = check_pairs(
            found, classes=self.classes, sides=self.sides, problems_file=self.problems_file
        )
        films = [
            LabelledFilm(
                path=pair.image,
                name=pair.name,
                label=0,
                file_format=film.file_format,
                header_patient=film.patient,
                split=pair.split,
                patient=pair.patient,
                columns={**film.traits, **pair.columns, "label": str(pair.label)},
            )
            for pair, film in zip(found.pairs, inspected, strict=True)
        ]
        patients = find_patients(films)
        all_for_testing = (
            "test" in self.require
            and "train" not in self.require
            and not any(film.split for film in films)
        )
        fractions = self.fractions | ({"test": 1.0} if all_for_testing else {})
        copies = FilmCopies(film.path for film in films)
        assigned = assign_splits(
            films, patients, copies=copies, fractions=fractions, seed=self.seed
        )
        if self.fold is not None and not all_for_testing:
            assigned = replace(assigned, splits=self._folded(found, copies, assigned))
        parts: dict[Split, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        for film, group, split in zip(films, assigned.groups, assigned.splits, strict=True):
            parts[split].append({"image": str(film.path), "group": group, **film.columns})
        _check_required(parts, self.require)
        unknown = sum(not patient.known for patient in patients)
        notes = [*found.notes, *assigned.notes, *[ALL_FOR_TESTING] * all_for_testing]
        if unknown:
            notes.append(f"{unknown} films tell no patient: each is taken as a patient of its own")
        return Datalist(
            self.classes,
            train=parts["train"],
            val=parts["val"],
            test=parts["test"],
            root=found.root.absolute(),
            notes=tuple(notes),
            without_patient=unknown,
            copies=copies,
        )

    def _find(self) -> PairsFound:
        """Find the pairs.

        Raises:
            LayoutError: If nothing is there, or a list is of other classes.
        """
        if self.dataset_dir.is_dir():
            return find_pairs(self.dataset_dir)
        if not self.dataset_dir.is_file():
            raise LayoutError(
                "expected a folder of films with masks or a list of them, got a path where nothing "
                "is",
                remedy="check --dataset_dir (or --data)",
            )
        found = find_listed_pairs(self.dataset_dir, group_column=self.group_column)
        if found.classes and found.classes != self.classes:
            raise LayoutError(
                f"expected a list with masks of {', '.join(self.classes)}, got one of "
                f"{', '.join(found.classes)}",
                remedy="set classes to those of the list, or make another one",
            )
        return found

    def _folded(
        self, found: PairsFound, copies: FilmCopies, assigned: AssignedSplits
    ) -> tuple[Split, ...]:
        """Let one fold of the films that are not for testing validate."""
        splits, groups = assigned.splits, assigned.groups
        pool = [place for place, split in enumerate(splits) if split != "test"]
        named = [found.pairs[place].fold for place in pool]
        if all(named):
            values = sorted({str(value) for value in named}, key=lambda v: (len(v), v))
            folds: Sequence[int] = [values.index(str(value)) for value in named]
            _check_fold_persons(folds, [groups[place] for place in pool])
        else:
            same = places_of(copies.sets, [found.pairs[place].image for place in pool])
            tied = tie_groups([groups[place] for place in pool], same)
            folds = deal_folds(tied, folds=self.folds, seed=self.seed)
        result: list[Split] = list(splits)
        for place, fold in zip(pool, folds, strict=True):
            result[place] = "val" if fold == self.fold else "train"
        return tuple(result)


def _check_fold_persons(folds: Sequence[int], groups: Sequence[str]) -> None:
    """Refuse a table that puts one person into two folds.

    Raises:
        LayoutError: With the number of such persons.
    """
    several = len(set(zip(folds, groups, strict=True))) - len(set(groups))
    if several:
        raise LayoutError(
            f"expected all films of a person in one fold, got {several} persons in several",
            remedy="correct the column 'fold', or leave it out and folds are made",
        )


def _check_required(parts: dict[Split, list[dict[str, Any]]], require: Collection[Split]) -> None:
    """Refuse a required split without films.

    Raises:
        LayoutError: With the splits that have none.
    """
    empty = [split for split in require if not parts[split]]
    if empty:
        raise LayoutError(
            f"expected films with masks in {' and '.join(require)}, got none in "
            f"{' and '.join(empty)}",
            remedy="add films; a split needs films of two persons or more",
        )
