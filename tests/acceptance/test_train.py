"""Training and evaluation as whole commands, on generated films and with a small network."""

import contextlib
import csv
import io
import json
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import pydicom
import pytest
import torch
from bundle_fixture import TINY_NETWORK, quick_run
from dataset_fixture import make_images
from process_fixture import Command, run_command
from sample_fixture import write_small_samples
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
BUNDLE = CHECKOUT / "bundles" / "pneumonia_classification"
SMALL = {
    "network_def": TINY_NETWORK,
    "image_size": 32,
    "batch_size": 4,
    "num_workers": 0,
    "device": "cpu",
}


def settings(**more):
    pairs = (SMALL | more).items()
    return [f"--set={key}={json.dumps(value)}" for key, value in pairs]


def here(*arguments):
    """The same in this process, for what needs no process of its own: importing takes seconds.

    A run keeps its folder's lock as long as its process; what runs there again needs another one.
    """
    said = io.StringIO(), io.StringIO()
    with (
        warnings.catch_warnings(),
        quick_run(),
        contextlib.redirect_stdout(said[0]),
        contextlib.redirect_stderr(said[1]),
    ):
        warnings.simplefilter("ignore")
        status = main([*map(str, arguments)])
    return subprocess.CompletedProcess(arguments, status, said[0].getvalue(), said[1].getvalue())


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "samples"
    write_small_samples("chest", folder, count=24, seed=1)
    return folder


@pytest.fixture(scope="module")
def finished(samples, tmp_path_factory):
    """A run of four epochs that nothing disturbed."""
    output = tmp_path_factory.mktemp("runs") / "finished"
    done = run_command(
        *("train", "pneumonia_classification", "--data", samples, "--output", output),
        *settings(**{"train.trainer.max_epochs": 4}),
    )
    assert done.returncode == 0, done.stderr
    return output


def test_run_leaves_what_the_documentation_says(finished):
    table = (CHECKOUT / "docs" / "run_folder.md").read_text("utf-8")
    for name in [
        "config.json",
        "environment.json",
        "datalist.json",
        "log.csv",
        "checkpoints/last.pt",
        "curves.png",
        "checkpoints/best.pt",
        "model.pt",
        "operating_point.json",
        "metrics.json",
        "metrics.csv",
        "predictions.csv",
        "confusion_matrix.csv",
        "roc.png",
    ]:
        assert (finished / name).stat().st_size > 0, name
        assert f"`{name}`" in table, name


def test_log_has_a_row_an_epoch_and_tensorboard_all_that_is_watched(finished):
    log = rows(finished / "log.csv")
    assert [row["epoch"] for row in log] == ["1", "2", "3", "4"]
    events = EventAccumulator(str(finished)).Reload()
    scalars = events.Tags()["scalars"]
    watched = {"train/loss", "train/learning_rate", "train/gradient_norm", "validation/auroc"}
    assert watched <= set(scalars)
    pictures = {"train/images", "validation/confusion_matrix", "validation/roc"}
    assert pictures <= set(events.Tags()["images"])
    tensors = events.Tags()["tensors"]
    assert any(tag.startswith("validation/precision_recall") for tag in tensors)
    assert "_hparams_/session_start_info" in events.summary_metadata
    last = events.Scalars("validation/auroc")[-1].value
    assert last == pytest.approx(float(log[-1]["val_auroc"]), abs=1e-5)


def test_figures_are_those_of_the_validation_films(finished):
    metrics = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert metrics["split"] == "validation"
    listed = json.loads((finished / "datalist.json").read_text("utf-8"))["validation"]
    predicted = rows(finished / "predictions.csv")
    assert len(predicted) == len(listed) == metrics["n"]


def test_killed_run_completes_the_same_result(samples, finished, tmp_path):
    output = tmp_path / "cut"
    arguments = [
        *("run", "--config_file", BUNDLE / "configs" / "train.json"),
        *("--dataset_dir", samples, "--output_dir", output),
        *(f"--{key}={json.dumps(value)}" for key, value in SMALL.items()),
        "--train::trainer::max_epochs=4",
    ]
    with Command(*arguments, module="monai.bundle", plots=False) as begun:
        deadline = time.monotonic() + 120
        while not (output / "checkpoints" / "last.pt").is_file() and time.monotonic() < deadline:
            assert begun.poll() is None, f"it ended before it could be killed: {begun.said}"
            time.sleep(0.02)
        begun.kill()
    assert not (output / "metrics.json").exists()

    again = run_command(*arguments, module="monai.bundle", plots=False)
    assert again.returncode == 0, again.stderr
    assert "Going on after epoch" in again.stdout
    one, two = (torch.load(run / "model.pt", weights_only=True) for run in (finished, output))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert rows(finished / "predictions.csv") == rows(output / "predictions.csv")
    assert len(rows(output / "log.csv")) == 4
    assert not list(output.rglob(".writing-*"))


def test_folder_of_a_run_with_other_settings_is_refused(samples, finished):
    answer = here(
        *("train", "pneumonia_classification", "--data", samples, "--output", finished),
        *settings(batch_size=5, **{"train.trainer.max_epochs": 4}),
    )
    assert answer.returncode == 1
    assert "batch_size" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) <= 5


def test_run_does_not_go_on_with_other_films(finished, tmp_path, samples):
    changed = tmp_path / "samples"
    shutil.copytree(samples, changed)
    next((changed / "train" / "NORMAL").iterdir()).unlink()
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text("utf-8"))
    config["dataset_dir"] = str(changed)
    (run / "config.json").write_text(json.dumps(config), "utf-8")
    answer = here(
        *("train", "pneumonia_classification", "--data", changed, "--output", run),
        *settings(**{"train.trainer.max_epochs": 4}),
    )
    assert answer.returncode == 1
    assert "got others for the films" in answer.stderr


def test_given_weights_are_evaluated_with_their_own_operating_point(samples, finished, tmp_path):
    answer = here(
        *("evaluate", "pneumonia_classification", "--data", samples, "--output", tmp_path / "e"),
        *settings(weights=str(finished / "model.pt")),
    )
    assert answer.returncode == 0, answer.stderr
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text("utf-8"))
    point = json.loads((finished / "operating_point.json").read_text("utf-8"))
    assert metrics["split"] == "test"
    assert metrics["threshold"] == point["threshold"]
    films = list((samples / "test").rglob("*.*"))
    assert len(rows(tmp_path / "e" / "predictions.csv")) == len(films)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: None, "expected"),
        (lambda folder: (folder / "train" / "NORMAL").mkdir(parents=True), "NORMAL"),
    ],
    ids=["no folder", "empty class"],
)
def test_data_that_cannot_be_used_is_refused_before_training(tmp_path, prepare, said):
    folder = tmp_path / "data"
    prepare(folder)
    output = tmp_path / "run"
    answer = here(
        *("train", "pneumonia_classification", "--data", folder, "--output", output), *settings()
    )
    assert answer.returncode in {1, 2}
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()) <= 5
    assert not output.exists()


def test_patient_names_stay_out_of_runs_and_of_what_is_said(samples, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(samples, data)
    for path in data.rglob("*.dcm"):
        film = pydicom.dcmread(path)
        film.PatientName, film.PatientID = "CANARYNAME^PATIENT", f"CANARYID-{film.PatientID}"
        film.AccessionNumber, film.InstitutionName = "CANARYACC", "CANARY HOSPITAL"
        film.save_as(path)
    trained = run_command(
        *("train", "pneumonia_classification", "--data", data, "--output", tmp_path / "run"),
        *settings(**{"train.trainer.max_epochs": 1}),
        plots=False,
    )
    evaluated = run_command(
        *("evaluate", "pneumonia_classification", "--data", data, "--output", tmp_path / "e"),
        *settings(weights=str(tmp_path / "run" / "model.pt")),
        plots=False,
    )
    assert trained.returncode == evaluated.returncode == 0, trained.stderr + evaluated.stderr
    said = "".join(done.stdout + done.stderr for done in (trained, evaluated)).encode()
    written = [p for run in ("run", "e") for p in (tmp_path / run).rglob("*") if p.is_file()]
    assert len(written) > 20
    for name, content in [("said", said), *((p.name, p.read_bytes()) for p in written)]:
        assert b"CANARY" not in content, name
        assert "CANARY" not in name


def test_run_that_failed_on_a_wrong_value_leaves_the_folder_to_the_right_one(samples, tmp_path):
    arguments = ("train", "pneumonia_classification", "--data", samples, "--output", tmp_path / "r")
    wrong = run_command(*arguments, *settings(**{"outcome.criterion": "sens"}))
    assert wrong.returncode == 2
    assert "criterion" in wrong.stderr
    assert "Epoch" not in wrong.stdout
    right = run_command(*arguments, *settings(**{"train.trainer.max_epochs": 1}), plots=False)
    assert right.returncode == 0, right.stderr


def test_resume_continues_training_and_never_an_evaluation(samples, tmp_path):
    bundle = tmp_path / "bundles" / "pneumonia_classification"
    shutil.copytree(BUNDLE, bundle, ignore=shutil.ignore_patterns("models", "manifest.json"))
    nothing = here("evaluate", bundle, "--data", samples, *settings())
    assert "weights" in nothing.stderr
    resumed = here("train", bundle, "--data", samples, "--resume", *settings())
    assert resumed.returncode == 2
    assert "found none" in resumed.stderr


def test_three_classes_are_refused_before_training(tmp_path):
    for name in ("A", "B", "C"):
        make_images(tmp_path / "data", [f"{name}/{name}{i}.png" for i in range(12)])
    refused = here(
        *("train", "pneumonia_classification", "--data", tmp_path / "data"),
        *("--output", tmp_path / "run"),
        *settings(classes=["A", "B", "C"]),
    )
    assert refused.returncode == 2
    assert "two classes" in refused.stderr
