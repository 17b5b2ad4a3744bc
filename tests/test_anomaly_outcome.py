import csv
import json

import cv2
import numpy as np
import pytest
import torch
from anomaly_fixture import SIDE, made_films
from bundle_fixture import quick_run
from torch.utils.data import DataLoader

from pipelines.datasets.anomaly import AnomalyDataset
from pipelines.errors import ConfigurationError, RunError
from pipelines.evaluation.anomaly_point import AnomalyPoint, clahe_of, clip_limit_of
from pipelines.networks.autoencoder import build_autoencoder
from pipelines.networks.full_precision import FullPrecisionInferer
from pipelines.training.checkpoint_files import write_best
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import build_evaluator
from pipelines.training.metrics import build_metric
from pipelines.transforms.reconstruction import reconstruction_preprocessing
from pipelines.workflows.anomaly_outcome import AnomalyOutcome


@pytest.fixture(autouse=True)
def without_pictures():
    """Other tests look at the pictures; here they would take most of the time."""
    with quick_run():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for kind, unusual, count in (("not fractured", False, 24), ("fractured", True, 6)):
        (root / kind).mkdir()
        for place, film in enumerate(made_films(count, unusual=unusual)[0]):
            levels = np.rint(film[0].numpy() * 255).astype(np.uint8)
            cv2.imwrite(str(root / kind / f"film [{place}].png"), levels)
    return root


def outcome_of(folder, output, *, normal_classes=("not fractured",), **options):
    torch.manual_seed(0)
    dataset = AnomalyDataset(folder, normal_classes=normal_classes, val_fraction=0.4)
    chain = reconstruction_preprocessing(SIDE)
    films = [RadiographDataset(dataset.split(name), chain) for name in ("val", "train")]
    evaluator = build_evaluator(
        device="cpu",
        network=build_autoencoder(SIDE, channels=[4], latent_size=2, strides=[2, 2]),
        val_data_loader=DataLoader(films[0], batch_size=8),
        inferer=FullPrecisionInferer(),
        key_val_metric={"val_psnr": build_metric("psnr")},
    )
    return AnomalyOutcome(
        output,
        evaluator=evaluator,
        reference=films[1],
        dataset=dataset,
        split="val",
        image_size=SIDE,
        **options,
    )


def finished(outcome):
    outcome.check_settings()
    write_best(outcome.folder / "checkpoints", outcome.evaluator.network.state_dict())
    (outcome.folder / "log.csv").write_text("epoch,train_loss,val_psnr\n1,0.5,10\n2,0.4,11\n")
    outcome.finish()
    return outcome


def test_finished_run_leaves_all_that_is_needed_and_evaluates_again(folder, tmp_path):
    first = finished(outcome_of(folder, tmp_path / "run"))
    left = {path.name for path in first.folder.iterdir()}
    assert left >= {
        "model.pt",
        "operating_point.json",
        "profile.npz",
        "metrics.json",
        "metrics.csv",
        "predictions.csv",
        "curves.png",
        "scores.png",
        "roc.png",
        "lowest_scores.png",
        "highest_scores.png",
        "report.html",
    }
    report = (first.folder / "report.html").read_text("utf-8")
    pictures = {path.stem for path in (first.folder / "cases").glob("*.png")}
    assert {"highest_1", "lowest_1"} <= pictures
    assert 0 < report.count('id="picture-') <= len(pictures), "a film may be in both"
    point = AnomalyPoint.beside(first.folder / "model.pt")
    assert point.image_size == SIDE
    assert set(point.chosen_from) == {
        "mean_error",
        "top_error",
        "patch_ssim",
        "profile",
        "combined",
    }

    again = outcome_of(folder, tmp_path / "again", weights=first.folder / "model.pt")
    again.check_evaluation()
    again.evaluator.network.load_state_dict(first.evaluator.network.state_dict())
    again.evaluate()
    metrics = [
        json.loads((each.folder / "metrics.json").read_text("utf-8")) for each in (first, again)
    ]
    assert metrics[0] == metrics[1]
    with (again.folder / "predictions.csv").open(encoding="utf-8") as table:
        labels = [row["label"] for row in csv.DictReader(table)]
    assert labels.count("anomalous") == 6


def test_flat_folder_has_no_figures_that_need_labels(folder, tmp_path):
    outcome = finished(outcome_of(folder / "not fractured", tmp_path, normal_classes=()))
    metrics = json.loads((outcome.folder / "metrics.json").read_text("utf-8"))
    assert metrics["score"] == "combined"
    assert metrics["criterion"] == "false_alarms"
    assert "auroc" not in metrics["metrics"]


def test_other_size_than_that_of_the_weights_is_refused(folder, tmp_path):
    first = finished(outcome_of(folder, tmp_path / "run"))
    other = outcome_of(folder, tmp_path / "other", weights=first.folder / "model.pt")
    other.image_size = 64
    with pytest.raises(ConfigurationError, match="image_size 32"):
        other.check_evaluation()
    other.check_settings()


def test_clahe_travels_with_the_weights(folder, tmp_path):
    first = finished(outcome_of(folder, tmp_path / "run", clahe=True, clip_limit=3.0))
    weights = first.folder / "model.pt"
    assert (clahe_of(weights), clip_limit_of(weights)) == (True, 3.0)
    outcome_of(folder, tmp_path, weights=weights, clahe=True, clip_limit=3.0).check_evaluation()
    for wrong, said in (({}, "set clahe=true"), ({"clahe": True}, r"set clip_limit=3\.0")):
        with pytest.raises(ConfigurationError, match=said):
            outcome_of(folder, tmp_path, weights=weights, **wrong).check_evaluation()


def test_run_without_an_epoch_or_weights_is_refused(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path)
    with pytest.raises(RunError, match="best checkpoint"):
        outcome.finish()
    with pytest.raises(RunError, match="weights=FILE"):
        outcome.evaluate()


def test_wrong_names_are_refused_before_training(folder, tmp_path):
    with pytest.raises(ConfigurationError, match="profile"):
        outcome_of(folder, tmp_path, score="profil")
    with pytest.raises(ConfigurationError, match="youden"):
        outcome_of(folder, tmp_path, criterion="given").check_settings()


def test_broken_weights_are_refused(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path)
    for parameter in outcome.evaluator.network.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(RunError, match="finite"):
        finished(outcome)
