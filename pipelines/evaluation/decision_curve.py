"""Decision curves: what acting on a classifier is worth, against acting on everyone and no one.

Who acts at a probability of at least `t` thinks one missed case as bad as (1 - t) / t needless
acts. The net benefit counts true positives and takes off false positives at that rate, per case:

    TP / n - FP / n * t / (1 - t)

A threshold at which a classifier has more of it than both, acting on all cases and on none (0), is
one at which it is of use.

References:
    Vickers and Elkin, Decision curve analysis: a novel method for evaluating prediction models,
    Medical Decision Making 26 (2006) 565-574.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.bootstrap import bootstrap_intervals
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.questions import Booleans, Question

THRESHOLDS = tuple(step / 100 for step in range(1, 100))
"""Probabilities at which somebody may act: 0.01 to 0.99."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit at each threshold, per case.

    Attributes:
        suffix: As that of the question.
        title: As that of the question.
        thresholds: (t,), probabilities.
        model: (t,), of acting where the probability reaches the threshold.
        low: (t,), lower end of its 95 % interval by patient; NaN where there is none.
        high: (t,), upper end.
        treat_all: (t,), of acting on every case; acting on none is worth 0.
    """

    suffix: str
    title: str
    thresholds: Floats
    model: Floats
    low: Floats
    high: Floats
    treat_all: Floats


def decision_curve(
    question: Question,
    groups: Sequence[str],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = 2000,
    seed: int = 0,
) -> DecisionCurve:
    """Compute the net benefit of one question.

    Args:
        question: What is asked, with calibrated probabilities.
        groups: Patient of each case.
        thresholds: Above 0 and below 1.
        resamples: Of the bootstrap by patient.
        seed: Of the bootstrap.

    Returns:
        The curve.
    """
    places = np.asarray(thresholds, dtype=np.float64)
    worth = _worth(question.truth, places)
    benefits = np.where(question.probability[:, None] >= places, worth, 0.0)

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        benefit = weights @ benefits / weights.sum(axis=1, keepdims=True)
        return {str(place): column for place, column in enumerate(benefit.T)}

    every = statistic(np.ones((1, len(worth))))
    intervals = bootstrap_intervals(statistic, groups, resamples=resamples, seed=seed)
    ends = np.array([intervals[name] or (np.nan, np.nan) for name in every])
    return DecisionCurve(
        suffix=question.suffix,
        title=question.title,
        thresholds=places,
        model=np.array([values[0] for values in every.values()]),
        low=ends[:, 0],
        high=ends[:, 1],
        treat_all=worth.mean(axis=0),
    )


def _worth(truth: Booleans, thresholds: Floats) -> Floats:
    """What acting on each case is worth at each threshold: (n, t)."""
    odds = thresholds / (1 - thresholds)
    return np.where(truth[:, None], 1.0, -odds)
