"""The command `predict` as a user gives it: whole processes, killed ones too."""

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundle_fixture import write_dicom, write_png, write_tiny_bundle
from process_fixture import Command, run_command

from pipelines.workflows.bundle import Bundle

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_a_mixed_folder_is_accounted_for_without_patient_data(bundle, tmp_path):
    films, output = tmp_path / "films", tmp_path / "out"
    canary = {"name": "CANARYNAME^PATIENT", "patient": "CANARYID77"}
    good = write_dicom(films / "below" / "good.dcm", **canary)
    shutil.copy(good, films / "copy.dcm")
    cut = write_dicom(films / "cut.dcm", seed=2, **canary)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (films / "notes.txt").write_text("CANARYNAME was here")
    command = [sys.executable, "-m", "pipelines", "predict", bundle.root, films, output]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert [row["filename"] for row in rows(output / "predictions.csv")] == ["below/good.dcm"]
    reasons = {row["filename"]: row["reason"] for row in rows(output / "failures.csv")}
    assert reasons.keys() == {"copy.dcm", "cut.dcm", "notes.txt"}
    assert (reasons["copy.dcm"], reasons["notes.txt"]) == ("duplicate", "not_an_image")
    assert json.loads((output / "summary.json").read_text("utf-8"))["inputs"] == 4
    seen = done.stdout + done.stderr
    for path in output.rglob("*"):
        seen += path.name + path.read_bytes().decode("latin-1")
    assert "CANARY" not in seen


def test_killed_and_given_again_it_completes_the_same_tables(bundle, tmp_path):
    films = tmp_path / "films"
    for number in range(80):
        write_png(films / f"{number:03d}.png", seed=number, size=(600, 600))
    (films / "notes.txt").write_text("not an image")
    whole = run_command("predict", bundle.root, films, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    given = ("predict", bundle.root, films, tmp_path / "cut")
    with Command(*given) as process:
        wait_for_lines(tmp_path / "cut" / ".journal.jsonl", 16, process)
        process.kill()
    assert not (tmp_path / "cut" / "predictions.csv").exists()
    done = run_command(*given)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "cut" / "summary.json").read_text("utf-8"))
    assert 16 <= summary["from_earlier_run"] < 80
    for table in ("predictions.csv", "failures.csv"):
        assert (tmp_path / "cut" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()
    assert not list((tmp_path / "cut").glob(".writing-*"))


def wait_for_lines(journal: Path, lines: int, process: Command) -> None:
    deadline = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") <= lines:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.01)


def test_the_bundle_run_does_what_the_verb_does(bundle, tmp_path):
    films = tmp_path / "films"
    for number in range(5):
        write_dicom(films / f"{number}.dcm", seed=number)
    verb = run_command("predict", bundle.root, films, tmp_path / "verb")
    assert verb.returncode == 0, verb.stderr
    configuration = bundle.configs / "inference.json"
    arguments = ["--config_file", configuration, "--bundle_root", bundle.root]
    arguments += ["--dataset_dir", films, "--output_dir", tmp_path / "run"]
    direct = run_command("run", *arguments, module="monai.bundle", cwd=tmp_path)
    assert direct.returncode == 0, direct.stderr
    for table in ("predictions.csv", "failures.csv", "contact_sheet.png"):
        assert (tmp_path / "run" / table).read_bytes() == (tmp_path / "verb" / table).read_bytes()
