"""Generated limb films: names and folders as people have them, and breaks that show."""

import numpy as np
import pytest

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.phantoms import write_samples
from pipelines.datasets.phantoms.fracture import FILM_SHAPE, limb_film
from pipelines.errors import ConfigurationError
from pipelines.files import sha256
from pipelines.ingest.read import read_radiograph


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples") / "fracture"
    return directory, write_samples("fracture", directory)


def test_the_default_set_has_the_layout_of_its_users(samples):
    directory, films = samples
    assert len(films) == 48
    assert sum(film.stat().st_size for film in films) < 5_000_000
    names = {film.relative_to(directory).as_posix() for film in films}
    assert "fractured/film [1].png" in names
    assert "not fractured/3 (1).jpg" in names
    datalist = build_datalist(directory, val_fraction=0.2)
    assert datalist.classes == ("fractured", "not fractured")
    labels = [item["label"] for item in datalist.train + datalist.val]
    assert labels.count(0) == labels.count(1) == 24


def test_those_stored_in_colour_read_as_grey_like_the_others(samples):
    channels = {read_radiograph(film).pixels.shape for film in samples[1]}
    assert channels == {(1, *FILM_SHAPE)}


def test_the_same_arguments_give_the_same_bytes(samples, tmp_path):
    again = write_samples("fracture", tmp_path / "again", count=12)
    assert [sha256(film) for film in again] == [sha256(film) for film in samples[1][:12]]


def test_a_break_moves_a_piece_of_bone_and_leaves_the_rest():
    changed = []
    for seed in range(12):
        whole, broken = (
            limb_film(np.random.default_rng(seed), broken=each) for each in (False, True)
        )
        assert whole.shape == FILM_SHAPE
        assert 0 <= whole.min() <= whole.max() <= 1
        moved = np.abs(whole - broken) > 0.1
        changed.append(moved.mean())
        # The near quarter of every bone stays where it was.
        assert moved[: FILM_SHAPE[0] // 5].mean() < 0.01
    assert 0.002 < min(changed) <= max(changed) < 0.3


def test_impossible_counts_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="expected 12 to 10000 films, got 11"):
        write_samples("fracture", tmp_path / "a", count=11)
