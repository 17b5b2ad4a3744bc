"""Prediction on a Ray cluster of several nodes: equal to one process, whatever dies on the way."""

import csv
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle
from process_fixture import Command, run_command
from ray_fixture import POISON, SLOW, add_node, ray_cluster, worker_of

from pipelines.deploy.ray_batch.cluster import cluster as cluster_of
from pipelines.deploy.ray_batch.predict import predict_on_ray
from pipelines.errors import ConfigurationError
from pipelines.inference.batch import predict_folder
from pipelines.told_to_end import ends_when_told
from pipelines.workflows.bundle import Bundle

pytest.importorskip("ray", reason="ray is not installed")

SPEED = {"from_earlier_run", "seconds", "films_per_second"}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(1) as started:
        yield started


def write_films(folder: Path) -> Path:
    """Films of two formats, one of two frames, and inputs that are none."""
    from pydicom import dcmread

    for number in range(12):
        write_png(folder / "DOE^JOHN" / f"{number}.png", seed=number)
    for number in range(4):
        write_dicom(folder / "dicom" / f"{number}.dcm", seed=10 + number)
    shutil.copy(folder / "dicom" / "0.dcm", folder / "zz copy.dcm")
    cine = dcmread(folder / "dicom" / "3.dcm")
    cine.PixelData = np.stack([cine.pixel_array] * 2).tobytes()
    cine.NumberOfFrames = 2
    cine.save_as(folder / "dicom" / "3.dcm")
    (folder / "notes.txt").write_text("no film")
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes((folder / "DOE^JOHN" / "0.png").read_bytes()[:60])
    return folder


def on_ray(cluster, bundle: Bundle, source: Path, output: Path, **options: object):
    return predict_on_ray(
        bundle,
        source,
        output,
        given=str(bundle.root),
        overrides=options,
        address=cluster.address,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def left(folder: Path) -> dict[str, object]:
    """What a run leaves, lines that come in any order sorted, without how quick it was."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".jsonl":
            found[name] = sorted(path.read_text("utf-8").splitlines())
        elif name == "report.html":
            found[name] = len(re.sub(r"[0-9.]+", "", path.read_text("utf-8")))
        elif name == "summary.json":
            summary = json.loads(path.read_text("utf-8"))
            found[name] = {key: value for key, value in summary.items() if key not in SPEED}
        elif path.suffix != ".dcm":
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def test_a_cluster_leaves_what_one_process_leaves(cluster, bundle, tmp_path, capfd):
    films = write_films(tmp_path / "films")
    predict_folder(bundle, films, tmp_path / "local", overrides={"dicom": "sr"})
    capfd.readouterr()
    summary = on_ray(cluster, bundle, films, tmp_path / "ray", dicom="sr")
    said = capfd.readouterr()
    assert (summary["inputs"], summary["predicted"], summary["skipped"]) == (21, 17, 3)
    assert left(tmp_path / "ray") == left(tmp_path / "local")
    objects = [{path.name for path in (tmp_path / o).glob("dicom/*.dcm")} for o in ("ray", "local")]
    assert objects[0] == objects[1]
    assert len(objects[0]) == 3, "one a film of one frame"
    # Ray says nothing, here or in its logs, that a run in one process would not say.
    assert said.out == ""
    assert re.fullmatch(r"looking for films: .*\n(predicting: .*\n)+", said.err)
    logs = Path(cluster.head_node.get_logs_dir_path()).rglob("*")
    told = b"".join(path.read_bytes() for path in logs if path.is_file())
    assert b"MapWorker" in told, "these are the logs"
    assert b"DOE^JOHN" not in told
    # Either goes on where the other ended.
    again = on_ray(cluster, bundle, films, tmp_path / "local", dicom="sr")
    assert again["from_earlier_run"] == 18
    again = predict_folder(bundle, films, tmp_path / "ray", overrides={"dicom": "sr"})
    assert again["from_earlier_run"] == 18


def test_films_nodes_and_workers_that_die_cost_time_alone(cluster, bundle, tmp_path):
    films, output = tmp_path / "films", tmp_path / "ray"
    for number in range(18):
        write_png(films / f"{number} {SLOW}.png", seed=number)
    write_png(films / f"9 {POISON}.png", seed=3)
    (first,) = cluster.worker_nodes
    second = add_node(cluster, 1)
    killed = []

    def kill() -> None:
        journal = output / ".journal.jsonl"
        while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
            time.sleep(0.02)
        killed.append(worker_of(first))
        os.kill(killed[0], signal.SIGKILL)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = on_ray(cluster, bundle, films, output)
    killer.join()
    assert killed[0]
    assert (summary["predicted"], summary["reasons"]) == (18, {"worker_died": 1})
    (failed,) = rows(output / "failures.csv")
    assert failed["filename"] == f"9 {POISON}.png"
    (films / failed["filename"]).unlink()
    predict_folder(bundle, films, tmp_path / "local", overrides={})
    kept = ("predictions.csv", "predictions.json", "contact_sheet.png")
    for name in kept:
        assert (output / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    journal = (output / ".journal.jsonl").read_text("utf-8").splitlines()[1:]
    assert len(journal) == 19, "no film twice"


@pytest.mark.slow
def test_a_run_that_is_killed_ends_its_cluster_and_goes_on(bundle, tmp_path):
    for number in range(120):
        write_png(tmp_path / "films" / f"{number}.png", seed=number, size=(500, 500))
    films, output = tmp_path / "films", tmp_path / "ray"
    journal = output / ".journal.jsonl"
    before = {*Path("/tmp").glob("plainfilm-ray-*")}
    for most in (8, 60):
        with Command("predict", bundle.root, films, output, "--executor", "ray") as process:
            while not journal.exists() or journal.read_bytes().count(b"\n") <= most:
                assert process.poll() is None, process.said
                time.sleep(0.01)
            process.kill()
    done = run_command("predict", bundle.root, films, output, "--executor", "ray")
    assert done.returncode == 0, done.stderr
    assert json.loads((output / "summary.json").read_text("utf-8"))["from_earlier_run"] >= 60
    predict_folder(bundle, films, tmp_path / "local", overrides={})
    for name in ("predictions.csv", "contact_sheet.png"):
        assert (output / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert len(journal.read_bytes().splitlines()) == 121, "no film twice"
    # A folder may be left empty, where a process that was ending made it once more.
    left_over = {*Path("/tmp").glob("plainfilm-ray-*")} - before
    assert not [path for each in left_over for path in each.rglob("*") if path.is_file()]


def test_a_cluster_of_its_own_takes_nothing_from_the_run_and_leaves_nothing(monkeypatch):
    import ray

    given = {}

    def begin(**options: object) -> None:
        given.update(options)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does

    def end() -> None:
        assert Path(given["_temp_dir"]).is_dir(), "Ray's processes are still at work in it"

    monkeypatch.setattr(ray, "init", begin)
    monkeypatch.setattr(ray, "shutdown", end)
    with ends_when_told():
        told = signal.getsignal(signal.SIGTERM)
        with cluster_of(None):
            assert signal.getsignal(signal.SIGTERM) is told
    assert given["address"] == "local", "and not what RAY_ADDRESS says"
    assert not Path(given["_temp_dir"]).exists()


def test_what_is_wrong_is_said_with_words(bundle, tmp_path):
    write_png(tmp_path / "films" / "1.png")
    for address, words in (
        ("127.0.0.1:9", r"expected a Ray cluster at '127.0.0.1:9', got \w+ within 5 s"),
        ("ray://head:10001", "expected --address HOST:PORT"),
        ("head", "expected --address HOST:PORT"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            predict_on_ray(
                bundle,
                tmp_path / "films",
                tmp_path / "out",
                given=str(bundle.root),
                overrides={},
                address=address,
            )
    assert not (tmp_path / "out").exists()
