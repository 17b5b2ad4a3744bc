"""Calibration: a temperature and a bias that turn logits into honest probabilities.

The temperature mends how sure a network is (Guo et al., On calibration of modern neural networks,
ICML 2017); the bias mends how often it saw each class, since training draws classes equally often
and the world does not (Platt, Probabilistic outputs for support vector machines, 1999). The order
of the cases does not change, so neither does the AUROC.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Cases, Floats, require_both_classes

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where a temperature is looked for; a network beyond it is broken rather than miscalibrated."""

BIAS_RANGE = (-10.0, 10.0)
"""Where a bias is looked for."""


def probabilities(logits: Floats, temperature: float, bias: float = 0.0) -> Floats:
    """Turn the logits of a two-class network into calibrated probabilities.

    Args:
        logits: (n,), log odds of class 1.
        temperature: Above 0; 1 changes nothing, more makes the network less sure.
        bias: Added to the scaled log odds; 0 changes nothing.

    Returns:
        (n, 2), each row sums to 1; the second is sigmoid(logit / temperature + bias).

    Raises:
        ConfigurationError: If the temperature is not positive.
    """
    if not temperature > 0:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a temperature above 0, got {temperature}; 1 leaves the logits as they are",
        )
    scaled = np.asarray(logits, dtype=np.float64) / temperature + bias
    return np.stack([expit(-scaled), expit(scaled)], axis=-1)


def negative_log_likelihood(cases: Cases, temperature: float, bias: float = 0.0) -> float:
    """Mean negative log-likelihood of the labels, softened as Platt (1999) does.

    The targets are (p + 1) / (p + 2) for the p positive and 1 / (n + 2) for the n negative cases.
    Without this, classes that are told apart perfectly would drive the temperature to 0.

    Args:
        cases: Cases of both classes.
        temperature: Above 0.
        bias: As in `probabilities`.

    Returns:
        The mean in nats.
    """
    positive = int(cases.labels.sum())
    negative = len(cases) - positive
    target = np.where(cases.labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    scaled = cases.logits / temperature + bias
    return float(np.mean(np.logaddexp(0.0, scaled) - target * scaled))


def fit_calibration(cases: Cases) -> tuple[float, float]:
    """Find the temperature and the bias that make the labels most likely; use validation cases.

    Args:
        cases: Cases of both classes.

    Returns:
        The temperature, within `TEMPERATURE_RANGE`, and the bias, within `BIAS_RANGE`.

    Raises:
        DatasetError: If one class has no case.
    """
    require_both_classes(cases, "to fit a calibration")
    # The likelihood has one optimum in (1 / temperature, bias): logistic regression in one feature.
    found = minimize(
        lambda place: negative_log_likelihood(cases, 1 / place[0], place[1]),
        x0=(1.0, 0.0),
        bounds=(tuple(1 / bound for bound in reversed(TEMPERATURE_RANGE)), BIAS_RANGE),
        method="L-BFGS-B",
        options={"ftol": 1e-12, "gtol": 1e-9},
    )
    return float(1 / found.x[0]), float(found.x[1])
