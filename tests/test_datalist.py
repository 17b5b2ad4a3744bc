"""From a folder to a datalist, written and read back."""

import json
import re
import shutil

import pytest
from dataset_fixture import make_chest_set, make_image, make_images
from monai.data import load_decathlon_datalist

from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.datasets.leak_kinds import LeakKind
from pipelines.datasets.leakage import Severity, find_leaks
from pipelines.errors import ConfigurationError, DatasetError
from pipelines.labels import PNEUMONIA_CLASSES


def person(item):
    """The patient as the file name tells it, by a rule of this test's own."""
    name = item["image"].rsplit("/", 1)[1]
    return re.search(r"person\d+|IM-\d+", name)[0]


@pytest.fixture(scope="module")
def chest_set(tmp_path_factory):
    return make_chest_set(tmp_path_factory.mktemp("data") / "chest_xray")


@pytest.fixture(scope="module")
def chest(chest_set):
    return build_datalist(chest_set, classes=PNEUMONIA_CLASSES)


def test_items_have_an_absolute_path_a_label_and_a_group(chest, chest_set):
    item = chest.train[0]
    assert set(item) == {"image", "label", "group"}
    assert item["image"].startswith(str(chest_set))
    assert {each["label"] for each in chest.train} == {0, 1}
    assert {type(each["group"]) for each in chest.train} == {str}


def test_no_patient_is_on_both_sides(chest):
    assert not {person(item) for item in chest.train} & {person(item) for item in chest.val}
    groups = [{item["group"] for item in part} for part in (chest.train, chest.val, chest.test)]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_the_small_validation_split_is_made_anew_and_test_stays(chest):
    assert len(chest.val) > 10
    assert [item["image"].rsplit("/", 3)[1] for item in chest.test] == ["test", "test"]
    assert "validation split of 2 films is too small" in " ".join(chest.notes)


def test_the_split_depends_on_names_labels_and_seed_alone(chest, chest_set, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for path in sorted(chest_set.rglob("*.jpeg"), reverse=True):
        copy = elsewhere / path.relative_to(chest_set)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (elsewhere / "train" / "NORMAL" / "Thumbs.db").write_text("no image")
    again = build_datalist(elsewhere, classes=PNEUMONIA_CLASSES)
    names = [chest.name_of(item) for item in chest.val]
    assert [again.name_of(item) for item in again.val] == names
    assert again.fingerprint() == chest.fingerprint()
    other = build_datalist(elsewhere, classes=PNEUMONIA_CLASSES, seed=1)
    assert [other.name_of(item) for item in other.val] != names
    assert other.fingerprint() == chest.fingerprint()


def test_the_fingerprint_sees_another_label(chest_set, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(chest_set, moved)
    before = build_datalist(moved).fingerprint()
    film = next((moved / "train" / "NORMAL").iterdir())
    film.rename(moved / "train" / "PNEUMONIA" / film.name)
    assert build_datalist(moved).fingerprint() != before


@pytest.mark.parametrize("place", ["datalist.json", "runs/1/datalist.json", "chest_xray/list.json"])
def test_what_is_written_is_read_back(chest, chest_set, place):
    path = chest_set.parent / place
    chest.write(path)
    again = Datalist.read(path)
    path.unlink()
    assert (again.train, again.val, again.test) == (chest.train, chest.val, chest.test)
    assert again.classes == chest.classes
    assert str(chest_set) not in json.dumps(again.notes)


def test_a_written_list_is_relative_and_works_in_monai(chest, chest_set, tmp_path):
    chest.write(tmp_path / "datalist.json")
    text = (tmp_path / "datalist.json").read_text()
    assert str(chest_set) not in text.replace(json.loads(text)["dataset_dir"], "")
    items = load_decathlon_datalist(
        tmp_path / "datalist.json", is_segmentation=False, data_list_key="validation",
        base_dir=chest_set,
    )  # fmt: skip
    assert [item["image"] for item in items] == [item["image"] for item in chest.val]


def test_counts_add_up(chest):
    rows = chest.counts()
    assert sum(row["films"] for row in rows) == len([*chest.with_splits()])
    assert all(row["patients"] <= row["films"] for row in rows)
    assert str(chest).splitlines()[0].split() == ["split", "class", "films", "patients"]


def test_a_folder_with_only_test_films_is_for_evaluation(tmp_path):
    make_images(tmp_path, ["test/NORMAL/a.png", "test/PNEUMONIA/b.png"])
    datalist = build_datalist(tmp_path, classes=PNEUMONIA_CLASSES, require=["test"])
    assert (datalist.train, datalist.val, len(datalist.test)) == ([], [], 2)
    with pytest.raises(DatasetError, match="got none in 4 cases"):
        build_datalist(tmp_path, classes=PNEUMONIA_CLASSES)


def test_a_tree_without_splits_is_all_test_when_only_that_is_required(tmp_path):
    make_images(tmp_path, ["NORMAL/a.png", "PNEUMONIA/b.png", "NORMAL/c.png"])
    datalist = build_datalist(tmp_path, require=["test"])
    assert (datalist.train, datalist.val, len(datalist.test)) == ([], [], 3)


def test_films_of_one_patient_cannot_be_split(tmp_path):
    names = [f"PNEUMONIA/person1_virus_{n}.png" for n in range(9)]
    make_images(tmp_path, [*names, "NORMAL/IM-0001-0001.png", "NORMAL/IM-0002-0001.png"])
    with pytest.raises(DatasetError, match=r"got none in 1 cases; .*two patients.*\n  val: PNEUM"):
        build_datalist(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="got a path where nothing is") as caught:
        build_datalist(tmp_path / "nowhere")
    assert "nowhere" not in str(caught.value)


def test_films_that_tell_no_patient_are_counted(tmp_path):
    make_images(tmp_path, [f"{name}/{n}.png" for name in "AB" for n in range(4)])
    assert "8 films tell no patient" in " ".join(build_datalist(tmp_path).notes)


def test_a_patient_in_two_given_splits_is_told(tmp_path):
    make_images(tmp_path, [f"train/PNEUMONIA/person{n}_virus_{n}.png" for n in range(6)])
    make_images(tmp_path, [f"train/NORMAL/IM-000{n}-0001.png" for n in range(6)])
    make_images(tmp_path, ["val/PNEUMONIA/person3_virus_9.png", "val/NORMAL/IM-0009-0001.png"])
    (found,) = find_leaks(build_datalist(tmp_path))
    assert (found.kind, found.severity) == (LeakKind.SAME_GROUP, Severity.LEAK)
    assert found.first.file == "train/PNEUMONIA/person3_virus_3.png"
    assert found.second.file == "val/PNEUMONIA/person3_virus_9.png"
    make_image(tmp_path / "val" / "PNEUMONIA" / "person3_virus_9.png").rename(
        tmp_path / "val" / "PNEUMONIA" / "person3_bacteria_9.png"
    )
    assert find_leaks(build_datalist(tmp_path)) == ()


def test_the_real_chest_films(shared_data):
    datalist = build_datalist(shared_data / "chest_xray", classes=PNEUMONIA_CLASSES)
    train, val = ({person(item) for item in part} for part in (datalist.train, datalist.val))
    assert not train & val
    assert len(datalist.train) + len(datalist.val) == 1341 + 3875 + 16
    shares = [sum(item["label"] for item in p) / len(p) for p in (datalist.train, datalist.val)]
    assert abs(shares[0] - shares[1]) < 0.005
    assert abs(len(datalist.val) / (1341 + 3875 + 16) - 0.1) < 0.005


def test_evaluating_on_films_without_a_split_is_noted(tmp_path):
    make_images(tmp_path, ["NORMAL/a.png", "PNEUMONIA/b.png"])
    (note,) = [n for n in build_datalist(tmp_path, require=["test"]).notes if "no split" in n]
    assert "figures on films that the network was trained on are too good" in note
    make_images(tmp_path / "split" / "test", ["NORMAL/a.png", "PNEUMONIA/b.png"])
    given = build_datalist(tmp_path / "split", require=["test"])
    assert not any("no split" in note for note in given.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"val_fraction": 15}, "expected val_fraction from 0 to 1, got 15"),
        ({"test_fraction": -0.1}, "expected test_fraction from 0 to 1"),
        ({"val_fraction": float("nan")}, "got nan"),
        ({"seed": -1}, "expected a seed of 0 or more, got -1"),
    ],
)
def test_numbers_out_of_range(tmp_path, options, said):
    with pytest.raises(ConfigurationError, match=said):
        build_datalist(tmp_path, **options)
