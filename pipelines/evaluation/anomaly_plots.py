"""Pictures of how well an anomaly score tells films apart."""

from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from pipelines.datasets.anomaly import CLASSES
from pipelines.evaluation.anomaly import AnomalyEvaluation
from pipelines.evaluation.figures import Figure
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

_BINS = 40
_SHOWN_QUANTILE = 0.995
_SQUARE = (5.2, 5.2)
_SCORE_TITLES = {
    "mean_error": "Mean squared error",
    "top_error": "Mean of the largest 1 % of the errors",
    "patch_ssim": "1 - SSIM of the least similar patches",
    "combined": "Distance of the profile and mean error together (1: ordinary)",
    "profile": "Distance of the profile from normal films",
}


def draw_score_histogram(path: Path, evaluation: AnomalyEvaluation) -> None:
    """Draw the scores of each kind of film with threshold and limit.

    Args:
        path: PNG to write.
        evaluation: The evaluation.
    """
    point, scores, labels = evaluation.point, evaluation.scores, evaluation.cases.labels
    # A few films far out would leave no room for all others; the last bin holds them.
    highest = float(np.quantile(scores, _SHOWN_QUANTILE))
    end = 1.05 * max(highest, point.threshold, point.out_of_distribution)
    edges = np.linspace(min(float(scores.min()), end), end, _BINS + 1)
    with picture_file(path, (6.4, 4.0)) as picture:
        axes = plain_axes(picture.add_subplot(), _SCORE_TITLES[point.score], "Films")
        for kind, name in enumerate(CLASSES):
            if (labels == kind).any():
                axes.hist(
                    np.minimum(scores[labels == kind], end),
                    bins=edges.tolist(),
                    histtype="stepfilled",
                    facecolor=f"{CLASS_COLOURS[kind]}66",
                    edgecolor=CLASS_COLOURS[kind],
                    linewidth=1.5,
                    hatch=("", "///")[kind],
                    label=name.capitalize(),
                )
        axes.axvline(
            point.threshold, color="black", linestyle="--", label=f"Threshold {point.threshold:.3g}"
        )
        axes.axvline(
            point.out_of_distribution,
            color=GREY,
            linestyle=":",
            label=f"Does not belong above {point.out_of_distribution:.3g}",
        )
        axes.set_title(_title("Anomaly score", evaluation))
        legend_below(picture, axes, evaluation.note)


def draw_anomaly_roc(path: Path, evaluation: AnomalyEvaluation) -> None:
    """Draw the receiver operating characteristic with the operating point.

    Args:
        path: PNG to write.
        evaluation: Of films of both kinds.
    """
    figures = evaluation.figures
    false_positive, sensitivity, _ = roc_curve(
        evaluation.cases.labels, evaluation.scores, drop_intermediate=False
    )
    with picture_file(path, _SQUARE) as picture:
        axes = plain_axes(picture.add_subplot(), "1 - specificity", "Sensitivity")
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="Chance")
        axes.plot(false_positive, sensitivity, color=BLUE, label=_named("AUROC", figures["auroc"]))
        axes.plot(
            1 - (figures["specificity"].value or 0),
            figures["sensitivity"].value or 0,
            marker="D",
            markersize=8,
            linestyle="none",
            color=VERMILION,
            label="Operating point",
        )
        axes.set_aspect("equal")
        axes.set_title(_title("ROC", evaluation))
        note_below(picture, evaluation.note)
        axes.legend(loc="lower right")


def draw_anomaly_precision_recall(path: Path, evaluation: AnomalyEvaluation) -> None:
    """Draw precision against recall with the share of anomalous films.

    Args:
        path: PNG to write.
        evaluation: Of films of both kinds.
    """
    labels = evaluation.cases.labels
    precision, recall, _ = precision_recall_curve(labels, evaluation.scores)
    share = float(labels.mean())
    with picture_file(path, _SQUARE) as picture:
        axes = plain_axes(picture.add_subplot(), "Recall (sensitivity)", "Precision (PPV)")
        axes.axhline(share, color=GREY, linewidth=1, linestyle=":", label=f"Share {share:.2f}")
        axes.step(
            recall,
            precision,
            where="post",
            color=BLUE,
            label=_named("AUPRC", evaluation.figures["auprc"]),
        )
        axes.set_ylim(-0.01, 1.01)
        axes.set_title(_title("Precision and recall", evaluation))
        note_below(picture, evaluation.note)
        axes.legend(loc="lower left")


def _named(name: str, figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return name if figure.value is None else f"{name} {figure.value:.3f}"
    return f"{name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _title(what: str, evaluation: AnomalyEvaluation) -> str:
    return f"{what} · {evaluation.split}, {len(evaluation.cases)} films"
