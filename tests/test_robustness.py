"""Weights measured under shifts, and an operating point that is chosen with them."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from training_fixture import chain, small_network, write_films

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import ConfigurationError
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.classification import evaluate, threshold_origin
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.robustness import format_robustness, measure_robustness
from pipelines.evaluation.trained_on import TrainedOn
from pipelines.files import write_csv
from pipelines.networks.weights import load_weights, save_weights
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import build_evaluator
from pipelines.transforms.shifts import Setting, settings_of
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.outcome import Outcome
from pipelines.workflows.required import Kind
from pipelines.workflows.robustness import Robustness
from pipelines.workflows.shifted import LARGEST_SIDE, ShiftedFilms, shifted_cases

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
CLASSES = ("NORMAL", "PNEUMONIA")
SOME = {"gamma": [0.5, 2], "border": [0.2]}


def cases_of(logits, labels, classes=CLASSES):
    count = len(labels)
    return Cases.of(
        [f"{index}.png" for index in range(count)],
        [f"p{index // 2}" for index in range(count)],
        labels=labels,
        logits=logits,
        classes=classes,
    )


@pytest.fixture(scope="module")
def cases():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    return cases_of(2 * labels - 1 + random.normal(0, 0.8, 60), labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films in a table, and weights that tell them apart, with their operating point."""
    root = tmp_path_factory.mktemp("films")
    items = write_films(root, count=24)
    rows = [
        {
            "image": Path(item["image"]).name,
            "label": CLASSES[item["label"]],
            "patient_id": item["group"],
            "split": "val" if number >= 8 else "train",
        }
        for number, item in enumerate(items)
    ]
    write_csv(root / "labels.csv", list(rows[0]), rows)
    return root


def outcome_of(folder, output, **options):
    dataset = OpenedDataset(folder / "labels.csv", classes=CLASSES, require=[])
    assert dataset.datalist
    torch.manual_seed(0)
    network = small_network()
    weights = folder / "weights" / "model.pt"
    if not weights.is_file():
        save_weights(network, weights)
        OperatingPoint(0.5, 1.0, CLASSES, "youden", "validation", input_size=(1, 16, 16)).save(
            weights.parent / "operating_point.json"
        )
    load_weights(network, weights)
    split = options.setdefault("split", "val")
    films = RadiographDataset(dataset.split(split), chain(noise=False))
    evaluator = build_evaluator(
        device="cpu", network=network, val_data_loader=DataLoader(films, batch_size=8)
    )
    return Outcome(output, evaluator=evaluator, dataset=dataset, weights=weights, **options)


def read_table(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_the_table_holds_plain_and_shifted_figures_at_one_point(cases):
    point = choose_operating_point(cases, split="validation")
    worse = replace(cases, logits=cases.logits - 2)
    settings = settings_of(SOME)
    shifted = {settings[0]: cases, settings[1]: worse, settings[2]: cases}
    table = measure_robustness(cases, shifted, point, split="validation")
    own = evaluate(worse, point, split="validation").figures
    assert table.shifted[settings[1]]["sensitivity"] == own["sensitivity"]
    assert table.worst("sensitivity") == (settings[1], own["sensitivity"].value)
    plain = table.plain["sensitivity"].value
    assert table.mean("sensitivity") == pytest.approx((2 * plain + own["sensitivity"].value) / 3)
    summary = table.summary()
    assert summary["metrics"]["sensitivity"]["worst_shift"] == "gamma 2"
    assert summary["metrics"]["auroc"]["worst"] == table.plain["auroc"].value
    text = format_robustness(table)
    assert len({line.rstrip() for line in text.splitlines()}) == len(settings) + 5


def test_of_more_classes_the_positive_ones_are_judged_together():
    labels = np.arange(30) % 3
    logits = np.eye(3)[labels] + np.random.default_rng(0).normal(0, 0.5, (30, 3))
    made = cases_of(logits, labels, ("nv", "bkl", "mel"))
    point = choose_operating_point(made, positive_classes=["mel"], split="validation")
    table = measure_robustness(made, {Setting("blur", 1): made}, point, split="validation")
    assert list(table.titles) == [
        *("auroc_positive", "accuracy", "sensitivity_positive", "specificity_positive")
    ]


def test_each_film_is_shown_under_each_setting_as_the_network_takes_it(folder):
    outcome = outcome_of(folder, folder / "none")
    plain = outcome.cases()
    neutral, other = Setting("gamma", 1), Setting("border", 0.3)
    shifted = shifted_cases(outcome.evaluator, plain, [neutral, other])
    assert np.allclose(shifted[neutral].logits, plain.logits, atol=0.02)
    assert not np.allclose(shifted[other].logits, plain.logits, atol=0.02)
    assert shifted[other].filenames == plain.filenames
    again = shifted_cases(outcome.evaluator, plain, [other])
    assert np.allclose(again[other].logits, shifted[other].logits, atol=1e-5)


def test_large_films_and_grey_saved_as_colour_are_simplified(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (LARGEST_SIDE * 2, LARGEST_SIDE * 3))
    path = tmp_path / "large.png"
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)).save(path)
    seen = []
    films = RadiographDataset([{"image": str(path), "label": 0}], chain(noise=False))
    inner = films.transform
    films.transform = lambda item: seen.append(item["image"].pixels.shape) or inner(item)
    films.transform.transforms = inner.transforms
    views = ShiftedFilms(films, ["large.png"], [Setting("blur", 1)])[0]
    assert seen == [(1, LARGEST_SIDE, LARGEST_SIDE * 3 // 2)]
    assert views.shape == (1, 1, 16, 16)


def test_an_evaluation_leaves_table_picture_and_summary(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path)
    outcome.check_evaluation()
    Robustness(outcome, shifts=SOME).measure()
    rows = read_table(tmp_path / "robustness.csv")
    assert [row["shift"] for row in rows[::4]] == ["none", "gamma", "gamma", "border"]
    assert {row["films"] for row in rows} == {str(len(outcome.cases()))}
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    plain = {row["metric"]: row for row in rows[:4]}
    for name, row in plain.items():
        assert float(row["value"]) == metrics["metrics"][name]["value"]
        assert float(row["change"]) == 0
        values = [float(row["value"]) for row in rows[4:] if row["metric"] == name]
        summary = metrics["robustness"]["metrics"][name]
        assert summary["worst"] == min(values)
        assert summary["mean"] == pytest.approx(np.mean(values))
    assert metrics["threshold"] == 0.5
    with Image.open(tmp_path / "robustness.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.parametrize("shifts", [["blur"], {"jpeg": [30]}, True])
@pytest.mark.parametrize("overlay", ["robustness", "robust_point"])
def test_shifts_are_a_key(overlay, shifts):
    bundle = find_bundle(str(BUNDLES / "skin_lesion_classification"))
    for key in ("robustness::shifts", "outcome::shifts"):
        given = {"overlays": ["evaluate", overlay], "overrides": {key: shifts}}
        assert check_bundle(bundle, base=Kind.TRAIN, **given) == []


def test_no_shift_at_all_and_a_wrong_chain_are_refused(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path)
    with pytest.raises(ConfigurationError, match="at least one shift"):
        Robustness(outcome, shifts=[])
    films = outcome.films
    films.transform.transforms = films.transform.transforms[1:]
    with pytest.raises(ConfigurationError, match="begins with LoadRadiographd"):
        ShiftedFilms(films, ["a"], [Setting("blur", 1)])


def test_copies_move_the_operating_point_and_it_says_so(cases, tmp_path):
    darker = replace(cases, logits=cases.logits - 2)
    alone = choose_operating_point(cases, criterion="sensitivity", target=0.9)
    both = choose_operating_point(
        cases, criterion="sensitivity", target=0.9, shifted={"gamma 0.5": darker}
    )

    def caught(point, which):
        return point.figures_of(which)["sensitivity"].value

    pooled = (caught(both, cases) + caught(both, darker)) / 2
    assert pooled >= 0.9 > (caught(alone, cases) + caught(alone, darker)) / 2
    assert both.figures["sensitivity"].value == caught(both, cases)
    both.save(tmp_path / "operating_point.json")
    assert OperatingPoint.load(tmp_path / "operating_point.json").shifts == ("gamma 0.5",)
    said = threshold_origin(evaluate(cases, both, split="test"))
    assert said == (
        "sensitivity 0.9 with shifted copies of the films (1 settings), "
        "chosen on validation and used unchanged"
    )


def test_the_point_of_given_weights_is_chosen_anew_beside_a_copy_of_them(folder, tmp_path):
    run = tmp_path / "run"
    outcome = outcome_of(folder, run, criterion="balanced")
    outcome.check_evaluation()
    Robustness(outcome, shifts=SOME).choose_point()
    point = OperatingPoint.beside(run / "model.pt")
    assert point.shifts == tuple(map(str, settings_of(SOME)))
    assert (point.criterion, point.input_size) == ("balanced", (1, 16, 16))
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert metrics["threshold"] == point.threshold
    assert metrics["robustness"]["before"]["threshold"] == 0.5
    before, after = (read_table(run / name) for name in ("robustness_before.csv", "robustness.csv"))
    aurocs = [
        [row["value"] for row in rows if row["metric"] == "auroc"] for rows in (before, after)
    ]
    assert aurocs[0] == aurocs[1]
    weights = folder / "weights" / "model.pt"
    assert (run / "model.pt").read_bytes() == weights.read_bytes()


@pytest.mark.parametrize("split", ["test", "train", "all"])
def test_only_validation_films_choose_an_operating_point(folder, tmp_path, split):
    outcome = outcome_of(folder, tmp_path, split="train")
    outcome.split = split
    with pytest.raises(ConfigurationError, match=f"got split={split}; set split=val"):
        Robustness(outcome).choose_point()


def test_validation_films_that_trained_choose_no_operating_point(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path)
    weights = tmp_path / "weights" / "model.pt"
    weights.parent.mkdir()
    shutil.copy(folder / "weights" / "model.pt", weights)
    outcome.weights = weights
    trained = [Path(item["image"]) for item in outcome.films.data[:3]]
    TrainedOn.of(trained, []).save(weights.parent / "trained_on.npz")
    with pytest.raises(ConfigurationError, match="got 3 of 16 that did"):
        Robustness(outcome).choose_point()


def test_a_criterion_that_its_target_does_not_fit_is_refused_before_films_are_predicted(
    folder, tmp_path
):
    outcome = outcome_of(folder, tmp_path, criterion="youden", target=0.98)
    outcome.evaluator.run = pytest.fail
    with pytest.raises(ConfigurationError, match="target"):
        Robustness(outcome).choose_point()


def test_training_ends_with_shifted_copies_when_asked(folder, tmp_path):
    outcome = outcome_of(folder, tmp_path, shifts=["blur"])
    best = tmp_path / "checkpoints" / "best.pt"
    best.parent.mkdir(parents=True)
    torch.save(outcome.evaluator.network.state_dict(), best)
    write_csv(tmp_path / "log.csv", ["epoch", "train_loss"], [{"epoch": 1, "train_loss": 1}])
    outcome.finish()
    assert OperatingPoint.beside(tmp_path / "model.pt").shifts == ("blur 1", "blur 2")
