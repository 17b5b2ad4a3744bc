"""The evaluation of a classifier on one split, at the operating point it ships with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import TWO_CLASSES, Cases, Integers
from pipelines.evaluation.figures import TITLES, Figure
from pipelines.evaluation.one_against_rest import OF_CLASS
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.trained_on import SplitFacts


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was measured, on what, and how.

    Attributes:
        split: Name of the split.
        n: Number of cases.
        n_groups: Number of patients.
        operating_point: What was decided with; used as it is.
        figures: Every figure with its 95 % interval by patient.
        confusion: int64, (classes, classes); row is the true class, column the called one.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        facts: What is known of the split and of the weights.
    """

    split: str
    n: int
    n_groups: int
    operating_point: OperatingPoint
    figures: Mapping[str, Figure]
    confusion: Integers
    resamples: int
    seed: int
    facts: SplitFacts = field(default_factory=SplitFacts)

    @property
    def note(self) -> str:
        """How was decided, and what else must be known to believe the figures."""
        threshold = self.operating_point.threshold
        how = "No threshold" if threshold is None else f"Threshold {threshold:.4g}"
        return self.facts.warned(f"{how}: {threshold_origin(self)}")


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
        cases: Labelled cases; figures that need every class are None where one is missing.
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
    width = len(cases.classes)
    confusion = np.bincount(cases.labels * width + called, minlength=width**2)
    return Evaluation(
        split=split,
        n=len(cases),
        n_groups=len(set(cases.groups)),
        operating_point=operating_point,
        figures=operating_point.figures_of(cases, resamples=resamples, seed=seed),
        confusion=confusion.reshape(width, width),
        resamples=resamples,
        seed=seed,
    )


def threshold_origin(evaluation: Evaluation) -> str:
    """Say in a few words how the threshold was chosen, and on what."""
    point = evaluation.operating_point
    if point.criterion in {"given", "argmax"}:
        return f"{point.criterion}, not chosen on cases"
    how = point.criterion if point.target is None else f"{point.criterion} {point.target:g}"
    if point.shifts:
        how += f" with shifted copies of the films ({len(point.shifts)} settings)"
    if point.split == evaluation.split:
        return f"{how}, chosen on these same cases, so the figures are optimistic"
    return f"{how}, chosen on {point.split} and used unchanged"


def format_table(evaluation: Evaluation) -> str:
    """Lay an evaluation out as text for a terminal.

    Args:
        evaluation: The evaluation.

    Returns:
        Lines of at most about 90 characters, without a line end at the end; a matrix of many
        classes or long names is wider.
    """
    point = evaluation.operating_point
    counts = evaluation.confusion.sum(axis=1)
    held = ", ".join(f"{count} {name}" for name, count in zip(point.classes, counts, strict=True))
    lines = [
        f"{evaluation.split}: {evaluation.n} films of {evaluation.n_groups} patients ({held})",
        _decision(point),
        f"  ({threshold_origin(evaluation)})",
        *_warning_lines(evaluation),
        "",
        *_figure_lines(evaluation, ""),
    ]
    if len(point.classes) > TWO_CLASSES:
        if point.positive_classes:
            lines += ["", *_figure_lines(evaluation, "_positive")]
        lines += ["", *_class_lines(evaluation)]
    return "\n".join([*lines, "", *_confusion_lines(evaluation)])


def _warning_lines(evaluation: Evaluation) -> list[str]:
    seen = evaluation.facts.seen
    return [] if seen is None or seen.warning is None else [f"WARNING: {seen.warning}"]


def _decision(point: OperatingPoint) -> str:
    calibration = f"temperature {point.temperature:.4g}, bias {point.bias:.3g}"
    if point.threshold is None:
        return f"the most probable class is called, {calibration}"
    group = " + ".join(point.positive_classes)
    return f"threshold {point.threshold:.4g} on the probability of {group}, {calibration}"


def _figure_lines(evaluation: Evaluation, suffix: str) -> list[str]:
    point = evaluation.operating_point
    head = ""
    if suffix:
        head = " + ".join(point.positive_classes)
    elif len(point.classes) > TWO_CLASSES:
        head = "mean of classes"
    return [f"{head:<20} {'value':>6}   95 % interval"] + [
        f"{title:<20} {_values(evaluation.figures[name + suffix])}"
        for name, title in TITLES.items()
    ]


def _class_lines(evaluation: Evaluation) -> list[str]:
    point = evaluation.operating_point
    width = max(map(len, point.classes))
    lines = [f"{'':<{width}}  " + "  ".join(f"{name:>11}" for name in ("films", *OF_CLASS))]
    for name, count in zip(point.classes, evaluation.confusion.sum(axis=1), strict=True):
        values = [evaluation.figures[f"{figure}_{name}"].value for figure in OF_CLASS]
        cells = [f"{'-' if value is None else format(value, '.3f'):>11}" for value in values]
        lines.append(f"{name:<{width}}  " + "  ".join([f"{count:>11}", *cells]))
    return lines


def _confusion_lines(evaluation: Evaluation) -> list[str]:
    classes = evaluation.operating_point.classes
    width = max(map(len, classes)) + len("predicted ")
    lines = [" " * (width + 2) + "  ".join(f"{'predicted ' + n:>{width}}" for n in classes)]
    for name, row in zip(classes, evaluation.confusion, strict=True):
        cells = "  ".join(f"{count:>{width}}" for count in row)
        lines.append(f"{'true ' + name:<{width}}  {cells}")
    return lines


def _values(figure: Figure) -> str:
    if figure.value is None:
        return "     -   undefined on these cases"
    if figure.low is None or figure.high is None:
        return f"{figure.value:>6.3f}   none"
    return f"{figure.value:>6.3f}   {figure.low:.3f} to {figure.high:.3f}"
