"""Index a data set and report copies."""

import csv
import json
import shutil

import pytest
from dataset_fixture import make_chest_set, make_image, make_images

from pipelines.datasets.datalist import Datalist
from pipelines.datasets.index import write_datalist
from pipelines.datasets.leak_report import leaks_of
from pipelines.errors import ConfigurationError, DatasetError, Reason


def test_writes_what_it_returns(tmp_path):
    make_chest_set(tmp_path / "data")
    output = tmp_path / "out" / "list.json"
    datalist = write_datalist("chest_xray", tmp_path / "data", output).datalist
    again = Datalist.read(tmp_path / "out" / "list.json")
    assert datalist.val == again.val
    assert datalist.classes == ("NORMAL", "PNEUMONIA")


def test_the_default_output_is_in_the_working_directory(tmp_path, monkeypatch, capsys):
    make_chest_set(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    write_datalist("chest_xray", tmp_path / "data")
    assert (tmp_path / "datalist.json").is_file()
    assert capsys.readouterr().out == ""


def test_a_file_can_be_indexed(tmp_path):
    make_images(tmp_path, [f"{n}.png" for n in range(8)])
    table = tmp_path / "labels.csv"
    table.write_text("image,label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(8)))
    datalist = write_datalist("file", table, tmp_path / "list.json").datalist
    assert len(datalist.train) == 6


def test_copies_across_splits_and_classes_are_reported(tmp_path):
    data = make_chest_set(tmp_path / "data", persons=20)
    film = data / "train" / "NORMAL" / "IM-0003-0001.jpeg"
    shutil.copy(film, data / "test" / "NORMAL" / "IM-9999-0001.jpeg")
    make_image(data / "train" / "PNEUMONIA" / "person7_virus_700.jpeg", content=film.name)
    indexed = write_datalist("chest_xray", data, tmp_path / "list.json")
    with (tmp_path / "leakage.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] != "wrong_suffix"]
    assert rows[0]["kind"] == "byte_copy"
    assert (rows[0]["severity"], rows[0]["similarity"]) == ("leak", "1.000")
    assert rows[0]["second_file"] == "test/NORMAL/IM-9999-0001.jpeg"
    assert {row["kind"] for row in rows} == {"byte_copy", "two_labels"}
    card = json.loads((tmp_path / "data_card.json").read_text("utf-8"))
    assert card["duplicates"]["two_labels"] == 1
    assert card["formats"] == {"PNG": card["films"]}
    assert len(indexed.left) == len(indexed.found) > len(rows)


def test_the_real_set_with_every_test_film_in_train(shared_data, tmp_path):
    data = shared_data / "fracture_dirty"
    found = write_datalist("class_folders", data, tmp_path / "list.json").found
    films = {f"test/fractured/{path.name}" for path in (data / "test" / "fractured").iterdir()}
    assert {each.second.file for each in leaks_of(found)} == films
    assert not [each for each in leaks_of(found) if each.second.split == "val"]


def test_a_misspelt_layout(tmp_path):
    with pytest.raises(
        ConfigurationError, match="got 'class_folder'; did you mean 'class_folders'"
    ):
        write_datalist("class_folder", tmp_path)


@pytest.mark.parametrize(("layout", "is_file"), [("file", False), ("class_folders", True)])
def test_a_layout_for_the_other_kind_of_path(tmp_path, layout, is_file):
    path = tmp_path / "there"
    path.touch() if is_file else path.mkdir()
    with pytest.raises(DatasetError, match="for the layout"):
        write_datalist(layout, path)


def test_a_folder_with_test_films_alone_can_be_listed(tmp_path):
    make_images(tmp_path / "data", ["test/NORMAL/a.png", "test/PNEUMONIA/b.png"])
    datalist = write_datalist("chest_xray", tmp_path / "data", tmp_path / "list.json").datalist
    assert [len(part) for part in (datalist.train, datalist.val, datalist.test)] == [0, 0, 2]
    make_images(tmp_path / "data", ["val/NORMAL/c.png", "val/PNEUMONIA/d.png"])
    assert (
        len(write_datalist("chest_xray", tmp_path / "data", tmp_path / "list.json").datalist.val)
        == 2
    )


@pytest.mark.parametrize("output", ["there", "file/list.json"])
def test_a_list_that_cannot_be_written(tmp_path, output):
    make_chest_set(tmp_path / "data", persons=8)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match="expected a file to write the list to as --output, got"
    ) as caught:
        write_datalist("chest_xray", tmp_path / "data", tmp_path / output)
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE


def test_flat_folder_is_split_by_near_copies(tmp_path):
    make_images(
        tmp_path / "films" / "images", [f"{n}-rotated{k}.png" for n in range(10) for k in (1, 2)]
    )
    datalist = write_datalist(
        "flat", tmp_path / "films", tmp_path / "list.json", val_fraction=0.2, seed=3
    ).datalist
    assert (len(datalist.train), len(datalist.val)) == (16, 4)
    assert datalist.classes == ("normal", "anomalous")
    assert Datalist.read(tmp_path / "list.json").val == datalist.val


def test_flat_layout_takes_class_folders_with_their_normal_classes(tmp_path):
    make_images(tmp_path / "films", [f"{c}/{c}{n}.png" for n in range(10) for c in "ab"])
    datalist = write_datalist(
        "flat", tmp_path / "films", tmp_path / "list.json", classes=["a"], val_fraction=0.2
    ).datalist
    assert {item["label"] for item in datalist.train} == {0}
    assert sum(item["label"] for item in datalist.val) == 10
