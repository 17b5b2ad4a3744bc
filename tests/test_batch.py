"""A folder becomes tables: every input once, the same whatever happened on the way."""

import csv
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bundle_fixture import (
    one_torch_thread,
    write_dicom,
    write_png,
    write_tiny_bundle,
    write_weights,
)

from pipelines.errors import ConfigurationError, PlainfilmError, Reason, RunError
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.files import sha256
from pipelines.inference import batch, stream
from pipelines.inference.batch import predict_folder
from pipelines.inference.folder import RadiographFolder
from pipelines.inference.journal import JOURNAL_NAME
from pipelines.inference.lock import locked
from pipelines.labels import PNEUMONIA_CLASSES
from pipelines.workflows.bundle import Bundle

pytestmark = pytest.mark.filterwarnings(
    # MONAI imports PyTorch's deprecated scripting while it loads.
    "ignore:`torch.jit:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def films(tmp_path) -> Path:
    """Eleven good films of two formats, which two batches of four leave three of."""
    folder = tmp_path / "films"
    for number in range(6):
        write_png(folder / "png" / f"{number}.png", seed=number)
    for number in range(5):
        write_dicom(folder / f"{number}.dcm", seed=10 + number)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def predict(bundle: Bundle, source: Path, output: Path, **overrides: object):
    return predict_folder(bundle, source, output, overrides=overrides)


def test_tables_summary_and_picture(bundle, films, tmp_path):
    summary = predict(bundle, films, tmp_path / "out")
    predictions = rows(tmp_path / "out" / "predictions.csv")
    assert [row["filename"] for row in predictions] == sorted(
        p.relative_to(films).as_posix() for p in films.rglob("*.*")
    )
    for row in predictions:
        normal, pneumonia = float(row["prob_NORMAL"]), float(row["prob_PNEUMONIA"])
        assert normal + pneumonia == pytest.approx(1)
        assert row["predicted_label"] == ("PNEUMONIA" if pneumonia >= 0.5 else "NORMAL")
    assert len({row["prob_NORMAL"] for row in predictions}) > 5, "films are told apart"
    assert rows(tmp_path / "out" / "failures.csv") == []
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert (summary["inputs"], summary["predicted"], summary["failed"]) == (11, 11, 0)
    assert summary["bundle"] == "tiny"
    assert summary["bundle_version"] == "0.0.1"
    assert len(summary["weights_sha256"]) == 64
    assert summary["films_per_second"] > 0
    assert (tmp_path / "out" / "contact_sheet.png").stat().st_size > 1000


def test_a_report_holds_every_film_also_those_of_an_earlier_run(bundle, films, tmp_path):
    output = tmp_path / "out"
    predict(bundle, films, output)
    held = r'id="thumbnails">(.*?)</script>'
    first = json.loads(re.search(held, (output / "report.html").read_text("utf-8"))[1])
    assert all(first)
    write_png(films / "later.png", seed=20)
    predict(bundle, films, output)
    later = json.loads(re.search(held, (output / "report.html").read_text("utf-8"))[1])
    assert len(later) == len(first) + 1
    assert set(first) < set(later)
    predict(bundle, films, tmp_path / "none", **{"evaluator::report": False})
    left = {path.name for path in (tmp_path / "none").iterdir()}
    assert not left & {"report.html", ".thumbnails.jsonl"}


def test_an_overlay_is_merged_after_the_configuration(bundle, films, tmp_path):
    overlay = tmp_path / "one_by_one.json"
    overlay.write_text('{"engine::batch_size": 1, "evaluator::output_dir": "nowhere"}')
    given = {"evaluator::output_dir": str(tmp_path / "out")}
    predict_folder(bundle, films, tmp_path / "other", overrides=given, overlays=[str(overlay)])
    assert len(rows(tmp_path / "out" / "predictions.csv")) == 11


def test_company_and_readers_do_not_change_an_answer(bundle, films, tmp_path):
    def answers(name: str, source: Path, **overrides: object) -> dict[str, str]:
        predict(bundle, source, tmp_path / name, **overrides)
        table = rows(tmp_path / name / "predictions.csv")
        return {Path(row["filename"]).name: row["prob_PNEUMONIA"] for row in table}

    whole = answers("whole", films)
    assert answers("alone", films / "2.dcm") == {"2.dcm": whole["2.dcm"]}
    for size, threads in ((1, 1), (3, 4)):
        other = answers(
            f"by{size}", films, **{"engine::batch_size": size, "reader::threads": threads}
        )
        assert other.keys() == whole.keys()
        for name, value in whole.items():
            assert float(other[name]) == pytest.approx(float(value), abs=1e-3)


def test_one_bad_file_stops_nothing_and_says_why(bundle, films, tmp_path, monkeypatch):
    (films / "a_note.txt").write_text("not an image")
    (films / "b_cut.dcm").write_bytes((films / "0.dcm").read_bytes()[:3000])
    os.link(films / "1.dcm", films / "c_copy.dcm")
    write_png(films / "d_strange.png", seed=99)
    load = RadiographFolder.load

    def strange(self, item):
        if item.filename == "d_strange.png":
            raise ZeroDivisionError("CANARY^NAME")
        return load(self, item)

    monkeypatch.setattr(RadiographFolder, "load", strange)
    summary = predict(bundle, films, tmp_path / "out")
    failures = {row["filename"]: row for row in rows(tmp_path / "out" / "failures.csv")}
    assert failures["a_note.txt"]["reason"] == "not_an_image"
    assert failures["b_cut.dcm"]["outcome"] == "failed"
    assert failures["c_copy.dcm"]["reason"] == "duplicate"
    assert failures["d_strange.png"]["reason"] == "internal"
    assert "ZeroDivisionError" in failures["d_strange.png"]["message"]
    assert "CANARY" not in failures["d_strange.png"]["message"]
    assert summary["inputs"] == 15
    assert (summary["predicted"], summary["skipped"], summary["failed"]) == (11, 2, 2)


def test_an_output_that_is_not_finite_is_refused_alone(bundle, films, tmp_path, monkeypatch):
    load = RadiographFolder.load

    def broken(self, item):
        prepared = load(self, item)
        return (
            replace(prepared, image=prepared.image * torch.nan)
            if item.filename == "3.dcm"
            else prepared
        )

    monkeypatch.setattr(RadiographFolder, "load", broken)
    summary = predict(bundle, films, tmp_path / "out")
    (failure,) = rows(tmp_path / "out" / "failures.csv")
    assert (failure["filename"], failure["reason"]) == ("3.dcm", "not_finite")
    assert summary["predicted"] == 10


def stop_after(monkeypatch, count: int) -> None:
    """End the process, as far as a test can, after `count` batches; one runs at a time."""
    monkeypatch.setattr("pipelines.inference.engine.usable_cores", lambda: 1)
    infer: Callable = stream.FilmStream._infer
    done = []

    def counted(self, *arguments):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(1)
        return infer(self, *arguments)

    monkeypatch.setattr(stream.FilmStream, "_infer", counted)


def test_a_stopped_run_goes_on_and_ends_the_same(bundle, films, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "pipelines")
    predict(bundle, films, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            predict(bundle, films, tmp_path / "cut")
    assert not (tmp_path / "cut" / "predictions.csv").exists()
    journal = tmp_path / "cut" / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes() + b'{"filename": "0.d')
    summary = predict(bundle, films, tmp_path / "cut")
    assert summary["from_earlier_run"] == 4
    assert "going on with an earlier run that handled 4 films" in caplog.text
    for table in ("predictions.csv", "failures.csv", "predictions.json", "contact_sheet.png"):
        assert (tmp_path / "cut" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_a_finished_run_reads_nothing_again_but_what_changed(bundle, films, tmp_path, monkeypatch):
    predict(bundle, films, tmp_path / "out")
    before = {row["filename"]: row for row in rows(tmp_path / "out" / "predictions.csv")}
    write_png(films / "png" / "3.png", seed=77)
    write_png(films / "png" / "new.png", seed=78)
    read = []
    load = RadiographFolder.load
    monkeypatch.setattr(
        RadiographFolder, "load", lambda self, item: read.append(item.filename) or load(self, item)
    )
    # The picture is drawn anew, and films that stand in it are read for it.
    monkeypatch.setattr(batch.BatchResults, "draw", lambda *_: None)
    summary = predict(bundle, films, tmp_path / "out")
    assert sorted(read) == ["png/3.png", "png/new.png"]
    assert summary["predicted"] == 12
    after = {row["filename"]: row for row in rows(tmp_path / "out" / "predictions.csv")}
    assert [name for name in before if after[name] != before[name]] == ["png/3.png"]


def test_restart_and_other_weights_begin_anew(films, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "pipelines")
    bundle = write_tiny_bundle(tmp_path / "tiny")
    predict(bundle, films, tmp_path / "out")
    again = predict_folder(bundle, films, tmp_path / "out", overrides={}, restart=True)
    assert again["from_earlier_run"] == 0
    write_weights(bundle.root, seed=5)
    other = predict(bundle, films, tmp_path / "out")
    assert other["from_earlier_run"] == 0
    assert "beginning anew" in caplog.text
    assert "weights" in caplog.text


def test_other_weights_bring_their_own_operating_point(bundle, films, tmp_path):
    own = tmp_path / "run"
    write_weights(own, seed=5)
    weights = own / "models" / "model.pt"
    missing = refusal(bundle, films, tmp_path / "out", weights=str(weights))
    assert missing.reason is Reason.WEIGHTS_MISSING
    assert "operating_point.json beside the weights" in str(missing)
    OperatingPoint(0.9, 2.5, PNEUMONIA_CLASSES, "youden", "validation").save(
        weights.with_name("operating_point.json")
    )
    shipped = predict(bundle, films, tmp_path / "shipped")
    summary = predict(bundle, films, tmp_path / "out", weights=str(weights))
    assert (summary["threshold"], summary["temperature"]) == (0.9, 2.5)
    assert summary["weights_sha256"] == sha256(weights) != shipped["weights_sha256"]


def test_another_operating_point_begins_anew(films, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "pipelines")
    bundle = write_tiny_bundle(tmp_path / "tiny")
    predict(bundle, films, tmp_path / "out")
    OperatingPoint(0.9, 1.0, PNEUMONIA_CLASSES, "youden", "validation").save(bundle.operating_point)
    assert predict(bundle, films, tmp_path / "out")["from_earlier_run"] == 0
    assert "operating point" in caplog.text


def test_weights_of_another_size_are_refused_for_the_folder(films, tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    point = OperatingPoint.load(bundle.operating_point)
    replace(point, input_size=(1, 32, 32)).save(bundle.operating_point)
    assert predict(bundle, films, tmp_path / "out")["predicted"]
    with pytest.raises(ConfigurationError, match="set image_size=32"):
        predict(bundle, films, tmp_path / "out", image_size=48)


def test_another_preprocessing_begins_anew(bundle, films, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "pipelines")
    predict(bundle, films, tmp_path / "out")
    assert predict(bundle, films, tmp_path / "out", image_size=48)["from_earlier_run"] == 0
    assert "preprocessing" in caplog.text


def test_output_inside_the_input_is_no_input(bundle, films):
    for _ in range(2):
        assert predict(bundle, films, films / "out")["inputs"] == 11


def test_an_earlier_output_inside_the_input_is_no_input(bundle, films, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "pipelines")
    predict(bundle, films, films / "png" / "earlier")
    summary = predict(bundle, films, tmp_path / "out")
    assert (summary["inputs"], summary["predicted"]) == (11, 11)
    said = [message for message in caplog.messages if "earlier prediction" in message]
    assert said == ["passed over, since it is the output of an earlier prediction: 'png/earlier'"]
    error = refusal(bundle, films / "png" / "earlier", tmp_path / "other")
    assert "output of an earlier prediction" in str(error)


def test_another_input_does_not_replace_earlier_tables(bundle, films, tmp_path):
    predict(bundle, films, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    error = refusal(bundle, films / "png", tmp_path / "out")
    assert error.reason is Reason.CONFIGURATION
    assert "choose another OUTPUT" in str(error)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    again = predict_folder(bundle, films / "png", tmp_path / "out", overrides={}, restart=True)
    assert again["inputs"] == 6


def test_output_that_is_the_input_is_refused(bundle, films):
    with pytest.raises(ConfigurationError, match="output folder other than the input"):
        predict(bundle, films, films)
    assert not (films / JOURNAL_NAME).exists()


def test_a_single_file(bundle, films, tmp_path):
    predict(bundle, films / "0.dcm", tmp_path / "out")
    (row,) = rows(tmp_path / "out" / "predictions.csv")
    assert row["filename"] == "0.dcm"


def test_nothing_but_skipped_files(bundle, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no film")
    summary = predict(bundle, tmp_path / "in", tmp_path / "out")
    assert (summary["inputs"], summary["skipped"], summary["failed"]) == (1, 1, 0)
    assert rows(tmp_path / "out" / "predictions.csv") == []
    assert not (tmp_path / "out" / "contact_sheet.png").exists()


def refusal(bundle: Bundle, source: Path, output: Path, **overrides: object) -> PlainfilmError:
    with pytest.raises(PlainfilmError) as raised:
        predict(bundle, source, output, **overrides)
    return raised.value


def test_what_cannot_work_is_refused_before_work_begins(films, tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    (tmp_path / "empty").mkdir()
    assert refusal(bundle, tmp_path / "empty", tmp_path / "o").reason is Reason.DATASET_LAYOUT
    assert refusal(bundle, tmp_path / "none", tmp_path / "o").reason is Reason.CONFIGURATION
    (tmp_path / "file").write_text("in the way")
    unwritable = refusal(bundle, films, tmp_path / "file" / "out")
    assert isinstance(unwritable, RunError)
    assert unwritable.reason is Reason.OUTPUT_UNWRITABLE
    assert str(tmp_path) not in str(unwritable)
    typo = refusal(bundle, films, tmp_path / "o", **{"engine::batch_sise": 3})
    assert "engine::batch_sise" in str(typo)
    assert "did you mean 'batch_size'?" in str(typo)
    misfit = refusal(bundle, films, tmp_path / "o", **{"network_def::growth_rate": 5})
    assert misfit.reason is Reason.WEIGHTS_MISMATCH
    (bundle.root / "models" / "model.pt").unlink()
    missing = refusal(bundle, films, tmp_path / "o")
    assert missing.reason is Reason.WEIGHTS_MISSING
    assert "train" in str(missing)
    assert not (tmp_path / "o" / "summary.json").exists()


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("engine::batch_size", 0, "engine::batch_size: expected at least 1, got 0"),
        ("engine::batch_size", True, "engine::batch_size: expected a whole number"),
        ("reader::threads", 0, "reader.threads to be a whole number above 0, got 0"),
        ("reader::threads", "many", "reader.threads to be a whole number above 0, got 'many'"),
        ("reader::ahead", -1, "reader.ahead to be a whole number above 0, got -1"),
        ("reader::seconds_per_film", 0, "reader.seconds_per_film to be a number above 0, got 0"),
        ("reader::seconds_per_film", torch.nan, "reader.seconds_per_film to be a number above 0"),
        ("device", "gpu", "expected a device of this machine, got 'gpu'"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(bundle, films, tmp_path, key, value, rule):
    error = refusal(bundle, films, tmp_path / "o", **{key: value})
    assert isinstance(error, ConfigurationError)
    assert rule in str(error)
    assert not (tmp_path / "o").exists()


def test_device_by_name_and_an_argument_that_is_not_written_down(bundle, films, tmp_path):
    configuration = json.loads(bundle.inference.read_text("utf-8"))
    del configuration["reader"]["ahead"]
    other = write_tiny_bundle(tmp_path / "tiny")
    other.inference.write_text(json.dumps(configuration), "utf-8")
    settings = {"device": "cpu", "reader::ahead": 2}
    assert predict(other, films, tmp_path / "out", **settings)["device"] == "cpu"


def test_a_chain_that_does_not_fit_fails_once_and_not_for_every_film(bundle, films, tmp_path):
    error = refusal(bundle, films, tmp_path / "o", **{"preprocessing::image_size": 1})
    assert error.reason is Reason.CONFIGURATION
    assert not (tmp_path / "o" / JOURNAL_NAME).exists()


def test_a_second_run_on_one_output_is_refused_and_harms_nothing(bundle, films, tmp_path):
    output = tmp_path / "out"
    with locked(output):
        (output / ".writing-half").touch()
        with pytest.raises(RunError) as raised:
            predict(bundle, films, output)
        assert raised.value.reason is Reason.OUTPUT_IN_USE
        assert (output / ".writing-half").exists(), "it may be what the first run writes"
    assert predict(bundle, films, output)["predicted"] == 11
    assert not list(output.glob(".lock*"))
