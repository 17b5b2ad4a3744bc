"""The tables that an evaluation wrote become what it said of each film again."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.datasets.anomaly import CLASSES as ANOMALY_CLASSES
from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import TWO_CLASSES, Floats, Integers
from pipelines.evaluation.one_against_rest import EveryClass, OneAgainstRest
from pipelines.evaluation.paired import PairedRun
from pipelines.evaluation.questions import POSITIVE, Question

Rows = Sequence[Mapping[str, str]]

_PREDICTIONS, _CASES = "predictions.csv", "cases.csv"
_SMALLEST = 1e-12


def read_films(folder: Path) -> dict[str, Mapping[str, str]]:
    """Read the table with a row a film of an evaluation.

    Args:
        folder: Of the evaluation.

    Returns:
        The rows by file name, in alphabetical order.

    Raises:
        ConfigurationError: If there is no such table, or it has no file names.
    """
    path = next((p for p in (folder / _PREDICTIONS, folder / _CASES) if p.is_file()), None)
    if path is not None:
        with path.open(newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        if rows and all(row.get("filename") for row in rows):
            return {row["filename"]: row for row in sorted(rows, key=lambda r: r["filename"])}
    raise ConfigurationError(
        Reason.CONFIGURATION,
        f"expected {_PREDICTIONS} or {_CASES} with file names in '{folder.name}', got none; "
        "evaluate it anew",
    )


def paired_run(name: str, films: Rows, metrics: Mapping[str, object]) -> PairedRun:
    """Make a run comparable from what it wrote.

    Args:
        name: What it is called in tables.
        films: Its rows, in the order of the other runs'.
        metrics: The content of its `metrics.json`.

    Returns:
        The run.

    Raises:
        ConfigurationError: If the rows are those of no known task.
    """
    try:
        if "anomaly_score" in films[0]:
            return _of_anomalies(name, films)
        if "predicted_label" in films[0]:
            return _of_classes(name, films, metrics)
        if "dice" in films[0]:
            return _of_masks(name, films)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the rows of an evaluation for '{name}', got a fault in them: {error}; "
            "evaluate it anew",
        ) from error
    raise ConfigurationError(
        Reason.CONFIGURATION,
        f"expected classes, scores or Dice in the rows of '{name}', got "
        f"{', '.join(list(films[0])[:4])}; evaluate it anew",
    )


def _of_classes(name: str, films: Rows, metrics: Mapping[str, object]) -> PairedRun:
    classes = [key.removeprefix("prob_") for key in films[0] if key.startswith("prob_")]
    labels = np.array([classes.index(row["label"]) for row in films])
    called = np.array([classes.index(row["predicted_label"]) for row in films])
    told = np.array([[float(row[f"prob_{each}"]) for each in classes] for row in films])
    right = labels == called
    if len(classes) == TWO_CLASSES:
        question = _question("", [1], labels=labels, called=called, told=told)
        return PairedRun(
            name,
            OneAgainstRest(question).of_two,
            truth=question.truth,
            score=question.odds,
            right=right,
        )
    listed = metrics.get("positive_classes")
    positive = [classes.index(each) for each in listed] if isinstance(listed, list) else []
    groups = {f"_{each}": [place] for place, each in enumerate(classes)}
    if positive:
        groups[f"_{POSITIVE}"] = positive
    questions = [
        _question(suffix, members, labels=labels, called=called, told=told)
        for suffix, members in groups.items()
    ]
    statistic = EveryClass(labels, told, questions=questions)
    if not positive:
        return PairedRun(name, statistic, right=right)
    together = questions[-1]
    auroc = f"auroc_{POSITIVE}"
    return PairedRun(name, statistic, together.truth, score=together.odds, auroc=auroc, right=right)


def _question(
    suffix: str, members: Sequence[int], *, labels: Integers, called: Integers, told: Floats
) -> Question:
    within = np.isin(np.arange(told.shape[1]), list(members))
    probability = told[:, within].sum(axis=1)
    # Both ends come from the table: 1 less a rounded probability would have lost the small one.
    rest = told[:, ~within].sum(axis=1)
    odds = np.log(np.maximum(probability, _SMALLEST)) - np.log(np.maximum(rest, _SMALLEST))
    return Question(
        suffix=suffix,
        title="",
        truth=np.isin(labels, members),
        called=np.isin(called, members),
        odds=odds,
        probability=np.minimum(probability, 1.0),
    )


def _of_anomalies(name: str, films: Rows) -> PairedRun:
    truth = np.array([row["label"] == ANOMALY_CLASSES[1] for row in films])
    score = np.array([float(row["anomaly_score"]) for row in films])
    called = np.array([row["anomalous"] == "true" for row in films])
    question = Question("", "", truth, called=called, odds=score, probability=np.zeros(len(films)))
    measured = OneAgainstRest(question)

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        right = weights @ (truth == called) / weights.sum(axis=1)
        return {**measured.of_class(weights), "accuracy": right}

    return PairedRun(name, statistic, truth=truth, score=score, right=truth == called)


def _of_masks(name: str, films: Rows) -> PairedRun:
    """Means over films of each film's mean over structures; what is undefined is left out."""
    names = [key for key in films[0] if key.partition("_px")[0].partition("_mm")[0] in _OF_MASKS]
    values = {
        key: np.array([float(row[key]) if row[key] else np.nan for row in films]) for key in names
    }

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        return {
            key: weights @ np.nan_to_num(each) / (weights @ ~np.isnan(each))
            for key, each in values.items()
        }

    return PairedRun(name, statistic)


_OF_MASKS = frozenset({"dice", "iou", "surface_dice", "hd95", "one_piece"})
