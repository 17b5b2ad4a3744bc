"""Every film gets a split: the given one, or one that is made by patient."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.datasets.copies import find_copies
from pipelines.datasets.films import LabelledFilm, LayoutError, Split
from pipelines.datasets.groups import Patient, tie_groups
from pipelines.datasets.splits import choose_groups

SMALLEST_VALIDATION_SHARE = 0.05
"""Below this share of the training films a given validation split is too small to choose on."""


@dataclass(frozen=True, slots=True)
class AssignedSplits:
    """What became of the films, one entry a film.

    Attributes:
        splits: The split.
        groups: The patient's pseudonym; on one side of a split only.
        notes: What a user should know, a sentence each.
    """

    splits: tuple[Split, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def assign_splits(
    films: Sequence[LabelledFilm],
    patients: Sequence[Patient],
    *,
    fractions: Mapping[Literal["val", "test"], float],
    seed: int,
) -> AssignedSplits:
    """Keep given splits and make those that are missing.

    Args:
        films: The films.
        patients: Whose they are, one a film.
        fractions: Shares of the films for validation and for testing, 0 to 1. A test split is made
            only where no film has a split; a validation split where none is given.
        seed: Another seed gives another split.

    Raises:
        LayoutError: If a patient is in two given splits.
    """
    splits, notes = _merge_small_validation([film.split for film in films])
    _refuse_shared_patients(films, patients, splits=splits)
    if not any(splits):
        _hold_out("test", fractions["test"], films, patients=patients, splits=splits, seed=seed)
    if "val" not in splits:
        _hold_out("val", fractions["val"], films, patients=patients, splits=splits, seed=seed + 1)
    final: tuple[Split, ...] = tuple(split or "train" for split in splits)
    # Given test films may bear the number of another patient of the training split: see `groups`.
    groups = tuple(
        patient.precise if film.split == "test" else patient.group
        for film, patient in zip(films, patients, strict=True)
    )
    return AssignedSplits(final, groups=groups, notes=notes)


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


def _refuse_shared_patients(
    films: Sequence[LabelledFilm],
    patients: Sequence[Patient],
    *,
    splits: Sequence[Split | None],
) -> None:
    """Refuse given splits that share a patient.

    Raises:
        LayoutError: With one film of each such patient and its splits.
    """
    sides: dict[str, dict[Split, str]] = defaultdict(dict)
    for film, patient, split in zip(films, patients, splits, strict=True):
        if split is not None:
            sides[patient.precise].setdefault(split, film.name)
    shared = [" and ".join(names.values()) for names in sides.values() if len(names) > 1]
    if shared:
        raise LayoutError(
            f"expected every patient in one split, got {len(shared)} patients in several",
            shared,
            remedy="move their films to one side, or leave the split to be made here",
        )


def _hold_out(
    split: Literal["val", "test"],
    fraction: float,
    films: Sequence[LabelledFilm],
    *,
    patients: Sequence[Patient],
    splits: list[Split | None],
    seed: int,
) -> None:
    """Move a share of the films that may be trained on to `split`, by patient."""
    pool = [index for index, given in enumerate(splits) if given in {None, "train"}]
    groups = tie_groups(
        [patients[index].group for index in pool],
        find_copies([films[index].path for index in pool]),
    )
    labels = [films[index].label for index in pool]
    chosen = choose_groups(groups, labels, fraction=fraction, seed=seed)
    for index, group in zip(pool, groups, strict=True):
        if group in chosen:
            splits[index] = split
