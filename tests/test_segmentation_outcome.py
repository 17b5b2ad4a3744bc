import json
import shutil

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer
from monai.networks.nets import UNet
from monai.transforms import Randomizable
from pairs_fixture import write_organs
from torch.utils.data import DataLoader

from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.networks.weights import save_weights
from pipelines.training.averaging import build_average
from pipelines.training.checkpoints import Checkpoints
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import build_evaluator
from pipelines.training.metrics import build_metric
from pipelines.training.monitoring import EpochLog, TensorBoard
from pipelines.training.sampling import EpochSampler
from pipelines.training.segmentation_losses import LayerLoss
from pipelines.training.trainer import build_trainer
from pipelines.transforms.segmentation_chains import (
    segmentation_augmentation,
    segmentation_preprocessing,
)
from pipelines.workflows.segmentation_outcome import SegmentationOutcome

CLASSES = ("right organ", "left organ")


@pytest.fixture(scope="module")
def organs(tmp_path_factory):
    return write_organs(tmp_path_factory.mktemp("organs"), films=8, size=(50, 60))


def opened(organs, **options):
    return OpenedPairs(organs, classes=CLASSES, sides=True, val_fraction=0.4, **options)


def network(channels=2):
    torch.manual_seed(0)
    return UNet(2, 1, channels, (4, 8), (2,), num_res_units=0)


def outcome(folder, data, net, *, split="val", **options):
    chain = segmentation_preprocessing(32, 32, classes=CLASSES, sides=True)
    films = RadiographDataset(data.split(split), chain)
    evaluator = build_evaluator(
        device="cpu",
        network=net,
        val_data_loader=DataLoader(films, batch_size=2),
        inferer=SimpleInferer(),
        key_val_metric={"val_dice": build_metric("dice")},
    )
    made = SegmentationOutcome(folder, evaluator=evaluator, dataset=data, split=split, **options)
    return made, evaluator


def train(folder, data):
    """Train for two epochs as a config does, and finish."""
    net = network()
    average = build_average(net, decay=0.5)
    made, evaluator = outcome(folder, data, average.module)
    chain = segmentation_augmentation(
        32, 32, classes=CLASSES, sides=True, swaps=[(0, 1)], elastic_prob=0.0
    )
    assert any(isinstance(part, Randomizable) for part in chain.transforms)
    films = RadiographDataset(data.split("train"), chain)
    films.read_all()
    made.check_settings()
    trainer = build_trainer(
        2,
        device="cpu",
        network=net,
        optimizer=torch.optim.AdamW(net.parameters(), lr=0.02),
        loss_function=LayerLoss(),
        train_data_loader=DataLoader(
            films, sampler=EpochSampler(films.data, balance="none"), batch_size=2
        ),
        average=average,
        accumulation_steps=2,
        train_handlers=[
            validating(evaluator),
            EpochLog(folder, evaluator=evaluator),
            TensorBoard(folder, evaluator=evaluator),
            Checkpoints(folder / "checkpoints", evaluator=evaluator),
        ],
    )
    trainer.run()
    made.train_dataset = films
    made.finish()
    return made


def validating(evaluator):
    from monai.handlers import ValidationHandler

    return ValidationHandler(interval=1, validator=evaluator)


@pytest.fixture(scope="module")
def run(organs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(folder, opened(organs))
    return folder


def test_a_run_leaves_weights_thresholds_figures_and_pictures(run):
    for name in (
        "model.pt",
        "curves.png",
        "log.csv",
        "metrics.csv",
        "cases.csv",
        "dice.png",
        "guard.npz",
        "report.html",
    ):
        assert (run / name).stat().st_size > 50, name
    point = json.loads((run / "operating_point.json").read_text("utf-8"))
    assert point["classes"] == list(CLASSES)
    assert all(0 < threshold < 1 for threshold in point["thresholds"])
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert metrics["split"] == "validation"
    assert metrics["n"] == 3
    report = (run / "report.html").read_text("utf-8")
    assert report.count('id="picture-') == 3, "each of three films is drawn"
    assert 0 <= metrics["metrics"]["dice"]["value"] <= 1


def test_weights_are_evaluated_with_their_own_thresholds(run, organs, tmp_path):
    data = opened(organs)
    made, _ = outcome(tmp_path, data, loaded(run), weights=run / "model.pt")
    made.check_settings()
    made.evaluate()
    again, before = (
        json.loads((folder / "metrics.json").read_text("utf-8"))["metrics"]["dice"]["value"]
        for folder in (tmp_path, run)
    )
    assert again == pytest.approx(before, abs=1e-6)


def loaded(run):
    from pipelines.networks.weights import load_weights

    return load_weights(network(), run / "model.pt", device="cpu")


def test_a_perfect_network_gets_a_dice_of_one_at_the_films_size(organs, tmp_path):
    """Figures are those of the film's own pixels: the way there and back costs next to nothing."""
    data = opened(organs)

    class Right(torch.nn.Module):
        def forward(self, films):
            label = films.new_tensor(np.stack([self.labels]))
            return label * 20 - 10

    net = Right()
    made, evaluator = outcome(tmp_path, data, net)
    films = evaluator.data_loader.dataset
    for place, item in enumerate(data.split("val")):
        net.labels = films[place]["label"].numpy()
        found = next(
            film
            for film in made._films(SegmentationPoint.even(CLASSES))
            if film.filename == data.datalist.name_of(item)
        )
        both = (found.truth.astype(bool) & found.prediction).sum((1, 2))
        total = found.truth.sum((1, 2)) + found.prediction.sum((1, 2))
        assert found.prediction.shape == (2, 50, 60)
        assert np.all(2 * both / total > 0.9)


def test_a_network_of_other_channels_is_refused_before_training(organs, tmp_path):
    made, _ = outcome(tmp_path, opened(organs), network(channels=3))
    with pytest.raises(ConfigurationError, match="expected a network with 2 maps of"):
        made.check_settings()


def test_weights_of_other_classes_are_refused(run, organs, tmp_path):
    shutil.copy(run / "model.pt", tmp_path)
    point = json.loads((run / "operating_point.json").read_text("utf-8"))
    point["classes"] = ["left organ", "right organ"]
    (tmp_path / "operating_point.json").write_text(json.dumps(point), "utf-8")
    made, _ = outcome(tmp_path, opened(organs), network(), weights=tmp_path / "model.pt")
    with pytest.raises(ConfigurationError, match="expected weights for right organ") as seen:
        made.evaluate()
    assert seen.value.reason is Reason.WEIGHTS_MISMATCH


def test_nothing_to_finish_or_to_evaluate_is_an_error(organs, tmp_path):
    made, _ = outcome(tmp_path, opened(organs), network())
    with pytest.raises(RunError, match="expected a best checkpoint"):
        made.finish()
    with pytest.raises(RunError, match="expected weights to evaluate"):
        made.evaluate()


def test_weights_without_a_point_are_good_to_begin_with_but_not_to_evaluate(organs, tmp_path):
    save_weights(network(), tmp_path / "model.pt")
    made, _ = outcome(tmp_path, opened(organs), network(), weights=tmp_path / "model.pt")
    made.check_settings()
    with pytest.raises(ConfigurationError, match="beside the weights"):
        made.evaluate()


class Indivisible(torch.nn.Module):
    """Fails as a U-Net does whose strides do not divide the film."""

    def forward(self, films):
        halves = torch.nn.functional.avg_pool2d(films, 3)
        return torch.cat([films, torch.nn.functional.interpolate(halves, scale_factor=2)], dim=1)


def test_a_size_that_the_network_cannot_take_is_refused_before_training(tmp_path, organs):
    made, _ = outcome(tmp_path / "run", opened(organs), Indivisible())
    with pytest.raises(ConfigurationError, match="image_height and image_width"):
        made.check_settings()
