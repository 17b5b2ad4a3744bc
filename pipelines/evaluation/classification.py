"""The evaluation of a two-class classifier on one split, at the operating point it ships with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Cases, Integers
from pipelines.evaluation.figures import TITLES, Figure, classification_figures
from pipelines.evaluation.operating_point import OperatingPoint


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was measured, on what, and how.

    Attributes:
        split: Name of the split.
        n: Number of cases.
        n_groups: Number of patients.
        operating_point: What was decided with; used as it is.
        figures: Every figure with its 95 % interval by patient.
        confusion: int64, (2, 2); row is the true class, column the called one.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    split: str
    n: int
    n_groups: int
    operating_point: OperatingPoint
    figures: Mapping[str, Figure]
    confusion: Integers
    resamples: int
    seed: int


def evaluate(
    cases: Cases,
    operating_point: OperatingPoint,
    *,
    split: str,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Evaluate cases at an operating point.

    Args:
        cases: Labelled cases; figures that need both classes are None where one is missing.
        operating_point: Chosen on validation cases, used unchanged.
        split: Name of the split.
        resamples: Of the bootstrap by patient.
        seed: Of the bootstrap.

    Returns:
        The evaluation.

    Raises:
        ConfigurationError: If cases and operating point do not have the same classes.
    """
    if cases.classes != operating_point.classes:
        raise ConfigurationError(
            Reason.WEIGHTS_MISMATCH,
            f"expected the classes {list(operating_point.classes)} of the operating point, "
            f"got {list(cases.classes)}; name the classes as the weights do, with --set classes=…",
        )
    called = operating_point.decide(operating_point.calibrate(cases.logits))
    confusion = np.bincount(cases.labels * 2 + called, minlength=4).reshape(2, 2)
    return Evaluation(
        split=split,
        n=len(cases),
        n_groups=len(set(cases.groups)),
        operating_point=operating_point,
        figures=classification_figures(
            cases,
            temperature=operating_point.temperature,
            bias=operating_point.bias,
            threshold=operating_point.threshold,
            resamples=resamples,
            seed=seed,
        ),
        confusion=confusion,
        resamples=resamples,
        seed=seed,
    )


def threshold_origin(evaluation: Evaluation) -> str:
    """Say in a few words how the threshold was chosen, and on what."""
    point = evaluation.operating_point
    how = point.criterion if point.target is None else f"{point.criterion} {point.target:g}"
    if point.split == evaluation.split:
        return f"{how}, chosen on these same cases, so the figures are optimistic"
    return f"{how}, chosen on {point.split} and used unchanged"


def format_table(evaluation: Evaluation) -> str:
    """Lay an evaluation out as text for a terminal.

    Args:
        evaluation: The evaluation.

    Returns:
        Lines of at most about 90 characters, without a line end at the end.
    """
    point = evaluation.operating_point
    counts = evaluation.confusion.sum(axis=1)
    held = ", ".join(f"{count} {name}" for name, count in zip(point.classes, counts, strict=True))
    lines = [
        f"{evaluation.split}: {evaluation.n} films of {evaluation.n_groups} patients ({held})",
        f"threshold {point.threshold:.4g} on the probability of {point.classes[1]}, "
        f"temperature {point.temperature:.4g}, bias {point.bias:.3g}",
        f"  ({threshold_origin(evaluation)})",
        "",
        f"{'':<18} {'value':>6}   95 % interval",
    ]
    lines += [
        f"{TITLES[name]:<18} {_values(figure)}" for name, figure in evaluation.figures.items()
    ]
    width = max(len(name) for name in point.classes) + len("predicted ")
    lines += [
        "",
        " " * (width + 2) + "  ".join(f"{'predicted ' + n:>{width}}" for n in point.classes),
    ]
    for name, row in zip(point.classes, evaluation.confusion, strict=True):
        cells = "  ".join(f"{count:>{width}}" for count in row)
        lines.append(f"{'true ' + name:<{width}}  {cells}")
    return "\n".join(lines)


def _values(figure: Figure) -> str:
    if figure.value is None:
        return "     -   undefined on these cases"
    if figure.low is None or figure.high is None:
        return f"{figure.value:>6.3f}   none"
    return f"{figure.value:>6.3f}   {figure.low:.3f} to {figure.high:.3f}"
