"""What is told of films beside their class, by headers and tables: nothing that names people."""

import csv
import json

import pydicom
import pytest
from dataset_fixture import make_images, set_patient
from sample_fixture import write_small_samples

from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.datasets.traits import age_band, columns_of, is_identifying
from pipelines.errors import ConfigurationError


@pytest.mark.parametrize(
    ("age", "band"),
    [
        *[("045Y", "40-59"), ("006M", "0-1"), ("100D", "0-1"), (17.9, "12-17"), ("18", "18-39")],
        *[("0", "0-1"), ("095Y", "80+"), ("2-11", "2-11"), ("", None), ("n/a", None)],
        ("999Y", None),
    ],
)
def test_bands_of_ages(age, band):
    assert age_band(age) == band


def test_columns_that_name_people_however_they_are_spelt():
    people = "surname FirstName last_name name2 e-mail SSN PatID pid case_no dateofbirth initials"
    assert [name for name in people.split() if not is_identifying(name)] == []
    others = "view site sex age kvp no_finding bone_age laterality dx_type patient_position casemix"
    assert [name for name in others.split() if is_identifying(name)] == []


def test_headers_tell_sex_band_view_and_maker_and_no_institution(tmp_path):
    write_small_samples("chest", tmp_path, count=12, seed=0)
    films = [path for path in tmp_path.rglob("*") if _is_dicom(path)]
    assert len(films) >= 2
    for number, path in enumerate(films):
        set_patient(path, f"CANARY-{number}")
        dataset = pydicom.dcmread(path)
        dataset.PatientSex, dataset.PatientAge = ("F", "067Y") if number else ("M", "091Y")
        dataset.PatientName, dataset.InstitutionName = "CANARY^NAME", "CANARY Hospital"
        dataset.ViewPosition, dataset.Manufacturer = "PA", "ACME"
        dataset.StudyDate = "20200101"
        dataset.save_as(path)
    datalist = build_datalist(tmp_path)
    of_headers = [item for _, item in datalist.with_splits() if "view" in item]
    assert len(of_headers) == len(films)
    assert {item["age"] for item in of_headers} == {"60-79", "80+"}
    assert {item["sex"] for item in of_headers} == {"F", "M"}
    assert {(item["view"], item["manufacturer"]) for item in of_headers} == {("PA", "ACME")}
    (site,) = {item["site"] for item in of_headers}
    assert site.startswith("site-")
    datalist.write(tmp_path / "datalist.json")
    written = (tmp_path / "datalist.json").read_text("utf-8")
    assert "CANARY" not in written
    assert "20200101" not in written
    again = Datalist.read(tmp_path / "datalist.json")
    assert columns_of(again.train) == columns_of(datalist.train)


def _is_dicom(path):
    return path.is_file() and path.read_bytes()[128:132] == b"DICM"


def test_tables_keep_columns_that_name_nobody(tmp_path):
    names = [f"{number}.png" for number in range(12)]
    make_images(tmp_path, names)
    columns = ["image", "label", "patient_id", "Patient Name", "StudyDate", "Age", "Sex", "site"]
    with (tmp_path / "labels.csv").open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(columns)
        for number, name in enumerate(names):
            row = [name, "ab"[number % 2], number // 2, "CANARY", f"2020-01-{number + 1:02d}"]
            table.writerow(
                [*row, 20 + 5 * number, "FM"[number % 2], ["north", "south", ""][number % 3]]
            )
    items = build_datalist(tmp_path / "labels.csv", val_fraction=0.3).train
    assert "CANARY" not in json.dumps(items)
    assert set(items[0]) == {"image", "label", "group", "age", "sex", "site"}
    told = columns_of(items)
    assert list(told) == ["age", "sex", "site"]
    assert set(told["age"]) <= {"18-39", "40-59", "60-79"}
    assert "not stated" in told["site"]
    assert columns_of(items, []) == {}
    assert list(columns_of(items, ["sex"])) == ["sex"]


def test_what_tells_no_groups_is_left_out_unless_named():
    items = [
        {
            "image": "a",
            "label": 0,
            "group": "p",
            "one": "x",
            "many": str(n),
            "hospital": f"H{n % 2}",
        }
        for n in range(20)
    ]
    told = columns_of(items)
    assert list(told) == ["hospital"]
    assert not {"H0", "H1"} & set(told["hospital"])
    assert len(set(columns_of(items, ["many"])["many"])) == 20


@pytest.mark.parametrize(
    ("name", "said"),
    [("sexe", "did you mean 'sex'"), ("patient_id", "known: sex, x"), ("x", "at most 50 values")],
)
def test_wrong_columns_are_refused(name, said):
    items = [{"sex": "F", "patient_id": "1", "x": str(n)} for n in range(60)]
    with pytest.raises(ConfigurationError, match=said):
        columns_of(items, [name])
