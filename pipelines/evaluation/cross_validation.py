"""Figures of cross-validation: each fold's own, their mean, and all films together out of fold.

Pooled, every film is judged by the one network that has not seen it. A classifier's threshold would
still have been chosen on the very films that it is judged on, so each fold is decided anew with the
threshold that its criterion gives on the films of the other folds.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import DatasetError
from pipelines.evaluation.bootstrap import bootstrap_intervals
from pipelines.evaluation.calibration import probability_of
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.comparison import (
    ComparedRun,
    compared_figures,
    draw_runs,
    figure_cell,
)
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.recorded import paired_run
from pipelines.evaluation.thresholds import choose_threshold, decide
from pipelines.files import write_csv
from pipelines.text_table import text_table

logger = logging.getLogger(__name__)

Row = Mapping[str, str]

_CHOSEN_WITHOUT_CASES = ("given", "argmax")
_PARTS = ("part", "films", "metric", "value", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """What the run of one fold wrote.

    Attributes:
        name: Of its folder.
        films: Its rows, one a film.
        groups: Patient of each film.
        metrics: The content of its `metrics.json`.
    """

    name: str
    films: Sequence[Row]
    groups: Sequence[str]
    metrics: Mapping[str, object]

    @property
    def figures(self) -> dict[str, Figure]:
        """Its own figures."""
        found = self.metrics.get("metrics")
        listed: Mapping[str, Mapping[str, float | None]] = found if isinstance(found, dict) else {}
        return {name: Figure(**each) for name, each in listed.items()}


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """All folds together.

    Attributes:
        folds: In order.
        films: Rows of all films as they are judged out of fold, with the key `fold`.
        n_groups: Number of patients.
        pooled: Figures of these rows, with 95 % intervals by patient.
    """

    folds: Sequence[FoldResult]
    films: Sequence[Row]
    n_groups: int
    pooled: Mapping[str, Figure]

    def mean(self) -> dict[str, tuple[float, float]]:
        """Return mean and standard deviation over the folds of each figure that all have."""
        figures = [fold.figures for fold in self.folds]
        found: dict[str, tuple[float, float]] = {}
        for name in figures[0]:
            values = [each[name].value for each in figures if name in each]
            known = [value for value in values if value is not None]
            if len(known) == len(figures):
                found[name] = (float(np.mean(known)), float(np.std(known, ddof=1)))
        return found


def cross_validation_of(folds: Sequence[FoldResult], *, seed: int = 0) -> CrossValidation:
    """Judge every film by the fold that has not seen it.

    Args:
        folds: Two or more, of one task, with different films.
        seed: Of the bootstrap by patient.

    Returns:
        The figures.
    """
    films = [
        {"filename": row["filename"], "fold": fold.name} | dict(row)
        for fold in folds
        for row in _judged(fold, [other for other in folds if other is not fold])
    ]
    groups = [group for fold in folds for group in fold.groups]
    statistic = paired_run("out of fold", _comparable(films, folds), folds[0].metrics).statistic

    def quietly(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return statistic(weights)

    values = quietly(np.ones((1, len(films))))
    intervals = bootstrap_intervals(quietly, groups, seed=seed)
    pooled = {name: Figure.of(value[0], intervals[name]) for name, value in values.items()}
    return CrossValidation(folds, films, len(set(groups)), pooled)


def format_cross_validation(found: CrossValidation) -> str:
    """Lay the figures out as text, without a line end at the end."""
    shown = compared_figures(_runs(found))
    mean = found.mean()
    body = [["", "films", *shown.values()]]
    for run in _runs(found):
        cells = [figure_cell(run.figures[name]) for name in shown]
        body.append([run.name, str(run.films), *cells])
    spread = [f"{mean[n][0]:.3f} +- {mean[n][1]:.3f}" if n in mean else "-" for n in shown]
    body.insert(-1, ["mean", "", *spread])
    first = (
        f"{len(found.folds)} folds, {found.n_groups} patients; 95 % intervals, mean +- deviation"
    )
    return f"{first}\n{text_table(body)}"


def write_cross_validation(output_dir: Path, found: CrossValidation) -> None:
    """Write `cross_validation.csv`, `cross_validation.png` and `predictions.csv`.

    Args:
        output_dir: Folder to write to; made if missing.
        found: The figures.
    """
    write_csv(output_dir / "cross_validation.csv", _PARTS, _part_rows(found))
    columns = list(dict.fromkeys(key for row in found.films for key in row))
    write_csv(output_dir / "predictions.csv", columns, found.films)
    runs = _runs(found)
    draw_runs(output_dir / "cross_validation.png", runs, compared_figures(runs))


def _runs(found: CrossValidation) -> list[ComparedRun]:
    folds = [
        ComparedRun(fold.name, "validation", len(fold.films), fold.figures) for fold in found.folds
    ]
    return [*folds, ComparedRun("pooled", "out of fold", len(found.films), found.pooled)]


def _part_rows(found: CrossValidation) -> Iterator[dict[str, object]]:
    for run in _runs(found):
        for name, figure in run.figures.items():
            values = (run.name, run.films, name, figure.value, figure.low, figure.high)
            yield dict(zip(_PARTS, values, strict=True))
    for place, part in enumerate(("mean", "deviation")):
        for name, pair in found.mean().items():
            values = (part, len(found.films), name, pair[place], None, None)
            yield dict(zip(_PARTS, values, strict=True))


def _judged(fold: FoldResult, others: Sequence[FoldResult]) -> list[Row]:
    """The rows of a fold; those of a classifier decided by the threshold of the other folds."""
    columns = [key for key in fold.films[0] if key.startswith("prob_")]
    criterion = fold.metrics.get("criterion")
    if not columns or "predicted_label" not in fold.films[0] or criterion in _CHOSEN_WITHOUT_CASES:
        return list(fold.films)
    classes = [column.removeprefix("prob_") for column in columns]
    listed = fold.metrics.get("positive_classes")
    positive = [classes.index(str(name)) for name in listed] if isinstance(listed, list) else [1]
    seen = [row for other in others for row in other.films]
    labels = np.array([classes.index(row["label"]) in positive for row in seen], dtype=np.int64)
    try:
        threshold = choose_threshold(
            labels,
            probability_of(_probabilities(seen, columns), positive),
            criterion=criterion,  # type: ignore[arg-type]
            target=fold.metrics.get("target"),  # type: ignore[arg-type]
        )
    except DatasetError as error:
        logger.warning("%s keeps its own threshold: %s", fold.name, error)
        return list(fold.films)
    told = _probabilities(fold.films, columns)
    called = decide(told, threshold=threshold, positive=positive)
    return [
        dict(row)
        | {
            "predicted_class": str(index),
            "predicted_label": classes[index],
            "confidence": row[columns[index]],
        }
        for row, index in zip(fold.films, called.tolist(), strict=True)
    ]


def _comparable(films: Sequence[Row], folds: Sequence[FoldResult]) -> list[Row]:
    """Scores of anomaly detectors in units of their fold's threshold; other rows as they are."""
    if "anomaly_score" not in films[0]:
        return list(films)
    limits = {fold.name: float(str(fold.metrics["threshold"])) for fold in folds}
    return [
        dict(row) | {"anomaly_score": str(float(row["anomaly_score"]) / limits[row["fold"]])}
        for row in films
    ]


def _probabilities(films: Sequence[Row], columns: Sequence[str]) -> Floats:
    return np.array([[float(row[column]) for column in columns] for row in films])
