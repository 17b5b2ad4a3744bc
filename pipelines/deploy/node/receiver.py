"""The store SCP: who may call, what is taken, and an answer that holds once it is given."""

import logging
import socket
import ssl
import threading

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from pipelines.deploy.node.events import event as log_event
from pipelines.deploy.node.inbox import Inbox, Receipt, ReceiptState, Source
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.settings import DicomSettings
from pipelines.deploy.node.tls import server_context
from pipelines.errors import ConfigurationError, Reason
from pipelines.ingest.dicom_kind import RADIOGRAPHS, Syntax

SUCCESS = 0x0000
CANNOT_UNDERSTAND = 0xC000

_STATUS = {
    Reason.QUEUE_FULL: 0xA700,
    Reason.DISK_FULL: 0xA700,
    Reason.FILE_UNREADABLE: 0xA700,
    Reason.UID_CONFLICT: 0x0111,  # duplicate SOP instance (PS3.7, C.5.13)
    Reason.INVALID_UID: 0x0117,
    Reason.NOT_A_RADIOGRAPH: 0x0122,
}
_REJECTED, _BY_USER, _CALLING_AE, _CALLED_AE = 1, 1, 3, 7  # PS3.8, 9.3.4
_PDU_HEADER, _P_DATA = 6, 4  # PS3.8, 9.3.5
_LONGEST_REQUEST = 1 << 20
"""Bytes of a PDU that asks for an association: no real one comes near it."""


class Receiver:
    """Listens for associations and hands films to the inbox.

    Args:
        settings: Who may call, and limits.
        inbox: Takes films.
        metrics: Where rejections are counted.

    Raises:
        ConfigurationError: If the port is taken, or certificates cannot be read.
    """

    def __init__(self, settings: DicomSettings, inbox: Inbox, metrics: Metrics) -> None:
        self._settings = settings
        self._inbox = inbox
        self._metrics = metrics
        self._received: dict[Association, int] = {}
        self._lock = threading.Lock()
        context = None if settings.tls is None else server_context(settings.tls)
        self._server = self._start(self._entity(), context)
        self.port = int(self._server.server_address[1])

    def _entity(self) -> AE:
        entity = AE(self._settings.ae_title)
        entity.maximum_pdu_size = self._settings.max_pdu
        entity.maximum_associations = self._settings.max_associations
        seconds = self._settings.timeout_seconds
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
        entity.add_supported_context(Verification)
        for sop_class in sorted(RADIOGRAPHS):
            entity.add_supported_context(sop_class, [syntax.value for syntax in Syntax])
        return entity

    def _start(self, entity: AE, context: ssl.SSLContext | None) -> ThreadedAssociationServer:
        handlers: list[EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_DATA_RECV, self._data),
            (evt.EVT_DIMSE_RECV, self._message),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store),
        ]
        address = (self._settings.host, self._settings.port)
        try:
            server = entity.start_server(
                address, block=False, ssl_context=context, evt_handlers=handlers
            )
        except OSError as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected to listen for DICOM on {address[0]} port {address[1]}, got "
                f"{error.strerror!r}; set dicom.host and dicom.port",
            ) from None
        assert isinstance(server, ThreadedAssociationServer)  # noqa: S101 - block is False
        return server

    def close(self) -> None:
        """Take no more associations and end those that are open."""
        self._server.shutdown()

    def _opened(self, event: Event) -> None:
        """Bound what one connection may make us wait for or hold, and read it in large pieces.

        pynetdicom reads as much as the client announces, up to 4 GB, 4 kB at a time.
        """
        transport = event.assoc.dul.socket
        if transport is None or transport.socket is None:
            return
        connection = transport.socket
        connection.settimeout(self._settings.timeout_seconds)
        limit = max(self._settings.max_pdu, _LONGEST_REQUEST)

        def receive(size: int) -> bytearray:
            if size > limit:
                self._reject(event.assoc, Reason.TOO_LARGE)
                raise OSError
            received = bytearray()
            try:
                received = _read(connection, size)
            finally:
                if size > _PDU_HEADER and len(received) < size:
                    # The connection broke, or fell silent, within a PDU.
                    self._count(event.assoc, max(1, len(received)))
            return received

        setattr(transport, "recv", receive)  # noqa: B010 - pynetdicom has no hook for this

    def _requested(self, event: Event) -> None:
        requestor = event.assoc.requestor
        called = str(requestor.primitive.called_ae_title) if requestor.primitive else ""
        diagnostic = self._refusal(_calling(event.assoc), called, str(requestor.address))
        if diagnostic is not None:
            self._reject(event.assoc, Reason.PEER_NOT_ALLOWED)
            event.assoc.acse.send_reject(_REJECTED, _BY_USER, diagnostic)
            event.assoc.kill()  # waits until the rejection has been sent

    def _refusal(self, calling: str, called: str, address: str) -> int | None:
        if called.strip() != self._settings.ae_title:
            return _CALLED_AE
        peers = self._settings.peers
        known = any(peer.ae_title == calling and peer.host in {None, address} for peer in peers)
        return None if known or not peers else _CALLING_AE

    def _reject(self, association: Association, reason: Reason) -> None:
        self._metrics.rejected.labels(reason.value).inc()
        log_event(
            "association_refused",
            level=logging.WARNING,
            address=association.requestor.address,
            reason=reason.value,
        )

    def _data(self, event: Event) -> None:
        """End an association whose object grows beyond the limit, before it is whole."""
        if event.data[0] != _P_DATA:
            return
        received = self._count(event.assoc, len(event.data))
        # Headers of PDUs and fragments come on top of the object.
        if received > self._settings.max_object_bytes * 1.01 + _LONGEST_REQUEST:
            self._reject(event.assoc, Reason.TOO_LARGE)
            event.assoc.abort()

    def _count(self, association: Association, size: int) -> int:
        """Count bytes of a message that is not whole yet, and return how many there are."""
        with self._lock:
            received = self._received.get(association, 0) + size
            self._received[association] = received
        return received

    def _message(self, event: Event) -> None:
        with self._lock:
            self._received[event.assoc] = 0

    def _closed(self, event: Event) -> None:
        with self._lock:
            unfinished = self._received.pop(event.assoc, 0)
        if unfinished:
            log_event(
                "association_dropped",
                level=logging.WARNING,
                calling_ae=_calling(event.assoc),
                bytes_lost=unfinished,
                reason=Reason.TRUNCATED.value,
            )

    def _store(self, event: Event) -> Dataset | int:
        try:
            request = event.request
            uid = request.AffectedSOPInstanceUID if isinstance(request, C_STORE) else None
            receipt = self._inbox.add(
                event.encoded_dataset(),
                source=Source("dicom", _calling(event.assoc)),
                announced=str(uid or ""),
            )
        except Exception as error:  # noqa: BLE001 - whatever was sent, the sender gets an answer
            log_event("store_broken", level=logging.ERROR, error=type(error).__name__)
            return CANNOT_UNDERSTAND
        return _answer(receipt)


def _read(connection: socket.socket, size: int) -> bytearray:
    """Read so many bytes; fewer where the other side has closed the connection."""
    received = bytearray(size)
    view, length = memoryview(received), 0
    while length < size and (count := connection.recv_into(view[length:])):
        length += count
    view.release()
    return received[:length] if length < size else received


def _calling(association: Association) -> str:
    request = association.requestor.primitive
    return str(request.calling_ae_title).strip() if request is not None else ""


def _answer(receipt: Receipt) -> Dataset | int:
    """Say as a DICOM status what became of a film."""
    if receipt.state is not ReceiptState.REFUSED or receipt.reason is None:
        return SUCCESS
    answer = Dataset()
    answer.Status = _STATUS.get(receipt.reason, CANNOT_UNDERSTAND)
    answer.ErrorComment = receipt.reason.value
    return answer
