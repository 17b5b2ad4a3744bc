"""Weights know the films that they come from, and an evaluation on them says so."""

import json
import logging

import numpy as np
import pytest
from bundle_fixture import quick_run
from test_outcome import finish, make

from pipelines.errors import ConfigurationError
from pipelines.evaluation.trained_on import FILE_NAME, TrainedOn


@pytest.fixture(autouse=True)
def without_pictures():
    """Other tests look at the pictures; here they would take most of the time."""
    with quick_run():
        yield


def write(folder, names):
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(f"film {path.stem}".encode())
    return paths


def test_films_are_known_by_their_content(tmp_path):
    paths = write(tmp_path, [f"{n}.png" for n in range(10)])
    TrainedOn.of(paths[:6], paths[6:8]).save(tmp_path / FILE_NAME)
    known = TrainedOn.beside(tmp_path / "model.pt")
    (tmp_path / "elsewhere").mkdir()
    renamed = tmp_path / "elsewhere" / "other name.png"
    renamed.write_bytes(paths[0].read_bytes())
    seen = known.seen([renamed, *paths[5:]])
    assert (seen.films, seen.trained_on, seen.chosen_on) == (6, 2, 2)
    assert seen.warning.startswith("2 of these 6 films trained these weights")
    assert known.seen(paths[6:]).warning is None
    # Eight bytes a film, and no name of it.
    assert (tmp_path / FILE_NAME).stat().st_size < 800
    assert known.train.dtype == np.uint64
    again = TrainedOn.of(reversed(paths[:6]), paths[6:8])
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / FILE_NAME).read_bytes()


def test_weights_that_do_not_say_and_files_that_are_damaged(tmp_path):
    assert TrainedOn.beside(tmp_path / "model.pt") is None
    for content in (b"", b"no npz", b"PK\x03\x04 cut"):
        (tmp_path / FILE_NAME).write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"marks of films in trained_on\.npz"):
            TrainedOn.beside(tmp_path / "model.pt")


def test_an_evaluation_on_training_films_warns(tmp_path, caplog):
    first = make(tmp_path, criterion="argmax")
    finish(first)
    items = first.dataset.items
    metrics = json.loads((first.folder / "metrics.json").read_text("utf-8"))
    # The set of this test gives the same films for every split.
    assert metrics["films_seen"] == {"trained_on": len(items), "chosen_on": len(items)}
    films = [first.folder.parent / "films" / f"film{n:03d}.png" for n in range(len(items))]
    TrainedOn.of(films[:4], films[4:9]).save(first.folder / FILE_NAME)

    again = make(tmp_path, weights=first.folder / "model.pt", split="test")
    again.folder = tmp_path / "evaluation"
    again.check_evaluation()
    with caplog.at_level(logging.INFO):
        again.evaluate()
    told = json.loads((again.folder / "metrics.json").read_text("utf-8"))
    assert told["films_seen"] == {"trained_on": 4, "chosen_on": 5}
    assert told["weights_sha256"] == metrics["weights_sha256"]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert any("4 of these 30 films trained these weights" in said for said in warnings)
    assert "WARNING: 4 of these 30 films" in caplog.text

    (first.folder / FILE_NAME).unlink()
    again.evaluate()
    assert json.loads((again.folder / "metrics.json").read_text("utf-8"))["films_seen"] is None
