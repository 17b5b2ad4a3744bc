"""Pictures of an evaluation."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve

from pipelines.evaluation.cases import TWO_CLASSES, Cases, Floats
from pipelines.evaluation.classification import Evaluation
from pipelines.evaluation.figures import TITLES
from pipelines.evaluation.one_against_rest import RELIABILITY_BINS, reliability_bin
from pipelines.evaluation.pictures import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    VERMILION,
    legend_below,
    note_below,
    picture_file,
    plain_axes,
)
from pipelines.evaluation.questions import POSITIVE, Booleans, Question, is_whole
from pipelines.training.confusion import draw_confusion, matrix_inches

_LINES = ("-", "--", "-.", ":")


def draw_roc(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw a receiver operating characteristic for each class, with the operating point.

    Args:
        path: PNG to write.
        cases: Cases of every class.
        evaluation: Of these cases.
    """
    with _square(path, "1 - specificity", "Sensitivity", evaluation=evaluation) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="Chance")
        for place, question in enumerate(evaluation.operating_point.questions_of(cases)):
            false_positive, sensitivity, _ = roc_curve(
                question.truth, question.odds, drop_intermediate=False
            )
            axes.plot(
                false_positive,
                sensitivity,
                label=_name(question) + _legend(evaluation, "auroc" + question.suffix),
                **_line(question, place),
            )
            if _is_decided(question, evaluation):
                figures = evaluation.figures
                specificity = figures["specificity" + question.suffix].value or 0
                _mark(axes, 1 - specificity, figures["sensitivity" + question.suffix].value or 0)
        axes.set_title(_title("ROC", evaluation))
        axes.legend(loc="lower right", **_legend_size(evaluation))


def draw_precision_recall(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw precision against recall for each class, with the operating point.

    Of two classes, the prevalence is shown too: the precision of chance.

    Args:
        path: PNG to write.
        cases: Cases of every class.
        evaluation: Of these cases.
    """
    with _square(path, "Recall (sensitivity)", "Precision (PPV)", evaluation=evaluation) as axes:
        for place, question in enumerate(evaluation.operating_point.questions_of(cases)):
            prevalence = float(question.truth.mean())
            if not question.suffix:
                label = f"Prevalence {prevalence:.2f}"
                axes.axhline(prevalence, color=GREY, linewidth=1, linestyle=":", label=label)
            precision, recall, _ = precision_recall_curve(question.truth, question.odds)
            axes.step(
                recall,
                precision,
                where="post",
                label=_name(question) + _legend(evaluation, "auprc" + question.suffix),
                **_line(question, place),
            )
            figures = evaluation.figures
            ppv = figures["ppv" + question.suffix].value
            if _is_decided(question, evaluation) and ppv is not None:
                _mark(axes, figures["sensitivity" + question.suffix].value or 0, ppv)
        axes.set_title(_title("Precision and recall", evaluation))
        axes.legend(loc="lower left", **_legend_size(evaluation))


def draw_reliability(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw how often each predicted probability came true; the area of a dot is its cases.

    Of two classes it is the probability of class 1; of more, that of the most probable class, and
    of the positive classes together.

    Args:
        path: PNG to write.
        cases: The cases.
        evaluation: Of these cases.
    """
    lines = _reliability_lines(cases, evaluation)
    name = f" of {cases.classes[1]}" if len(cases.classes) == TWO_CLASSES else ""
    with _square(
        path, f"Predicted probability{name}", f"Observed share{name}", evaluation=evaluation
    ) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="Perfect")
        for line in lines:
            bins = reliability_bin(line.probability)
            counts = bins.sum(axis=0)
            held = counts > 0
            predicted = (line.probability @ bins)[held] / counts[held]
            observed = (line.truth @ bins)[held] / counts[held]
            axes.plot(predicted, observed, color=line.colour, label=line.label)
            axes.scatter(
                predicted,
                observed,
                s=30 + 400 * counts[held] / counts.sum(),
                color=line.colour,
                edgecolor="white",
                zorder=3,
                clip_on=False,
            )
        axes.set_title(_title(f"Reliability, {RELIABILITY_BINS} bins", evaluation))
        axes.legend(loc="upper left", **_legend_size(evaluation))


def draw_scores(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw the calibrated probabilities of the films of each class and of the others.

    Of three classes or more, each has a panel, and so have the positive classes together.

    Args:
        path: PNG to write.
        cases: The cases.
        evaluation: Of these cases.
    """
    questions = evaluation.operating_point.questions_of(cases)
    across = math.ceil(math.sqrt(len(questions)))
    down = math.ceil(len(questions) / across)
    inches = (6.4, 4.0) if len(questions) == 1 else (3.6 * across, 0.7 + 2.6 * down)
    with picture_file(path, inches) as picture:
        for place, question in enumerate(questions, start=1):
            axes = plain_axes(
                picture.add_subplot(down, across, place), f"Probability of {question.title}", ""
            )
            _draw_histograms(axes, question, evaluation=evaluation)
        picture.suptitle(_title("Calibrated probabilities", evaluation))
        legend_below(picture, axes, evaluation.note, columns=3)


def draw_confusion_matrix(path: Path, evaluation: Evaluation) -> None:
    """Draw the confusion matrix with counts and shares of each true class.

    Args:
        path: PNG to write.
        evaluation: The evaluation.
    """
    classes = evaluation.operating_point.classes
    with picture_file(path, matrix_inches(classes)) as picture:
        axes = picture.add_subplot()
        draw_confusion(axes, evaluation.confusion, classes=classes)
        axes.set_title(_title("Confusion matrix", evaluation))
        note_below(picture, evaluation.note)


class _ReliabilityLine(NamedTuple):
    """One line of a reliability diagram."""

    probability: Floats
    truth: Booleans
    colour: str
    label: str


def _reliability_lines(cases: Cases, evaluation: Evaluation) -> list[_ReliabilityLine]:
    lines = [
        _ReliabilityLine(
            probability=question.probability,
            truth=question.truth,
            colour=VERMILION if question.suffix else BLUE,
            label=_name(question) + _legend(evaluation, "ece" + question.suffix),
        )
        for question in evaluation.operating_point.questions_of(cases)
        if is_whole(question.suffix)
    ]
    if len(cases.classes) == TWO_CLASSES:
        return lines
    calibrated = evaluation.operating_point.calibrate(cases.logits)
    likeliest = _ReliabilityLine(
        probability=calibrated.max(axis=1),
        truth=calibrated.argmax(axis=1) == cases.labels,
        colour=BLUE,
        label="Most probable class: " + _legend(evaluation, "ece"),
    )
    return [likeliest, *lines]


def _draw_histograms(axes: Axes, question: Question, *, evaluation: Evaluation) -> None:
    point = evaluation.operating_point
    names = ("Others", "That class or group")
    if not question.suffix:
        names = (f"True {point.classes[0]}", f"True {point.classes[1]}")
    for name, chosen, colour, hatch in zip(
        names, (~question.truth, question.truth), CLASS_COLOURS[:2], ("", "///"), strict=True
    ):
        axes.hist(
            question.probability[chosen],
            bins=np.linspace(0, 1, 41).tolist(),
            histtype="stepfilled",
            facecolor=f"{colour}66",
            edgecolor=colour,
            linewidth=1.5,
            hatch=hatch,
            label=name,
        )
    if point.threshold is not None and is_whole(question.suffix):
        label = f"Threshold {point.threshold:.3g}"
        axes.axvline(point.threshold, color="black", linestyle="--", label=label)
    # Most scores lie at the ends; a straight axis would hide the few between, which matter.
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0, 1)
    axes.set_ylabel("Films")


def _is_decided(question: Question, evaluation: Evaluation) -> bool:
    return is_whole(question.suffix) and evaluation.operating_point.threshold is not None


def _name(question: Question) -> str:
    return f"{question.title}: " if question.suffix else ""


def _line(question: Question, place: int) -> dict[str, Any]:
    if question.suffix == f"_{POSITIVE}":
        return {"color": "black"}
    style = _LINES[place // len(CLASS_COLOURS) % len(_LINES)]
    return {"color": CLASS_COLOURS[place % len(CLASS_COLOURS)], "linestyle": style}


def _legend(evaluation: Evaluation, name: str) -> str:
    figure = evaluation.figures[name]
    title = TITLES[name.partition("_")[0]]
    if figure.value is None:
        return f"{title} undefined"
    if figure.low is None or figure.high is None:
        return f"{title} {figure.value:.3f}"
    return f"{title} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _legend_size(evaluation: Evaluation) -> dict[str, Any]:
    many = len(evaluation.operating_point.classes) > TWO_CLASSES
    return {"fontsize": "small"} if many else {}


def _title(what: str, evaluation: Evaluation) -> str:
    return f"{what} · {evaluation.split}, {evaluation.n} films"


def _mark(axes: Axes, x: float, y: float) -> None:
    axes.plot(
        x,
        y,
        marker="D",
        markersize=8,
        linestyle="none",
        color=VERMILION,
        markeredgecolor="white",
        label=f"Operating point ({x:.3f}, {y:.3f})",
        clip_on=False,
        zorder=4,
    )


@contextmanager
def _square(path: Path, x: str, y: str, *, evaluation: Evaluation) -> Iterator[Axes]:
    side = 5.2 if len(evaluation.operating_point.classes) == TWO_CLASSES else 6.8
    with picture_file(path, (side, side)) as picture:
        axes = plain_axes(picture.add_subplot(), x, y)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal")
        note_below(picture, evaluation.note)
        yield axes
