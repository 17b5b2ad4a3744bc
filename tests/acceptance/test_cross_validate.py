"""Cross-validation as a whole command: killed and gone on with, and of every kind of task."""

import csv
import json
import shutil
import time
from pathlib import Path

import pytest
from bundle_fixture import TINY_NETWORK, quick_run
from process_fixture import Command
from sample_fixture import write_small_samples

from pipelines.cli import main
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.run import open_dataset

CHECKOUT = Path(__file__).resolve().parents[2]
CHEST = {
    "network_def": TINY_NETWORK,
    "image_size": 32,
    "batch_size": 4,
    "train.trainer.max_epochs": 2,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


def arguments(bundle, data, output, *, folds, **settings):
    pairs = (settings | {"num_workers": 0, "device": "cpu"}).items()
    return [
        *("cross-validate", bundle, "--data", str(data), "--output", str(output)),
        *("--folds", str(folds)),
        *(f"--set={key}={json.dumps(value)}" for key, value in pairs),
    ]


def cross_validate(*given, **settings):
    with quick_run():
        return main(arguments(*given, **settings))


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def chest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "chest"
    write_small_samples("chest", folder, count=16, seed=1)
    return folder


@pytest.fixture(scope="module")
def finished(chest, tmp_path_factory):
    """Two folds that nothing disturbed."""
    output = tmp_path_factory.mktemp("runs") / "finished"
    given = ("pneumonia_classification", chest, output)
    assert cross_validate(*given, folds=2, **CHEST) == 0
    return output


def test_every_film_is_judged_once_by_a_fold_that_has_not_seen_it(chest, finished):
    judged = rows(finished / "predictions.csv")
    names = [row["filename"] for row in judged]
    assert list(judged[0])[:2] == ["filename", "fold"]
    assert len(names) == len(set(names)) == metrics_of(finished)["n"]
    patients: dict[str, set[str]] = {}
    for fold in ("fold-0", "fold-1"):
        listed = json.loads((finished / fold / "datalist.json").read_text("utf-8"))
        own = {row["filename"] for row in judged if row["fold"] == fold}
        assert own == {item["image"] for item in listed["validation"]}
        assert {item["label"] for item in listed["validation"]} == {0, 1}
        for item in listed["validation"]:
            patients.setdefault(item["group"], set()).add(fold)
        assert not own & {item["image"] for item in listed["training"]}
    assert all(len(folds) == 1 for folds in patients.values())


def test_figures_are_those_of_folds_their_mean_and_all_films_together(finished):
    table = rows(finished / "cross_validation.csv")
    parts = {row["part"] for row in table}
    assert parts == {"fold-0", "fold-1", "pooled", "mean", "deviation"}
    metrics = metrics_of(finished)
    pooled = {row["metric"]: row["value"] for row in table if row["part"] == "pooled"}
    judged = rows(finished / "predictions.csv")
    right = sum(row["label"] == row["predicted_label"] for row in judged) / len(judged)
    assert float(pooled["accuracy"]) == metrics["metrics"]["accuracy"]["value"]
    assert float(pooled["accuracy"]) == pytest.approx(right)
    own = [metrics_of(finished / f"fold-{fold}")["metrics"]["auroc"]["value"] for fold in range(2)]
    assert metrics["mean"]["auroc"]["value"] == pytest.approx(sum(own) / 2)
    assert (finished / "cross_validation.png").is_file()


def test_what_was_killed_goes_on_to_the_same_bytes(chest, finished, tmp_path):
    output = tmp_path / "cut"
    output.mkdir()
    # It is killed in the second fold, so the first one need not be trained twice.
    shutil.copy(finished / "settings.json", output)
    shutil.copytree(finished / "fold-0", output / "fold-0")
    first = (output / "fold-0" / "model.pt").stat().st_mtime_ns
    given = arguments("pneumonia_classification", chest, output, folds=2, **CHEST)
    with Command(*given, plots=False) as begun:
        deadline = time.monotonic() + 240
        while not (output / "fold-1" / "checkpoints" / "last.pt").is_file():
            assert begun.poll() is None, f"it ended before it could be killed: {begun.said}"
            assert time.monotonic() < deadline, "the second fold did not begin"
            time.sleep(0.02)
        begun.kill()
    assert not (output / "fold-1" / "metrics.json").exists()

    with quick_run():
        assert main(given) == 0
    assert (output / "fold-0" / "model.pt").stat().st_mtime_ns == first
    for name in (
        *("predictions.csv", "cross_validation.csv", "metrics.json"),
        *(f"fold-{fold}/{file}" for fold in range(2) for file in ("model.pt", "metrics.json")),
    ):
        assert (output / name).read_bytes() == (finished / name).read_bytes(), name


def test_other_settings_and_too_many_folds_are_refused(chest, finished, tmp_path, capsys):
    given = ("pneumonia_classification", chest)
    assert cross_validate(*given, finished, folds=2, **CHEST | {"batch_size": 3}) == 2
    assert "settings of the cross-validation in 'finished'" in capsys.readouterr().err
    shutil.copytree(chest, tmp_path / "others")
    next((tmp_path / "others" / "train").rglob("*.dcm")).unlink()
    others = ("pneumonia_classification", tmp_path / "others")
    assert cross_validate(*others, finished, folds=2, **CHEST) == 2
    assert "got other films" in capsys.readouterr().err
    for folds in (0, 1):
        assert cross_validate(*given, tmp_path / "many", folds=folds, **CHEST) == 2
        assert "two folds or more" in capsys.readouterr().err
    assert cross_validate(*given, tmp_path / "many", folds=16, **CHEST) != 0
    assert "val: " in capsys.readouterr().err
    # Nothing is kept of what was refused, so that another number may be given.
    assert not (tmp_path / "many").exists()


@pytest.mark.slow  # test_cross_validation.py pools rows of both tasks; this trains them
@pytest.mark.parametrize(
    ("bundle", "sample", "count", "settings"),
    [
        (
            *("fracture_autoencoder", "fracture", 24),
            {"image_size": 64, "train.trainer.max_epochs": 1, "outcome.score": "mean_error"},
        ),
        (
            *("hand_bone_segmentation", "hand", 8),
            {
                **{"image_size": 64, "batch_size": 2, "train.trainer.max_epochs": 1},
                **{"network_def.channels": [4, 8], "network_def.strides": [2]},
            },
        ),
    ],
)
def test_masks_and_anomalies_have_folds_too(bundle, sample, count, settings, tmp_path):
    write_small_samples(sample, tmp_path / "data", count=count, seed=1)
    assert cross_validate(bundle, tmp_path / "data", tmp_path / "out", folds=2, **settings) == 0
    judged = rows(tmp_path / "out" / "predictions.csv")
    assert {row["fold"] for row in judged} == {"fold-0", "fold-1"}
    names = [row["filename"] for row in judged]
    assert len(names) == len(set(names)) == metrics_of(tmp_path / "out")["n"]
    figure = {"fracture": "auroc", "hand": "dice"}[sample]
    assert 0 <= metrics_of(tmp_path / "out")["metrics"][figure]["value"] <= 1


def test_anomalous_films_validate_once_and_never_train(tmp_path):
    write_small_samples("fracture", tmp_path, count=16, seed=1)
    bundle = find_bundle("fracture_autoencoder")
    seen: list[str] = []
    for fold in range(3):
        overrides = {"data::folds": 3, "data::fold": fold}
        films = open_dataset(bundle, data=tmp_path, overrides=overrides).datalist
        assert all(item["label"] == 0 for item in films.train)
        assert not {item["group"] for item in films.train} & {item["group"] for item in films.val}
        seen += [films.name_of(item) for item in films.val]
    assert len(seen) == len(set(seen))
    plain = open_dataset(bundle, data=tmp_path).datalist
    assert len(seen) == len(plain.train) + len(plain.val)
