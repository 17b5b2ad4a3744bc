"""The films that an evaluation got most wrong are shown with where the network looked."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from training_fixture import chain

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.drawing import FILM_KEY
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.training.dataset import RadiographDataset
from pipelines.workflows.worst_cases import explain_worst

CLASSES = ("NORMAL", "PNEUMONIA")
LOGITS = (3.0, 0.2, -0.1, 2.0, -4.0)
LABELS = (0, 0, 0, 1, 1)


@pytest.fixture
def films(tmp_path):
    items = []
    for number, label in enumerate(LABELS):
        path = tmp_path / f"{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (40, 30), np.uint8)
        Image.fromarray(noise).save(path)
        items.append({"image": str(path), "label": label, "group": str(number)})
    return RadiographDataset(items, chain(noise=False))


def explain(folder, films, network, count):
    names = [f"{number}.png" for number in range(len(LABELS))]
    cases = Cases.of(names, names, labels=LABELS, logits=LOGITS, classes=CLASSES)
    point = OperatingPoint(0.5, 1.0, CLASSES, "youden", "validation")
    explain_worst(folder, cases, point, films=films, network=network, count=count)
    shown = []
    for path in sorted((folder / "cases").glob("worst_*.png")):
        with Image.open(path) as picture:
            shown.append(picture.info[FILM_KEY])
    return shown


def test_the_surest_errors_come_first_then_doubts(films, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
    )
    assert explain(tmp_path / "run", films, network, 4) == ["4.png", "0.png", "1.png", "2.png"]
    assert explain(tmp_path / "run", films, network, 1) == ["4.png"], "none of before is left"


def test_a_network_that_cannot_be_explained_costs_nothing(films, tmp_path, caplog):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 1))
    assert explain(tmp_path / "run", films, network, 2) == []
    assert "No explanations of the worst films" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA"), "OutOfMemoryError"),
        (OSError(28, "No space left on device", "CANARY.png"), "No space left on device"),
    ],
)
def test_neither_memory_nor_disk_costs_the_evaluation(
    films, tmp_path, caplog, monkeypatch, error, said
):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("pipelines.workflows.worst_cases.write_explanation", fail)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
    )
    assert explain(tmp_path / "run", films, network, 2) == []
    assert f"No explanations of the worst films: {said}" in caplog.text
    assert "CANARY" not in caplog.text
