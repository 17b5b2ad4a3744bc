"""Films kept on disk are those of these files and this chain, and of nothing else."""

import os

import pytest
import torch
from monai.transforms import Compose
from training_fixture import chain, write_films

from pipelines.errors import ConfigurationError, DatasetError
from pipelines.training.dataset import RadiographDataset
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
    (folder,) = (tmp_path / "cache").iterdir()
    assert not (folder / "complete.json").exists()


def test_a_folder_that_cannot_be_written_is_refused(films, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConfigurationError, match="cache_dir"):
        opened(films, tmp_path / "cache")
