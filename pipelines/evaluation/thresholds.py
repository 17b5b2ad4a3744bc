"""Where to put a threshold on calibrated probabilities, and what is called with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pipelines.errors import DatasetError, Reason
from pipelines.evaluation.calibration import probability_of
from pipelines.evaluation.cases import Floats, Integers

Criterion: TypeAlias = Literal[
    "youden",
    "max_f1",
    "max_accuracy",
    "sensitivity",
    "specificity",
    "balanced",
    "given",
    "argmax",
]
"""How a threshold is chosen.

`youden` maximises sensitivity + specificity, `max_f1` the F1 score, `max_accuracy` the accuracy;
`sensitivity` takes the highest threshold with at least the target sensitivity, `specificity` the
lowest with at least the target specificity; `balanced` makes both as equal as the cases allow;
`given` takes the target as the threshold. Of equally good thresholds the lowest is taken: it misses
fewest positive cases. `argmax` needs no threshold: the most probable class is called.
"""


def decide(
    calibrated: Floats, *, threshold: float | None, positive: Sequence[int] = (1,)
) -> Integers:
    """Call a class for each case.

    Where the positive classes together reach the threshold, the most probable of them is called,
    otherwise the most probable of the others.

    Args:
        calibrated: (n, classes), calibrated probabilities.
        threshold: 0 to 1; None calls the most probable class of all.
        positive: Indices of the positive classes.

    Returns:
        (n,), index of the class.
    """
    if threshold is None:
        return np.asarray(np.argmax(calibrated, axis=1))
    reached = probability_of(calibrated, positive) >= threshold
    within = np.isin(np.arange(calibrated.shape[1]), list(positive))
    return np.asarray(np.argmax(np.where(reached[:, None] == within, calibrated, -1.0), axis=1))


def choose_threshold(
    labels: Integers, positive: Floats, *, criterion: Criterion, target: float | None = None
) -> float:
    """Choose a threshold, midway between two neighbouring probabilities.

    Args:
        labels: (n,), 0 or 1; both are there.
        positive: (n,), calibrated probability of class 1.
        criterion: How to choose; not `argmax`, which has no threshold.
        target: 0 to 1; what `sensitivity` and `specificity` shall reach, what `given` returns.

    Returns:
        The threshold, 0 to 1; a case is positive if its probability is at least this.

    Raises:
        DatasetError: If no threshold reaches the target.
    """
    aim = 0.0 if target is None else target
    if criterion == "given":
        return aim
    counts = _count(labels, positive)
    best = _CHOICES[criterion](counts, aim)
    if best is None:
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected a threshold with {criterion} {target} or more, got none: cases of both "
            "classes share the highest probability; lower the target",
        )
    return float(counts.thresholds[best])


@dataclass(frozen=True, slots=True)
class _Counts:
    """What each threshold, from low to high, makes of the cases."""

    thresholds: Floats
    true_positive: Integers
    true_negative: Integers
    positives: int
    negatives: int


def _count(labels: Integers, positive: Floats) -> _Counts:
    scores, index = np.unique(positive, return_inverse=True)
    held = np.stack([np.bincount(index[labels == k], minlength=len(scores)) for k in (0, 1)])
    passed = np.cumsum(np.insert(held, 0, 0, axis=1), axis=1)
    negatives, positives = held.sum(axis=1)
    below, above = np.r_[0.0, scores], np.r_[scores, 1.0]
    middle = (below + above) / 2
    # Neighbours in floating point have no middle; the upper one tells them apart all the same.
    thresholds = np.where(middle > below, middle, above)
    # No threshold lies above a probability of exactly 1.
    usable = np.r_[True, thresholds[1:] > below[1:]]
    return _Counts(
        thresholds=thresholds[usable],
        true_positive=(positives - passed[1])[usable],
        true_negative=passed[0][usable],
        positives=int(positives),
        negatives=int(negatives),
    )


# Products of whole numbers stand for rates, so that equal rates compare as equal.


def _youden(counts: _Counts, _: float) -> int:
    return int(
        np.argmax(counts.true_positive * counts.negatives + counts.true_negative * counts.positives)
    )


def _max_f1(counts: _Counts, _: float) -> int:
    called = counts.true_positive + counts.negatives - counts.true_negative
    return int(np.argmax(2 * counts.true_positive / (counts.positives + called)))


def _max_accuracy(counts: _Counts, _: float) -> int:
    return int(np.argmax(counts.true_positive + counts.true_negative))


def _balanced(counts: _Counts, _: float) -> int:
    return int(
        np.argmin(
            np.abs(
                counts.true_positive * counts.negatives - counts.true_negative * counts.positives
            )
        )
    )


def _sensitivity(counts: _Counts, target: float) -> int:
    # The lowest threshold calls every case positive, so that one always reaches the target.
    return int(np.flatnonzero(counts.true_positive / counts.positives >= target)[-1])


def _specificity(counts: _Counts, target: float) -> int | None:
    reached = np.flatnonzero(counts.true_negative / counts.negatives >= target)
    return int(reached[0]) if len(reached) else None


_CHOICES: Mapping[str, Callable[[_Counts, float], int | None]] = {
    "youden": _youden,
    "max_f1": _max_f1,
    "max_accuracy": _max_accuracy,
    "balanced": _balanced,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
}
