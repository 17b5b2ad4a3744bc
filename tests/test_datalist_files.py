"""Datalists that users write themselves."""

import json

import pytest
from dataset_fixture import make_images

from pipelines.datasets.datalist import build_datalist
from pipelines.errors import DatasetError


@pytest.fixture
def folder(tmp_path):
    return make_images(tmp_path, [f"images/film{n}.png" for n in range(8)])


def write_csv(folder, text):
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def rows(template="images/film{n}.png,{label}", count=8, header="Image,LABEL"):
    lines = [template.format(n=n, label="AB"[n % 2], half=n // 2) for n in range(count)]
    return "\n".join([header, *lines]) + "\n"


def labels_of(datalist):
    return {item["image"].rsplit("/", 1)[1]: item["label"] for _, item in datalist.with_splits()}


def test_a_table_with_images_and_labels(folder):
    datalist = build_datalist(write_csv(folder, rows()))
    assert datalist.classes == ("A", "B")
    assert labels_of(datalist) == {f"film{n}.png": n % 2 for n in range(8)}
    assert len(datalist.val) == 2


def test_the_order_of_classes_is_that_of_the_caller(folder):
    assert (
        labels_of(build_datalist(write_csv(folder, rows()), classes=["b", "a"]))["film0.png"] == 1
    )


def test_semicolons_bare_names_and_byte_order_mark(folder):
    table = rows("film{n};{label}", header="\ufeffImage_ID;dx")
    assert len(labels_of(build_datalist(write_csv(folder, table)))) == 8


def test_images_are_found_beside_masks_of_the_same_name(folder):
    make_images(folder, [f"masks/film{n}.png" for n in range(8)])
    assert len(labels_of(build_datalist(write_csv(folder, rows("film{n},{label}"))))) == 8


def test_labels_may_be_numbers(folder):
    table = "image,label\n" + "".join(f"images/film{n}.png,{n % 2}\n" for n in range(8))
    assert build_datalist(write_csv(folder, table)).classes == ("0", "1")
    named = build_datalist(write_csv(folder, table), classes=["NORMAL", "PNEUMONIA"])
    assert labels_of(named)["film1.png"] == 1


def test_patients_and_further_columns(folder):
    table = rows(
        "images/film{n}.png,{label},CANARYID{half},7{n},Canary^Name",
        header="image,label,PatientID,Age,Name",
    )
    datalist = build_datalist(write_csv(folder, table))
    items = [item for _, item in datalist.with_splits()]
    assert set(items[0]) == {"image", "label", "group", "age"}
    assert len({item["group"] for item in items}) == 4
    assert "CANARY" not in str(items).upper()
    assert not {i["group"] for i in datalist.train} & {i["group"] for i in datalist.val}


def test_a_named_group_column(folder):
    table = rows("images/film{n}.png,{label},{half}", header="image,label,Lesion ID")
    datalist = build_datalist(write_csv(folder, table), group_column="lesion_id")
    assert len({item["group"] for _, item in datalist.with_splits()}) == 4


def test_given_splits_stay(folder):
    table = rows("images/film{n}.png,{label},train", 6, header="image,label,split")
    table += "images/film6.png,A,validation\nimages/film7.png,B,TEST\n"
    datalist = build_datalist(write_csv(folder, table), require=())
    assert [len(part) for part in (datalist.train, datalist.val, datalist.test)] == [6, 1, 1]


def test_a_list_in_the_form_of_monai(folder):
    content = {
        "training": [{"image": "./images/film0.png", "label": 0}],
        "validation": [{"image": "./images/film1.png", "label": 1}],
    }
    (folder / "mine.json").write_text(json.dumps(content))
    datalist = build_datalist(folder / "mine.json", classes=["no", "yes"], require=())
    assert [item["label"] for item in (*datalist.train, *datalist.val)] == [0, 1]


REFUSALS = {
    "no rows": ("image,label\n", "got no rows"),
    "no label column": (rows(header="image,lable"), "rename 'lable' to 'label'"),
    "unknown group column": (rows(), "a column 'lesion' in the datalist, got image, label"),
    "missing images": (rows(count=8) + "images/film8.png,A\nfilm9,B\n", "got 2 rows without one"),
    "unlisted images": (rows(count=5), "got 3 images without a label"),
    "empty label": (rows().replace(",A", ","), "got 4 images without one"),
    "image twice": (rows() + "images/film0.png,B\n", "got 1 images with several"),
    "unknown split": (
        rows("images/film{n}.png,{label},tets", header="image,label,split"),
        "'test'",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_name_the_problem(folder, case):
    text, expected = REFUSALS[case]
    group_column = "lesion" if case == "unknown group column" else None
    with pytest.raises(DatasetError) as caught:
        build_datalist(write_csv(folder, text), group_column=group_column)
    message = str(caught.value)
    assert expected in message
    assert len(message.splitlines()) <= 5
    assert str(folder) not in message


def test_an_unknown_label_gets_the_nearest_class(folder):
    table = rows().replace(",A", ",NORMAL").replace(",B", ",PNEUMONA")
    with pytest.raises(DatasetError, match="'PNEUMONA' in 4 rows; did you mean 'PNEUMONIA'"):
        build_datalist(write_csv(folder, table), classes=["NORMAL", "PNEUMONIA"])


@pytest.mark.parametrize("content", [b"{]", b"{}", b"\xff\xd8\xff", b""])
def test_what_is_no_datalist(tmp_path, content):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(DatasetError, match="expected"):
        build_datalist(tmp_path / "list")


def test_unlabelled_items_of_a_json_list(folder):
    (folder / "list.json").write_text(json.dumps({"test": ["images/film0.png"]}))
    with pytest.raises(DatasetError, match="got 1 images without one"):
        build_datalist(folder / "list.json", require=["test"])
