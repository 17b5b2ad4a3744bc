import pytest
from dataset_fixture import make_chest_set

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import ConfigurationError, DatasetError


@pytest.fixture
def folder(tmp_path):
    make_chest_set(tmp_path / "data")
    return tmp_path / "data"


def test_splits_are_those_of_the_datalist(folder):
    data = OpenedDataset(folder, classes=["NORMAL", "PNEUMONIA"])
    assert data.split("train") == data.datalist.train
    parts = [data.split(name) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(data.split("all"))


def test_required_split_without_films_is_refused_when_it_is_needed(folder):
    import shutil

    shutil.rmtree(folder / "test")
    data = OpenedDataset(folder, classes=["NORMAL", "PNEUMONIA"], require=["train", "test"])
    assert data.split("test") == []
    with pytest.raises(DatasetError, match="test"):
        _ = data.datalist


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"require": ["tset"]}, "got 'tset'; did you mean 'test'"),
        ({"val_fraction": 1.5}, "val_fraction from 0 to 1"),
        ({"seed": -1}, "seed of 0 or more"),
    ],
)
def test_wrong_values_are_refused_at_once(folder, options, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        OpenedDataset(folder, classes=["NORMAL", "PNEUMONIA"], **options)
    assert isinstance(caught.value, ValueError)


def test_a_split_that_there_is_not(folder):
    data = OpenedDataset(folder, classes=["NORMAL", "PNEUMONIA"])
    with pytest.raises(ConfigurationError, match=r"got 'valid'.*Known: train, val, test, all"):
        data.split("valid")
