import csv
import json
import shutil

import nibabel
import numpy as np
import pytest
from pairs_fixture import annotation, square, write_film, write_hands, write_organs
from PIL import Image

from pipelines.datasets.index import write_datalist
from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.labels import HAND_BONES


@pytest.fixture
def hands(tmp_path):
    return write_hands(tmp_path / "hands")


def opened(source, **options):
    return OpenedPairs(source, classes=HAND_BONES, **options)


def refusal(source, **options):
    data = opened(source, **options)
    assert data.split("all") == []
    with pytest.raises(DatasetError) as seen:
        _ = data.datalist
    assert seen.value.reason is Reason.DATASET_LAYOUT
    return str(seen.value)


def annotations_of(hands):
    return sorted((hands / "train" / "outputs_json").rglob("*.json"))


def change(path, **changes):
    path.write_text(json.dumps(annotation(**changes)), "utf-8")


def test_items_name_film_masks_and_person(hands):
    data = opened(hands, val_fraction=0.34)
    items = data.split("all")
    assert len(items) == 12
    for item in items:
        assert item.keys() == {"image", "label", "group"}
        assert item["group"].startswith("patient-")
        assert "ID0" not in item["group"]
    one = next(item for item in items if "ID002" in item["image"] and "_R" in item["image"])
    assert one["label"].endswith("train/outputs_json/ID002/image1661130828172_R.json")


@pytest.mark.parametrize("options", [{"val_fraction": 0.34}, {"folds": 3, "fold": 1}])
def test_both_hands_of_a_person_stay_together(hands, options):
    data = opened(hands, **options)
    train, val = ({item["group"] for item in data.split(name)} for name in ("train", "val"))
    assert not train & val
    assert (len(train), len(val)) == (4, 2)
    assert len(data.split("val")) == 4


def test_folds_share_out_the_films(hands):
    parts = [opened(hands, folds=3, fold=fold).split("val") for fold in range(3)]
    names = [item["image"] for part in parts for item in part]
    assert len(names) == len(set(names)) == 12
    other = opened(hands, folds=3, fold=0, seed=5).split("val")
    assert {item["image"] for item in other} != {item["image"] for item in parts[0]}


def test_given_test_films_stay_and_those_without_masks_are_left_out(hands):
    write_hands(hands, split="test", persons=2, first=40)
    assert len(opened(hands).split("test")) == 4
    shutil.rmtree(hands / "test" / "outputs_json")
    data = opened(hands)
    assert data.split("test") == []
    assert "4 films in test/DCM have no masks and are left out" in str(data.datalist)


def test_all_films_count_as_test_where_nothing_else_is_asked_for(tmp_path):
    data = OpenedPairs(write_organs(tmp_path), classes=["lung"], require=["test"])
    assert len(data.split("test")) == 10
    assert "all films count as test" in str(data.datalist)


def test_every_problem_is_in_one_report_and_in_a_table(hands, tmp_path):
    files = annotations_of(hands)
    files[0].write_text('{"annotations": [', "utf-8")
    entries = annotation()["annotations"]
    change(files[1], annotations=entries[:-1])
    change(files[2], annotations=[*entries, entries[3]])
    wrong = [
        entry | {"label": "Scafoid"} if entry["label"] == "Scaphoid" else entry for entry in entries
    ]
    change(files[3], annotations=wrong)
    outside = [entries[0] | {"points": [[1, 1], [5, 99], [3, 3]]}, *entries[1:]]
    change(files[4], annotations=outside)
    change(files[5], annotations=[entries[0] | {"points": [[1, 1], [5, 5]]}, *entries[1:]])
    change(files[6], metadata={"height": 2048, "width": 2048})
    files[7].unlink()
    film = hands / "train" / "DCM" / "ID005" / "image1661130828202_R.png"
    film.rename(film.with_name("other.png"))
    next((hands / "train" / "DCM" / "ID006").glob("*_R.png")).write_bytes(b"\x89PNG\r\n\x1a\n cut")
    message = refusal(hands, problems_file=tmp_path / "problems.csv")
    assert message.startswith("expected films with good masks, got 12 problems with 11 files (all")
    assert "problems.csv" in message
    assert len(message.splitlines()) == 5
    assert str(tmp_path) not in message
    with (tmp_path / "problems.csv").open(newline="", encoding="utf-8") as table:
        rows = {(row["file"].rpartition("/")[2], row["problem"]) for row in csv.DictReader(table)}
    expected = {
        (files[0].name, "expected JSON, got JSONDecodeError in line 1; export it again"),
        (files[1].name, "no polygon for Ulna"),
        (files[2].name, "the label finger-4 stands there 2 times"),
        (files[3].name, "got the unknown label 'Scafoid'; did you mean 'Scaphoid'?"),
        (files[3].name, "no polygon for Scaphoid"),
        (files[5].name, "finger-1: expected at least 3 points, got 2"),
        (files[6].name, "expected the size of the film, 96 x 96, got 2048 x 2048"),
        (f"{files[7].stem}.png", "no masks belong to it"),
        ("other.png", "no masks belong to it"),
        ("image1661130828202_R.json", "no film belongs to it"),
    }
    assert expected <= rows
    assert len(rows) == 12


def test_masks_of_another_size_and_empty_ones_are_in_the_report(tmp_path):
    root = write_organs(tmp_path)
    masks = sorted((root / "masks").iterdir())
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(masks[0])
    Image.fromarray(np.ones((20, 30), np.uint8)).save(masks[1])
    data = OpenedPairs(root, classes=["lung"])
    with pytest.raises(DatasetError, match="got 2 problems with 2 files") as seen:
        _ = data.datalist
    assert f"masks/{masks[0].name}: expected a mask with pixels of every class" in str(seen.value)
    assert f"masks/{masks[1].name}: expected a mask of the size of its film, 40 x 60" in str(
        seen.value
    )


def test_organs_that_cannot_be_told_apart_are_in_the_report(tmp_path):
    root = write_organs(tmp_path)
    mask = sorted((root / "masks").iterdir())[0]
    Image.fromarray(np.full((40, 60), 255, np.uint8)).save(mask)
    names = ["right lung", "left lung"]
    with pytest.raises(DatasetError, match="does not fall into two parts"):
        _ = OpenedPairs(root, classes=names, sides=True).datalist


def test_masks_of_every_kind_belong_to_films_of_their_name(tmp_path):
    for name in ("a", "b", "c", "d"):
        write_film(tmp_path / "images" / f"{name}.png", seed=ord(name))
    masks = tmp_path / "masks"
    masks.mkdir()
    labels = np.zeros((96, 96), np.uint8)
    for place in range(29):
        (left, top), (right, bottom) = square(place)[0], square(place)[2]
        labels[top : bottom - 2, left : right - 2] = place + 1
    Image.fromarray(labels).save(masks / "a.png")
    channels = np.stack([place + 1 == labels.T for place in range(29)], axis=2).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(channels, np.eye(4)), masks / "b.nii.gz")
    change(masks / "c.json")
    (masks / "d").mkdir()
    for place, name in enumerate(HAND_BONES):
        Image.fromarray((labels == place + 1).astype(np.uint8) * 255).save(
            masks / "d" / f"{name}.png"
        )
    items = opened(tmp_path, val_fraction=0.25).split("all")
    found = {item["image"][-5]: item["label"].rpartition("/")[2] for item in items}
    assert found == {"a": "a.png", "b": "b.nii.gz", "c": "c.json", "d": "d"}
    Image.fromarray(labels).save(masks / "c.png")
    assert "2 masks belong to it: masks/c.json, masks/c.png" in refusal(tmp_path)


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def rows_of(hands):
    films = sorted((hands / "train" / "DCM").rglob("*.png"))
    return [{"image_name": film.name, "ID": film.parent.name} for film in films]


def test_a_table_of_bare_names_is_enough(hands):
    table = write_table(
        hands / "films.csv", [{"image_name": row["image_name"]} for row in rows_of(hands)]
    )
    data, folder = opened(table, val_fraction=0.34), opened(hands, val_fraction=0.34)
    key = lambda item: item["image"]  # noqa: E731
    assert sorted(data.split("all"), key=key) == sorted(folder.split("all"), key=key)


def test_a_table_gives_masks_persons_splits_and_folds(hands):
    rows = rows_of(hands)
    for place, row in enumerate(rows):
        row["label"] = f"train/outputs_json/{row['ID']}/{row['image_name'][:-4]}.json"
        row["fold"] = place // 4
    table = write_table(hands / "films.csv", rows)
    val = opened(table, fold=2).split("val")
    assert sorted(item["image"].split("/")[-2] for item in val) == ["ID005"] * 2 + ["ID006"] * 2
    for place, row in enumerate(rows):
        row["split"] = ["train", "val", "test"][place // 4]
    data = opened(write_table(hands / "films.csv", rows))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [4, 4, 4]


def test_a_fold_column_that_splits_a_person_is_refused(hands):
    rows = [row | {"fold": place % 2} for place, row in enumerate(rows_of(hands))]
    message = refusal(write_table(hands / "films.csv", rows), fold=0)
    assert "all films of a person in one fold, got 6 persons in several" in message


def test_problems_of_a_table_are_told_together(hands):
    rows = rows_of(hands)
    rows[0]["image_name"] = "gone.png"
    rows[1]["image_name"] = rows[2]["image_name"]
    message = refusal(write_table(hands / "films.csv", rows))
    assert "got 2 problems with 2 files" in message
    assert "gone.png: expected one film of this name" in message
    assert "it stands in 2 rows" in message


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("films.csv", "name,label\na,b\n", "expected a column 'image_name'"),
        ("films.csv", "", "got no rows"),
        ("films.csv", b"\xff\xfe\x00", "in UTF-8"),
        ("films.json", "{", "an error in line 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refusal(path)


def test_the_list_of_a_run_is_read_back(hands, tmp_path):
    data = opened(hands, val_fraction=0.34)
    data.datalist.write(tmp_path / "run" / "datalist.json")
    content = json.loads((tmp_path / "run" / "datalist.json").read_text("utf-8"))
    assert content["training"][0]["label"].startswith("train/outputs_json/ID0")
    again = opened(tmp_path / "run" / "datalist.json")
    for split in ("train", "val", "test"):
        assert again.split(split) == data.split(split)
    assert again.datalist.fingerprint() == data.datalist.fingerprint()
    others = OpenedPairs(tmp_path / "run" / "datalist.json", classes=["lung"])
    with pytest.raises(DatasetError, match="expected a list with masks of lung"):
        _ = others.datalist


def test_the_fingerprint_follows_the_masks(hands):
    before = opened(hands).datalist.fingerprint()
    change(annotations_of(hands)[0], note="corrected")
    assert opened(hands).datalist.fingerprint() != before


def test_the_command_line_counts_films_and_persons(hands, tmp_path):
    output = tmp_path / "list.json"
    listed = write_datalist("hand_bones", hands, output, val_fraction=0.34).datalist
    assert listed.counts() == [
        {"split": "train", "films": 8, "patients": 4},
        {"split": "val", "films": 4, "patients": 2},
        {"split": "test", "films": 0, "patients": 0},
    ]
    assert str(listed).splitlines()[0].split() == ["split", "films", "patients"]
    annotations_of(hands)[0].unlink()
    with pytest.raises(DatasetError, match=r"all are in list_problems\.csv"):
        write_datalist("hand_bones", hands, tmp_path / "list.json")
    assert (tmp_path / "list_problems.csv").is_file()


def test_other_pairs_have_one_channel_on_the_command_line(tmp_path):
    root = write_organs(tmp_path / "data")
    output = tmp_path / "list.json"
    listed = write_datalist("mask_pairs", root, output, test_fraction=0.2).datalist
    assert listed.classes == ("mask",)
    assert len(listed.test) == 2


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "NORMAL").mkdir()
    assert "expected films with masks in the folders DCM/ with outputs_json/" in refusal(tmp_path)
    assert "a path where nothing is" in refusal(tmp_path / "gone")


def test_a_required_split_without_films_is_refused(tmp_path):
    hands = write_hands(tmp_path, persons=1)
    assert "got none in val" in refusal(hands)


@pytest.mark.parametrize("wrong", [{"fold": 5}, {"folds": 1}, {"fold": -1}, {"require": ["tset"]}])
def test_arguments_out_of_range_are_refused(hands, wrong):
    with pytest.raises(ConfigurationError):
        opened(hands, **wrong)


def test_the_real_lungs_are_good_pairs(shared_data):
    data = OpenedPairs(shared_data / "lungs", classes=["lung"], test_fraction=0.2, seed=0)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [101, 11, 28]
