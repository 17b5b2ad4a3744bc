"""What is asked of a classifier: does a film belong to this class, or group of classes, or not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.evaluation.calibration import log_odds, probabilities, probability_of
from pipelines.evaluation.cases import TWO_CLASSES, Cases, Floats
from pipelines.evaluation.thresholds import decide

Booleans = npt.NDArray[np.bool_]

POSITIVE = "positive"
"""What the figures of the positive classes together are named with."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One class, or a group of classes, against the rest.

    Attributes:
        suffix: What stands behind the names of its figures: empty for the only question of two
            classes, otherwise `_<class>` or `_positive`.
        title: Names of its classes.
        truth: (n,), whether a case belongs to it.
        called: (n,), whether a case was called so.
        odds: (n,), log odds. Ranks come from these: far from 0, different odds give one and the
            same probability in floating point.
        probability: (n,), calibrated.
    """

    suffix: str
    title: str
    truth: Booleans
    called: Booleans
    odds: Floats
    probability: Floats


def is_whole(suffix: str) -> bool:
    """Whether a threshold is put on a question: on class 1 of two, or on the positive classes.

    Args:
        suffix: Of the question.
    """
    return suffix in {"", f"_{POSITIVE}"}


def ask(
    cases: Cases,
    *,
    temperature: float,
    threshold: float | None,
    bias: float = 0.0,
    positive_classes: Sequence[str] = (),
) -> list[Question]:
    """Ask for class 1 of two classes, or for each of more and for the positive ones together.

    Args:
        cases: The cases.
        temperature: Of the calibration, above 0.
        threshold: As `decide` takes it.
        bias: Of the calibration.
        positive_classes: Those of three classes or more that are also judged together.

    Returns:
        One question, or one for each class and, where there are positive classes, one more.
    """
    calibrated = probabilities(cases.logits, temperature, bias)
    if len(cases.classes) == TWO_CLASSES:
        called = decide(calibrated, threshold=threshold)
        return [
            Question(
                suffix="",
                title=cases.classes[1],
                truth=cases.labels == 1,
                called=called == 1,
                odds=cases.logits,
                probability=calibrated[:, 1],
            )
        ]
    positive = [cases.classes.index(name) for name in positive_classes]
    called = decide(calibrated, threshold=threshold, positive=positive)
    groups = {f"_{name}": [index] for index, name in enumerate(cases.classes)}
    if positive:
        groups[f"_{POSITIVE}"] = positive
    return [
        Question(
            suffix=suffix,
            title=" + ".join(cases.classes[index] for index in members),
            truth=np.isin(cases.labels, members),
            called=np.isin(called, members),
            odds=log_odds(cases.logits, temperature, members),
            probability=probability_of(calibrated, members),
        )
        for suffix, members in groups.items()
    ]
