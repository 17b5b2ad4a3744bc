"""The other side of a node: a modality that sends, archives that take, and films to send."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association

from pipelines.deploy.node.events import quiet_libraries
from pipelines.deploy.node.prediction import Worker
from pipelines.deploy.node.settings import DicomSettings, HttpSettings, LimitSettings

LISTEN = DicomSettings(port=0, timeout_seconds=20)
ROOM = LimitSettings(free_disk_mb=0)
NO_FACE = HttpSettings(enabled=False)

quiet_libraries()


def wait_until(holds: Callable[[], object], seconds: float = 240) -> None:
    """Wait for a state; how long is no matter unless it never comes."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the state that was waited for never came"
        time.sleep(0.01)


def predict_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let nodes take films and leave them in the queue."""
    patch.setattr(Worker, "load", lambda _: None)
    patch.setattr(Worker, "run", lambda _: None)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def associate(port: int, paths: Sequence[Path] = (), **options: Any) -> Association:
    """Call a node as a modality would."""
    entity = AE(options.pop("calling", "ROOM1"))
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.add_requested_context("1.2.840.10008.1.1")
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    for each in {(h.SOPClassUID, h.file_meta.TransferSyntaxUID) for h in headers}:
        entity.add_requested_context(*each)
    options.setdefault("ae_title", "PLAINFILM")
    return entity.associate("127.0.0.1", port, **options)


def send(port: int, paths: Sequence[Path], **options: Any) -> list[int | None]:
    """Send films over one association and return the status of each; None where none came."""
    association = associate(port, paths, **options)
    assert association.is_established
    statuses = []
    for path in paths:
        answer = association.send_c_store(path) if association.is_established else {}
        statuses.append(answer.get("Status"))
    if association.is_established:
        association.release()
    return statuses


@dataclass
class Archive:
    """What an archive has got so far.

    Attributes:
        port: Where it listens.
        uids: SOP Instance UIDs in the order in which they came, repeated ones too.
        statuses: What it answers to the next objects; success when there are no more.
        headers: HTTP headers of the last request.
        breaks_at: SOP Instance UIDs in place of whose answer it breaks the connection.
        broken: How often it did.
        away_at: SOP Instance UIDs that it answers to as a gateway whose service is gone.
        moved_to: Where it sends requests on to, if anywhere.
    """

    port: int
    uids: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    breaks_at: set[str] = field(default_factory=set)
    broken: int = 0
    away_at: set[str] = field(default_factory=set)
    moved_to: str | None = None

    def breaks(self, dataset: pydicom.Dataset) -> bool:
        found = str(dataset.SOPInstanceUID) in self.breaks_at
        self.broken += found
        return found

    def take(self, dataset: pydicom.Dataset, *, success: int) -> int:
        status = self.statuses.pop(0) if self.statuses else success
        if status == success:
            self.uids.append(str(dataset.SOPInstanceUID))
        return status


@contextmanager
def dicom_archive(port: int = 0, classes: Sequence[str] = (), **options: Any) -> Iterator[Archive]:
    """An archive that takes objects by C-STORE."""
    archive = Archive(port)
    entity = AE("ARCHIVE")
    for sop_class in classes or ["1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.88.34"]:
        entity.add_supported_context(sop_class)

    def store(event: evt.Event) -> int:
        if archive.breaks(event.dataset):
            event.assoc.abort()
        return archive.take(event.dataset, success=0)

    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)], **options
    )
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        server.shutdown()


@contextmanager
def stow_archive() -> Iterator[Archive]:
    """An archive that takes objects by STOW-RS."""
    archive = Archive(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            archive.headers = dict(self.headers)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            start = body.index(b"\r\n\r\n") + 4
            dataset = pydicom.dcmread(BytesIO(body[start : body.rindex(b"\r\n--")]))
            if archive.breaks(dataset):
                self.close_connection = True
                return
            away = str(dataset.SOPInstanceUID) in archive.away_at
            status = 502 if away else archive.take(dataset, success=200)
            answer = b"{}" if status == 200 else b""
            if archive.moved_to is not None:
                status = 307
                self.send_response(status)
                self.send_header("Location", archive.moved_to)
            else:
                self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def line_that_breaks(port: int, *, after: int) -> Iterator[int]:
    """A port whose connections lead to `port` and break after so many bytes to it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket, left: float) -> None:
        try:
            while left > 0 and (data := source.recv(4096)):
                target.sendall(data)
                left -= len(data)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            client, _ = listening.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as node:
                back = threading.Thread(target=carry, args=(node, client, float("inf")))
                back.start()
                carry(client, node, after)
                back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        thread.join()
