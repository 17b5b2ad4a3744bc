"""A film that ends the process that reads it costs one more start, and is the only one refused."""

import csv
import os
import signal
from pathlib import Path
from unittest import mock

import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle
from process_fixture import context

from pipelines.inference.batch import predict_folder
from pipelines.inference.fatal import NOTES_NAME, ReadingNotes, fatal_films
from pipelines.inference.folder import RadiographFolder
from pipelines.inference.journal import Stamp
from pipelines.ingest.collect import Item
from pipelines.workflows.bundle import Bundle

pytestmark = pytest.mark.filterwarnings(
    # MONAI imports PyTorch's deprecated scripting while it loads.
    "ignore:`torch.jit:DeprecationWarning"
)
FATAL = "fatal.dcm"
ENDS = f"""
import io, os, signal
whole = io.open
def opened(file, *arguments, **options):
    if str(file).endswith("{FATAL}"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return whole(file, *arguments, **options)
io.open = opened
"""


def predict_and_die(bundle: Bundle, films: Path, output: Path) -> None:
    whole = RadiographFolder.load

    def load(folder: RadiographFolder, item: Item) -> object:
        if item.filename == FATAL:
            os.kill(os.getpid(), signal.SIGSEGV)
        return whole(folder, item)

    with one_torch_thread(), mock.patch.object(RadiographFolder, "load", load):
        predict_folder(bundle, films, output, overrides={})


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


def test_the_next_run_completes_and_names_the_film(tmp_path, monkeypatch):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    films, output = tmp_path / "films", tmp_path / "output"
    names = [f"{number}.png" for number in range(6)]
    for seed, name in enumerate(names):
        write_png(films / name, seed=seed)
    write_dicom(films / FATAL)

    process = context.Process(target=predict_and_die, args=(bundle, films, output))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGSEGV
    assert not (output / "summary.json").exists()
    assert (output / NOTES_NAME).stat().st_size > 0

    (tmp_path / "sitecustomize.py").write_text(ENDS)
    for patched in (str(tmp_path), ""):  # the refusal stands in the journal
        monkeypatch.setenv("PYTHONPATH", patched)
        with one_torch_thread():
            summary = predict_folder(bundle, films, output, overrides={})
        assert (summary["inputs"], summary["predicted"], summary["failed"]) == (7, 6, 1)
        (refused,) = table(output / "failures.csv")
        assert (refused["filename"], refused["reason"]) == (FATAL, "worker_died")
        assert [row["filename"] for row in table(output / "predictions.csv")] == names
        assert not (output / NOTES_NAME).exists()


class Film:
    def __init__(self, path: Path) -> None:
        self.item = Item(path, path.name)
        self.stamp = Stamp.of(self.item)


def test_films_that_were_being_read_at_a_kill_and_are_well_are_read_again(tmp_path):
    films = [Film(write_png(tmp_path / f"{number}.png", seed=number)) for number in range(4)]
    assert fatal_films(tmp_path, films) == []
    notes = ReadingNotes(tmp_path)
    with notes.of(films[0].item):
        pass
    with notes.of(films[1].item), notes.of(films[2].item):
        kept = (tmp_path / NOTES_NAME).read_bytes()
    with notes:
        assert not (tmp_path / NOTES_NAME).read_bytes().strip(b"\0")
    assert not (tmp_path / NOTES_NAME).exists()
    (tmp_path / NOTES_NAME).write_bytes(kept)
    tried = []
    with mock.patch("pipelines.inference.fatal._ends_process", tried.append):
        assert fatal_films(tmp_path, films) == []
    assert tried == [films[1].item, films[2].item]
    assert fatal_films(tmp_path, films) == [], "read in processes of their own, and no process died"


def test_a_reader_that_comes_late_notes_nothing_elsewhere(tmp_path):
    item = Item(tmp_path / "a.png", "a.png")
    notes = ReadingNotes(tmp_path)
    with notes.of(item):
        with notes:
            pass
        other = (tmp_path / "other").open("w+b")  # takes the number of the closed file
    assert other.read() == b""
    other.close()
    assert not (tmp_path / NOTES_NAME).exists()
