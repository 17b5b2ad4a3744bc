"""Films kept on disk are those of these files and this chain, and of nothing else."""

import errno
import os

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from training_fixture import chain, write_films

from pipelines.errors import ConfigurationError, DatasetError
from pipelines.training.dataset import RadiographDataset
from pipelines.training.film_cache import FilmCache
from pipelines.training.sampling import Draw
from pipelines.transforms.geometry import ResizeSquared
from pipelines.transforms.intensity import Standardised
from pipelines.transforms.reading import LoadRadiographd


@pytest.fixture
def films(tmp_path):
    return write_films(tmp_path / "films", count=6)


def opened(films, cache, transform=None):
    data = RadiographDataset(films, transform or chain(noise=True), cache_dir=cache)
    data.read_all()
    return data


def folders(cache):
    return sorted(path.name for path in cache.iterdir())


def test_a_second_run_takes_the_films_from_disk(films, tmp_path, capsys):
    cache = tmp_path / "cache"
    first = opened(films, cache)
    assert "reading: 6 films" in capsys.readouterr().err
    again = opened(films, cache)
    assert "reading" not in capsys.readouterr().err
    fresh = RadiographDataset(films, chain(noise=True))
    fresh.read_all()
    for place in range(6):
        one = fresh[Draw(place, 3)]["image"]
        assert torch.equal(first[Draw(place, 3)]["image"], one)
        assert torch.equal(again[Draw(place, 3)]["image"], one)


def test_a_changed_file_is_read_anew(films, tmp_path):
    opened(films, tmp_path / "cache")
    os.utime(films[4]["image"], ns=(0, 1))
    opened(films, tmp_path / "cache")
    assert len(folders(tmp_path / "cache")) == 2


def resized(size):
    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=size),
            Standardised(keys="image"),
        ]
    )


def test_a_changed_setting_never_meets_the_old_films(films, tmp_path):
    shapes = {opened(films, tmp_path / "cache", resized(n))[0]["image"].shape[1] for n in (8, 12)}
    assert shapes == {8, 12}
    assert len(folders(tmp_path / "cache")) == 2


def test_a_change_that_no_description_tells_is_seen_in_the_first_film(films, tmp_path, monkeypatch):
    before = opened(films, tmp_path / "cache", resized(8))[0]["image"]
    call = Standardised.__call__

    def brighter(self, data):
        item = call(self, data)
        return item | {"image": item["image"] + 1}

    monkeypatch.setattr(Standardised, "__call__", brighter)
    after = opened(films, tmp_path / "cache", resized(8))
    assert torch.allclose(after[0]["image"], before + 1)
    assert torch.allclose(after[5]["image"].mean(), torch.tensor(1.0), atol=1e-5)


def test_an_interrupted_reading_is_not_taken_for_a_whole_one(films, tmp_path):
    broken = [*films[:5], {**films[5], "image": films[5]["image"] + ".missing"}]
    with pytest.raises(DatasetError):
        opened(broken, tmp_path / "cache")
    assert not folders(tmp_path / "cache")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("image.npy", flip_a_bit),
        ("image.npy", lambda path: os.truncate(path, path.stat().st_size // 2)),
        ("image.npy", lambda path: path.unlink()),
        ("complete.json", lambda path: path.write_text("{}")),
        ("complete.json", lambda path: os.truncate(path, 7)),
    ],
    ids=["a bit", "half of it", "missing", "nothing told", "half told"],
)
def test_damaged_films_are_prepared_anew(films, tmp_path, name, damage):
    cache = tmp_path / "cache"
    whole = [opened(films, cache)[Draw(place, 3)]["image"] for place in range(6)]
    (folder,) = cache.iterdir()
    damage(folder / name)
    again = opened(films, cache)
    assert all(torch.equal(again[Draw(place, 3)]["image"], whole[place]) for place in range(6))
    assert folders(cache) == [folder.name]


def test_two_runs_fill_one_cache(films, tmp_path):
    cache = tmp_path / "cache"
    first = {"image": np.ones((1, 4, 4), np.uint16)}
    slow, quick = (FilmCache(cache, films, []) for _ in range(2))
    arrays = [each.create(first, 2) for each in (slow, quick)]
    for place, each in enumerate((quick, slow)):
        arrays[1 - place]["image"][:] = 1
        each.complete(arrays[1 - place])
    assert folders(cache) == [slow.folder.name]
    assert all((each["image"] == 1).all() for each in (*arrays, slow.find(first)))


def test_a_full_disk_is_refused_before_films_are_written(films, tmp_path, monkeypatch):
    def no_room(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(ConfigurationError, match="No space left"):
        opened(films, tmp_path / "cache")
    assert not folders(tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_refused(films, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConfigurationError, match="cache_dir"):
        opened(films, tmp_path / "cache")
