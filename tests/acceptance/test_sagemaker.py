"""The training contract of SageMaker as whole processes, in folders like its container's."""

import csv
import json
import re
import shutil
import time

import pydicom
import pytest
import torch
from process_fixture import Command, run_command
from sagemaker_fixture import write_container
from sample_fixture import write_small_samples

from pipelines.deploy.sagemaker.metrics import metric_definitions
from pipelines.workflows.bundle import Bundle, find_bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.manifest import verify_manifest

BUNDLE = "pneumonia_classification"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """What stands in the bucket: `train/ val/ test/`, of patients with names."""
    folder = tmp_path_factory.mktemp("bucket") / "films"
    write_small_samples("chest", folder, count=24, seed=1)
    for path in folder.rglob("*.dcm"):
        film = pydicom.dcmread(path)
        film.PatientName, film.PatientID = "CANARYNAME^PATIENT", f"CANARYID-{film.PatientID}"
        film.save_as(path)
    return folder


@pytest.fixture(scope="module")
def finished(films, tmp_path_factory):
    """A job that nothing disturbed: its folders, and what it said."""
    base = tmp_path_factory.mktemp("whole") / "ml"
    done = run_command(
        "sagemaker", "train", environment=write_container(base, data=films), plots=False
    )
    assert done.returncode == 0, done.stderr
    return base, done


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_a_job_hands_back_a_bundle_that_predicts_and_the_tables(finished, films, tmp_path):
    base, _ = finished
    assert [path.name for path in (base / "model").iterdir()] == [BUNDLE]
    root = base / "model" / BUNDLE
    for name in ("metrics.json", "report.html", "log.csv", "config.json"):
        assert (root / "run" / name).stat().st_size > 0, name
    assert (root / "models" / "guard.npz").is_file()
    run = base / "checkpoints" / "run"
    for name in ("model.pt", "operating_point.json", "guard.npz", "trained_on.npz"):
        assert (root / "models" / name).read_bytes() == (run / name).read_bytes(), name
    bundle = Bundle(BUNDLE, root)
    verify_manifest(bundle)
    assert check_bundle(bundle) == []
    stated = json.loads(bundle.metadata.read_text("utf-8"))["eval_metrics"]
    measured = json.loads((run / "metrics.json").read_text("utf-8"))["metrics"]
    assert stated["accuracy"] == measured["accuracy"]["value"]

    output = base / "output" / "data" / BUNDLE
    assert (output / "report.html").is_file()
    assert list(output.glob("events.out.tfevents*"))
    assert not (output / "checkpoints").exists()
    assert not (base / "output" / "failure").exists()
    assert not list(base.rglob(".writing-*"))

    predicted = run_command("predict", root, films / "test", tmp_path / "p", "--set", "device=cpu")
    assert predicted.returncode == 0, predicted.stderr
    assert len(rows(tmp_path / "p" / "predictions.csv")) == len(list(films.glob("test/*/*.*")))


def test_every_regular_expression_of_a_metric_finds_its_line(finished):
    base, done = finished
    found = {
        each["Name"]: re.findall(each["Regex"], done.stdout)
        for each in metric_definitions(find_bundle(BUNDLE))
    }
    log = rows(base / "checkpoints" / "run" / "log.csv")
    assert found["epoch"] == [row["epoch"] for row in log]
    for name, column in (("train:loss", "train_loss"), ("validation:auroc", "val_auroc")):
        told = [*map(float, found[name])]
        assert told == pytest.approx([float(row[column]) for row in log], abs=1e-4), name
    for name, column in (("epoch:seconds", "seconds"), ("epoch:waited_percent", "waited_percent")):
        told = [*map(float, found[name])]
        assert told == pytest.approx([float(row[column]) for row in log], abs=0.51), name
    figures = json.loads((base / "checkpoints" / "run" / "metrics.json").read_text("utf-8"))
    for name in ("auroc", "accuracy", "sensitivity", "f1"):
        (value,) = found[f"final:{name}"]
        assert float(value) == pytest.approx(figures["metrics"][name]["value"], abs=1e-6), name


def test_no_patient_stands_in_what_is_handed_back_or_said(finished):
    base, done = finished
    written = [p for part in ("model", "output", "checkpoints") for p in (base / part).rglob("*")]
    assert len(written) > 40
    said = (done.stdout + done.stderr).encode()
    for content in (said, *(path.read_bytes() for path in written if path.is_file())):
        assert b"CANARY" not in content


def test_an_interrupted_job_goes_on_by_itself_to_the_same_model(finished, films, tmp_path):
    base = tmp_path / "ml"
    environment = write_container(base, data=films)
    run = base / "checkpoints" / "run"
    with Command("sagemaker", "train", environment=environment, plots=False) as command:
        deadline = time.monotonic() + 120
        while not (run / "checkpoints" / "last.pt").is_file() and time.monotonic() < deadline:
            assert command.poll() is None, f"it ended before it was told to: {command.said}"
            time.sleep(0.01)
        command.terminate()
        ended = command.wait()
    assert ended.returncode == 143, ended.stderr
    assert not list((base / "model").iterdir())
    assert not (base / "output" / "failure").exists()

    # Another machine: only the checkpoints are as they were; one was being copied.
    kept = tmp_path / "kept"
    shutil.move(base / "checkpoints", kept)
    shutil.rmtree(base)
    write_container(base, data=films)
    shutil.copytree(kept, base / "checkpoints", dirs_exist_ok=True)
    (run / "checkpoints" / ".writing-half.pt").write_bytes(b"half")
    again = run_command("sagemaker", "train", environment=environment, plots=False)
    assert again.returncode == 0, again.stderr
    assert "Going on after epoch" in again.stdout
    whole = finished[0] / "model" / BUNDLE
    one, two = (
        torch.load(root / "models" / "model.pt", weights_only=True)
        for root in (whole, base / "model" / BUNDLE)
    )
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert rows(finished[0] / "checkpoints" / "run" / "predictions.csv") == rows(
        run / "predictions.csv"
    )
    assert len(rows(run / "log.csv")) == 6
    assert not list(base.rglob(".writing-*"))


def test_films_that_cannot_be_used_fail_the_job_without_their_names(films, tmp_path):
    data = tmp_path / "films"
    shutil.copytree(films, data)
    broken = next((data / "train" / "NORMAL").glob("*.png"))
    broken.write_bytes(broken.read_bytes()[:2000])
    base = tmp_path / "ml"
    done = run_command("sagemaker", "train", environment=write_container(base, data=data))
    assert done.returncode == 1, done.stdout
    reason = (base / "output" / "failure").read_text("utf-8")
    assert reason.startswith("error (")
    assert broken.stem not in reason
    assert broken.stem in done.stderr
    assert not list((base / "model").iterdir())
