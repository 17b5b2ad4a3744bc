"""A film without a patient gets the one that the user names, and then it is a film like others."""

import csv
import json

import numpy as np
import pydicom
import pytest
import validators_fixture as validators
from bundle_fixture import write_dicom, write_png, write_tiny_bundle
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.inference.batch import predict_folder
from pipelines.ingest.read import read_radiograph
from pipelines.results.dicom_identity import film_object, read_identities

WHO = {
    "PatientID": "CANARY-7",
    "PatientName": "Łódź^Ćma",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
    "StudyDate": "20250102",
    "PatientOrientation": "L\\F",
    "Laterality": "R",
}


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def write_identity(path, content=WHO):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_a_png_becomes_a_film_of_the_given_study_and_its_results_refer_to_it(bundle, tmp_path):
    png = write_png(tmp_path / "films" / "film.png")
    given = {
        "dicom": "sr,sc,gsps",
        "dicom_identity": str(write_identity(tmp_path / "who.json")),
    }
    summary = predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides=given)
    assert summary["dicom"]["objects"] == {"film": 1, "gsps": 1, "sc": 1, "sr": 1}
    folder = tmp_path / "out" / "dicom"
    objects = {row["kind"]: folder / row["file"] for row in rows(folder / "objects.csv")}
    film = pydicom.dcmread(objects["film"])
    for path in objects.values():
        made = pydicom.dcmread(path)
        assert (made.PatientName, made.PatientID) == (WHO["PatientName"], WHO["PatientID"])
        assert made.StudyInstanceUID == WHO["StudyInstanceUID"]
        assert path == objects["film"] or str(film.SOPInstanceUID) in str(made)
    shown = read_radiograph(objects["film"]).pixels
    assert np.abs(shown - read_radiograph(png).pixels).max() < 1e-6
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            assert b"CANARY" not in path.read_bytes(), path.name
    if not validators.MISSING:
        assert [validators.iod_errors(path) for path in objects.values()] == [[]] * 4
        assert validators.entity_complaints(list(objects.values())) == []
    before = {path.name: path.read_bytes() for path in folder.glob("*.dcm")}
    again = given | {"evaluator::restart": True}
    predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides=again)
    assert {path.name: path.read_bytes() for path in folder.glob("*.dcm")} == before


def test_a_table_names_films_one_by_one(bundle, tmp_path):
    write_png(tmp_path / "films" / "below" / "mine.png")
    write_png(tmp_path / "films" / "nobodys.png", seed=1)
    write_dicom(tmp_path / "films" / "own.dcm", patient="OWN")
    table = tmp_path / "who.csv"
    table.write_text("filename,PatientID,StudyInstanceUID\nbelow/mine.png,MINE,1.2.3\n")
    given = {"dicom": "sr", "dicom_identity": str(table)}
    predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides=given)
    folder = tmp_path / "out" / "dicom"
    patients = {
        (row["filename"], row["kind"]): str(pydicom.dcmread(folder / row["file"]).PatientID)
        for row in rows(folder / "objects.csv")
    }
    assert patients == {
        ("below/mine.png", "film"): "MINE",
        ("below/mine.png", "sr"): "MINE",
        ("own.dcm", "sr"): "OWN",
    }
    if not validators.MISSING:
        assert [validators.iod_errors(path) for path in folder.glob("*.dcm")] == [[]] * 3
    (missing,) = rows(folder / "failures.csv")
    assert (missing["filename"], missing["reason"]) == ("nobodys.png", "no_dicom_source")


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB"])
def test_the_pixels_of_a_film_stay_as_they_are(tmp_path, mode):
    shape = (7, 5, 3) if mode == "RGB" else (7, 5)
    top = 65536 if mode == "I;16" else 256
    pixels = np.random.default_rng(0).integers(0, top, shape)
    array = pixels.astype(np.uint16 if mode == "I;16" else np.uint8)
    Image.fromarray(array).save(tmp_path / "film.png")
    identity = read_identities(write_identity(tmp_path / "who.json")).find("film.png")
    made = film_object(tmp_path / "film.png", identity)
    np.testing.assert_array_equal(made.pixel_array, pixels)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"PatientID": "CANARY"}, "StudyInstanceUID"),
        ({**WHO, "StudyInstanceUID": "../../CANARY"}, "StudyInstanceUID"),
        ({**WHO, "PatientSex": "CANARY"}, "PatientSex"),
        ({**WHO, "PatientNam": "CANARY"}, "did you mean 'PatientName'"),
        ({**WHO, "StudyDate": 20250102}, "texts"),
        ([WHO], "texts"),
    ],
)
def test_a_wrong_identity_is_refused_before_anything_without_a_value(
    bundle, tmp_path, content, told
):
    write_png(tmp_path / "films" / "film.png")
    who = write_identity(tmp_path / "who.json", content)
    given = {"dicom": "sr", "dicom_identity": str(who)}
    with pytest.raises(ConfigurationError, match=told) as refused:
        predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides=given)
    assert "CANARY" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "\xff", "PatientID\nX\n"])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "who.csv" if text.startswith("P") else tmp_path / "who.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="dicom_identity"):
        read_identities(path)
