"""Whole training runs on two devices, processes on a CPU, and what one device makes of them."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import time
import warnings
from pathlib import Path

import pytest
from bundle_fixture import TINY_NETWORK, quick_run
from process_fixture import Command, run_command
from ranks_fixture import in_ranks
from sagemaker_fixture import SMALL as HYPERPARAMETERS
from sagemaker_fixture import write_container

from pipelines.cli import main
from pipelines.datasets.phantoms import write_samples
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.manifest import verify_manifest

SMALL = {
    "network_def": TINY_NETWORK,
    "image_size": 32,
    "batch_size": 4,
    "num_workers": 0,
    "device": "cpu",
    "train.trainer.max_epochs": 2,
}


def command(samples, output, **more):
    pairs = (SMALL | more).items()
    settings = [f"--set={key}={json.dumps(value)}" for key, value in pairs]
    data = ("--data", str(samples), "--output", str(output))
    return ["train", "pneumonia_classification", *data, *settings]


def here(arguments):
    """A command in this process; its status, and what it said."""
    said = io.StringIO()
    with (
        warnings.catch_warnings(),
        quick_run(),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        warnings.simplefilter("ignore")
        return main(arguments), said.getvalue()


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "samples"
    write_samples("chest", folder, count=26, seed=1)
    return folder


@pytest.fixture(scope="module")
def two(samples, tmp_path_factory):
    """A run of two processes, its status and what each of them said."""
    folder = tmp_path_factory.mktemp("two")
    run = folder / "run"
    told = in_ranks(here, [*command(samples, run), "--overlay", "multi_gpu"], folder=folder / "in")
    return run, told


def test_two_processes_leave_one_whole_run_that_the_first_tells_of(two):
    run, (first, second) = two
    assert first[0] == second[0] == 0, first[1] + second[1]
    assert f"run folder: {run}" in first[1]
    assert second[1] == ""
    for name in ("metrics.json", "predictions.csv", "model.pt", "report.html", "guard.npz"):
        assert (run / name).stat().st_size > 0, name
    assert json.loads((run / "environment.json").read_text("utf-8"))["processes"] == 2
    assert len(rows(run / "log.csv")) == 2
    assert len([*run.glob("events.out*")]) == 1


def test_figures_are_those_that_one_process_finds_for_the_same_weights(two, samples, tmp_path):
    run, _ = two
    weights = [f"--set=weights={json.dumps(str(run / 'model.pt'))}", "--set=split=val"]
    quick = ["--set=outcome.worst=0", "--set=outcome.report=false"]
    again = ["evaluate", *command(samples, tmp_path / "one")[1:], *weights, *quick]
    status, said = here(again)
    assert status == 0, said
    found, expected = (
        json.loads((folder / "metrics.json").read_text("utf-8"))["metrics"]
        for folder in (run, tmp_path / "one")
    )
    assert found.keys() == expected.keys()
    for name, figure in expected.items():
        assert found[name]["value"] == pytest.approx(figure["value"], abs=1e-6), name
    one, other = (rows(folder / "predictions.csv") for folder in (run, tmp_path / "one"))
    assert [row["filename"] for row in one] == [row["filename"] for row in other]
    assert len({row["filename"] for row in one}) == len(one)
    assert [float(row["prob_PNEUMONIA"]) for row in one] == pytest.approx(
        [float(row["prob_PNEUMONIA"]) for row in other], abs=1e-5
    )


def test_one_device_goes_on_where_two_have_been(two, samples, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(two[0], run)
    (run / "metrics.json").unlink()
    status, said = here(command(samples, run))
    assert status == 0, said
    assert rows(run / "predictions.csv") == rows(two[0] / "predictions.csv")


def wait_for(path, begun):
    deadline = time.monotonic() + 240
    while not path.is_file() and time.monotonic() < deadline:
        assert begun.poll() is None, f"it ended before it could be disturbed: {begun.said}"
        time.sleep(0.02)


def children_of(process):
    tasks = Path(f"/proc/{process}/task/{process}/children")
    return [*map(int, tasks.read_text().split())]


@pytest.mark.slow
def test_a_killed_process_and_a_signal_end_a_run_and_one_device_completes_it(samples, tmp_path):
    run = tmp_path / "run"
    long = {"train.trainer.max_epochs": 40}
    arguments = [*command(samples, run, **long), "--devices", "2"]
    with Command(*arguments) as begun:
        wait_for(run / "checkpoints" / "last.pt", begun)
        os.kill(children_of(begun._process.pid)[1], signal.SIGKILL)
        killed = begun.wait()
    assert killed.returncode == 1
    (line,) = [each for each in killed.stderr.splitlines() if each.startswith("plainfilm:")]
    assert "error (process_lost)" in line
    assert "process 1 was ended by SIGKILL" in line
    assert "Traceback" not in killed.stderr

    written = (run / "checkpoints" / "last.pt").stat().st_mtime_ns
    with Command(*arguments) as begun:
        while (run / "checkpoints" / "last.pt").stat().st_mtime_ns == written:
            assert begun.poll() is None, begun.said
            time.sleep(0.02)
        begun.terminate()
        told = begun.wait()
    assert told.returncode == 143, told.stderr
    assert "Going on after epoch" in told.stdout
    assert "Told to end" in told.stdout

    completed = run_command(*command(samples, run, **long))
    assert completed.returncode == 0, completed.stderr
    assert len(rows(run / "log.csv")) == 40
    assert not [*run.rglob(".writing-*")]


@pytest.mark.slow
def test_two_hosts_of_sagemaker_train_together(samples, tmp_path):
    """Two addresses of this machine stand for two hosts, each with a folder tree of its own."""
    hosts = ("127.0.0.1", "localhost")
    bases = [tmp_path / name for name in hosts]
    port = {"MASTER_PORT": str(20_000 + os.getpid() % 10_000)}
    environments = [
        write_container(
            base,
            data=samples,
            hosts=hosts,
            current=name,
            interface="lo",
            hyperparameters=HYPERPARAMETERS | {"train.trainer.max_epochs": 2},
        )
        for base, name in zip(bases, hosts, strict=True)
    ]
    one, other = (each | port for each in environments)
    with (
        Command("sagemaker", "train", environment=one) as master,
        Command("sagemaker", "train", environment=other) as along,
    ):
        first, second = master.wait(), along.wait()
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    bundle = find_bundle(str(bases[0] / "model" / "pneumonia_classification"))
    verify_manifest(bundle)
    told = json.loads((bases[0] / "checkpoints/run/environment.json").read_text("utf-8"))
    assert told["processes"] == 2
    assert "final accuracy=" in first.stdout
    assert "localhost has trained along; 127.0.0.1 hands back the model" in second.stdout
    assert not [*(bases[1] / "model").iterdir()]
    assert not [*(bases[1] / "checkpoints").iterdir()]
