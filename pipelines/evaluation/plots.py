"""Pictures of an evaluation; colours from Okabe and Ito, told apart by colour-blind people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from sklearn.metrics import precision_recall_curve, roc_curve

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.classification import Evaluation
from pipelines.evaluation.figures import TITLES
from pipelines.evaluation.one_against_rest import RELIABILITY_BINS, reliability_bin
from pipelines.files import whole_file
from pipelines.training.confusion import draw_confusion, matrix_inches

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#767676"
CLASS_COLOURS = (BLUE, VERMILION)
"""Colour of each class, in all pictures."""


def draw_roc(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw the receiver operating characteristic with the operating point.

    Args:
        path: PNG to write.
        cases: Cases of both classes.
        evaluation: Of these cases.
    """
    false_positive, sensitivity, _ = roc_curve(cases.labels, cases.logits, drop_intermediate=False)
    with _square(path, "1 - specificity", "Sensitivity") as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="Chance")
        axes.plot(false_positive, sensitivity, color=BLUE, label=_legend(evaluation, "auroc"))
        figures = evaluation.figures
        _mark(axes, 1 - (figures["specificity"].value or 0), figures["sensitivity"].value or 0)
        axes.set_title(_title("ROC", evaluation))
        axes.legend(loc="lower right")


def draw_precision_recall(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw precision against recall with the operating point and the prevalence.

    Args:
        path: PNG to write.
        cases: Cases of both classes.
        evaluation: Of these cases.
    """
    precision, recall, _ = precision_recall_curve(cases.labels, cases.logits)
    prevalence = float(cases.labels.mean())
    with _square(path, "Recall (sensitivity)", "Precision (PPV)") as axes:
        axes.axhline(
            prevalence, color=GREY, linewidth=1, linestyle=":", label=f"Prevalence {prevalence:.2f}"
        )
        axes.step(recall, precision, where="post", color=BLUE, label=_legend(evaluation, "auprc"))
        figures = evaluation.figures
        if figures["ppv"].value is not None:
            _mark(axes, figures["sensitivity"].value or 0, figures["ppv"].value)
        axes.set_title(_title("Precision and recall", evaluation))
        axes.legend(loc="lower left")


def draw_reliability(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw how often each predicted probability came true; the area of a dot is its cases.

    Args:
        path: PNG to write.
        cases: The cases.
        evaluation: Of these cases.
    """
    point = evaluation.operating_point
    positive = point.calibrate(cases.logits)[:, 1]
    bins = reliability_bin(positive)
    counts = bins.sum(axis=0)
    held = counts > 0
    predicted, observed = (positive @ bins)[held] / counts[held], (cases.labels @ bins)[held]
    observed = observed / counts[held]
    with _square(
        path,
        f"Predicted probability of {point.classes[1]}",
        f"Observed share of {point.classes[1]}",
    ) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="Perfect")
        axes.plot(predicted, observed, color=BLUE, label=_legend(evaluation, "ece"))
        axes.scatter(
            predicted,
            observed,
            s=30 + 400 * counts[held] / counts.sum(),
            color=BLUE,
            edgecolor="white",
            zorder=3,
            clip_on=False,
        )
        axes.set_title(_title(f"Reliability, {RELIABILITY_BINS} bins", evaluation))
        axes.legend(loc="upper left")


def draw_scores(path: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Draw the calibrated probabilities of each class with the threshold.

    Args:
        path: PNG to write.
        cases: The cases.
        evaluation: Of these cases.
    """
    point = evaluation.operating_point
    positive = point.calibrate(cases.logits)[:, 1]
    with picture_file(path, (6.4, 4.0)) as picture:
        axes = plain_axes(
            picture.add_subplot(), f"Calibrated probability of {point.classes[1]}", "Films"
        )
        for index, (name, colour) in enumerate(zip(point.classes, CLASS_COLOURS, strict=True)):
            axes.hist(
                positive[cases.labels == index],
                bins=np.linspace(0, 1, 41).tolist(),
                histtype="stepfilled",
                facecolor=f"{colour}66",
                edgecolor=colour,
                linewidth=1.5,
                hatch=("", "///")[index],
                label=f"True {name}",
            )
        if point.threshold is not None:
            label = f"Threshold {point.threshold:.3g}"
            axes.axvline(point.threshold, color="black", linestyle="--", label=label)
        # Most scores lie at the ends; a straight axis would hide the few between, which matter.
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlim(0, 1)
        axes.set_title(_title("Scores", evaluation))
        picture.legend(loc="outside lower center", ncols=3, frameon=False)


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


def _legend(evaluation: Evaluation, name: str) -> str:
    figure = evaluation.figures[name]
    if figure.value is None:
        return f"{TITLES[name]} undefined"
    if figure.low is None or figure.high is None:
        return f"{TITLES[name]} {figure.value:.3f}"
    return f"{TITLES[name]} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


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
def picture_file(path: Path, inches: tuple[float, float]) -> Iterator[Picture]:
    """Give an empty picture and write it, whole or not at all, when the block ends well.

    Args:
        path: PNG to write.
        inches: Width and height; 150 pixels an inch.

    Yields:
        The picture to draw on.
    """
    picture = Picture(figsize=inches, layout="constrained")
    yield picture
    with whole_file(path) as temporary:
        picture.savefig(temporary, dpi=150)


@contextmanager
def _square(path: Path, x: str, y: str) -> Iterator[Axes]:
    with picture_file(path, (5.2, 5.2)) as picture:
        axes = plain_axes(picture.add_subplot(), x, y)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal")
        yield axes


def plain_axes(axes: Axes, x: str, y: str) -> Axes:
    """Give axes the look of all pictures.

    Args:
        axes: Empty axes.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.

    Returns:
        The same axes.
    """
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes
