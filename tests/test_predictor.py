"""One film from Python gets the answer that the batch gives it."""

import csv
import re
from collections.abc import Iterator
from textwrap import dedent

import numpy as np
import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_tiny_bundle

from pipelines.errors import InputError, Reason, RunError
from pipelines.inference.batch import predict_folder
from pipelines.inference.predictor import Predictor
from pipelines.ingest.read import read_radiograph
from pipelines.radiograph import Provenance, Radiograph


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_torch_thread():
        yield


def test_same_answer_as_the_batch(tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    film = write_dicom(tmp_path / "films" / "a.dcm", seed=3)
    predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides={})
    with (tmp_path / "out" / "predictions.csv").open(newline="", encoding="utf-8") as table:
        (row,) = csv.DictReader(table)
    answer = Predictor.from_bundle(bundle).predict(read_radiograph(film), filename="a.dcm")
    assert (answer.filename, answer.predicted_label) == ("a.dcm", row["predicted_label"])
    assert answer.probabilities["PNEUMONIA"] == pytest.approx(
        float(row["prob_PNEUMONIA"]), abs=1e-3
    )


def test_the_example_of_the_docstring_runs(tmp_path, monkeypatch, capsys):
    write_tiny_bundle(tmp_path / "bundles" / "pneumonia_classification")
    write_dicom(tmp_path / "film.dcm")
    monkeypatch.chdir(tmp_path)
    code = [line for line in Predictor.__doc__.splitlines() if line.startswith(" " * 8)]
    start = next(n for n, line in enumerate(code) if "import Predictor" in line)
    exec(dedent("\n".join(code[start : start + 6])), {})
    assert re.fullmatch(r"(NORMAL|PNEUMONIA) 0\.\d+\n", capsys.readouterr().out)


def test_no_answer_where_the_network_has_none(tmp_path):
    predictor = Predictor.from_bundle(write_tiny_bundle(tmp_path / "tiny", bias=np.inf))
    film = Radiograph(np.zeros((1, 40, 40), np.float32), None, Provenance(format="png", bits=8))
    with pytest.raises(InputError) as raised:
        predictor.predict(film)
    assert raised.value.reason is Reason.NOT_FINITE


def test_missing_weights_are_said_when_it_is_made(tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    bundle.weights.unlink()
    with pytest.raises(RunError, match="train first"):
        Predictor.from_bundle(bundle)
