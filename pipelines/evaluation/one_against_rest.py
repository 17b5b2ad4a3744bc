"""The figures of one class, or of a group of classes, against the rest, for weighted cases.

One set of formulas over weighted cases serves the value (every weight 1) and the resamples of the
bootstrap, so that a value and its interval cannot disagree. A figure whose denominator is zero is
NaN.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.evaluation.cases import Floats, Integers
from pipelines.evaluation.questions import Booleans, Question

OF_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")
"""The figures whose mean over classes stands for all of them together."""

RELIABILITY_BINS = 10
"""Bins of equal width over a probability, for the ECE and the reliability diagram."""


class OneAgainstRest:
    """Figures of one question for rows of weights."""

    def __init__(self, question: Question) -> None:
        truth, called = question.truth, question.called
        self._counted = np.stack([truth & called, truth, called], axis=1).astype(np.float64)
        self._residual = question.probability - truth
        self._bins = reliability_bin(question.probability)
        self._ranks = _Ranks.of(truth, question.odds)

    def of_class(self, weights: Floats) -> dict[str, Floats]:
        """Compute the figures of `OF_CLASS` for each row of weights (rows, n).

        Returns:
            (rows,) each, by name.
        """
        counts = self._count(weights)
        return {
            "sensitivity": counts.tp / (counts.tp + counts.fn),
            "specificity": counts.tn / (counts.tn + counts.fp),
            "ppv": counts.tp / (counts.tp + counts.fp),
            "npv": counts.tn / (counts.tn + counts.fn),
            "f1": 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn),
            **self._ranks.figures(weights),
        }

    def of_two(self, weights: Floats) -> dict[str, Floats]:
        """Compute all figures of a two-class decision for each row of weights (rows, n).

        Returns:
            Those of `of_class`, and `accuracy`, `balanced_accuracy`, `mcc`, `brier` and `ece`.
        """
        tp, fn, fp, tn = self._count(weights)
        of_class = self.of_class(weights)
        total = weights.sum(axis=1)
        spread = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
        return {
            "accuracy": (tp + tn) / total,
            "balanced_accuracy": (of_class["sensitivity"] + of_class["specificity"]) / 2,
            **of_class,
            "mcc": (tp * tn - fp * fn) / spread,
            "brier": weights @ self._residual**2 / total,
            "ece": calibration_error(weights, self._residual, bins=self._bins),
        }

    def _count(self, weights: Floats) -> "_Counts":
        tp, truth, called = (weights @ self._counted).T
        total = weights.sum(axis=1)
        return _Counts(tp=tp, fn=truth - tp, fp=called - tp, tn=total - truth - called + tp)


class EveryClass:
    """Figures of three classes or more for rows of weights: means, each class, a group.

    Args:
        labels: (n,), index of the true class.
        calibrated: (n, classes), calibrated probabilities.
        questions: Of these cases, those of the classes first.
    """

    def __init__(
        self, labels: Integers, calibrated: Floats, *, questions: Sequence[Question]
    ) -> None:
        of_classes = questions[: calibrated.shape[1]]
        self._classes = {each.suffix: OneAgainstRest(each) for each in of_classes}
        self._groups = {each.suffix: OneAgainstRest(each) for each in questions[len(of_classes) :]}
        self._truth, self._called = (
            np.stack(columns, axis=1).astype(np.float64)
            for columns in zip(*((each.truth, each.called) for each in of_classes), strict=True)
        )
        self._correct = (self._truth * self._called).sum(axis=1)
        self._squared = ((calibrated - self._truth) ** 2).sum(axis=1)
        confidence = calibrated.max(axis=1)
        self._residual = confidence - (calibrated.argmax(axis=1) == labels)
        self._bins = reliability_bin(confidence)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Compute each figure for each row of weights (rows, n); NaN where undefined."""
        of_classes = {suffix: each.of_two(weights) for suffix, each in self._classes.items()}
        means = {name: np.mean([f[name] for f in of_classes.values()], axis=0) for name in OF_CLASS}
        total = weights.sum(axis=1)
        found = {
            **means,
            "accuracy": weights @ self._correct / total,
            "balanced_accuracy": means["sensitivity"],
            "mcc": self._correlation(weights, total),
            "brier": weights @ self._squared / total,
            "ece": calibration_error(weights, self._residual, bins=self._bins),
        }
        of_groups = {suffix: each.of_two(weights) for suffix, each in self._groups.items()}
        for suffix, figures in (of_classes | of_groups).items():
            found |= {name + suffix: values for name, values in figures.items()}
        return found

    def _correlation(self, weights: Floats, total: Floats) -> Floats:
        """Matthews' coefficient for several classes (Gorodkin 2004)."""
        truth, called = weights @ self._truth, weights @ self._called
        covariance = (weights @ self._correct) * total - (truth * called).sum(axis=1)
        spread = [np.sqrt(total**2 - (counts**2).sum(axis=1)) for counts in (truth, called)]
        return np.asarray(covariance / (spread[0] * spread[1]))


def reliability_bin(probability: Floats) -> Floats:
    """Return the bin of each probability as one-hot rows.

    Args:
        probability: (n,), 0 to 1.

    Returns:
        (n, RELIABILITY_BINS), 1 in the column of the bin; a probability of 1 is in the last.
    """
    index = np.minimum((probability * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    return np.eye(RELIABILITY_BINS)[index]


def calibration_error(weights: Floats, residual: Floats, *, bins: Floats) -> Floats:
    """Return the expected calibration error for each row of weights.

    Args:
        weights: (rows, n).
        residual: (n,), probability minus what came true, 0 or 1.
        bins: (n, bins), one-hot.

    Returns:
        (rows,), 0 to 1.
    """
    return np.asarray(
        np.abs(weights @ (residual[:, None] * bins)).sum(axis=1) / weights.sum(axis=1)
    )


class _Counts(NamedTuple):
    """Weights of the four outcomes, (rows,) each."""

    tp: Floats
    fn: Floats
    fp: Floats
    tn: Floats


class _Ranks(NamedTuple):
    """Where the cases of the class stand among all, from the highest odds to the lowest.

    Attributes:
        order: (n,), cases by descending odds.
        places: (m,), places of the m cases of the class in that order.
        start: (m,), place of the first case with the same odds.
        end: (m,), place behind the last case with the same odds.
        start_within: (m,), how many cases of the class stand before `start`.
        end_within: (m,), how many stand before `end`.
    """

    order: Integers
    places: Integers
    start: Integers
    end: Integers
    start_within: Integers
    end_within: Integers

    @classmethod
    def of(cls, truth: Booleans, odds: Floats) -> "_Ranks":
        order = np.argsort(-odds, kind="stable")
        descending = -odds[order]
        places = np.flatnonzero(truth[order])
        start = np.searchsorted(descending, descending[places], side="left")
        end = np.searchsorted(descending, descending[places], side="right")
        return cls(
            order=order,
            places=places,
            start=start,
            end=end,
            start_within=np.searchsorted(places, start),
            end_within=np.searchsorted(places, end),
        )

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Compute AUROC and average precision for each row of weights (rows, n)."""
        ranked = weights[:, self.order]
        own = ranked[:, self.places]
        passed, passed_own = _sums_before(ranked), _sums_before(own)
        total_own = passed_own[:, -1]
        total_other = passed[:, -1] - total_own
        called, called_own = passed[:, self.end], passed_own[:, self.end_within]
        other_to_end = called - called_own
        other_to_start = passed[:, self.start] - passed_own[:, self.start_within]
        # Of the others, those behind count whole and those beside count half.
        beaten = total_other[:, None] - (other_to_end + other_to_start) / 2
        # Odds that a resample holds above none of its cases have no precision and no weight.
        precision = called_own / np.where(called > 0, called, 1)
        return {
            "auroc": (own * beaten).sum(axis=1) / (total_own * total_other),
            "auprc": (own * precision).sum(axis=1) / total_own,
        }


def _sums_before(weights: Floats) -> Floats:
    """Sum of the columns before each place: (rows, n + 1)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
