"""Calibration: a temperature, and for two classes a bias, that turn logits into probabilities.

The temperature mends how sure a network is (Guo et al., On calibration of modern neural networks,
ICML 2017); the bias mends how often it saw each class, since training draws classes equally often
and the world does not (Platt, Probabilistic outputs for support vector machines, 1999). For two
classes the order of the cases does not change, so neither does the AUROC.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import TWO_CLASSES, Cases, Floats, Integers, require_every_class

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where a temperature is looked for; a network beyond it is broken rather than miscalibrated."""

BIAS_RANGE = (-10.0, 10.0)
"""Where a bias is looked for."""


def probabilities(logits: Floats, temperature: float, bias: float = 0.0) -> Floats:
    """Turn the logits of a network into calibrated probabilities.

    Args:
        logits: (n,), log odds of class 1 of two classes, or (n, classes), a logit each.
        temperature: Above 0; 1 changes nothing, more makes the network less sure.
        bias: Added to the scaled log odds of two classes; 0 changes nothing.

    Returns:
        (n, classes), each row sums to 1: the sigmoid of the scaled log odds, or the softmax of the
        scaled logits.

    Raises:
        ConfigurationError: If the temperature is not positive.
    """
    if not temperature > 0:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a temperature above 0, got {temperature}; 1 leaves the logits as they are",
        )
    scaled = np.asarray(logits, dtype=np.float64) / temperature + bias
    if scaled.ndim == 1:
        return np.exp(-np.logaddexp(0, np.stack([scaled, -scaled], axis=-1)))
    return np.asarray(np.exp(scaled - _log_sum(scaled)[:, None]))


def probability_of(calibrated: Floats, members: Sequence[int]) -> Floats:
    """Return the probability of a group of classes, (n,), from those of all, (n, classes)."""
    together = np.sort(calibrated[:, list(members)], axis=1).sum(axis=1)
    return np.asarray(np.minimum(together, 1.0))


def log_odds(logits: Floats, temperature: float, members: Sequence[int]) -> Floats:
    """Return the log odds of a group of classes against the others.

    They tell cases apart whose probabilities are all 1 in floating point.

    Args:
        logits: (n, classes).
        temperature: Of the calibration, above 0.
        members: Indices of the classes of the group; some, not all.

    Returns:
        (n,), log odds.
    """
    scaled = logits / temperature
    within = np.isin(np.arange(scaled.shape[1]), list(members))
    return _log_sum(scaled[:, within]) - _log_sum(scaled[:, ~within])


def negative_log_likelihood(cases: Cases, temperature: float, bias: float = 0.0) -> float:
    """Mean negative log-likelihood of the labels, softened as Platt (1999) does.

    The target of a class with n cases is (n + 1) / (n + 2) for its own cases; the others share what
    is left. Without this, classes that are told apart perfectly would drive the temperature to 0.

    Args:
        cases: Cases of every class.
        temperature: Above 0.
        bias: As in `probabilities`.

    Returns:
        The mean in nats.
    """
    scaled = cases.logits / temperature + bias
    if scaled.ndim == 1:
        likelihood = -np.stack([np.logaddexp(0.0, scaled), np.logaddexp(0.0, -scaled)], axis=-1)
    else:
        likelihood = scaled - _log_sum(scaled)[:, None]
    targets = _soft_targets(np.bincount(cases.labels, minlength=len(cases.classes)))
    return float(-np.mean(np.sum(targets[cases.labels] * likelihood, axis=1)))


def fit_calibration(cases: Cases) -> tuple[float, float]:
    """Find the temperature and the bias that make the labels most likely; use validation cases.

    Args:
        cases: Cases of every class.

    Returns:
        The temperature, within `TEMPERATURE_RANGE`, and the bias, within `BIAS_RANGE`; for three
        classes or more it is 0.

    Raises:
        DatasetError: If a class has no case.
    """
    # SciPy takes as long to import as a film to be predicted, and only fitting needs it.
    from scipy.optimize import minimize

    require_every_class(cases, "to fit a calibration")
    biased = len(cases.classes) == TWO_CLASSES
    # The likelihood has one optimum in (1 / temperature, bias): logistic regression in one feature.
    found = minimize(
        lambda place: negative_log_likelihood(cases, 1 / place[0], *place[1:]),
        x0=(1.0, 0.0)[: 1 + biased],
        bounds=(tuple(1 / bound for bound in reversed(TEMPERATURE_RANGE)), BIAS_RANGE)[
            : 1 + biased
        ],
        method="L-BFGS-B",
        options={"ftol": 1e-12, "gtol": 1e-9},
    )
    return float(1 / found.x[0]), float(found.x[1]) if biased else 0.0


def _soft_targets(counts: Integers) -> Floats:
    """Row k holds what each class is to get from cases of class k."""
    other = 1 / ((counts + 2) * (len(counts) - 1))
    targets = np.repeat(other[:, None], len(counts), axis=1)
    np.fill_diagonal(targets, (counts + 1) / (counts + 2))
    return targets


def _log_sum(scaled: Floats) -> Floats:
    """Log of the sum of exponentials of each row, whatever the order of the classes.

    Summed in ascending order: rounding that hung on the order of the classes would break ties.
    """
    return np.asarray(np.logaddexp.reduce(np.sort(scaled, axis=1), axis=1))
