"""Temperature scaling: one positive number that turns logits into honest probabilities.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017. The order of the cases does not
change, so neither does the AUROC.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Cases, Floats, require_both_classes

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where a temperature is looked for; a network beyond it is broken rather than miscalibrated."""


def probabilities(logits: Floats, temperature: float) -> Floats:
    """Turn the logits of a two-class network into calibrated probabilities.

    Args:
        logits: (n,), log odds of class 1.
        temperature: Above 0; 1 changes nothing, more makes the network less sure.

    Returns:
        (n, 2), each row sums to 1: sigmoid(-logit / temperature), sigmoid(logit / temperature).

    Raises:
        ConfigurationError: If the temperature is not positive.
    """
    if not temperature > 0:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a temperature above 0, got {temperature}; 1 leaves the logits as they are",
        )
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.stack([expit(-scaled), expit(scaled)], axis=-1)


def negative_log_likelihood(cases: Cases, temperature: float) -> float:
    """Mean negative log-likelihood of the labels, softened as Platt (1999) does.

    The targets are (p + 1) / (p + 2) for the p positive and 1 / (n + 2) for the n negative cases.
    Without this, classes that are told apart perfectly would drive the temperature to 0.

    Args:
        cases: Cases of both classes.
        temperature: Above 0.

    Returns:
        The mean in nats.
    """
    positive = int(cases.labels.sum())
    negative = len(cases) - positive
    target = np.where(cases.labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    scaled = cases.logits / temperature
    return float(np.mean(np.logaddexp(0.0, scaled) - target * scaled))


def fit_temperature(cases: Cases) -> float:
    """Find the temperature that makes the labels most likely; use validation cases.

    Args:
        cases: Cases of both classes.

    Returns:
        The temperature, within `TEMPERATURE_RANGE`.

    Raises:
        DatasetError: If one class has no case.
    """
    require_both_classes(cases, "to fit a temperature")
    # The likelihood has one optimum in 1 / temperature, hence one in its logarithm.
    found = minimize_scalar(
        lambda logarithm: negative_log_likelihood(cases, float(np.exp(logarithm))),
        bounds=tuple(np.log(TEMPERATURE_RANGE)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return float(np.clip(np.exp(found.x), *TEMPERATURE_RANGE))
