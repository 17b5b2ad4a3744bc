"""Every film gets a split: the given one, or one that is made by patient."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.datasets.copies import FilmCopies, places_of
from pipelines.datasets.films import LabelledFilm, Split
from pipelines.datasets.groups import Patient, tie_groups
from pipelines.datasets.splits import choose_groups, group_rank

SMALLEST_VALIDATION_SHARE = 0.05
"""Below this share of the training films a given validation split is too small to choose on."""


@dataclass(frozen=True, slots=True)
class AssignedSplits:
    """What became of the films, one entry a film.

    Attributes:
        splits: The split.
        groups: The patient's pseudonym; on one side of a split only, unless given splits say
            otherwise.
        notes: What a user should know, a sentence each.
    """

    splits: tuple[Split, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def assign_splits(
    films: Sequence[LabelledFilm],
    patients: Sequence[Patient],
    *,
    copies: FilmCopies,
    fractions: Mapping[Literal["val", "test"], float],
    seed: int,
) -> AssignedSplits:
    """Keep given splits and make those that are missing.

    Films of one patient, files with the same bytes and near copies stay together where a split is
    made. Given splits may share them, which the leak check tells.

    Args:
        films: The films.
        patients: Whose they are, one a film.
        copies: The copies among the films.
        fractions: Shares of the films for validation and for testing, 0 to 1. A test split is made
            only where no film has a split; a validation split where none is given.
        seed: Another seed gives another split.
    """
    splits, notes = _merge_small_validation([film.split for film in films])
    pool = _Pool(films, patients, copies=copies, splits=splits)
    if not any(splits):
        pool.hold_out("test", fractions["test"], seed=seed)
    if "val" not in splits:
        pool.hold_out("val", fractions["val"], seed=seed + 1)
    final: tuple[Split, ...] = tuple(split or "train" for split in splits)
    return AssignedSplits(final, groups=_groups(films, patients, final), notes=notes)


def _merge_small_validation(
    given: Sequence[Split | None],
) -> tuple[list[Split | None], tuple[str, ...]]:
    """Give a validation split that is too small back to the training split."""
    validation, training = given.count("val"), given.count("train")
    if not validation or validation >= SMALLEST_VALIDATION_SHARE * (validation + training):
        return list(given), ()
    note = (
        f"the given validation split of {validation} films is too small to choose a model on: "
        "it was merged into the training split and made anew"
    )
    return ["train" if split == "val" else split for split in given], (note,)


def _groups(
    films: Sequence[LabelledFilm], patients: Sequence[Patient], splits: Sequence[Split]
) -> tuple[str, ...]:
    """Name the group of each film; equal in two splits only where a patient is beyond doubt.

    Given test films may bear the number of another patient of the training split: see `groups`.
    """
    sides: dict[str, set[Split]] = defaultdict(set)
    for patient, split in zip(patients, splits, strict=True):
        for name in {patient.group, patient.precise}:
            sides[name].add(split)
    named: list[str] = []
    for film, patient, split in zip(films, patients, splits, strict=True):
        is_given = film.split == split and split != "train"
        is_shared = len(sides[patient.precise]) > 1
        is_doubtful = split == "test" or len(sides[patient.group]) > 1
        precise = is_given and is_doubtful and not is_shared
        named.append(patient.precise if precise else patient.group)
    return tuple(named)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The films, with the splits that they have so far.

    Attributes:
        films: The films.
        patients: Whose they are.
        copies: The copies among them.
        splits: The split of each; None and `train` may still be moved.
    """

    films: Sequence[LabelledFilm]
    patients: Sequence[Patient]
    copies: FilmCopies
    splits: list[Split | None]

    def hold_out(self, split: Literal["val", "test"], fraction: float, *, seed: int) -> None:
        """Move a share of the films that may be trained on to `split`, by patient and copies."""
        places = [index for index, given in enumerate(self.splits) if given in {None, "train"}]
        if not places or not 0 < fraction < 1:
            chosen_films = places if fraction >= 1 else []
        else:
            groups = self._tied(places, seed=seed)
            labels = [self.films[index].label for index in places]
            chosen = choose_groups(groups, labels, fraction=fraction, seed=seed)
            chosen_films = [i for i, group in zip(places, groups, strict=True) if group in chosen]
        for index in chosen_films:
            self.splits[index] = split

    def _tied(self, places: Sequence[int], *, seed: int) -> tuple[str, ...]:
        paths = [self.films[index].path for index in places]
        groups = tie_groups(
            [self.patients[index].group for index in places],
            places_of(self.copies.same_bytes, paths),
        )
        # The group that would be chosen last gives its name: so near copies draw films back to the
        # training split, and none that was trained on is ever held out because of them.
        return tie_groups(
            groups,
            places_of(self.copies.sets, paths),
            order=lambda group: -int(group_rank(group, seed), 16),
        )
