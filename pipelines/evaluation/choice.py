"""The choice of an operating point on validation cases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluation.calibration import fit_calibration, probability_of
from pipelines.evaluation.cases import Cases, require_every_class
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.thresholds import Criterion, choose_threshold


def choose_operating_point(
    cases: Cases,
    *,
    criterion: Criterion = "youden",
    target: float | None = None,
    temperature: float | None = None,
    positive_classes: Sequence[str] = (),
    split: str = "validation",
    seed: int = 0,
    shifted: Mapping[str, Cases] | None = None,
) -> OperatingPoint:
    """Fit a calibration and choose a threshold on calibrated probabilities.

    The threshold lies midway between two neighbouring probabilities, so that no case of the split
    sits on it, and equal cases give equal thresholds.

    Where shifted copies are given, calibration and threshold are chosen on them and the cases
    together, each copy counting as much as the film itself.

    Args:
        cases: Validation cases of every class.
        criterion: How to choose; three classes or more without positive ones need `argmax`.
        target: For `sensitivity` and `specificity` what to reach, for `given` the threshold.
        temperature: Of the calibration; None fits it, and for two classes a bias, on the same
            cases.
        positive_classes: As the attribute of `OperatingPoint`.
        split: Name of the split the cases are from.
        seed: Of the intervals of the figures.
        shifted: The same films shown otherwise, by the name of the setting.

    Returns:
        The operating point with its figures on these cases, copies apart.

    Raises:
        ConfigurationError: If criterion, target or temperature are wrong.
        DatasetError: If a class has no case or no threshold reaches the target.
    """
    require_every_class(cases, "to choose an operating point")
    everything = _together(cases, shifted or {})
    bias = 0.0
    if temperature is None:
        temperature, bias = fit_calibration(everything)
    # Made first, so that a wrong argument is refused before anything is computed from it.
    point = OperatingPoint(
        threshold=None if criterion == "argmax" else 0.5,
        temperature=temperature,
        classes=cases.classes,
        criterion=criterion,
        split=split,
        target=target,
        bias=bias,
        positive_classes=tuple(positive_classes),
        shifts=tuple(shifted or ()),
    )
    if criterion != "argmax":
        threshold = choose_threshold(
            np.isin(everything.labels, point.positive).astype(np.int64),
            probability_of(point.calibrate(everything.logits), point.positive),
            criterion=criterion,
            target=target,
        )
        point = replace(point, threshold=threshold)
    return replace(point, figures=point.figures_of(cases, seed=seed))


def _together(cases: Cases, shifted: Mapping[str, Cases]) -> Cases:
    """Lay films and their copies into one; copies are named after their setting."""
    names = [f"{setting}/{name}" for setting, each in shifted.items() for name in each.filenames]
    parts = [cases, *shifted.values()]
    return Cases(
        filenames=(*cases.filenames, *names),
        groups=tuple(group for part in parts for group in part.groups),
        labels=np.concatenate([part.labels for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        classes=cases.classes,
    )


def give_threshold(point: OperatingPoint, threshold: float | None) -> OperatingPoint:
    """Put a threshold that a person gives in the place of the one that was chosen.

    Args:
        point: The operating point of the weights.
        threshold: 0 to 1, on the calibrated probability of the positive classes; None leaves the
            operating point as it is.

    Returns:
        The operating point; with another threshold, without the figures of the old one.

    Raises:
        ConfigurationError: If the threshold is out of range, or there are no positive classes.
    """
    if threshold is None:
        return point
    return replace(point, threshold=threshold, criterion="given", target=threshold, figures={})
