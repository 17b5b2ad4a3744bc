"""File names that spell out a class."""

import pytest
from dataset_fixture import make_images

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.named_classes import classes_in_name
from pipelines.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("benign (3).jpg", (0,)),
        ("train/malignant/Benign-Malignant.png", (0, 1)),
        ("benignity 4.jpg", ()),
        ("malignant/17.jpg", ()),
    ],
)
def test_whole_words_of_the_file_name_count(name, labels):
    assert classes_in_name(name, ["benign", "malignant"]) == labels


def test_short_names_are_not_looked_for():
    assert classes_in_name("1 nv.png", ["1", "2", "nv"]) == ()


def test_two_classes_in_one_file_name_are_refused(tmp_path):
    make_images(tmp_path, ["benign/a.png", "benign/benign malignant.png", "malignant/b.png"])
    with pytest.raises(DatasetError, match=r"benign malignant.png: benign and malignant, labelled"):
        build_datalist(tmp_path, val_fraction=0, require=())


def test_the_own_class_in_the_name_is_fine(tmp_path):
    make_images(tmp_path, ["fractured/fractured 1.png", "not fractured/not_fractured (1).png"])
    assert len(build_datalist(tmp_path, val_fraction=0, require=()).train) == 2
