import pytest
from dataset_fixture import make_image, make_images

from pipelines.datasets.anomaly import AnomalyDataset, find_anomaly_films
from pipelines.datasets.datalist import Datalist
from pipelines.errors import ConfigurationError, DatasetError

NORMAL = [f"not fractured/{n}-rotated{k} (1).png" for n in range(20) for k in (1, 2, 3)]
FRACTURED = [f"fractured/{n}-rotated{k}.png" for n in range(8) for k in (1, 2)]


def labels(items):
    return {item["label"] for item in items}


def groups(items):
    return {item["group"] for item in items}


def test_flat_folder_is_split_by_near_copies(tmp_path):
    names = [f"{n}-rotated{k}.png" for n in range(20) for k in (1, 2, 3)]
    make_images(tmp_path / "images", names)
    dataset = AnomalyDataset(tmp_path)
    assert labels(dataset.split("all")) == {0}
    assert len(dataset.split("train")) == 48
    assert len(dataset.split("val")) == 12
    assert not groups(dataset.split("train")) & groups(dataset.split("val"))
    assert "60 films are 20 films" in dataset.datalist.notes[-1]


def test_anomalous_films_never_train(tmp_path):
    make_images(tmp_path, NORMAL + FRACTURED)
    dataset = AnomalyDataset(tmp_path, normal_classes=["Not_Fractured"], test_fraction=0.25)
    assert labels(dataset.split("train")) == {0}
    assert labels(dataset.split("val")) == labels(dataset.split("test")) == {0, 1}
    assert len(dataset.split("all")) == len(NORMAL + FRACTURED)
    parts = [groups(dataset.split(name)) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 28


def test_folder_without_splits_can_be_all_test(tmp_path):
    make_images(tmp_path, NORMAL + FRACTURED)
    dataset = AnomalyDataset(tmp_path, normal_classes=["not fractured"], require=["test"])
    assert len(dataset.split("test")) == len(NORMAL + FRACTURED)
    assert dataset.split("val") == []
    assert "trained on are too good" in str(dataset.datalist)


@pytest.mark.parametrize(
    "options", [{}, {"require": ["val"]}, {"require": ["test"], "test_fraction": 0.5}]
)
def test_a_split_that_is_made_needs_no_warning(tmp_path, options):
    make_images(tmp_path, NORMAL + FRACTURED)
    dataset = AnomalyDataset(tmp_path, normal_classes=["not fractured"], **options)
    assert "count as test" not in str(dataset.datalist)


def test_given_splits_stay(tmp_path):
    make_images(tmp_path, [f"train/{name}" for name in NORMAL + FRACTURED])
    make_images(tmp_path, [f"test/{name.replace('/', '/t')}" for name in NORMAL + FRACTURED])
    dataset = AnomalyDataset(tmp_path, normal_classes=["not fractured"], test_fraction=0.5)
    assert len(dataset.split("test")) == len(NORMAL + FRACTURED)
    assert labels(dataset.split("train")) == {0}
    assert labels(dataset.split("val")) == {0, 1}


def test_copy_of_a_normal_film_in_two_given_splits_is_refused(tmp_path):
    for split in ("train", "test"):
        make_images(tmp_path / split, NORMAL + FRACTURED)
    make_image(tmp_path / "test" / "not fractured" / "other name.png", content="0-rotated1 (1).png")
    dataset = AnomalyDataset(tmp_path, normal_classes=["not fractured"])
    with pytest.raises(DatasetError, match=r"77 byte_copy(.|\n)*test/fractured/0-rotated1.png"):
        dataset.check_leaks()


@pytest.mark.parametrize(
    ("normal_classes", "words"),
    [([], "got none"), (["healthy"], "fractured, not fractured, got healthy")],
)
def test_classes_must_be_named(tmp_path, normal_classes, words):
    make_images(tmp_path, NORMAL + FRACTURED)
    dataset = AnomalyDataset(tmp_path, normal_classes=normal_classes)
    assert dataset.split("train") == []
    with pytest.raises(DatasetError, match=words):
        _ = dataset.datalist


def test_too_few_films_are_refused(tmp_path):
    make_images(tmp_path, ["1.png"])
    with pytest.raises(DatasetError, match="got none in val"):
        _ = AnomalyDataset(tmp_path).datalist


def test_missing_folder_is_refused_without_its_path(tmp_path):
    with pytest.raises(DatasetError, match="nothing is") as caught:
        find_anomaly_films(tmp_path / "patient 4711", normal_classes=[])
    assert "4711" not in str(caught.value)


def test_wrong_split_name_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="name of a split"):
        AnomalyDataset(tmp_path, require=["training"])


def test_written_list_gives_the_same_films(tmp_path):
    make_images(tmp_path / "films", NORMAL + FRACTURED)
    first = AnomalyDataset(tmp_path / "films", normal_classes=["not fractured"])
    first.datalist.write(tmp_path / "datalist.json")
    again = AnomalyDataset(tmp_path / "datalist.json", normal_classes=["not fractured"])
    assert isinstance(again.datalist, Datalist)
    for name in ("train", "val", "test"):
        images = [{item["image"] for item in each.split(name)} for each in (first, again)]
        assert images[0] == images[1]


def test_films_that_cannot_be_read_are_left_out_by_choice(tmp_path):
    make_images(tmp_path, NORMAL + FRACTURED)
    broken = tmp_path / "not fractured" / "broken.png"
    broken.write_bytes((tmp_path / NORMAL[0]).read_bytes()[:60])
    films = len(NORMAL + FRACTURED)
    given = {"normal_classes": ["not fractured"]}
    assert len(AnomalyDataset(tmp_path, **given).split("all")) == films + 1
    dataset = AnomalyDataset(tmp_path, unreadable="leave_out", **given)
    assert len(dataset.split("all")) == films
    assert any("broken.png" in note for note in dataset.datalist.notes)
    with pytest.raises(ConfigurationError, match="leave_out"):
        AnomalyDataset(tmp_path, unreadable="ignore")
