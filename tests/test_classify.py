"""Outputs of a classifier become records, whatever the number of its classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.inference.classify import Classify
from pipelines.inference.prepared import PreparedFilm
from pipelines.ingest.collect import Item
from pipelines.predictions import Classification, Refusal

SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def films(count):
    image = torch.zeros(1, 4, 4)
    return [PreparedFilm(Item(Path(f"{i}.png"), f"{i}.png"), image, (4, 4)) for i in range(count)]


def classify(folder, *, classes, criterion="argmax", threshold=None):
    point = OperatingPoint(threshold, 2.0, classes, criterion, "validation")
    point.save(folder / "operating_point.json")
    return Classify(folder / "model.pt")


def test_seven_classes(tmp_path):
    postprocessing = classify(tmp_path, classes=SEVEN)
    outputs = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    outputs[3, 6] = np.nan
    records = postprocessing(films(5), outputs)
    assert [type(r) for r in records] == [*[Classification] * 3, Refusal, Classification]
    assert records[3].reason is Reason.NOT_FINITE
    for record, row in zip(records, outputs, strict=True):
        if isinstance(record, Classification):
            expected = np.exp(row / 2) / np.exp(row / 2).sum()
            assert list(record.probabilities) == list(SEVEN)
            assert list(record.probabilities.values()) == pytest.approx(expected)
            assert record.predicted_label == SEVEN[int(row.argmax())]
    tables = postprocessing.tables(
        tmp_path / "out", [r for r in records if hasattr(r, "confidence")]
    )
    assert sum(tables["labels"].values()) == 4
    head = (tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()[0]
    assert [f"prob_{name}" for name in SEVEN] == [c for c in head.split(",") if "prob_" in c]


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_with_one_logit_or_two(outputs, tmp_path):
    postprocessing = classify(
        tmp_path, classes=("NORMAL", "PNEUMONIA"), criterion="youden", threshold=0.8
    )
    logits = np.float32([[0.0, 2.0], [0.0, 4.0]])[:, -outputs:]
    found = [record.predicted_label for record in postprocessing(films(2), logits)]
    # Sigmoids of 1 and 2: 0.73 and 0.88.
    assert found == ["NORMAL", "PNEUMONIA"]


def test_a_given_threshold_takes_the_place_of_the_stored_one(tmp_path):
    classify(tmp_path, classes=("NORMAL", "PNEUMONIA"), criterion="youden", threshold=0.8)
    postprocessing = Classify(tmp_path / "model.pt", threshold=0.6)
    (record,) = postprocessing(films(1), np.float32([[2.0]]))
    assert record.predicted_label == "PNEUMONIA"
    assert postprocessing.about()["threshold"] == 0.6
    with pytest.raises(ConfigurationError, match="threshold to be"):
        _ = Classify(tmp_path / "model.pt", threshold=1.6).operating_point


def test_films_of_another_size_than_in_training_are_refused(tmp_path):
    file = tmp_path / "operating_point.json"
    classify(tmp_path, classes=SEVEN)
    point = OperatingPoint.load(file)
    replace(point, input_size=(1, 4, 4)).save(file)
    outputs = np.zeros((2, 7), np.float32)
    assert len(Classify(tmp_path / "model.pt")(films(2), outputs)) == 2
    replace(point, input_size=(1, 8, 8)).save(file)
    with pytest.raises(ConfigurationError, match="set image_size=8") as refusal:
        Classify(tmp_path / "model.pt")(films(2), outputs)
    assert refusal.value.reason is Reason.WEIGHTS_MISMATCH


def test_a_network_for_other_classes_is_refused(tmp_path):
    with pytest.raises(RunError, match="7 outputs for 7 classes, got 3"):
        classify(tmp_path, classes=SEVEN)(films(2), np.zeros((2, 3), np.float32))
