"""What a run of a classifier begins with and ends with, for two classes and for more."""

import csv
import json
import re
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bundle_fixture import quick_run
from monai.handlers import ValidationHandler
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from training_fixture import chain

from pipelines.errors import ConfigurationError, DatasetError, Reason, RunError
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.files import write_csv
from pipelines.training.checkpoints import Checkpoints
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import build_evaluator
from pipelines.training.losses import CrossEntropy, class_weights
from pipelines.training.metrics import build_metric
from pipelines.training.monitoring import EpochLog, TensorBoard
from pipelines.training.sampling import EpochSampler
from pipelines.training.trainer import build_trainer
from pipelines.workflows.outcome import Outcome

THREE = ("nv", "bkl", "mel")


@dataclass(frozen=True)
class Films:
    """A data set as a config opens one."""

    classes: tuple[str, ...]
    items: list

    @property
    def datalist(self):
        return SimpleNamespace(name_of=lambda item: item["image"].rpartition("/")[2])

    def split(self, name):
        return self.items


@pytest.fixture(autouse=True)
def without_pictures():
    """Other tests look at the pictures; here they would take most of the time."""
    with quick_run():
        yield


def write_films(folder, *, classes, count=30):
    random = np.random.default_rng(0)
    items = []
    for index in range(count):
        label = index % classes
        pixels = random.normal(60 + 40 * label, 25, (32, 28)).clip(0, 255).astype(np.uint8)
        path = folder / f"film{index:03d}.png"
        Image.fromarray(pixels).save(path)
        items.append({"image": str(path), "label": label, "group": f"p{index // 2}"})
    return items


def make(folder, *, classes=THREE, outputs=3, metric=None, **options):
    films = folder / "films"
    films.mkdir(exist_ok=True)
    dataset = Films(classes, write_films(films, classes=len(classes)))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, outputs))
    validation = RadiographDataset(dataset.items, chain(noise=False))
    key = {}
    if metric is not None:
        key[f"val_auroc_{metric}"] = build_metric(
            f"auroc_{metric}", classes=classes, positive_classes=options["positive_classes"]
        )
    evaluator = build_evaluator(
        device="cpu",
        network=network,
        val_data_loader=DataLoader(validation, batch_size=8),
        key_val_metric=key,
    )
    given = {"dataset": dataset, "split": "val"} | options
    return Outcome(folder / "run", evaluator=evaluator, **given)


def finish(outcome):
    best = outcome.folder / "checkpoints" / "best.pt"
    best.parent.mkdir(parents=True)
    torch.save(outcome.evaluator.network.state_dict(), best)
    write_csv(outcome.folder / "log.csv", ["epoch", "train_loss"], [{"epoch": 1, "train_loss": 1}])
    outcome.check_settings()
    outcome.finish()
    return json.loads((outcome.folder / "class_info.json").read_text("utf-8"))


def test_three_classes_leave_figures_decisions_and_class_info(tmp_path):
    outcome = make(
        tmp_path,
        criterion="sensitivity",
        target=0.9,
        positive_classes=["mel"],
        preprocessing={"normalisation": "mean 0, deviation 1 of each film"},
    )
    info = finish(outcome)
    point = OperatingPoint.load(outcome.folder / "operating_point.json")
    assert (info["names"], info["order"]) == (list(THREE), {"nv": 0, "bkl": 1, "mel": 2})
    assert (info["threshold"], info["positive_classes"]) == (point.threshold, ["mel"])
    assert info["preprocessing"] == {
        **{"channels": 1, "height": 16, "width": 16},
        "normalisation": "mean 0, deviation 1 of each film",
    }
    assert point.figures["sensitivity_positive"].value >= 0.9
    with (outcome.folder / "predictions.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert {"label", "predicted_label", "prob_nv", "prob_bkl", "prob_mel"} < set(rows[0])
    assert [row["filename"] for row in rows] == [f"film{i:03d}.png" for i in range(30)]

    weights = outcome.folder / "model.pt"
    again = make(tmp_path, weights=weights, split="test")
    again.folder = tmp_path / "evaluation"
    again.check_evaluation()
    again.evaluate()
    metrics = json.loads((again.folder / "metrics.json").read_text("utf-8"))
    assert metrics["threshold"] == point.threshold
    assert (again.folder / "class_info.json").is_file()
    for folder, kind in (
        (outcome.folder, "Training run, validation"),
        (again.folder, "Evaluation"),
    ):
        report = (folder / "report.html").read_text("utf-8")
        assert f'<p class="kind">{kind}' in report
        assert report.count("film029.png") == 1
        assert json.loads(re.search(r'id="thumbnails">(.*?)<', report)[1]).count("") == 0


def test_weights_of_another_size_are_not_evaluated(tmp_path):
    first = make(tmp_path, criterion="argmax")
    finish(first)
    file = first.folder / "operating_point.json"
    point = OperatingPoint.load(file)
    assert point.input_size == (1, 16, 16)
    outcome = make(tmp_path, weights=first.folder / "model.pt", split="test")
    outcome.check_evaluation()
    replace(point, input_size=(1, 24, 24)).save(file)
    said = "of 1 x 24 x 24 (channels, height, width), at which these weights were trained, got 1 x "
    with pytest.raises(ConfigurationError, match=re.escape(said)) as refusal:
        outcome.check_evaluation()
    assert "set image_size=24" in str(refusal.value)


def test_weights_to_begin_with_need_no_operating_point_but_every_class(tmp_path):
    outcome = make(tmp_path, criterion="argmax", weights=tmp_path / "others.pt")
    outcome.check_settings()
    with pytest.raises(ConfigurationError, match=r"operating_point\.json beside"):
        outcome.check_evaluation()
    outcome.dataset = replace(outcome.dataset, classes=(*THREE, "df"))
    with pytest.raises(DatasetError, match="training films of every class"):
        outcome.check_settings()


def test_an_evaluation_without_weights_is_refused(tmp_path):
    with pytest.raises(RunError, match="weights=FILE"):
        make(tmp_path, criterion="argmax").check_evaluation()


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_with_one_logit_or_two(outputs, tmp_path):
    info = finish(make(tmp_path, classes=("NORMAL", "PNEUMONIA"), outputs=outputs))
    assert info["positive_classes"] == ["PNEUMONIA"]
    assert 0 <= info["threshold"] <= 1


def test_argmax_takes_no_threshold(tmp_path):
    assert finish(make(tmp_path, criterion="argmax"))["threshold"] is None


@pytest.mark.parametrize(
    ("classes", "outputs", "said"),
    [
        (THREE, 7, "3 outputs for 3 classes, got 7"),
        (THREE, 1, "3 outputs for 3 classes, got 1"),
        (("NORMAL", "PNEUMONIA"), 3, "1 or 2 outputs for 2 classes, got 3"),
    ],
)
def test_outputs_of_other_classes_are_refused_before_training(classes, outputs, said, tmp_path):
    with pytest.raises(RunError, match=said) as refusal:
        make(tmp_path, classes=classes, outputs=outputs, criterion="argmax").check_settings()
    assert refusal.value.reason is Reason.WEIGHTS_MISMATCH


def test_a_class_without_films_is_refused_before_training(tmp_path):
    outcome = make(tmp_path, criterion="argmax")
    outcome.dataset = replace(outcome.dataset, classes=(*THREE, "df"))
    with pytest.raises(DatasetError, match=r"training films of every class, got 10 nv, .*, 0 df"):
        outcome.check_settings()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "positive_classes to be the second of two classes, or some of more"),
        ({"positive_classes": ["nevus"]}, "positive_classes"),
        ({"positive_classes": THREE}, "positive_classes"),
        ({"positive_classes": ["mel"], "criterion": "sensitivity"}, "target to be a number"),
    ],
)
def test_wrong_settings_are_refused_before_training(options, said, tmp_path):
    with pytest.raises(ConfigurationError, match=said):
        make(tmp_path, **options).check_settings()


def test_training_of_three_classes_with_a_given_threshold(tmp_path):
    outcome = make(
        tmp_path, criterion="given", target=0.6, positive_classes=["bkl", "mel"], metric="positive"
    )
    classes = outcome.dataset.classes
    items = outcome.dataset.items
    films = RadiographDataset(items, chain(noise=True))
    network = outcome.evaluator.network
    run = outcome.folder
    trainer = build_trainer(
        3,
        device="cpu",
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=0.01),
        loss_function=CrossEntropy(class_weights=class_weights(items, classes), gamma=1.0),
        train_data_loader=DataLoader(films, sampler=EpochSampler(items), batch_size=8),
        train_handlers=[
            ValidationHandler(interval=1, validator=outcome.evaluator),
            EpochLog(run, evaluator=outcome.evaluator),
            TensorBoard(run, evaluator=outcome.evaluator, classes=classes),
            Checkpoints(run / "checkpoints", evaluator=outcome.evaluator),
        ],
    )
    outcome.check_settings()
    trainer.run()
    outcome.finish()
    with (run / "log.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert {"val_auroc_positive", "val_auroc", "val_f1", "val_loss"} < set(rows[0])
    assert float(rows[-1]["val_auroc_positive"]) > 0.8
    assert OperatingPoint.load(run / "operating_point.json").threshold == 0.6
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as table:
        figures = {row["metric"]: row["value"] for row in csv.DictReader(table)}
    assert float(figures["auroc_positive"]) > 0.8

    given = make(
        tmp_path,
        weights=run / "model.pt",
        positive_classes=["bkl", "mel"],
        threshold=0.1,
    )
    given.folder = tmp_path / "evaluation"
    given.check_evaluation()
    given.evaluate()
    metrics = json.loads((given.folder / "metrics.json").read_text("utf-8"))
    assert (metrics["threshold"], metrics["threshold_origin"]) == (
        0.1,
        "given, not chosen on cases",
    )
