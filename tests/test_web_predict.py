"""One film over HTTP gets the answer that Python gives it; a bad one gets its reason alone."""

import base64
import io
import json
import logging
import os
import pickle
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png
from corpus import dicom_broken_cases, raster_cases
from PIL import Image
from pydicom import dcmread
from web_fixture import CANARIES, PATIENT, PATIENT_ID, says, tiny_predictor, web_client

from pipelines.errors import Reason
from pipelines.evaluation.guard import FILE_NAME
from pipelines.evaluation.guard_fit import fit_guard
from pipelines.ingest.read import read_film_values, read_radiograph
from pipelines.results.records import record_json

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module")
def predictors(tmp_path_factory):
    root = tmp_path_factory.mktemp("bundles")
    return {name: tiny_predictor(root / name, seed=seed) for seed, name in enumerate("ab")}


@pytest.fixture(scope="module")
def client(predictors):
    with web_client(predictors) as client:
        yield client


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "a.dcm"
    return write_dicom(path, seed=3, name=PATIENT, patient=PATIENT_ID)


def test_a_film_gets_the_answer_of_the_predictor(client, predictors, film):
    answer = client.post("/predict", content=film.read_bytes())
    assert answer.status_code == 200
    said = answer.json()
    with one_torch_thread():
        record = predictors["a"].predict(read_radiograph(film), filename="film")
    expected = record_json(record)
    for name in ("probabilities", "confidence"):
        assert said["record"].pop(name) == pytest.approx(expected.pop(name))
    assert said["record"] == expected
    assert said["bundle"] == "a"
    assert said["bundle_version"] == "0.0.1"
    assert said["weights_sha256"] == predictors["a"].engine.weights_sha256
    assert said["operating_point"]["threshold"] == 0.5
    assert "not for diagnosis" in said["use"]
    assert (said["film"]["rows"], said["film"]["columns"]) == (60, 50)
    assert said["film"]["voi"] == read_radiograph(film).provenance.voi
    assert said["seen"] is None


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tiff"])
def test_pictures_are_films_too(client, tmp_path, suffix):
    path = write_png(tmp_path / "a.png", seed=1)
    out = io.BytesIO()
    Image.open(path).save(out, format=suffix)
    answer = client.post(
        "/predict", content=out.getvalue(), headers={"Content-Type": f"image/{suffix}"}
    )
    assert answer.status_code == 200
    assert answer.json()["film"]["format"] == suffix


def test_a_form_and_a_query_say_the_same(client, film):
    content = film.read_bytes()
    by_query = client.post("/predict?bundle=b&explain=true", content=content)
    files = {"film": ("CANARY.dcm", content, "application/dicom")}
    by_form = client.post("/predict", files=files, data={"bundle": "b", "explain": "true"})
    assert by_form.json() == by_query.json()
    assert by_form.json()["bundle"] == "b"
    assert by_form.json()["record"]["filename"] == "film"


def test_the_heat_map_covers_the_film(client, film):
    (heat,) = client.post("/predict?explain=true", content=film.read_bytes()).json()["seen"][
        "heats"
    ]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(heat["png"]))))
    assert picture.shape == (60, 50)
    assert picture.max() > 200
    assert heat["name"].startswith("Grad-CAM")


def test_a_frame_is_counted_from_1(client, film):
    content = film.read_bytes()
    assert client.post("/predict?frame=1", content=content).status_code == 200
    assert says(client.post("/predict?frame=2", content=content), 422, "no_such_frame")
    assert says(client.post("/predict?frame=0", content=content), 400, "bad_request")


def test_the_guards_mark_stands_in_the_answer(tmp_path, film):
    predictor = tiny_predictor(tmp_path / "tiny")
    images = [
        predictor.prepare(read_radiograph(write_png(tmp_path / f"{n}.png", seed=n))).image
        for n in range(20)
    ]
    fit_guard(images[:12], images[12:]).save(tmp_path / "tiny" / "models" / FILE_NAME)
    with web_client({"tiny": predictor}) as client:
        said = client.post("/predict", content=film.read_bytes()).json()
    assert said["record"]["out_of_distribution"] in {True, False}
    assert said["guard"]["guard_limit"] > 0


@pytest.mark.parametrize("module", [dicom_broken_cases, raster_cases], ids=["dicom", "raster"])
def test_every_awkward_file_gets_the_reason_that_the_reader_gives_it(client, tmp_path, module):
    statuses = {
        Reason.TOO_LARGE: 413,
        Reason.NOT_AN_IMAGE: 415,
        Reason.UNSUPPORTED_FORMAT: 415,
        Reason.UNSUPPORTED_TRANSFER_SYNTAX: 415,
    }
    cases = [case for case in module.cases() if isinstance(case.expect, Reason)]
    assert len(cases) > 20
    for case in cases:
        case.write(tmp_path / "film")
        answer = client.post("/predict", content=(tmp_path / "film").read_bytes())
        assert says(answer, statuses.get(case.expect, 422), case.expect), case.name
        (tmp_path / "film").unlink()


def test_a_cut_film_is_refused(client, film):
    content = film.read_bytes()
    assert says(client.post("/predict", content=content[:-100]), 422, Reason.TRUNCATED)


def test_a_pickle_is_no_image_and_runs_nothing(client, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    assert says(client.post("/predict", content=pickle.dumps(Evil())), 415, "not_an_image")
    assert not (tmp_path / "ran").exists()


def test_a_bundle_that_is_not_loaded_is_named_with_those_that_are(client, film):
    answer = client.post("/predict?bundle=c", content=film.read_bytes())
    assert says(answer, 404, "unknown_name")
    assert "a, b" in answer.json()["message"]
    answer = client.post("/predict?bundel=a", content=film.read_bytes())
    assert says(answer, 400, "bad_request")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"no boundary here", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="film"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="film"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="film"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="bundle"\r\n\r\n'
            + b"a" * 2000
            + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_form_that_is_none_is_refused(client, body, content_type):
    answer = client.post("/predict", content=body, headers={"Content-Type": content_type})
    assert says(answer, 400, "bad_request")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/related"])
def test_other_bodies_are_refused(client, film, kind):
    answer = client.post("/predict", content=film.read_bytes(), headers={"Content-Type": kind})
    assert says(answer, 415, "unsupported_media_type")


def test_nothing_of_a_patient_is_said_logged_or_left(client, tmp_path, monkeypatch, caplog, film):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = film.read_bytes()
    assert PATIENT.encode() in content
    renamed = content.replace(b"\x08\0\x18\0UI", b"\x08\0\x18\0LO")
    uid = dcmread(film).SOPInstanceUID.encode()
    elsewhere = content.replace(uid, b"../../CANARY".ljust(len(uid), b"/"))
    with caplog.at_level(logging.DEBUG):
        answers = [
            client.post("/predict?explain=true", content=sent)
            for sent in (content, content[:-100], elsewhere, content[:900], content[200:], renamed)
        ]
        answers.append(client.post("/film", content=content[:-100]))
    assert [each.status_code for each in answers][:3] == [200, 422, 200]
    texts = [caplog.text, *(each.text for each in answers)]
    assert not [text for text in texts for canary in CANARIES if canary in text]
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_nameless_files_a_temporary_one_is_removed(
    client, tmp_path, monkeypatch, film
):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert client.post("/predict", content=film.read_bytes()).status_code == 200
    assert client.post("/predict", files={"film": film.read_bytes()}).status_code == 200
    assert client.post("/predict", content=b"text").status_code == 415
    assert list(tmp_path.iterdir()) == []


def view_of(answer):
    """Take apart what `/film` gives."""
    (length,) = struct.unpack("<I", answer.content[:4])
    about = json.loads(answer.content[4 : 4 + length])
    kind = np.uint8 if about["colour"] else "<u2"
    shape = (about["rows"], about["columns"], *([3] if about["colour"] else []))
    return about, np.frombuffer(answer.content[4 + length :], kind).reshape(shape)


def test_a_viewer_gets_the_values_of_the_film(client, film):
    answer = client.post("/film", content=film.read_bytes())
    assert answer.headers["content-type"] == "application/vnd.plainfilm.view"
    about, samples = view_of(answer)
    values = read_film_values(film)
    np.testing.assert_array_equal(samples, values.samples)
    assert (about["first"], about["step"], about["top"]) == (
        *(values.first, values.step),
        values.samples.max(),
    )
    assert about["window"]["width"] == values.window.width
    np.testing.assert_allclose(np.array(about["curve"]) / 255, values.curve, atol=0.5 / 255 + 1e-6)


def test_a_large_film_is_shrunk_before_any_window(client, film):
    large = np.kron(read_film_values(film).samples, np.ones((3, 3), np.uint16)) * 16
    out = io.BytesIO()
    Image.fromarray(large).save(out, format="PNG")
    about, samples = view_of(client.post("/film?longest=90", content=out.getvalue()))
    assert (about["film_rows"], about["film_columns"]) == (180, 150)
    assert samples.shape == (90, 75)
    means = large.astype(float).reshape(90, 2, 75, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(samples, means, atol=1)
    assert says(client.post("/film?longest=9", content=out.getvalue()), 400, "bad_request")


def test_a_film_in_colour_has_no_window(client):
    colour = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(colour).save(out, format="PNG")
    about, samples = view_of(client.post("/film", content=out.getvalue()))
    assert about["colour"]
    np.testing.assert_array_equal(samples, colour)


def test_no_file_stays_open(client, film):
    content = film.read_bytes()

    def ask():
        for sent in (content, content[:-100], b"text"):
            client.post("/predict?explain=true", content=sent)
            client.post("/predict", files={"film": sent}, data={"bundel": "a"})
            client.post("/film", files={"film": sent})

    ask()
    before = [*Path("/proc/self/fd").iterdir()]
    for _ in range(4):
        ask()
    assert len([*Path("/proc/self/fd").iterdir()]) <= len(before)


def test_an_error_of_ours_is_said_without_its_text(client, predictors, film, monkeypatch, caplog):
    def broken(*_):
        raise ValueError(PATIENT)

    monkeypatch.setattr(type(predictors["a"]), "answer", broken)
    answer = client.post("/predict", content=film.read_bytes())
    assert says(answer, 500, "internal")
    assert "ValueError at test_web_predict.py" in caplog.text
    assert PATIENT not in caplog.text + answer.text
