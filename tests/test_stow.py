"""Films stored over STOW-RS are in the node's inbox before anybody is told so, each once."""

import io
import json
import logging

import pydicom
import pytest
from bundle_fixture import write_dicom
from corpus import dicom_broken_cases
from pydicom.dataset import Dataset
from web_fixture import CANARIES, PATIENT, PATIENT_ID, Node, says, tiny_predictor, web_client

from pipelines.deploy.web.limits import Limits

RELATED = 'multipart/related; type="application/dicom"; boundary=here'
STUDIES = "/dicom-web/studies"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return tiny_predictor(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.close()


@pytest.fixture
def client(node, predictor):
    with web_client({"tiny": predictor}, inbox=node.inbox) as client:
        yield client


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return [
        write_dicom(
            folder / f"{seed}.dcm", seed=seed, name=PATIENT, patient=PATIENT_ID
        ).read_bytes()
        for seed in range(3)
    ]


def packed(*contents, kind="application/dicom"):
    parts = (
        b"--here\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), each) for each in contents
    )
    return b"".join(parts) + b"--here--\r\n"


def store(client, *contents, route=STUDIES, **options):
    headers = {"Content-Type": RELATED, "Accept": "application/dicom+json"}
    return client.post(route, content=packed(*contents), headers=headers, **options)


def changed(content, **attributes):
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def failures(answer):
    said = Dataset.from_json(answer.json())
    found = [*said.get("FailedSOPSequence", ()), *said.get("OtherFailuresSequence", ())]
    return [item.FailureReason for item in found]


def test_what_is_stored_is_in_the_inbox_and_named(client, node, films):
    answer = store(client, *films)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/dicom+json"
    said = Dataset.from_json(answer.json())
    sent = [pydicom.dcmread(io.BytesIO(each)) for each in films]
    assert [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for item in said.ReferencedSOPSequence
    ] == [(each.SOPClassUID, each.SOPInstanceUID) for each in sent]
    assert "FailedSOPSequence" not in said
    assert node.stored() == set(films)


def test_a_film_that_is_there_is_stored_and_not_doubled(client, node, films):
    assert store(client, films[0]).status_code == 200
    assert store(client, films[0], films[0]).status_code == 200
    assert node.stored() == {films[0]}


def test_one_bad_film_does_not_stop_the_others(client, node, films, tmp_path):
    report = next(c for c in dicom_broken_cases.cases() if c.name == "dicom_structured_report")
    report.write(tmp_path / "sr.dcm")
    answer = store(client, films[0], b"no film", (tmp_path / "sr.dcm").read_bytes(), films[1])
    assert answer.status_code == 202
    said = Dataset.from_json(answer.json())
    assert len(said.ReferencedSOPSequence) == 2
    (failed,) = said.FailedSOPSequence
    assert failed.FailureReason == 0x0122
    assert failed.ReferencedSOPClassUID == pydicom.dcmread(tmp_path / "sr.dcm").SOPClassUID
    (other,) = said.OtherFailuresSequence
    assert other.FailureReason == 0xC000
    assert node.stored() == {films[0], films[1]}


def test_a_film_of_another_study_is_refused(client, node, films):
    study = pydicom.dcmread(io.BytesIO(films[0])).StudyInstanceUID
    other = changed(films[1], StudyInstanceUID="1.2.3")
    answer = store(client, films[0], other, route=f"{STUDIES}/{study}")
    assert answer.status_code == 202
    assert failures(answer) == [0xA900]
    assert node.stored() == {films[0]}


def test_a_uid_that_leads_elsewhere_stores_nothing_and_is_not_repeated(
    client, node, films, tmp_path
):
    evil = "../../../../tmp/CANARY"
    content = films[0].replace(
        pydicom.dcmread(io.BytesIO(films[0])).SOPInstanceUID.encode()[: len(evil)], evil.encode()
    )
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    answer = store(client, content)
    assert answer.status_code == 409
    assert failures(answer) == [0x0117]
    assert "CANARY" not in answer.text
    assert not node.stored()
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after - before if ".sqlite" not in path.name} == set()


def test_other_pixels_under_one_uid_are_a_conflict(client, node, films):
    assert store(client, films[0]).status_code == 200
    other = bytearray(films[0])
    other[-9] ^= 255
    answer = store(client, bytes(other))
    assert answer.status_code == 409
    assert failures(answer) == [0x0111]
    assert node.stored() == {films[0]}


def test_a_damaged_film_is_kept_for_who_looks_after_the_node(client, node, films):
    cut = films[0][:-100]
    assert store(client, cut).status_code == 200
    assert node.stored() == {cut}


def test_a_full_node_says_when_to_come_back(tmp_path, predictor, films):
    node = Node(tmp_path, queue=1)
    with web_client({"tiny": predictor}, inbox=node.inbox) as client:
        assert store(client, films[0]).status_code == 200
        answer = store(client, films[1])
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert failures(answer) == [0xA700]
    node.close()


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"x", {"Content-Type": "application/dicom"}, 415, "unsupported_media_type"),
        (
            packed(b"x"),
            {"Content-Type": RELATED.replace("dicom", "dicom+json")},
            415,
            "unsupported_media_type",
        ),
        (packed(b"x"), {"Content-Type": RELATED.partition("; bound")[0]}, 400, "bad_request"),
        (packed(), {"Content-Type": RELATED}, 400, "bad_request"),
        (packed(b"x")[:-10], {"Content-Type": RELATED}, 400, "bad_request"),
        (
            packed(b"x"),
            {"Content-Type": RELATED, "Accept": "application/dicom+xml"},
            406,
            "not_acceptable",
        ),
        (packed(bytes(200_000)), {"Content-Type": RELATED}, 413, "too_large"),
        (packed(*[bytes(90_000)] * 4), {"Content-Type": RELATED}, 413, "too_large"),
    ],
)
def test_a_request_of_another_form_is_refused(node, predictor, body, headers, status, reason):
    limits = Limits(object_bytes=100_000, study_bytes=300_000)
    with web_client({"tiny": predictor}, inbox=node.inbox, limits=limits) as client:
        assert says(client.post(STUDIES, content=body, headers=headers), status, reason)
    assert not node.stored()


def test_parts_of_another_kind_are_failures(client, node, films):
    body = packed(films[0], kind="image/jpeg")
    answer = client.post(STUDIES, content=body, headers={"Content-Type": RELATED})
    assert answer.status_code == 409
    assert failures(answer) == [0xC000]
    assert not node.stored()


def test_without_an_inbox_nothing_is_stored(predictor, films):
    with web_client({"tiny": predictor}) as client:
        assert says(store(client, films[0]), 404, "not_found")


def test_nothing_of_a_patient_is_said_or_logged(client, films, caplog):
    with caplog.at_level(logging.DEBUG):
        sent = (films[0], films[0][:-100], films[0][:1000], b"x")
        answers = [store(client, each) for each in sent]
    texts = [caplog.text, *(json.dumps(each.json()) for each in answers)]
    assert not [text for text in texts for canary in CANARIES if canary in text]
