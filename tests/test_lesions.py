"""Photographs of lesions with a table of metadata, and tables as they should not be."""

import csv

import pytest
from dataset_fixture import make_image, make_images

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.index import write_datalist
from pipelines.datasets.lesions import find_lesions
from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import DatasetError, Reason

CLASSES = ("bcc", "mel", "nv")


def make_lesions(root, *, lesions=30, changes=None, images="images/{}.jpg"):
    """Two photographs a lesion, classes in turn; `changes` replaces values by image_id."""
    rows = []
    for lesion in range(lesions):
        for photograph in range(2):
            image_id = f"ISIC_{lesion:04d}{photograph}"
            make_image(root / images.format(image_id))
            row = {
                "lesion_id": f"HAM_{lesion:07d}",
                "image_id": image_id,
                "dx": CLASSES[lesion % 3],
                "age": "80.0",
            }
            rows.append(row | (changes or {}).get(image_id, {}))
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_splits_by_lesion_into_three_stratified_parts(tmp_path):
    make_lesions(tmp_path)
    datalist = build_datalist(tmp_path, val_fraction=0.2, test_fraction=0.2)
    assert datalist.classes == CLASSES
    parts = (datalist.train, datalist.val, datalist.test)
    assert [len(part) for part in parts] == [36, 12, 12]
    groups = [{item["group"] for item in part} for part in parts]
    assert [len(each) for each in groups] == [18, 6, 6]
    assert len(set.union(*groups)) == 30
    for part in parts:
        assert {item["label"] for item in part} == {0, 1, 2}
    assert datalist.train[0]["age"] == "80.0"
    assert not any(
        "HAM_" in str(value) for part in parts for each in part for value in each.values()
    )


def test_the_split_follows_another_column_when_told(tmp_path):
    make_lesions(
        tmp_path, changes={f"ISIC_{n:04d}1": {"lesion_id": "HAM_0000000"} for n in range(9)}
    )
    with pytest.raises(DatasetError, match="one diagnosis for every lesion"):
        find_lesions(tmp_path)
    found = find_lesions(tmp_path, group_column="image_id")
    assert len({film.patient for film in found.films}) == 60


def test_images_lie_in_several_folders_and_formats_as_downloaded(tmp_path):
    make_lesions(tmp_path, lesions=3, images="HAM10000_images_part_1/{}.jpg")
    (tmp_path / "HAM10000_images_part_2").mkdir()
    for number, suffix in enumerate(("png", "bmp", "jpeg")):
        image = tmp_path / f"HAM10000_images_part_1/ISIC_{number:04d}0.jpg"
        image.rename(tmp_path / f"HAM10000_images_part_2/ISIC_{number:04d}0.{suffix}")
    make_images(tmp_path, [f"masks/ISIC_{n:04d}0.png" for n in range(3)])
    (tmp_path / "metadata.csv").rename(tmp_path / "HAM10000_metadata.csv")
    found = find_lesions(tmp_path, classes=CLASSES)
    assert len(found.films) == 6
    assert {film.path.suffix for film in found.films} == {".jpg", ".png", ".bmp", ".jpeg"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ISIC_00010": {"dx": "nevus"}}, "expected labels of the classes bcc, mel, nv, got 1"),
        ({"ISIC_00010": {"dx": ""}}, "expected a label in every row"),
        ({"ISIC_00010": {"image_id": "ISIC_7"}}, "expected one image for every row"),
        ({"ISIC_00010": {"image_id": "ISIC_00000"}}, "expected one row for every image"),
        ({"ISIC_00010": {"dx": "bcc"}}, "expected one diagnosis for every lesion, got 1"),
    ],
)
def test_a_faulty_table_gives_one_clear_error(tmp_path, changes, told):
    make_lesions(tmp_path, changes=changes)
    with pytest.raises(DatasetError, match=told) as refusal:
        find_lesions(tmp_path, classes=CLASSES)
    assert refusal.value.reason is Reason.DATASET_LAYOUT
    assert str(tmp_path) not in str(refusal.value)


def test_a_class_of_a_single_lesion_cannot_stand_in_both_splits(tmp_path):
    rare = {f"ISIC_0000{n}": {"dx": "akiec"} for n in (0, 1)}
    make_lesions(tmp_path, changes=rare)
    with pytest.raises(DatasetError, match=r"every class in train and val(.|\n)*val: akiec"):
        build_datalist(tmp_path, classes=("akiec", *CLASSES))


def test_the_layout_is_known_by_name_and_needs_its_table(tmp_path):
    make_lesions(tmp_path / "set")
    written = write_datalist("lesions", tmp_path / "set", tmp_path / "list.json").datalist
    assert written.classes == CLASSES
    assert build_datalist(tmp_path / "list.json", val_fraction=0).train == written.train
    (tmp_path / "set" / "metadata.csv").write_text("patient,remark\n1,none\n")
    with pytest.raises(DatasetError, match=r"expected a metadata.csv"):
        write_datalist("lesions", tmp_path / "set", tmp_path / "list.json")


def test_a_given_share_for_testing_holds_when_only_test_is_asked_for(tmp_path):
    make_lesions(tmp_path)
    kept = OpenedDataset(tmp_path, classes=CLASSES, require=["test"], test_fraction=0.2)
    assert len(kept.split("test")) == 12
    everything = OpenedDataset(tmp_path, classes=CLASSES, require=["test"])
    assert len(everything.split("test")) == 60


def test_class_folders_named_trainset_and_testset(tmp_path):
    splits = ("trainset", "testset")
    names = [
        f"{split}/{name}/{split}{n}.jpg" for split in splits for name in CLASSES for n in "123"
    ]
    make_images(tmp_path, [name.replace("set3.jpg", "set3.bmp") for name in names])
    datalist = build_datalist(tmp_path, val_fraction=0.3, require=("train", "val", "test"))
    assert datalist.classes == CLASSES
    assert (len(datalist.train) + len(datalist.val), len(datalist.test)) == (9, 9)


def test_the_shared_photographs(shared_data):
    found = find_lesions(shared_data / "skin_lesions")
    assert found.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert len(found.films) > 8000
    assert found.notes == ()
