"""The figures of a classifier, each with its interval.

Two classes have the figures of class 1. Of three classes or more, the same names hold figures of
all of them: those of `OF_CLASS` are means over the classes, each against the rest and each
counting alike; the others have a form of their own for several classes. Then come the positive
classes together, and each class, as one of two. A figure whose denominator is zero is undefined and
stays None.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.bootstrap import all_or_none, bootstrap_intervals
from pipelines.evaluation.calibration import probabilities
from pipelines.evaluation.cases import TWO_CLASSES, Cases, Floats
from pipelines.evaluation.one_against_rest import OF_CLASS, EveryClass, OneAgainstRest
from pipelines.evaluation.questions import POSITIVE, Question, ask

TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity (recall)",
    "specificity": "Specificity",
    "ppv": "PPV (precision)",
    "npv": "NPV",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mcc": "MCC",
    "brier": "Brier score",
    "ece": "ECE",
}
"""Every figure of two classes by name, in the order of all tables, with its title for people."""


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

    @staticmethod
    def of(value: float, interval: tuple[float, float] | None) -> "Figure":
        """Make a figure of what was computed.

        Args:
            value: NaN where undefined.
            interval: Low and high end; None where there is none.
        """
        if np.isnan(value):
            return Figure(None)
        return Figure(float(value), *(interval or (None, None)))


def figure_titles(classes: Sequence[str], positive_classes: Sequence[str] = ()) -> dict[str, str]:
    """Return the names of all figures in the order of all tables, with their titles.

    Args:
        classes: Class names in order.
        positive_classes: Those of three classes or more that are also judged together.

    Returns:
        `TITLES` for two classes. For more, the same names for the means, then `<name>_positive` and
        `<name>_<class>`.

    Examples:
        >>> figure_titles(["nv", "bkl", "mel"])["f1"], figure_titles(["a", "b"])["f1"]
        ('F1, mean of classes', 'F1')
    """
    if len(classes) == TWO_CLASSES:
        return dict(TITLES)
    found = {
        name: f"{title}, mean of classes" if name in OF_CLASS else title
        for name, title in TITLES.items()
    }
    if positive_classes:
        group = " + ".join(positive_classes)
        found |= {f"{name}_{POSITIVE}": f"{title}, {group}" for name, title in TITLES.items()}
    for each in classes:
        found |= {f"{name}_{each}": f"{title}, {each}" for name, title in TITLES.items()}
    return found


def classification_figures(
    cases: Cases,
    *,
    temperature: float,
    threshold: float | None,
    bias: float = 0.0,
    positive_classes: Sequence[str] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Figure]:
    """Compute every figure of `figure_titles`.

    AUPRC is average precision. The Brier score of two classes is the mean square of the error of
    the probability of class 1, 0 to 1; of more it sums over the classes, 0 to 2. ECE is the
    expected calibration error of the probability of class 1, or of the most probable class, in
    `RELIABILITY_BINS` bins of equal width; resampling adds to it, so its interval leans towards
    high values. A share of all films or of none, such as a sensitivity of 1, has the exact interval
    for as many patients, since every resample gives the same.

    Args:
        cases: The cases.
        temperature: Of the calibration, above 0.
        threshold: The positive classes are called if their calibrated probability is at least
            this; None calls the most probable class.
        bias: Of the calibration.
        positive_classes: Those of three classes or more that are also judged together; of two
            classes it is always the second.
        resamples: Of the bootstrap by patient.
        seed: Of the bootstrap.

    Returns:
        The figures by name, in the order of `figure_titles`.
    """
    calibration = {"temperature": temperature, "bias": bias}
    questions = ask(cases, threshold=threshold, positive_classes=positive_classes, **calibration)
    statistic: Callable[[Floats], Mapping[str, Floats]]
    if len(cases.classes) == TWO_CLASSES:
        statistic = OneAgainstRest(questions[0]).of_two
    else:
        calibrated = probabilities(cases.logits, **calibration)
        statistic = EveryClass(cases.labels, calibrated, questions=questions)

    def quietly(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return statistic(weights)

    values = quietly(np.ones((1, len(cases))))
    intervals = bootstrap_intervals(quietly, cases.groups, resamples=resamples, seed=seed)
    for name, groups in _shares(cases, questions).items():
        value = float(values[name][0])
        if value in {0.0, 1.0} and intervals[name] == (value, value):
            intervals[name] = all_or_none(value, len(groups))
    return {
        name: Figure.of(values[name][0], intervals[name])
        for name in figure_titles(cases.classes, positive_classes)
    }


def _shares(cases: Cases, questions: Sequence[Question]) -> dict[str, set[str]]:
    """The figures that are shares of films, with the patients of these films."""
    patients = np.asarray(cases.groups)
    found = {"accuracy": set(cases.groups)}
    for question in questions:
        counted = {
            "accuracy": np.ones(len(cases), dtype=np.bool_),
            "sensitivity": question.truth,
            "specificity": ~question.truth,
            "ppv": question.called,
            "npv": ~question.called,
        }
        found |= {
            name + question.suffix: set(patients[films].tolist()) for name, films in counted.items()
        }
    return found
