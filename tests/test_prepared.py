"""Records of every task survive the journal; additions see every film and change its record."""

from dataclasses import replace

import pytest
from bundle_fixture import one_torch_thread, write_png, write_tiny_bundle

from pipelines.errors import Reason
from pipelines.inference.batch import predict_folder
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.journal import Entry, Journal, Stamp
from pipelines.ingest.collect import Item
from pipelines.predictions import (
    AnomalyDetection,
    Classification,
    Refusal,
    Region,
    Segmentation,
)

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

RECORDS = [
    Classification("a.png", 1, "PNEUMONIA", 0.9, {"NORMAL": 0.1, "PNEUMONIA": 0.9}, True, 4.5),
    Segmentation(
        "a.png",
        (
            Region("Radius", 12, 0.48, 6.5, 1.3, 1, "3 4 13 8"),
            Region("Ulna", 0, None, 0.0, None, 0, ""),
        ),
        False,
        0.25,
    ),
    AnomalyDetection("a.png", 0.125, True, None, None),
    Refusal("a.png", Reason.TRUNCATED, "expected 10 bytes, got 5; copy the file again"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_the_journal_as_it_was(record, tmp_path):
    path, stamp = tmp_path / ".journal.jsonl", Stamp(10, 20)
    Journal(path, {"plainfilm": "0"}).add([Entry(0, stamp, record)])
    found = Journal(path, {"plainfilm": "0"}).find(Item(tmp_path / "a.png", "a.png"), stamp)
    assert found == record


class Marked:
    """Marks every film whose name is in a list."""

    def __init__(self):
        self.seen = []

    def about(self):
        return {"marked": "b.png"}

    def __call__(self, films, records):
        self.seen.extend(film.filename for film in films)
        return [replace(r, out_of_distribution=r.filename == "b.png") for r in records]


def test_an_addition_marks_records_and_stands_in_the_summary(tmp_path, monkeypatch):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    for number, name in enumerate("abc"):
        write_png(tmp_path / "films" / f"{name}.png", seed=number)
    build, marked = InferenceConfiguration.build, Marked()

    def with_mark(self, key):
        self._parser["evaluator::additions"] = [marked]
        return build(self, key)

    monkeypatch.setattr(InferenceConfiguration, "build", with_mark)
    with one_torch_thread():
        summary = predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides={})
    assert sorted(marked.seen) == ["a.png", "b.png", "c.png"]
    assert summary["out_of_distribution"] == 1
    assert summary["marked"] == "b.png"
    table = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[1] for line in table] == [
        "out_of_distribution",
        "false",
        "true",
        "false",
    ]
