"""An evaluation becomes files: tables for programs, pictures for people."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines.evaluation import plots
from pipelines.evaluation.cases import TWO_CLASSES, Cases, Integers
from pipelines.evaluation.classification import Evaluation, evaluate, threshold_origin
from pipelines.evaluation.decision_files import write_decision_curves
from pipelines.evaluation.figures import TITLES, Figure, figure_titles
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.prediction_table import prediction_columns, prediction_row
from pipelines.evaluation.questions import POSITIVE
from pipelines.evaluation.subgroups import measure_subgroups, write_subgroups
from pipelines.evaluation.trained_on import SplitFacts
from pipelines.files import write_csv, write_json


def write_evaluation(
    output_dir: Path,
    cases: Cases,
    operating_point: OperatingPoint,
    *,
    split: str,
    facts: SplitFacts | None = None,
    seed: int = 0,
) -> Evaluation:
    """Evaluate cases and write all that a reader may want to see.

    `metrics.json`, `metrics.csv`, `predictions.csv`, `confusion_matrix.csv`,
    `confusion_matrix.png`, `scores.png`, `reliability.png`, and where every class has cases
    `roc.png`, `precision_recall.png`, `decision_curve.csv` and `decision_curve.png`; with columns
    `subgroups.csv` and `subgroups.png`.

    Args:
        output_dir: Folder to write to; made if missing.
        cases: Labelled cases.
        operating_point: Chosen on validation cases, used unchanged.
        split: Name of the split the cases are from.
        facts: What is known of the split and of the weights.
        seed: Of the bootstrap.

    Returns:
        The evaluation.
    """
    evaluation = evaluate(cases, operating_point, split=split, seed=seed)
    evaluation = replace(evaluation, facts=facts or SplitFacts())
    write_csv(
        output_dir / "metrics.csv",
        ["metric", "value", "ci_low", "ci_high", "title"],
        _metric_rows(evaluation),
    )
    name, *others = prediction_columns(cases.classes)
    write_csv(
        output_dir / "predictions.csv",
        [name, "label", *others],
        _prediction_rows(cases, operating_point),
    )
    _write_confusion_matrix(output_dir / "confusion_matrix.csv", evaluation)
    plots.draw_confusion_matrix(output_dir / "confusion_matrix.png", evaluation)
    plots.draw_scores(output_dir / "scores.png", cases, evaluation=evaluation)
    plots.draw_reliability(output_dir / "reliability.png", cases, evaluation=evaluation)
    if len(np.unique(cases.labels)) == len(cases.classes):
        plots.draw_roc(output_dir / "roc.png", cases, evaluation=evaluation)
        plots.draw_precision_recall(
            output_dir / "precision_recall.png", cases, evaluation=evaluation
        )
        write_decision_curves(output_dir, cases, evaluation=evaluation)
    _write_subgroups(output_dir, cases, evaluation=evaluation)
    # Last, since its being there says that the run has its results.
    write_json(output_dir / "metrics.json", _metrics(evaluation))
    return evaluation


def _write_subgroups(folder: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Write the figures of two classes, or of the means and of the positive classes together."""
    point = evaluation.operating_point
    together = len(cases.classes) > TWO_CLASSES and point.positive_classes
    suffixes = ("", f"_{POSITIVE}") if together else ("",)
    names = [name + suffix for suffix in suffixes for name in TITLES]
    titles = figure_titles(cases.classes, point.positive_classes)

    def measure(places: Integers) -> dict[str, Figure]:
        figures = point.figures_of(
            cases.take(places), resamples=evaluation.resamples, seed=evaluation.seed
        )
        return {name: figures[name] for name in names}

    shown = [name + suffixes[-1] for name in ("auroc", "sensitivity", "specificity")]
    write_subgroups(
        folder,
        measure_subgroups(evaluation.facts.columns, cases.groups, measure=measure),
        shown={name: titles[name] for name in shown},
        heading=f"Subgroups · {evaluation.split}",
        note=evaluation.note,
    )


def _metrics(evaluation: Evaluation) -> dict[str, object]:
    point = evaluation.operating_point
    return {
        "split": evaluation.split,
        "n": evaluation.n,
        "n_groups": evaluation.n_groups,
        "classes": point.classes,
        "threshold": point.threshold,
        "temperature": point.temperature,
        "bias": point.bias,
        "positive_classes": point.positive_classes,
        "criterion": point.criterion,
        "target": point.target,
        "chosen_on": point.split,
        "threshold_origin": threshold_origin(evaluation),
        **evaluation.facts.as_json(),
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap by patient",
            "resamples": evaluation.resamples,
            "seed": evaluation.seed,
        },
        "metrics": {name: asdict(figure) for name, figure in evaluation.figures.items()},
        "confusion_matrix": evaluation.confusion.tolist(),
    }


def _metric_rows(evaluation: Evaluation) -> Iterator[dict[str, object]]:
    point = evaluation.operating_point
    for name, title in figure_titles(point.classes, point.positive_classes).items():
        figure = evaluation.figures[name]
        yield {
            "metric": name,
            "value": figure.value,
            "ci_low": figure.low,
            "ci_high": figure.high,
            "title": title,
        }


def _prediction_rows(cases: Cases, operating_point: OperatingPoint) -> Iterator[dict[str, object]]:
    records = operating_point.classify(cases.filenames, cases.logits)
    for label, record in zip(cases.labels, records, strict=True):
        yield prediction_row(record) | {"label": cases.classes[label]}


def _write_confusion_matrix(path: Path, evaluation: Evaluation) -> None:
    classes = evaluation.operating_point.classes
    shares = evaluation.confusion / np.maximum(evaluation.confusion.sum(axis=1, keepdims=True), 1)
    columns = [f"{kind}_{name}" for kind in ("predicted", "share") for name in classes]
    write_csv(
        path,
        ["label", *columns],
        (
            {"label": name} | dict(zip(columns, cells, strict=True))
            for name, *cells in zip(
                classes, *evaluation.confusion.T.tolist(), *shares.T.tolist(), strict=True
            )
        ),
    )
