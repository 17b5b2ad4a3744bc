"""Folds of every task become one table: films out of fold, means, pooled figures."""

import csv
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pipelines.evaluation.cross_validation import (
    FoldResult,
    cross_validation_of,
    format_cross_validation,
    write_cross_validation,
)


def fold_of(number, films, **metrics):
    names = [f"{number}/{place}.png" for place in range(len(films))]
    return FoldResult(
        f"fold-{number}",
        [{"filename": name} | film for name, film in zip(names, films, strict=True)],
        [f"p{number}-{place // 2}" for place in range(len(films))],
        metrics,
    )


def classified(number, probabilities, labels, *, threshold, **metrics):
    """A fold of a classifier that calls at its own threshold."""
    classes = ("NORMAL", "PNEUMONIA")
    films = [
        {
            "label": classes[label],
            "predicted_class": str(int(p >= threshold)),
            "predicted_label": classes[int(p >= threshold)],
            "confidence": str(max(p, 1 - p)),
            "prob_NORMAL": str(1 - p),
            "prob_PNEUMONIA": str(p),
        }
        for p, label in zip(probabilities, labels, strict=True)
    ]
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    given = {"criterion": "max_accuracy", "positive_classes": ["PNEUMONIA"], **metrics}
    return fold_of(number, films, metrics={"accuracy": figure, "auroc": figure}, **given)


def test_a_fold_is_decided_by_the_threshold_of_the_others():
    labels = [0, 0, 1, 1]
    folds = [
        # Each fold's own threshold is perfect for it; that of the other one is not.
        classified(0, [0.1, 0.2, 0.3, 0.4], labels, threshold=0.25),
        classified(1, [0.6, 0.7, 0.8, 0.9], labels, threshold=0.75),
    ]
    found = cross_validation_of(folds)
    called = [row["predicted_label"] == "PNEUMONIA" for row in found.films]
    assert called == [False] * 4 + [True] * 4
    assert found.pooled["accuracy"].value == 0.5
    assert found.films[3]["confidence"] == str(1 - 0.4)
    given = [
        classified(n, [0.1, 0.2, 0.3, 0.4], labels, threshold=0.25, criterion="given")
        for n in range(2)
    ]
    assert cross_validation_of(given).pooled["accuracy"].value == 1


def test_a_target_that_the_others_cannot_reach_leaves_the_own_threshold():
    labels = [0, 0, 1, 1]
    folds = [
        classified(n, [0.2, top, 0.6, 0.9], labels, threshold=0.5, criterion="specificity",
                   target=1.0)
        for n, top in enumerate((0.3, 1.0))
    ]  # fmt: skip
    found = cross_validation_of(folds)
    assert [row["predicted_class"] for row in found.films[:4]] == ["0", "0", "1", "1"]


def test_scores_of_anomaly_detectors_are_laid_on_one_scale():
    def anomalies(number, scale):
        films = [
            {
                "label": ("normal", "anomalous")[label],
                "anomaly_score": str(score * scale),
                "anomalous": str(score >= 1).lower(),
            }
            for score, label in ((0.5, 0), (0.8, 0), (1.2, 1), (0.9, 1))
        ]
        return fold_of(number, films, threshold=scale, metrics={})

    found = cross_validation_of([anomalies(0, 1.0), anomalies(1, 50.0)])
    assert found.pooled["auroc"].value == 1
    assert found.pooled["sensitivity"].value == 0.5
    assert found.films[4]["anomaly_score"] == str(0.5 * 50.0)


def test_masks_are_averaged_over_all_films(tmp_path):
    figure = {"dice": {"value": 0.7, "low": None, "high": None}}
    folds = [
        fold_of(n, [{"dice": str(d), "hd95_px": ""} for d in dices], metrics=figure)
        for n, dices in enumerate(([0.5, 0.9], [0.8, 0.8, 1.0]))
    ]
    found = cross_validation_of(folds)
    assert found.pooled["dice"].value == pytest.approx(0.8)
    assert found.pooled["hd95_px"].value is None
    assert found.mean() == {"dice": (pytest.approx(0.7), pytest.approx(0.0))}
    write_cross_validation(tmp_path, found)
    with Image.open(tmp_path / "cross_validation.png") as picture:
        assert min(picture.size) > 200
    with (tmp_path / "cross_validation.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [row["part"] for row in rows if row["metric"] == "dice"] == [
        *("fold-0", "fold-1", "pooled", "mean", "deviation")
    ]
    lines = format_cross_validation(found).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["fold-0", "fold-1", "mean", "pooled"]


def test_intervals_are_by_patient():
    """Two films of a patient that agree tell no more than one: the interval is wider."""
    random = np.random.default_rng(0)
    labels = (np.arange(40) // 2 % 2).tolist()
    scores = np.repeat(random.uniform(0.1, 0.9, 20), 2).tolist()
    folds = [classified(n, scores, labels, threshold=0.5, criterion="given") for n in range(2)]
    alone = [
        FoldResult(f.name, f.films, [f"{f.name}{i}" for i in range(40)], f.metrics) for f in folds
    ]
    widths = [
        found.pooled["accuracy"].high - found.pooled["accuracy"].low
        for found in map(cross_validation_of, (alone, folds))
    ]
    assert all(narrow < wide for narrow, wide in pairwise(widths))
