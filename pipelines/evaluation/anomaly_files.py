"""An evaluation of anomalies becomes files: tables for programs, pictures for people."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.datasets.anomaly import CLASSES
from pipelines.evaluation import anomaly_plots as plots
from pipelines.evaluation.anomaly import (
    AnomalyEvaluation,
    figures_of_part,
    threshold_origin,
)
from pipelines.evaluation.anomaly_rows import COLUMNS, anomaly_cells
from pipelines.evaluation.figures import TITLES
from pipelines.evaluation.subgroups import measure_subgroups, write_subgroups
from pipelines.files import write_csv, write_json
from pipelines.table_cells import table_number
from pipelines.training.reconstruction_metrics import MEASURES


def write_anomalies(output_dir: Path, evaluation: AnomalyEvaluation) -> None:
    """Write all that a reader may want to see, pictures of single films apart.

    `metrics.json`, `metrics.csv`, `predictions.csv`, `scores.png`, and where both kinds of film
    are there `roc.png` and `precision_recall.png`, with columns `subgroups.csv` and
    `subgroups.png`.

    Args:
        output_dir: Folder to write to; made if missing.
        evaluation: The evaluation.
    """
    write_csv(
        output_dir / "metrics.csv",
        ["metric", "value", "ci_low", "ci_high"],
        _metric_rows(evaluation),
    )
    write_csv(
        output_dir / "predictions.csv",
        [COLUMNS[0], "label", *COLUMNS[1:], *MEASURES, *_other_scores(evaluation)],
        _film_rows(evaluation),
    )
    plots.draw_score_histogram(output_dir / "scores.png", evaluation)
    if evaluation.cases.has_both:
        plots.draw_anomaly_roc(output_dir / "roc.png", evaluation)
        plots.draw_anomaly_precision_recall(output_dir / "precision_recall.png", evaluation)
        write_subgroups(
            output_dir,
            measure_subgroups(
                evaluation.facts.columns,
                evaluation.cases.groups,
                measure=partial(figures_of_part, evaluation),
            ),
            shown={name: TITLES[name] for name in ("auroc", "sensitivity", "specificity")},
            heading=f"Subgroups · {evaluation.split}",
            note=evaluation.note,
        )
    # Last, since its being there says that the run has its results.
    write_json(output_dir / "metrics.json", _metrics(evaluation))


def _metrics(evaluation: AnomalyEvaluation) -> dict[str, object]:
    point, cases = evaluation.point, evaluation.cases
    counts = np.bincount(cases.labels, minlength=len(CLASSES)).tolist()
    flagged = evaluation.scores > point.out_of_distribution
    return {
        "split": evaluation.split,
        "n": len(cases),
        "n_groups": len(set(cases.groups)),
        "films": dict(zip(CLASSES, counts, strict=True)),
        "score": point.score.value,
        "threshold": point.threshold,
        "criterion": point.criterion,
        "target": point.target,
        "chosen_on": point.split,
        "threshold_origin": threshold_origin(evaluation),
        **evaluation.facts.as_json(),
        "out_of_distribution": {
            "limit": point.out_of_distribution,
            "share_of_films_above": float(flagged.mean()),
        },
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap by group of near copies",
            "resamples": evaluation.resamples,
            "seed": evaluation.seed,
        },
        "metrics": {name: asdict(figure) for name, figure in evaluation.figures.items()},
        "auroc_of_scores": {name: asdict(figure) for name, figure in evaluation.others.items()},
    }


def _metric_rows(evaluation: AnomalyEvaluation) -> Iterator[dict[str, object]]:
    others = {f"auroc_{name}": figure for name, figure in evaluation.others.items()}
    for name, figure in (*evaluation.figures.items(), *others.items()):
        yield {"metric": name, "value": figure.value, "ci_low": figure.low, "ci_high": figure.high}


def _other_scores(evaluation: AnomalyEvaluation) -> list[str]:
    return [name.value for name in evaluation.cases.measured.scores]


def _film_rows(evaluation: AnomalyEvaluation) -> Iterator[dict[str, object]]:
    point, cases = evaluation.point, evaluation.cases
    measured = {name: cases.measured.measures[name] for name in MEASURES}
    measured |= {name.value: values for name, values in cases.measured.scores.items()}
    for place, (name, score) in enumerate(zip(cases.filenames, evaluation.scores, strict=True)):
        cells = anomaly_cells(
            name,
            float(score),
            anomalous=bool(score >= point.threshold),
            out_of_distribution=bool(score > point.out_of_distribution),
        )
        numbers = {title: table_number(float(values[place])) for title, values in measured.items()}
        yield cells | numbers | {"label": CLASSES[cases.labels[place]]}
