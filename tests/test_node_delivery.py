"""Results get to where they belong, each once, however long it takes."""

import gc
import logging
import shutil
import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from bundle_fixture import write_dicom
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import (
    LISTEN,
    NO_FACE,
    ROOM,
    Archive,
    associate,
    dicom_archive,
    free_port,
    predict_nothing,
    send,
    stow_archive,
    wait_until,
)

from pipelines.deploy.node.films import MadeObject
from pipelines.deploy.node.inbox import ReceiptState, Source
from pipelines.deploy.node.outbox import back_off
from pipelines.deploy.node.service import Node
from pipelines.deploy.node.settings import (
    DeliverySettings,
    Destination,
    NodeSettings,
    Rule,
    StoreDestination,
    StowDestination,
    Tls,
)
from pipelines.deploy.node.states import DeliveryState, FilmState
from pipelines.errors import ConfigurationError, Reason

# pynetdicom leaves sockets that were never connected to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

QUICK = DeliverySettings(3, 0.05, 0.2, 10)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    predict_nothing(monkeypatch)


@pytest.fixture
def sockets_are_collected():
    yield
    gc.collect()


def settings_for(folder: Path, *destinations: Destination) -> NodeSettings:
    return NodeSettings(
        folder / "data",
        (Rule("all", "none", destinations=tuple(each.name for each in destinations)),),
        {each.name: each for each in destinations},
        dicom=LISTEN,
        http=NO_FACE,
        limits=ROOM,
        delivery=QUICK,
    )


def both(pacs: Archive, web: Archive) -> tuple[Destination, Destination]:
    """One destination of each kind."""
    return (
        StoreDestination("pacs", "ARCHIVE", "127.0.0.1", pacs.port),
        StowDestination("web", f"http://127.0.0.1:{web.port}"),
    )


def finish_film(
    node: Node, folder: Path, seed: int, count: int = 1, *, first: bytes | None = None
) -> list[str]:
    """Take in a film and act as if `count` objects had been made of it; return their UIDs.

    What the file of the first one holds can be given.
    """
    film = write_dicom(folder / "films" / f"{seed}.dcm", seed=seed, name="CANARY^NAME")
    identifier = node.inbox.add(film, source=Source("rest")).film
    results = node.settings.data_dir / "results" / identifier
    results.mkdir()
    made = []
    for number in range(count):
        dataset = pydicom.dcmread(film)
        dataset.SOPInstanceUID = f"2.25.{seed}{number}7"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        dataset.save_as(results / f"sr-{number}.dcm")
        made.append(MadeObject(f"sr-{number}.dcm", str(dataset.SOPInstanceUID)))
    if first is not None:
        (results / "sr-0.dcm").write_bytes(first)
    node.films.finish(identifier, made, destinations=node.settings.rules[0].destinations)
    node.outbox.notify()
    return [each.sop_instance_uid for each in made]


def done(node: Node) -> int:
    return node.films.counts()[FilmState.DONE]


def test_two_destinations_get_every_object_once(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("ARCHIVE_TOKEN", "Bearer CANARY-TOKEN")
    with dicom_archive() as pacs, stow_archive() as web:
        store = StoreDestination("pacs", "ARCHIVE", "127.0.0.1", pacs.port)
        url = f"http://127.0.0.1:{web.port}/dicom-web"
        stow = StowDestination("web", url, {"Authorization": "ARCHIVE_TOKEN"})
        node = Node(settings_for(tmp_path, store, stow))
        uids = [uid for seed in (1, 2, 3) for uid in finish_film(node, tmp_path, seed, 2)]
        wait_until(lambda: done(node) == 3)
        node.stop()
        assert sorted(pacs.uids) == sorted(web.uids) == sorted(uids)
        assert web.headers["Authorization"] == "Bearer CANARY-TOKEN"
    assert caplog.text.count("delivered film=") == 12
    assert "CANARY" not in caplog.text
    assert not any(uid in caplog.text for uid in uids)


@pytest.mark.usefixtures("sockets_are_collected")
def test_a_destination_that_is_away_is_waited_for_and_holds_up_no_other(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    port = free_port()
    with stow_archive() as web:
        store = StoreDestination("pacs", "ARCHIVE", "127.0.0.1", port)
        stow = StowDestination("web", f"http://127.0.0.1:{web.port}")
        settings = settings_for(tmp_path, store, stow)
        node = Node(settings)
        (uid,) = finish_film(node, tmp_path, 1)
        wait_until(lambda: caplog.text.count("destination_away destination=pacs") > 4)
        assert web.uids == [uid]
        assert node.status().away == {"pacs": "destination_away"}
        assert node.status().waiting_objects == {"pacs": 1}
        view = node.films.find(next(iter((tmp_path / "data" / "results").iterdir())).name)
        assert (view.state, view.delivered, view.waiting) == (FilmState.PREDICTED, 1, 1)
        node.stop()
        again = Node(settings)  # what waits outlives the process
        with dicom_archive(port) as pacs:
            wait_until(lambda: done(again) == 1)
            assert pacs.uids == [uid]
        assert web.uids == [uid]
        assert again.status().away == {}
        again.stop()


def test_an_object_that_is_refused_is_tried_again_and_then_given_up(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with dicom_archive() as pacs:
        settings = settings_for(
            tmp_path, StoreDestination("pacs", "ARCHIVE", "127.0.0.1", pacs.port)
        )
        node = Node(settings)
        pacs.statuses = [0xA700, 0xC000]
        finish_film(node, tmp_path, 1)
        wait_until(lambda: done(node) == 1)
        assert caplog.text.count("delivery_refused") == 2
        pacs.statuses = [0xA900] * 3
        (uid,) = finish_film(node, tmp_path, 2)
        wait_until(lambda: "delivery_given_up" in caplog.text)
        assert node.outbox.counts(DeliveryState.FAILED) == {"pacs": 1}
        assert node.outbox.waiting() == 0
        (later,) = finish_film(node, tmp_path, 3)
        wait_until(lambda: later in pacs.uids)
        assert uid not in pacs.uids
        node.stop()
        again = Node(settings)  # a start tries what was given up once more
        wait_until(lambda: uid in pacs.uids)
        again.stop()


@pytest.mark.parametrize(("status", "reason"), [(503, "destination_away"), (409, "refused")])
def test_an_answer_over_http_says_whether_to_wait_or_to_give_up(tmp_path, caplog, status, reason):
    caplog.set_level(logging.INFO)
    with stow_archive() as web:
        web.statuses = [status] * 2
        node = Node(settings_for(tmp_path, StowDestination("web", f"http://127.0.0.1:{web.port}")))
        (uid,) = finish_film(node, tmp_path, 1)
        wait_until(lambda: done(node) == 1)
        node.stop()
        assert web.uids == [uid]
    assert reason in caplog.text


@pytest.mark.usefixtures("sockets_are_collected")
def test_a_class_that_a_destination_does_not_know_is_refused(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with dicom_archive(classes=["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"]) as pacs:
        node = Node(
            settings_for(tmp_path, StoreDestination("pacs", "ARCHIVE", "127.0.0.1", pacs.port))
        )
        finish_film(node, tmp_path, 1)
        wait_until(lambda: "destination_away" in caplog.text or "refused" in caplog.text)
        assert pacs.uids == []
        node.stop()


@pytest.mark.usefixtures("sockets_are_collected")
def test_a_result_whose_file_is_gone_is_given_up_alone(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    port = free_port()
    node = Node(settings_for(tmp_path, StoreDestination("pacs", "ARCHIVE", "127.0.0.1", port)))
    _, uid = finish_film(node, tmp_path, 1, 2)
    next((tmp_path / "data" / "results").rglob("sr-0.dcm")).unlink()
    with dicom_archive(port) as pacs:
        wait_until(lambda: pacs.uids == [uid])
        assert f"reason={Reason.FILE_UNREADABLE}" in caplog.text
    node.stop()


@pytest.mark.parametrize("content", [b"", b"no DICOM", bytes(128) + b"DICM"])
def test_a_result_that_cannot_be_read_is_given_up_alone(tmp_path, caplog, content):
    caplog.set_level(logging.INFO)
    with dicom_archive() as pacs, stow_archive() as web:
        node = Node(settings_for(tmp_path, *both(pacs, web)))
        _, uid = finish_film(node, tmp_path, 1, 2, first=content)
        wait_until(lambda: pacs.uids == web.uids == [uid])
        wait_until(lambda: node.outbox.counts(DeliveryState.FAILED) == {"pacs": 1, "web": 1})
        assert caplog.text.count("reason=file_unreadable") == 2
        assert "delivery_broken" not in caplog.text
        node.stop()


def test_an_object_that_breaks_its_connection_holds_up_no_other_and_is_given_up(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with dicom_archive() as pacs, stow_archive() as web:
        node = Node(settings_for(tmp_path, *both(pacs, web)))
        pacs.breaks_at = web.breaks_at = {"2.25.107", "2.25.207"}
        for seed in (1, 2):
            finish_film(node, tmp_path, seed, 3)
        wait_until(lambda: node.outbox.counts(DeliveryState.FAILED) == {"pacs": 2, "web": 2})
        wait_until(lambda: node.outbox.waiting() == 0)
        node.stop()
        for archive in (pacs, web):
            got = {uid for uid in archive.uids if uid not in archive.breaks_at}
            assert got == {"2.25.117", "2.25.127", "2.25.217", "2.25.227"}
            assert archive.broken == 2 * QUICK.attempts
    assert "delivery_given_up" in caplog.text


def test_an_object_that_a_gateway_has_no_answer_to_waits_behind_the_others(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with stow_archive() as web:
        web.away_at = {"2.25.107"}
        node = Node(settings_for(tmp_path, StowDestination("web", f"http://127.0.0.1:{web.port}")))
        uids = {uid for seed in (1, 2) for uid in finish_film(node, tmp_path, seed, 2)}
        wait_until(lambda: {*web.uids} == uids - web.away_at)
        wait_until(lambda: caplog.text.count("destination_away") > QUICK.attempts)
        assert node.outbox.counts(DeliveryState.FAILED) == {}
        web.away_at = set()
        wait_until(lambda: done(node) == 2)
        node.stop()
        assert sorted(web.uids) == sorted(uids)


def test_nothing_follows_an_archive_to_another_address(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("ARCHIVE_TOKEN", "Bearer CANARY-TOKEN")
    with stow_archive() as elsewhere, stow_archive() as web:
        web.moved_to = f"http://127.0.0.1:{elsewhere.port}/studies"
        url = f"http://127.0.0.1:{web.port}"
        stow = StowDestination("web", url, {"Authorization": "ARCHIVE_TOKEN"})
        node = Node(settings_for(tmp_path, stow))
        finish_film(node, tmp_path, 1)
        wait_until(lambda: node.outbox.counts(DeliveryState.FAILED) == {"web": 1})
        node.stop()
        assert web.headers["Authorization"] == "Bearer CANARY-TOKEN"
        assert (elsewhere.uids, elsewhere.headers) == ([], {})
    assert "reason=destination_refused" in caplog.text


def test_a_result_that_comes_back_is_no_film(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    node = Node(settings_for(tmp_path))
    finish_film(node, tmp_path, 1)
    result = next((tmp_path / "data" / "results").rglob("*.dcm"))
    receipt = node.inbox.add(result, source=Source("dicom", "ARCHIVE"))
    assert (receipt.state, receipt.film) == (ReceiptState.DUPLICATE, None)
    assert "film_duplicate source=dicom calling_ae=ARCHIVE reason=duplicate" in caplog.text
    node.stop()


def test_a_header_that_is_not_in_the_environment_is_said_at_the_start(tmp_path):
    stow = StowDestination("web", "http://127.0.0.1:1", {"Authorization": "NOT_THERE"})
    with pytest.raises(ConfigurationError, match="environment variable NOT_THERE"):
        Node(settings_for(tmp_path, stow))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 that signs itself."""
    folder = tmp_path_factory.mktemp("certificates")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.usefixtures("sockets_are_collected")
def test_tls_both_ways_and_nobody_without_a_certificate(tmp_path, certificates):
    cert, key = certificates / "cert.pem", certificates / "key.pem"
    tls = Tls(cert, key, cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with dicom_archive(ssl_context=context) as pacs:
        store = StoreDestination("pacs", "ARCHIVE", "127.0.0.1", pacs.port, Tls(ca=cert))
        settings = settings_for(tmp_path, store)
        node = Node(replace(settings, dicom=replace(LISTEN, tls=tls)))
        finish_film(node, tmp_path, 1)
        wait_until(lambda: done(node) == 1)
        film = write_dicom(tmp_path / "films" / "other.dcm", seed=9)
        silent = socket.create_connection(("127.0.0.1", node.dicom_port))
        known = ssl.create_default_context(cafile=cert)
        known.load_cert_chain(cert, key)
        assert send(node.dicom_port, [film], tls_args=(known, "127.0.0.1")) == [0]
        silent.close()
        stranger = ssl.create_default_context(cafile=cert)
        refused = associate(node.dicom_port, tls_args=(stranger, "127.0.0.1"))
        assert not refused.is_established
        assert not associate(node.dicom_port).is_established
        node.stop()


def test_wrong_certificates_are_said_at_the_start(tmp_path, certificates):
    tls = Tls(certificates / "key.pem", certificates / "key.pem")
    with pytest.raises(ConfigurationError, match="PEM files"):
        Node(replace(settings_for(tmp_path), dicom=replace(LISTEN, tls=tls)))


@given(st.integers(1, 10_000), st.floats(0.05, 60), st.floats(60, 86_400))
def test_the_wait_grows_to_the_longest_and_never_beyond(failures, first, longest):
    settings = DeliverySettings(8, first, longest, 30)
    seconds = back_off(settings, failures)
    assert first / 2 <= seconds <= longest
    assert seconds >= min(longest, first * 2 ** min(failures - 1, 30)) / 2
