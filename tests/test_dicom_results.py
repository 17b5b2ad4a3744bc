"""A folder is predicted into DICOM objects: whole, once, and as the standard asks."""

import csv
import json
from pathlib import Path
from unittest import mock

import highdicom
import pydicom
import pytest
import validators_fixture as validators
from bundle_fixture import write_dicom, write_png, write_tiny_bundle

from pipelines.cli import main
from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.batch import predict_folder
from pipelines.inference.journal import Journal
from pipelines.results.dicom_ledger import ObjectLedger

MADE_AT = {"InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"}
needs_validators = pytest.mark.skipif(
    bool(validators.MISSING), reason=f"not installed: {', '.join(validators.MISSING)}"
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def bytes_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((output / "dicom").glob("*.dcm"))}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def films(tmp_path_factory, real_dicom) -> Path:
    """A DX film of each polarity, a real CR film, and a picture without a patient."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(2):
        name = f"below/{number}.dcm"
        write_dicom(folder / name, seed=number, patient="CANARY-ID", name="CANARY^NAME")
    real = next(real_dicom.rglob("RG3_UNCR.dcm"))
    (folder / "real.dcm").write_bytes(real.read_bytes())
    write_png(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def predicted(bundle, films, tmp_path_factory):
    output = tmp_path_factory.mktemp("results") / "out"
    return predict_folder(bundle, films, output, overrides={"dicom": "sr"}), output


def test_tables_name_every_object_and_every_film_without(predicted, films):
    summary, output = predicted
    objects = rows(output / "dicom" / "objects.csv")
    assert [row["filename"] for row in objects] == ["below/0.dcm", "below/1.dcm", "real.dcm"]
    for row in objects:
        dataset = pydicom.dcmread(output / "dicom" / row["file"])
        assert (dataset.SOPClassUID, dataset.SOPInstanceUID) == (
            row["sop_class_uid"],
            row["sop_instance_uid"],
        )
        source = pydicom.dcmread(films / row["filename"])
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
            assert dataset[keyword].value == source[keyword].value
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    missing = rows(output / "dicom" / "failures.csv")
    assert [(row["filename"], row["reason"]) for row in missing] == [
        ("picture.png", "no_dicom_source")
    ]
    assert summary["predicted"] == 4
    assert summary["dicom"] == {
        "kinds": ["sr"],
        "objects": {"sr": 3},
        "films_without": 1,
        "reasons": {"no_dicom_source": 1},
    }


def test_patient_data_stands_in_the_objects_alone(predicted):
    _, output = predicted
    tables = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert len(tables) > 5
    for path in tables:
        assert b"CANARY" not in path.read_bytes(), path.name


def test_a_report_says_what_the_table_says(predicted):
    _, output = predicted
    (row,) = [r for r in rows(output / "predictions.csv") if r["filename"] == "real.dcm"]
    (made,) = [r for r in rows(output / "dicom/objects.csv") if r["filename"] == "real.dcm"]
    report = highdicom.sr.srread(output / "dicom" / made["file"])
    groups = report.content.get_image_measurement_groups()
    whole, *classes = groups
    evaluations = {e.name.meaning: e.value.meaning for e in whole.get_qualitative_evaluations()}
    assert evaluations["Called class"].upper() == row["predicted_label"]
    numbers = {m.name.meaning: m.value for m in whole.get_measurements()}
    assert numbers["Operating point: threshold of the decision"] == 0.5
    assert [group.finding_type.meaning for group in classes] == ["Normal", "Pneumonia"]
    for name, group in zip(("NORMAL", "PNEUMONIA"), classes, strict=True):
        (probability,) = group.get_measurements()
        assert probability.value == pytest.approx(float(row[f"prob_{name}"]), abs=1e-9)
    assert report.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


@needs_validators
def test_reports_are_right_by_the_tools_of_others(predicted, films):
    _, output = predicted
    paths = [output / "dicom" / row["file"] for row in rows(output / "dicom" / "objects.csv")]
    assert [validators.iod_errors(path) for path in paths] == [[]] * 3
    assert [validators.report_complaints(path) for path in paths] == [[]] * 3
    assert validators.entity_complaints([*films.rglob("*.dcm"), *paths]) == []


def test_the_same_command_again_changes_no_byte(bundle, films, predicted):
    _, output = predicted
    before = bytes_of(output)
    predict_folder(bundle, films, output, overrides={"dicom": "sr"})
    assert bytes_of(output) == before
    predict_folder(bundle, films, output, overrides={"dicom": "sr", "evaluator::restart": True})
    assert bytes_of(output) == before


def test_elsewhere_it_gives_the_same_objects_but_for_the_time(bundle, films, predicted, tmp_path):
    predict_folder(bundle, films, tmp_path / "out", overrides={"dicom": "sr"})
    here, there = bytes_of(predicted[1]), bytes_of(tmp_path / "out")
    assert here.keys() == there.keys()
    for name in here:
        pair = [
            pydicom.dcmread(output / "dicom" / name) for output in (predicted[1], tmp_path / "out")
        ]
        for dataset in pair:
            for keyword in MADE_AT:
                delattr(dataset, keyword)
        assert pair[0] == pair[1]


def test_a_killed_run_goes_on_without_loss_and_without_doubles(bundle, films, tmp_path):
    output = tmp_path / "out"
    overrides = {"dicom": "sr", "engine::batch_size": 1, "engine::at_once": 1}
    killed = mock.patch.object(Journal, "add", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        predict_folder(bundle, films, output, overrides=overrides)
    left = bytes_of(output)
    assert left, "objects are there before the journal knows"
    summary = predict_folder(bundle, films, output, overrides=overrides)
    assert summary["from_earlier_run"] == 0
    assert bytes_of(output).items() >= left.items()
    assert len(bytes_of(output)) == len(rows(output / "dicom" / "objects.csv")) == 3


def test_killed_between_an_object_and_its_line_it_keeps_the_object(bundle, films, tmp_path):
    output = tmp_path / "out"
    overrides = {"dicom": "sr", "engine::batch_size": 1, "engine::at_once": 1}
    killed = mock.patch.object(ObjectLedger, "add", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        predict_folder(bundle, films, output, overrides=overrides)
    left = bytes_of(output)
    assert left
    predict_folder(bundle, films, output, overrides=overrides)
    assert bytes_of(output).items() >= left.items()
    assert len(bytes_of(output)) == 3


def test_the_command_line_says_what_is_missing(bundle, films, tmp_path, capsys):
    status = main(["predict", str(bundle.root), str(films), str(tmp_path / "out"), "--dicom=sr"])
    assert status == 3
    assert "1 predicted without all of their DICOM objects" in capsys.readouterr().out


def test_what_was_lost_is_made_again_and_what_is_not_of_these_films_goes(bundle, films, tmp_path):
    output = tmp_path / "out"
    predict_folder(bundle, films, output, overrides={"dicom": "sr"})
    first, *_ = names = list(bytes_of(output))
    (output / "dicom" / first).unlink()
    stale = output / "dicom" / f"sr-{0:032x}.dcm"
    stale.write_bytes(b"of other weights")
    summary = predict_folder(bundle, films, output, overrides={"dicom": "sr"})
    assert list(bytes_of(output)) == names
    assert summary["from_earlier_run"] == 3
    without = predict_folder(bundle, films, output, overrides={})
    assert without["dicom"] is None
    assert list(bytes_of(output)) == names


def test_another_operating_point_is_another_object(bundle, films, predicted, tmp_path):
    predict_folder(bundle, films, tmp_path / "out", overrides={"dicom": "sr", "threshold": 0.9})
    assert not bytes_of(tmp_path / "out").keys() & bytes_of(predicted[1]).keys()


def test_several_kinds_at_once_and_each_film_its_own_heat(bundle, films, tmp_path):
    films = films / "below"
    summary = predict_folder(bundle, films, tmp_path / "out", overrides={"dicom": "gsps,sc"})
    assert summary["dicom"]["objects"] == {"gsps": 2, "sc": 2}
    kinds = [row["kind"] for row in rows(tmp_path / "out" / "dicom" / "objects.csv")]
    assert kinds == ["sc", "gsps"] * 2
    captures = [pydicom.dcmread(path) for path in sorted((tmp_path / "out" / "dicom").glob("sc-*"))]
    assert {each.DerivationDescription.partition(",")[0] for each in captures} == {"Grad-CAM"}
    assert not (tmp_path / "out" / "explanations").exists()


@pytest.mark.parametrize(
    ("kinds", "told"), [("pdf", "did you mean|known"), ("sr,seg", "it has sr")]
)
def test_a_kind_without_content_is_refused_before_anything(bundle, films, tmp_path, kinds, told):
    with pytest.raises(ConfigurationError, match=told):
        predict_folder(bundle, films, tmp_path / "out", overrides={"dicom": kinds})
    assert not (tmp_path / "out").exists()


def test_pictures_alone_are_refused_before_anything(bundle, tmp_path):
    write_png(tmp_path / "films" / "picture.png")
    with pytest.raises(ConfigurationError) as refused:
        predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides={"dicom": "sr"})
    assert refused.value.reason is Reason.NO_DICOM_SOURCE
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_a_film_that_no_object_can_be_made_of_keeps_its_prediction(bundle, tmp_path):
    path = write_dicom(tmp_path / "films" / "film.dcm")
    write_dicom(tmp_path / "films" / "other.dcm", seed=1)
    dataset = pydicom.dcmread(path)
    del dataset.StudyInstanceUID
    dataset.save_as(path)
    summary = predict_folder(
        bundle, tmp_path / "films", tmp_path / "out", overrides={"dicom": "sr"}
    )
    assert (summary["predicted"], summary["dicom"]["films_without"]) == (2, 1)
    (missing,) = rows(tmp_path / "out" / "dicom" / "failures.csv")
    assert (missing["filename"], missing["reason"]) == ("film.dcm", "missing_attribute")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["dicom"] == summary["dicom"]
