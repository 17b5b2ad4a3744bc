"""What an evaluation writes is what it measured."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.figures import TITLES, figure_titles
from pipelines.evaluation.report_files import write_evaluation

CLASSES = ("NORMAL", "PNEUMONIA")
TABLES = {"metrics.json", "metrics.csv", "predictions.csv", "confusion_matrix.csv"}
PICTURES = {"confusion_matrix.png", "scores.png", "reliability.png"}
OF_BOTH_CLASSES = {
    *("roc.png", "precision_recall.png", "decision_curve.csv", "decision_curve.png"),
}


def make(n, seed):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return Cases.of(
        [f"folder/{i}.jpeg" for i in range(n)],
        [f"CANARY{i // 2}" for i in range(n)],
        labels=labels,
        logits=generator.normal(3.0 * labels - 1.5, 2),
        classes=CLASSES,
    )


def rows(path):
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "new"
    cases = make(120, 1)
    point = choose_operating_point(make(100, 0), criterion="sensitivity", target=0.9)
    return folder, cases, point, write_evaluation(folder, cases, point, split="test", seed=3)


def test_files(written):
    folder = written[0]
    assert {p.name for p in folder.iterdir()} == TABLES | PICTURES | OF_BOTH_CLASSES


def test_metrics_say_what_was_done(written):
    folder, cases, point, evaluation = written
    said = json.loads((folder / "metrics.json").read_text())
    assert (said["split"], said["n"], said["n_groups"]) == ("test", 120, 60)
    assert (said["threshold"], said["temperature"]) == (point.threshold, point.temperature)
    assert (said["criterion"], said["target"], said["chosen_on"]) == (
        "sensitivity",
        0.9,
        "validation",
    )
    assert said["metrics"]["auroc"]["value"] == pytest.approx(
        roc_auc_score(cases.labels, cases.logits)
    )
    assert said["confusion_matrix"] == evaluation.confusion.tolist()
    assert said["interval"]["seed"] == 3

    table = rows(folder / "metrics.csv")
    assert list(table[0]) == ["metric", "value", "ci_low", "ci_high", "title"]
    assert {row["title"] for row in table} > {"Sensitivity (recall)", "PPV (precision)"}
    assert [row["metric"] for row in table] == list(TITLES)
    for row in table:
        of_json = said["metrics"][row["metric"]]
        got = [float(row[k]) for k in ("value", "ci_low", "ci_high")]
        assert got == [of_json["value"], of_json["low"], of_json["high"]]


def test_predictions_give_the_figures_again(written):
    folder, cases, point, evaluation = written
    table = rows(folder / "predictions.csv")
    assert list(table[0]) == [
        *("filename", "label", "predicted_class", "predicted_label", "confidence"),
        *("prob_NORMAL", "prob_PNEUMONIA"),
    ]
    assert [row["filename"] for row in table] == list(cases.filenames)
    positive = np.array([float(row["prob_PNEUMONIA"]) for row in table])
    truth = np.array([CLASSES.index(row["label"]) for row in table])
    called = np.array([int(row["predicted_class"]) for row in table])
    assert (called == (positive >= point.threshold)).all()
    assert (truth == called).mean() == pytest.approx(evaluation.figures["accuracy"].value)
    assert roc_auc_score(truth, positive) == pytest.approx(evaluation.figures["auroc"].value)
    for row in table:
        assert row["confidence"] == row[f"prob_{row['predicted_label']}"]

    matrix = rows(folder / "confusion_matrix.csv")
    assert [row["label"] for row in matrix] == list(CLASSES)
    assert [[int(row[f"predicted_{c}"]) for c in CLASSES] for row in matrix] == (
        evaluation.confusion.tolist()
    )
    recall = evaluation.figures["sensitivity"].value
    assert float(matrix[1]["share_PNEUMONIA"]) == pytest.approx(recall)


def test_patients_are_in_no_file(written):
    for path in written[0].iterdir():
        assert b"CANARY" not in path.read_bytes()


def test_one_class_gives_tables_without_curves(tmp_path):
    cases = Cases.of(["a", "b"], ["a", "b"], labels=[1, 1], logits=[0.2, -1.0], classes=CLASSES)
    write_evaluation(tmp_path, cases, choose_operating_point(make(20, 0)), split="test")
    assert {p.name for p in tmp_path.iterdir()} == TABLES | PICTURES
    said = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    assert said["auroc"] == {"value": None, "low": None, "high": None}
    assert rows(tmp_path / "metrics.csv")[list(TITLES).index("auroc")]["value"] == ""


def test_three_classes(tmp_path):
    classes = ("nv", "bkl", "mel")
    labels = np.arange(60) % 3
    logits = np.random.default_rng(0).normal(3 * np.eye(3)[labels], 2)
    names = [f"{i}.jpg" for i in range(60)]
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=classes)
    point = choose_operating_point(cases, criterion="youden", positive_classes=("mel",))
    evaluation = write_evaluation(tmp_path, cases, point, split="test")
    assert {p.name for p in tmp_path.iterdir()} == TABLES | PICTURES | OF_BOTH_CLASSES

    table = {row["metric"]: row for row in rows(tmp_path / "metrics.csv")}
    assert list(table) == list(figure_titles(classes, ("mel",)))
    assert float(table["auroc_bkl"]["value"]) == evaluation.figures["auroc_bkl"].value
    assert table["auroc_positive"]["title"] == "AUROC, mel"
    said = json.loads((tmp_path / "metrics.json").read_text())
    assert said["positive_classes"] == ["mel"]

    predictions = rows(tmp_path / "predictions.csv")
    assert list(predictions[0])[-3:] == ["prob_nv", "prob_bkl", "prob_mel"]
    called = [row["predicted_label"] for row in predictions]
    assert [name == "mel" for name in called] == [
        float(row["prob_mel"]) >= point.threshold for row in predictions
    ]
    matrix = rows(tmp_path / "confusion_matrix.csv")
    assert [[int(row[f"predicted_{c}"]) for c in classes] for row in matrix] == (
        confusion_matrix([classes[k] for k in labels], called, labels=classes).tolist()
    )
