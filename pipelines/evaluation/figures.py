"""The figures of a two-class classifier, each with its interval.

One set of formulas over weighted cases serves the value (every weight 1) and the resamples of the
bootstrap, so that a value and its interval cannot disagree. A figure whose denominator is zero is
undefined and stays None.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.bootstrap import bootstrap_intervals
from pipelines.evaluation.calibration import probabilities
from pipelines.evaluation.cases import Cases, Floats

RELIABILITY_BINS = 10
"""Bins of equal width over the probability of class 1, for the ECE and the reliability diagram."""

TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mcc": "MCC",
    "brier": "Brier score",
    "ece": "ECE",
}
"""Every figure by name, in the order of all tables, with its title for people."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its 95 % interval; None where undefined.

    Attributes:
        value: On the cases themselves.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def classification_figures(
    cases: Cases,
    *,
    temperature: float,
    threshold: float,
    bias: float = 0.0,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Figure]:
    """Compute every figure of `TITLES`.

    AUPRC is average precision. ECE is the expected calibration error of the probability of
    class 1 in `RELIABILITY_BINS` bins of equal width; resampling adds to it, so its interval
    leans towards high values.

    Args:
        cases: The cases.
        temperature: Of the calibration, above 0.
        threshold: A case is called positive if its calibrated probability is at least this.
        bias: Of the calibration.
        resamples: Of the bootstrap by patient.
        seed: Of the bootstrap.

    Returns:
        The figures by name, in the order of `TITLES`.
    """
    statistic = _WeightedFigures(
        cases, probabilities(cases.logits, temperature, bias)[:, 1], threshold
    )
    values = statistic(np.ones((1, len(cases))))
    intervals = bootstrap_intervals(statistic, cases.groups, resamples=resamples, seed=seed)
    return {name: _figure(float(values[name][0]), intervals[name]) for name in TITLES}


def reliability_bin(positive: Floats) -> Floats:
    """Return the bin of each probability as one-hot rows.

    Args:
        positive: (n,), probability of class 1.

    Returns:
        (n, RELIABILITY_BINS), 1 in the column of the bin; a probability of 1 is in the last.
    """
    index = np.minimum((positive * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    return np.eye(RELIABILITY_BINS)[index]


def _figure(value: float, interval: tuple[float, float] | None) -> Figure:
    if np.isnan(value):
        return Figure(None)
    return Figure(value, *(interval or (None, None)))


class _WeightedFigures:
    """All figures for rows of weights."""

    def __init__(self, cases: Cases, positive: Floats, threshold: float) -> None:
        self._truth = (cases.labels == 1).astype(np.float64)
        self._called = (positive >= threshold).astype(np.float64)
        self._residual = positive - self._truth
        self._bins = reliability_bin(positive)
        # Ranks come from the logits: far from 0, different logits give one and the same
        # probability in floating point.
        self._order = np.argsort(cases.logits, kind="stable")
        ascending = cases.logits[self._order]
        self._first = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Compute each figure for each row of weights (rows, n); NaN where undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._decisions(weights) | self._ranks(weights) | self._calibration(weights)

    def _decisions(self, weights: Floats) -> dict[str, Floats]:
        tp = weights @ (self._truth * self._called)
        fn = weights @ (self._truth * (1 - self._called))
        fp = weights @ ((1 - self._truth) * self._called)
        tn = weights @ ((1 - self._truth) * (1 - self._called))
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        spread = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
        return {
            "accuracy": (tp + tn) / (tp + fn + fp + tn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / spread,
        }

    def _ranks(self, weights: Floats) -> dict[str, Floats]:
        positive = self._per_score(weights * self._truth)
        negative = self._per_score(weights * (1 - self._truth))
        total_positive, total_negative = positive.sum(axis=1), negative.sum(axis=1)
        below = np.cumsum(negative, axis=1) - negative
        concordant = (positive * (below + negative / 2)).sum(axis=1)
        tp = np.cumsum(positive[:, ::-1], axis=1)[:, ::-1]
        called = tp + np.cumsum(negative[:, ::-1], axis=1)[:, ::-1]
        # Scores that a resample holds above none of its cases have no precision and no weight.
        precision = tp / np.where(called > 0, called, 1)
        return {
            "auroc": concordant / (total_positive * total_negative),
            "auprc": (positive * precision).sum(axis=1) / total_positive,
        }

    def _calibration(self, weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        return {
            "brier": weights @ self._residual**2 / total,
            "ece": np.abs((weights * self._residual) @ self._bins).sum(axis=1) / total,
        }

    def _per_score(self, weights: Floats) -> Floats:
        """Add up the weights of cases with equal scores; ascending scores, (rows, scores)."""
        return np.add.reduceat(weights[:, self._order], self._first, axis=1)
