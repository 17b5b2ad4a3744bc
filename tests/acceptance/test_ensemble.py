"""An ensemble of runs as whole commands: made, evaluated, and used to predict."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from bundle_fixture import TINY_NETWORK, quick_run
from sample_fixture import write_small_samples
from scipy.special import expit, logit, softmax
from torch import nn

from pipelines.cli import main
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.trained_on import TrainedOn
from pipelines.networks.ensemble import Ensemble

SETTINGS = {
    **{"image_size": 32, "batch_size": 4, "num_workers": 0, "device": "cpu"},
    "train.trainer.max_epochs": 1,
}
BUNDLE = "pneumonia_classification"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


def plainfilm(*arguments, **settings):
    pairs = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    with quick_run():
        return main([*map(str, arguments), *pairs])


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return {row["filename"]: row for row in csv.DictReader(table)}


def probabilities(path):
    return {name: float(row["prob_PNEUMONIA"]) for name, row in rows(path).items()}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "chest"
    write_small_samples("chest", folder, count=16, seed=1)
    return folder


@pytest.fixture(scope="module")
def runs(films, tmp_path_factory):
    """Two networks on one split, and one of them on another fold."""
    folder = tmp_path_factory.mktemp("runs")
    deeper = TINY_NETWORK | {"block_config": [1, 2]}
    made = {
        "first": {"network_def": TINY_NETWORK},
        "deeper": {"network_def": deeper},
        "fold": {"network_def": TINY_NETWORK, "data.fold": 0, "data.folds": 2},
    }
    for name, own in made.items():
        given = ("train", BUNDLE, "--data", films, "--output", folder / name)
        assert plainfilm(*given, **SETTINGS | own) == 0
    return folder


@pytest.fixture(scope="module")
def ensemble(runs):
    folder = runs / "ensemble"
    assert plainfilm("ensemble", runs / "first", runs / "deeper", "--output", folder) == 0
    return folder


def test_the_answer_is_the_mean_of_calibrated_probabilities(runs, ensemble):
    members = [probabilities(runs / name / "predictions.csv") for name in ("first", "deeper")]
    point = OperatingPoint.beside(ensemble / "model.pt")
    for name, told in probabilities(ensemble / "predictions.csv").items():
        mean = np.mean([member[name] for member in members])
        calibrated = expit(logit(mean) / point.temperature + point.bias)
        assert told == pytest.approx(calibrated, abs=2e-2)


def test_the_point_is_chosen_on_films_that_no_member_was_trained_on(runs, films, ensemble):
    point = OperatingPoint.beside(ensemble / "model.pt")
    assert (point.criterion, point.target, point.split) == ("sensitivity", 0.98, "validation")
    unseen = set(rows(runs / "first" / "predictions.csv"))
    assert set(rows(ensemble / "predictions.csv")) == unseen
    plainfilm("ensemble", runs / "fold", runs / "first", "--output", runs / "mixed")
    listed = [
        json.loads((runs / name / "datalist.json").read_text("utf-8")) for name in ("fold", "first")
    ]
    trained = {item["image"] for each in listed for item in each["training"]}
    judged = set(rows(runs / "mixed" / "predictions.csv"))
    assert judged
    assert not judged & trained
    # It remembers the films of all its members.
    seen = TrainedOn.beside(runs / "mixed" / "model.pt").seen([films / film for film in trained])
    assert seen.trained_on == len(trained)


def test_without_such_films_the_threshold_is_the_mean_of_the_members(runs, tmp_path, capsys):
    shutil.copytree(runs / "deeper", tmp_path / "swapped")
    path = tmp_path / "swapped" / "datalist.json"
    listed = json.loads(path.read_text("utf-8"))
    swapped = {"training": listed["validation"], "validation": listed["training"]}
    path.write_text(json.dumps(listed | swapped))
    members = (runs / "first", tmp_path / "swapped")
    assert plainfilm("ensemble", *members, "--output", tmp_path / "made") == 0
    assert "mean of the members' thresholds" in capsys.readouterr().out
    assert not (tmp_path / "made" / "predictions.csv").exists()
    thresholds = [OperatingPoint.beside(folder / "model.pt").threshold for folder in members]
    made = OperatingPoint.beside(tmp_path / "made" / "model.pt")
    assert made.threshold == pytest.approx(np.mean(thresholds))


def test_it_evaluates_and_predicts_in_place_of_the_weights(films, ensemble, tmp_path):
    given = ("evaluate", BUNDLE, "--data", films, "--ensemble", ensemble)
    more = {"num_workers": 0, "device": "cpu", "split": "val"}
    assert plainfilm(*given, "--output", tmp_path / "evaluated", **more) == 0
    evaluated = rows(tmp_path / "evaluated" / "predictions.csv")
    assert evaluated == rows(ensemble / "predictions.csv")
    predict = ("predict", BUNDLE, films / "val", tmp_path / "predicted")
    assert plainfilm(*predict, "--ensemble", ensemble, device="cpu", **{"reader.threads": 1}) == 0
    predicted = probabilities(tmp_path / "predicted" / "predictions.csv")
    own = probabilities(ensemble / "predictions.csv")
    shared = {f"val/{name}": told for name, told in predicted.items()}
    assert own.keys() == shared.keys()
    for name, told in own.items():
        assert shared[name] == pytest.approx(told, abs=1e-2)


def test_what_does_not_fit_is_refused(runs, films, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(runs / "first", other)
    config = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps(config | {"image_size": 48}))
    damaged = tmp_path / "damaged"
    shutil.copytree(runs / "first", damaged)
    (damaged / "config.json").write_text("{}")
    refused = [
        ([runs / "first", other], "has another image_size than 'first'"),
        ([runs / "first"], "two runs or more"),
        ([runs / "first", films], "'chest' has no metrics.json"),
        ([runs / "first", damaged], "'damaged/config.json', got KeyError"),
    ]
    for given, said in refused:
        assert plainfilm("ensemble", *given, "--output", tmp_path / "none") == 2
        assert said in capsys.readouterr().err
    predict = ("predict", BUNDLE, films / "train", tmp_path / "out", "--ensemble", runs / "first")
    assert plainfilm(*predict) == 2
    assert "'first' has no ensemble.json" in capsys.readouterr().err


class Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = torch.tensor(outputs)

    def forward(self, films):
        return self.outputs.expand(len(films), -1)


def test_probabilities_of_two_outputs_and_of_more_classes_are_averaged():
    film = torch.zeros(2, 1, 4, 4)
    two = Ensemble([Fixed([1.0]), Fixed([0.0, 3.0])], temperatures=[2, 1], biases=[0.5, 0])
    mean = (expit(1 / 2 + 0.5) + expit(3.0)) / 2
    assert torch.allclose(two(film)[:, 0].double(), torch.tensor(logit(mean)), atol=1e-5)
    sure = Ensemble([Fixed([60.0]), Fixed([80.0])], temperatures=[1, 1], biases=[0, 0])
    assert 60 < sure(film)[0, 0].item() < 62
    three = ([1.0, 2.0, 3.0], [0.0, 5.0, 1.0])
    many = Ensemble(list(map(Fixed, three)), temperatures=[1, 2], biases=[0, 0])
    expected = (softmax(three[0]) + softmax(np.array(three[1]) / 2)) / 2
    assert np.allclose(many(film).softmax(dim=1).numpy(), expected, atol=1e-6)
