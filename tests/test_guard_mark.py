import csv
import json

import numpy as np
import pytest
import torch
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle

from pipelines.errors import Reason, RunError
from pipelines.evaluation.guard_fit import fit_guard
from pipelines.inference.batch import predict_folder
from pipelines.inference.guard import GuardMark
from pipelines.inference.prepared import PreparedFilm
from pipelines.ingest.collect import Item
from pipelines.predictions import Classification, Refusal
from pipelines.transforms.chains import radiograph_preprocessing

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
MARK = {"evaluator::additions": [{"_target_": "pipelines.inference.guard.GuardMark"}]}
MARK["evaluator::additions"][0]["weights"] = "@weights"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twenty ramps, and one of their pictures turned upside down and sideways."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(20):
        write_png(folder / f"{number}.png", seed=number)
    return folder


@pytest.fixture(scope="module")
def prepared(films):
    chain = radiograph_preprocessing(32)
    return [chain({"image": path})["image"] for path in sorted(films.glob("*.png"))]


@pytest.fixture
def weights(tmp_path, prepared):
    fit_guard(prepared[:12], prepared[12:]).save(tmp_path / "guard.npz")
    return tmp_path / "model.pt"


def film_of(image):
    return PreparedFilm(Item(None, "film.png"), image, (60, 50))


def record(name="film.png"):
    return Classification(name, 0, "NORMAL", 0.9, {"NORMAL": 0.9, "PNEUMONIA": 0.1})


def test_records_get_marks_and_refusals_stay(weights, prepared):
    mark = GuardMark(weights)
    refusal = Refusal("film.png", Reason.NOT_FINITE, "expected a finite output")
    turned = prepared[1].flip(2).transpose(1, 2)
    films = [film_of(image) for image in (prepared[0], turned, prepared[2])]
    own, foreign, refused = mark(films, [record(), record(), refusal])
    assert own.out_of_distribution is False
    assert foreign.out_of_distribution is True
    assert foreign.guard_score > mark.guard.limit > own.guard_score
    assert own.probabilities == record().probabilities
    assert refused is refusal
    assert mark([], []) == []


def test_film_that_is_not_finite_is_marked_without_a_score(weights):
    (marked,) = GuardMark(weights)([film_of(torch.full((1, 32, 32), np.nan))], [record()])
    assert marked.out_of_distribution is True
    assert marked.guard_score is None


def test_without_a_guard_records_stay_without_a_mark(tmp_path, prepared):
    mark = GuardMark(tmp_path / "model.pt")
    assert mark([film_of(prepared[0])], [record()]) == [record()]
    assert mark.about() == {"guard_limit": None}


def test_broken_guard_is_refused(tmp_path):
    (tmp_path / "guard.npz").write_bytes(b"nothing")
    with pytest.raises(RunError, match="holds none"):
        GuardMark(tmp_path / "model.pt").about()


def test_folder_is_predicted_with_marks_in_table_and_summary(tmp_path, films, prepared):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    fit_guard(prepared[:12], prepared[12:]).save(bundle.root / "models" / "guard.npz")
    folder = tmp_path / "films"
    folder.mkdir()
    for number in (0, 1):
        (folder / f"{number}.png").write_bytes((films / f"{number}.png").read_bytes())
    write_dicom(folder / "noise.dcm")
    with one_torch_thread():
        summary = predict_folder(bundle, folder, tmp_path / "out", overrides=MARK)
    assert summary["guard_limit"] == GuardMark(bundle.root / "models" / "model.pt").guard.limit
    with (tmp_path / "out" / "predictions.csv").open(newline="", encoding="utf-8") as table:
        flags = {row["filename"]: row["out_of_distribution"] for row in csv.DictReader(table)}
    entries = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert len(set(flags.values())) == 2
    assert flags["0.png"] == flags["1.png"] != flags["noise.dcm"]
    assert "out_of_distribution" in json.dumps(entries)
