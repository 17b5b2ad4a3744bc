"""Parts of a data set for cross-validation: each validates once, and the others train."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.copies import FilmCopies, places_of
from pipelines.datasets.films import Split
from pipelines.datasets.groups import tie_groups
from pipelines.datasets.splits import deal_folds
from pipelines.errors import ConfigurationError, Reason

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Fold:
    """The part that validates.

    Attributes:
        part: From 0 to `count` - 1.
        count: Number of parts.
        seed: Another seed deals otherwise.
    """

    part: int
    count: int
    seed: int = 0


def fold_of(part: int | None, *, count: int, seed: int) -> Fold | None:
    """Return the fold that a configuration names.

    Args:
        part: From 0; None for no cross-validation.
        count: Number of parts.
        seed: Of the deal.

    Returns:
        The fold, or None.

    Raises:
        ConfigurationError: If there are less than two parts, or none of that number.
    """
    if count < _FEWEST or (part is not None and not 0 <= part < count):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected two folds or more and a fold from 0 to {count - 1}, got {count} and {part}",
        )
    return None if part is None else Fold(part, count, seed)


def fold_splits(
    splits: Sequence[Split],
    fold: Fold,
    *,
    paths: Sequence[Path],
    copies: FilmCopies,
    groups: Sequence[str],
    labels: Sequence[int],
) -> tuple[Split, ...]:
    """Let one part of the films that are not for testing validate.

    Parts are made by group and stratified by class; copies of a film stay together.

    Args:
        splits: Split of each film without folds.
        fold: The part that validates.
        paths: Files of the films.
        copies: The copies among them.
        groups: Whose each film is.
        labels: Class of each film.

    Returns:
        The split of each film.
    """
    pool = [place for place, split in enumerate(splits) if split != "test"]
    same = places_of(copies.sets, [paths[place] for place in pool])
    tied = tie_groups([groups[place] for place in pool], same)
    dealt = deal_folds(
        tied, labels=[labels[place] for place in pool], folds=fold.count, seed=fold.seed
    )
    folded: list[Split] = list(splits)
    for place, part in zip(pool, dealt, strict=True):
        folded[place] = "val" if part == fold.part else "train"
    return tuple(folded)
