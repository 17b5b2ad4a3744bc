"""A node answers: films come by C-STORE, each is predicted once, and nothing stops the others."""

import contextlib
import gc
import json
import logging
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_tiny_bundle
from node_fixture import (
    LISTEN,
    NO_FACE,
    ROOM,
    associate,
    line_that_breaks,
    predict_nothing,
    send,
    wait_until,
)

from pipelines.deploy.node import prediction
from pipelines.deploy.node.prediction import Worker
from pipelines.deploy.node.service import Node
from pipelines.deploy.node.settings import (
    BatchSettings,
    HttpSettings,
    LimitSettings,
    NodeSettings,
    Peer,
    Rule,
)
from pipelines.deploy.node.states import FilmState
from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.inference import stream
from pipelines.inference.batch import predict_folder
from pipelines.workflows.bundle import Bundle

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    # pynetdicom leaves sockets that were never connected to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def sockets_are_collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def settings(bundle, tmp_path) -> NodeSettings:
    rule = Rule("chest", str(bundle.root), body_part=("CHEST",))
    return NodeSettings(tmp_path / "data", (rule,), dicom=LISTEN, http=NO_FACE, limits=ROOM)


@pytest.fixture
def node(settings) -> Iterator[Node]:
    with one_torch_thread():
        node = Node(settings)
        yield node
        node.stop()


def write_films(folder: Path, count: int) -> list[Path]:
    return [
        write_dicom(folder / f"{number}.dcm", seed=number, name="CANARY^NAME", patient="CANARY-ID")
        for number in range(count)
    ]


def settled(node: Node) -> bool:
    return node.films.count(FilmState.QUEUED) == 0


def results(node: Node) -> list[dict]:
    folder = node.settings.data_dir / "results"
    return [json.loads(path.read_text("utf-8")) for path in folder.rglob("prediction.json")]


def test_films_are_answered_as_predict_answers_them(node, bundle, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    films = write_films(tmp_path / "films", 9)
    association = associate(node.dicom_port)
    assert association.send_c_echo().Status == 0
    association.release()
    assert send(node.dicom_port, [*films, films[0]]) == [0] * 10
    wait_until(lambda: settled(node))
    predict_folder(bundle, tmp_path / "films", tmp_path / "out", overrides={})
    table = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    expected = sorted(row["probabilities"]["PNEUMONIA"] for row in table["predictions"])
    found = results(node)
    answers = sorted(each["predictions"][0]["probabilities"]["PNEUMONIA"] for each in found)
    assert answers == pytest.approx(expected, abs=1e-6)
    assert {each["weights_sha256"] for each in found} == {
        node._worker._models["chest"].about["weights_sha256"]
    }
    assert node.status().films == {
        "queued": 0,
        "predicted": 0,
        "done": 9,
        "failed": 0,
        "unmatched": 0,
    }
    assert caplog.text.count("film_queued") == caplog.text.count("film_predicted") == 9
    assert caplog.text.count("film_duplicate") == 1
    uid = str(pydicom.dcmread(films[0]).SOPInstanceUID)
    assert not any(canary in caplog.text for canary in ("CANARY", uid))
    registry = node.metrics.registry
    assert registry.get_sample_value("plainfilm_predicted_total", {"rule": "chest"}) == 9
    assert registry.get_sample_value("plainfilm_films", {"state": "done"}) == 9
    assert not [path for path in (node.settings.data_dir / "work").rglob("*") if path.is_file()]


def test_two_clients_at_once_with_some_films_in_common(node, tmp_path):
    films = write_films(tmp_path / "films", 20)
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(send, node.dicom_port, films[:12], calling="ROOM1")
        second = clients.submit(send, node.dicom_port, films[8:][::-1], calling="ROOM2")
        assert first.result() == second.result() == [0] * 12
    wait_until(lambda: settled(node))
    assert node.films.counts()[FilmState.DONE] == 20
    assert len(results(node)) == 20
    answers = {each["predictions"][0]["confidence"] for each in results(node)}
    assert len(answers) > 15, "each film has an answer of its own"


@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [("OTHER", "PLAINFILM", 3), ("ELSEWHERE", "PLAINFILM", 3), ("ROOM1", "PACS", 7)],
)
def test_who_is_not_on_the_list_is_rejected_with_the_right_reason(
    settings, calling, called, reason, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(Worker, "load", lambda _: None)
    peers = (Peer("ROOM1", "127.0.0.1"), Peer("ELSEWHERE", "10.1.2.3"))
    node = Node(replace(settings, dicom=replace(LISTEN, peers=peers)))
    refused = associate(node.dicom_port, calling=calling, ae_title=called)
    assert refused.is_rejected
    answer = refused.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, reason)
    welcome = associate(node.dicom_port)
    assert welcome.is_established
    welcome.release()
    assert "association_refused address=127.0.0.1 reason=peer_not_allowed" in caplog.text
    node.stop()


def changed(path: Path, name: str, **attributes: object) -> Path:
    dataset = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path.with_name(name))
    return path.with_name(name)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says that the UID is wrong
def test_each_refusal_has_its_status(settings, tmp_path, monkeypatch):
    predict_nothing(monkeypatch)
    (film, other) = write_films(tmp_path / "films", 2)
    pixels = bytes(len(pydicom.dcmread(film).PixelData))
    bad = changed(film, "bad.dcm", SOPInstanceUID="1.2.3/../../x")
    twin = changed(film, "twin.dcm", PixelData=pixels)
    hand = changed(other, "hand.dcm", BodyPartExamined="HAND")
    node = Node(replace(settings, limits=LimitSettings(queue=1, free_disk_mb=0)))
    assert send(node.dicom_port, [bad, film]) == [0x0117, 0]
    assert send(node.dicom_port, [other]) == [0xA700], "the queue is full"
    node.stop()
    node = Node(settings)
    assert send(node.dicom_port, [twin, hand]) == [0x0111, 0]
    assert node.films.counts()[FilmState.UNMATCHED] == 1
    node.stop()
    node = Node(replace(settings, limits=LimitSettings(free_disk_mb=1e12)))
    assert send(node.dicom_port, [other]) == [0xA700], "the disk is full"
    node.stop()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "films"]


@pytest.mark.usefixtures("sockets_are_collected")
def test_what_is_no_radiograph_gets_no_context(node):
    entity = associate(node.dicom_port).ae
    entity.requested_contexts = []
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    refused = entity.associate("127.0.0.1", node.dicom_port, ae_title="PLAINFILM")
    assert not refused.is_established


def test_an_object_beyond_the_limit_is_cut_off_and_the_node_goes_on(
    settings, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    predict_nothing(monkeypatch)
    (film,) = write_films(tmp_path / "films", 1)
    side = 1200
    huge = changed(
        film,
        "huge.dcm",
        Rows=side,
        Columns=side,
        PixelData=bytes(side * side * 2),
        SOPInstanceUID="1.2.3.4",
    )
    node = Node(replace(settings, dicom=replace(LISTEN, max_object_mb=0.1)))
    assert send(node.dicom_port, [huge]) == [None]
    assert "association_refused address=127.0.0.1 reason=too_large" in caplog.text
    assert send(node.dicom_port, [film]) == [0]
    with socket.create_connection(("127.0.0.1", node.dicom_port)) as rude:
        rude.sendall(struct.pack(">BBL", 1, 0, 0xFFFF_FFF0) + bytes(100))
        rude.settimeout(30)
        assert rude.recv(100) == b"", "a PDU of four gigabytes ends the connection"
    assert node.films.count(FilmState.QUEUED) == 1
    node.stop()


@pytest.mark.usefixtures("sockets_are_collected")
@pytest.mark.parametrize("after", [20_000, 300_000])
def test_an_association_that_drops_half_way_leaves_nothing(
    settings, tmp_path, monkeypatch, caplog, after
):
    caplog.set_level(logging.INFO)
    predict_nothing(monkeypatch)
    (film,) = write_films(tmp_path / "films", 1)
    big = changed(
        film,
        "big.dcm",
        Rows=600,
        Columns=600,
        PixelData=bytes(600 * 600 * 2),
        SOPInstanceUID="1.2.3.4",
    )
    node = Node(settings)
    with line_that_breaks(node.dicom_port, after=after) as port:
        assert send(port, [big]) == [None]
    wait_until(lambda: "association_dropped calling_ae=ROOM1" in caplog.text)
    assert sum(node.films.counts().values()) == 0
    assert send(node.dicom_port, [film]) == [0]
    node.stop()
    assert caplog.text.count("association_dropped") == 1, "one that is released is none"


def test_a_film_that_cannot_be_read_stops_no_other_one(node, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    films = write_films(tmp_path / "films", 6)
    damaged = changed(films[2], "damaged.dcm", PixelData=b"\x00\x01" * 40, SOPInstanceUID="1.2.3.4")
    nothing = changed(films[3], "empty.dcm", SOPInstanceUID="1.2.3.5", BitsStored=40)
    sent = [*films[:3], damaged, nothing, *films[3:]]
    assert send(node.dicom_port, sent) == [0] * 8
    wait_until(lambda: settled(node))
    counts = node.films.counts()
    assert (counts[FilmState.DONE], counts[FilmState.FAILED]) == (6, 2)
    assert len(list((node.settings.data_dir / "failed").iterdir())) == 2
    assert "reason=pixel_length_mismatch" in caplog.text


def test_a_film_that_breaks_the_network_is_found_out_and_kept_apart(
    settings, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    infer = stream.FilmStream._infer

    def poisoned(self, batch):
        for _, prepared in batch:
            if not isinstance(prepared, PlainfilmError) and float(prepared.image.std()) < 1e-3:
                raise RuntimeError("CANARY")
        return infer(self, batch)

    monkeypatch.setattr(stream.FilmStream, "_infer", poisoned)
    films = write_films(tmp_path / "films", 6)
    flat = np.full((60, 50), 100, np.uint16).tobytes()
    poison = changed(films[2], "poison.dcm", PixelData=flat, SOPInstanceUID="1.2.3.4")
    node = Node(settings)
    assert send(node.dicom_port, [*films[:3], poison, *films[3:]]) == [0] * 7
    wait_until(lambda: settled(node))
    counts = node.films.counts()
    assert (counts[FilmState.DONE], counts[FilmState.FAILED]) == (6, 1)
    assert "batch_broken" in caplog.text
    assert "CANARY" not in caplog.text
    node.stop()
    monkeypatch.setattr(stream.FilmStream, "_infer", infer)
    again = Node(settings, retry_failed=True)
    wait_until(lambda: settled(again) and again.films.counts()[FilmState.DONE] == 7)
    again.stop()


def test_an_error_that_always_comes_with_one_film_fails_it_alone(
    settings, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    keep = Worker._keep
    films = write_films(tmp_path / "films", 3)
    cursed = []

    def lose(self, film, *arguments):
        cursed.append(film)
        if film == cursed[0]:
            raise FileNotFoundError(2, "CANARY")
        return keep(self, film, *arguments)

    monkeypatch.setattr(Worker, "_keep", lose)
    node = Node(settings)
    assert send(node.dicom_port, films) == [0] * 3
    wait_until(lambda: settled(node))
    counts = node.films.counts()
    assert (counts[FilmState.DONE], counts[FilmState.FAILED]) == (2, 1)
    assert node.films.find(cursed[0]).reason == Reason.INTERNAL
    assert "CANARY" not in caplog.text
    node.stop()


def test_a_stop_in_good_order_counts_as_no_start_of_a_film(settings, tmp_path, monkeypatch):
    slow = {"reader::threads": 1, "reader::ahead": 1, "engine::batch_size": 1}
    rule = replace(settings.rules[0], overrides=slow)
    films = write_films(tmp_path / "films", 9)
    begun, go_on = threading.Event(), threading.Event()
    infer = stream.FilmStream._infer

    def wait(self, batch):
        begun.set()
        assert go_on.wait(60)
        return infer(self, batch)

    monkeypatch.setattr(stream.FilmStream, "_infer", wait)
    settings = replace(settings, rules=(rule,), batch=BatchSettings(wait_seconds=0))
    with monkeypatch.context() as patch:
        predict_nothing(patch)
        node = Node(settings)
        assert send(node.dicom_port, films) == [0] * 9
        node.stop()
    node = Node(settings)
    assert begun.wait(60)
    node._worker.stop()
    go_on.set()
    node._worker.join(60)
    done = node.films.counts()[FilmState.DONE]
    left = node.films.take("chest", after=0, most=9)
    node.stop()
    assert len(left) == 9 - done > 3
    assert {film.starts for film in left} == {0}


def test_a_film_that_kills_the_process_each_time_is_given_up(settings, tmp_path, monkeypatch):
    films = write_films(tmp_path / "films", 2)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "run", lambda _: None)
        node = Node(settings)
        assert send(node.dicom_port, films) == [0, 0]
        (first, second) = node.films.take("chest", after=0, most=2)
        node.films.give_back([second.id])
        node.films.suspect([first.id])
        for starts in (2, 3, 4):
            (again,) = node.films.take("chest", after=0, most=9, suspect=True)
            assert (again.id, again.starts) == (first.id, starts)
        node.stop()
    node = Node(settings)
    wait_until(lambda: settled(node))
    view = node.films.find(first.id)
    assert (view.state, view.reason) == (FilmState.FAILED, Reason.INTERNAL)
    assert node.films.counts()[FilmState.DONE] == 1
    node.stop()


def test_a_film_of_another_rule_has_its_turn_while_others_keep_coming(
    settings, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(prediction, "_PAGE", 2)
    slow = {"reader::threads": 1, "reader::ahead": 1, "engine::batch_size": 1}
    chest = replace(settings.rules[0], overrides=slow)
    hand = replace(chest, name="hand", body_part=("HAND",))
    films = write_films(tmp_path / "films", 20)
    films[3] = changed(films[3], "hand.dcm", BodyPartExamined="HAND")
    settings = replace(settings, rules=(chest, hand))
    with monkeypatch.context() as patch:
        predict_nothing(patch)
        node = Node(settings)
        assert send(node.dicom_port, films) == [0] * 20
        node.stop()
    node = Node(settings)
    wait_until(lambda: settled(node))
    node.stop()
    predicted = [line for line in caplog.messages if line.startswith("film_predicted")]
    assert len(predicted) == 20
    (place,) = (number for number, line in enumerate(predicted) if "rule=hand" in line)
    assert place < 16


def test_a_disk_that_is_full_for_long_costs_no_film(node, tmp_path, monkeypatch, caplog):
    full = [6]
    write = prediction.write_json

    def write_when_there_is_room(path: Path, value: object) -> None:
        full[0] -= 1
        if full[0] >= 0:
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(prediction, "write_json", write_when_there_is_room)
    monkeypatch.setattr(prediction, "_LOOK_SECONDS", 0.05)
    assert send(node.dicom_port, write_films(tmp_path / "films", 2)) == [0, 0]
    wait_until(lambda: node.films.counts()[FilmState.DONE] == 2)
    assert "worker_broken error=OSError" in caplog.text


def test_objects_are_those_of_predict_and_a_film_without_one_has_failed(
    settings, bundle, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    rule = replace(settings.rules[0], dicom=("sr",))
    film, other = write_films(tmp_path / "films", 2)
    nameless = changed(other, "nameless.dcm", StudyInstanceUID="")
    node = Node(replace(settings, rules=(rule,)))
    assert send(node.dicom_port, [film, nameless]) == [0, 0]
    wait_until(lambda: settled(node))
    counts = node.films.counts()
    assert (counts[FilmState.DONE], counts[FilmState.FAILED]) == (1, 1)
    assert "kind=sr reason=missing_attribute" in caplog.text
    assert len(results(node)) == 2, "what was predicted is kept all the same"
    node.stop()
    predict_folder(bundle, film, tmp_path / "out", overrides={"dicom": "sr"})
    expected = {path.name for path in (tmp_path / "out" / "dicom").glob("*.dcm")}
    found = {path.name for path in (tmp_path / "data" / "results").rglob("*.dcm")}
    assert found == expected, "the same UIDs"


def test_frames_of_one_file_are_one_film(node, tmp_path):
    (film,) = write_films(tmp_path / "films", 1)
    frames = pydicom.dcmread(film).PixelData * 3
    several = changed(
        film,
        "several.dcm",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3",
        NumberOfFrames=3,
        PixelData=frames,
        SOPInstanceUID="1.2.3.4",
    )
    dataset = pydicom.dcmread(several)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(several)
    assert send(node.dicom_port, [several]) == [0]
    wait_until(lambda: settled(node))
    (result,) = results(node)
    names = [each["filename"].partition("#")[2] for each in result["predictions"]]
    assert names == ["1", "2", "3"]


@pytest.mark.usefixtures("sockets_are_collected")
def test_two_bundles_of_one_name_are_not_answered_as_one(settings, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(Worker, "load", lambda _: None)
    other = shutil.copytree(bundle.root, tmp_path / "other" / bundle.name)
    rules = (*settings.rules, replace(settings.rules[0], name="other", bundle=str(other)))
    listening = replace(HttpSettings(), port=0)
    with pytest.raises(ConfigurationError, match="got two folders named 'tiny'"):
        Node(replace(settings, rules=rules, http=listening))


def test_what_is_wrong_with_a_bundle_is_said_before_anything_listens(settings, bundle, tmp_path):
    overrides = {"weights": str(tmp_path / "none.pt")}
    rule = replace(settings.rules[0], overrides=overrides)
    with pytest.raises(PlainfilmError) as refused:
        Node(replace(settings, rules=(rule,)))
    assert refused.value.reason is Reason.WEIGHTS_MISSING
    Node(settings).stop()


@pytest.mark.usefixtures("sockets_are_collected")
def test_a_port_that_is_taken_is_said(settings, node, monkeypatch):
    monkeypatch.setattr(Worker, "load", lambda _: None)
    other = replace(settings, data_dir=settings.data_dir.with_name("other"))
    with pytest.raises(ConfigurationError, match="expected to listen for DICOM"):
        Node(replace(other, dicom=replace(LISTEN, port=node.dicom_port)))


def test_a_client_that_falls_silent_within_a_film_is_let_go_and_logged(
    settings, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    predict_nothing(monkeypatch)
    (film,) = write_films(tmp_path / "films", 1)
    node = Node(replace(settings, dicom=replace(LISTEN, timeout_seconds=1)))
    association = associate(node.dicom_port, [film])
    association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 100_000) + b"half a film")
    wait_until(lambda: "association_dropped calling_ae=ROOM1" in caplog.text)
    association.abort()
    assert send(node.dicom_port, [film]) == [0]
    node.stop()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 40,
        struct.pack(">BBL", 1, 0, 200) + b"\x00\x01\x00\x00" + b"A" * 196,
        struct.pack(">BBL", 4, 0, 100) + b"\xff" * 100,
        struct.pack(">BBL", 1, 0, 900) + b"cut off",
    ],
)
def test_a_client_that_speaks_no_dicom_harms_nobody(settings, monkeypatch, capfd, said):
    predict_nothing(monkeypatch)
    node = Node(settings)
    with socket.create_connection(("127.0.0.1", node.dicom_port)) as rude:
        rude.sendall(said)
        rude.shutdown(socket.SHUT_WR)
        rude.settimeout(30)
        with contextlib.suppress(OSError):
            while rude.recv(1000):
                pass
    association = associate(node.dicom_port)
    assert association.send_c_echo().Status == 0
    association.release()
    node.stop()
    assert capfd.readouterr().err == ""
