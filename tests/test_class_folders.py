"""Trees of class folders as people have them, and as they should not be."""

import pytest
from dataset_fixture import make_chest_set, make_image, make_images

from pipelines.datasets.class_folders import find_class_folders
from pipelines.errors import DatasetError, Reason
from pipelines.labels import PNEUMONIA_CLASSES


def labels_of(found):
    return {film.name: (film.label, film.split) for film in found.films}


@pytest.mark.parametrize("deeper", ["", "chest_xray", "archive/chest_xray"])
def test_finds_the_chest_layout_however_deep(tmp_path, deeper):
    make_chest_set(tmp_path / deeper, persons=4)
    found = find_class_folders(tmp_path, classes=PNEUMONIA_CLASSES)
    labels = labels_of(found)
    assert found.classes == PNEUMONIA_CLASSES
    assert labels["train/NORMAL/IM-0001-0001.jpeg"] == (0, "train")
    assert labels["test/PNEUMONIA/person1_virus_6.jpeg"] == (1, "test")
    assert list(labels) == sorted(labels)


def test_passes_over_the_second_copy_in_the_archive(tmp_path):
    make_images(tmp_path, ["train/A/a.png", "train/B/b.png"])
    make_images(tmp_path / "chest_xray", ["train/A/a.png", "train/B/b.png"])
    make_image(tmp_path / "__MACOSX" / "train" / "A" / "._a.png")
    assert len(find_class_folders(tmp_path).films) == 2


def test_names_of_folders_may_have_any_case(tmp_path):
    make_images(tmp_path, ["Train/normal/a.png", "Train/Pneumonia/b.png"])
    make_images(tmp_path, ["VALID/Normal/c.png", "VALID/pneumonia/d.png"])
    found = find_class_folders(tmp_path, classes=PNEUMONIA_CLASSES)
    assert {film.split for film in found.films} == {"train", "val"}
    assert sum(film.label for film in found.films) == 2


def test_a_tree_without_splits_has_classes_in_alphabetical_order(tmp_path):
    make_images(tmp_path, ["not fractured/1 (1).png", "fractured/sub/2.png"])
    found = find_class_folders(tmp_path)
    assert found.classes == ("fractured", "not fractured")
    assert labels_of(found) == {
        "fractured/sub/2.png": (0, None),
        "not fractured/1 (1).png": (1, None),
    }
    assert found.films[0].folder == "sub"


def test_an_underscore_in_a_class_name_does_not_matter(tmp_path):
    make_images(tmp_path, ["Not_Fractured/a.png", "fractured/b.png"])
    assert find_class_folders(tmp_path, classes=["fractured", "not fractured"]).films[0].label == 1


def test_other_files_are_left_out_and_counted(tmp_path):
    make_images(tmp_path, ["A/a.png", "B/b.png"])
    (tmp_path / "A" / "notes.txt").write_text("not an image")
    (tmp_path / "A" / "empty.png").touch()
    (tmp_path / "A" / ".DS_Store").write_text("hidden")
    found = find_class_folders(tmp_path)
    assert len(found.films) == 2
    assert found.notes == ("2 files left out (1 empty_file, 1 not_an_image), such as A/empty.png",)


def refusal(directory, **options):
    with pytest.raises(DatasetError) as caught:
        find_class_folders(directory, **options)
    assert caught.value.reason is Reason.DATASET_LAYOUT
    message = str(caught.value)
    assert len(message.splitlines()) <= 5
    assert str(directory) not in message
    return message


def test_a_misspelt_class_gets_the_nearest_name(tmp_path):
    make_images(tmp_path, ["train/NORMAL/a.png", "train/PNEUMONA/b.png"])
    message = refusal(tmp_path, classes=PNEUMONIA_CLASSES)
    assert "train/PNEUMONA; did you mean 'PNEUMONIA'?" in message


def test_all_missing_and_empty_classes_are_named_at_once(tmp_path):
    make_images(tmp_path, ["train/NORMAL/a.png", "test/PNEUMONIA/b.png"])
    (tmp_path / "test" / "NORMAL").mkdir()
    message = refusal(tmp_path, classes=PNEUMONIA_CLASSES)
    assert "got 2 class folders" in message
    assert "train/PNEUMONIA" in message
    assert "test/NORMAL" in message


def test_a_class_that_only_the_training_split_has_is_refused(tmp_path):
    make_images(tmp_path, ["train/A/a.png", "train/B/b.png", "test/A/c.png"])
    assert "test/B" in refusal(tmp_path)


def test_images_outside_of_class_folders_have_no_label(tmp_path):
    make_images(tmp_path, ["A/a.png", "B/b.png", *(f"stray{n}.png" for n in range(7))])
    message = refusal(tmp_path)
    assert "got 7 images without a label" in message
    assert message.endswith("and 4 more")


def test_two_folders_for_one_split_are_refused(tmp_path):
    make_images(tmp_path, ["train/A/a.png", "train/B/b.png", "val/A/c.png", "valid/A/c.png"])
    assert "expected one folder for the split 'val'" in refusal(tmp_path)


@pytest.mark.parametrize("names", [[], ["a.png"], ["A/a.png"]])
def test_a_folder_without_classes_is_refused(tmp_path, names):
    make_images(tmp_path, names)
    assert "expected" in refusal(tmp_path)


def test_images_in_a_misspelt_split_folder_are_not_lost(tmp_path):
    for folder in ("trian", "test"):
        make_images(tmp_path, [f"{folder}/A/a{folder}.png", f"{folder}/B/b{folder}.png"])
    message = refusal(tmp_path)
    assert "got 2 elsewhere" in message
    assert "trian (2); did you mean 'train'?" in message
    (tmp_path / "trian").rename(tmp_path / "train")
    (tmp_path / "test").rename(tmp_path / "tset")
    assert "tset (2); did you mean 'test'?" in refusal(tmp_path)


@pytest.mark.parametrize("stray", ["x.png", "more/y.png", "more/A/z.png"])
def test_images_beside_the_split_folders_are_refused(tmp_path, stray):
    make_images(tmp_path, ["train/A/a.png", "train/B/b.png", stray])
    assert f"{stray.partition('/')[0]} (1)" in refusal(tmp_path)


@pytest.mark.parametrize("deeper", ["chest_xray/train", "chest_xray"])
def test_images_above_the_data_set_are_refused(tmp_path, deeper):
    make_images(tmp_path, [f"{deeper}/A/a.png", f"{deeper}/B/b.png", "x.png"])
    assert "x.png (1)" in refusal(tmp_path)


def test_split_folders_that_are_both_misspelt_get_the_nearest_names(tmp_path):
    for folder in ("trian", "tset"):
        make_images(tmp_path, [f"{folder}/NORMAL/a.png", f"{folder}/PNEUMONIA/b.png"])
    message = refusal(tmp_path, classes=PNEUMONIA_CLASSES)
    assert "trian; did you mean 'train'?" in message
