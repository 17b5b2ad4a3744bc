"""Whose film it is."""

import pytest
from dataset_fixture import set_patient
from sample_fixture import write_small_samples

from pipelines.datasets.class_folders import find_class_folders
from pipelines.datasets.films import LabelledFilm
from pipelines.datasets.groups import find_patients, patient_from_name, tie_groups
from pipelines.ingest.sniff import FileFormat


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("person12_bacteria_45.jpeg", "person12"),
        ("person12_virus_9.jpeg", "person12"),
        ("person447_virus_921_1.jpeg", "person447"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0429-0001-0002.jpeg", "IM-0429"),
        ("NORMAL2-IM-0115-0001.jpeg", "IM-0115"),
        ("00000061_012.jpg", "00000061"),
    ],
)
def test_names_of_public_sets(name, group):
    assert patient_from_name(name).group == group


@pytest.mark.parametrize("name", ["film.png", "personal_bacteria_1.png", "000000611_012.jpg"])
def test_other_names_tell_nothing(name):
    assert patient_from_name(name) is None


def film(name, **known):
    return LabelledFilm(None, name, 0, FileFormat.PNG, **known)


def test_a_column_comes_first_and_a_folder_last():
    patients = find_patients(
        [
            film("a/person1_virus_2.png", patient="patient-0"),
            film("a/Canary/person1_virus_2.png", folder="Canary"),
            film("a/Canary/1.png", folder="Canary"),
            film("a/Canary/2.png", folder="Canary"),
            film("a/3.png"),
        ]
    )
    groups = [patient.group for patient in patients]
    assert groups[:2] == ["patient-0", "person1"]
    assert groups[2] == groups[3]
    assert "Canary" not in groups[2]
    assert groups[4] == "a/3"
    assert [patient.known for patient in patients] == [True, True, True, True, False]


def test_dicom_is_grouped_by_patient_and_shows_no_patient_id(tmp_path):
    write_small_samples("chest", tmp_path, count=12)
    files = sorted(tmp_path.rglob("*.dcm"))
    for path in files:
        set_patient(path, "CANARYID77")
    found = find_class_folders(tmp_path)
    in_dicom = {
        patient.group
        for patient, each in zip(find_patients(found.films), found.films, strict=True)
        if each.file_format is FileFormat.DICOM
    }
    assert len(files) > 3
    assert len(in_dicom) == 1
    assert "CANARY" not in str(in_dicom)


def test_dicom_without_a_patient_is_grouped_by_study_not_by_file_name(tmp_path):
    write_small_samples("chest", tmp_path, count=12)
    files = sorted(tmp_path.rglob("*.dcm"))
    for path in files:
        set_patient(path, "")
    found = find_class_folders(tmp_path)
    groups = {p.group for p in find_patients(found.films) if p.group.startswith("patient-")}
    assert len(groups) == len(files)  # Every generated film is a study of its own.


def test_ties_are_followed_however_indirect():
    groups = ["d", "a", "b", "c", "e"]
    assert tie_groups(groups, [(0, 3), (1, 2), (2, 3)]) == ("a", "a", "a", "a", "e")
