"""The running node: everything started in order, stopped in order, and its status."""

import logging
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pipelines.deploy.node.courier import Courier
from pipelines.deploy.node.database import Database
from pipelines.deploy.node.events import event
from pipelines.deploy.node.films import Films
from pipelines.deploy.node.inbox import Inbox
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.outbox import Outbox
from pipelines.deploy.node.prediction import Worker
from pipelines.deploy.node.receiver import Receiver
from pipelines.deploy.node.senders import sender_for
from pipelines.deploy.node.settings import NodeSettings
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.node.states import DeliveryState
from pipelines.deploy.node.status import NodeStatus, StatusCollector
from pipelines.networks.overlap import in_passing_thread

if TYPE_CHECKING:
    from pipelines.deploy.node.http_face import HttpFace

_PURGE_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Node:
    """A DICOM node: receives, predicts, delivers.

    Args:
        settings: All that it is told.
        retry_failed: Queue films once more that failed before.

    Raises:
        PlainfilmError: If data folder, bundles, destinations or port are not as they must be.
    """

    def __init__(self, settings: NodeSettings, *, retry_failed: bool = False) -> None:
        self.settings = settings
        self.metrics = Metrics()
        with ExitStack() as opened:
            self._open(opened, retry_failed=retry_failed)
            self._opened = opened.pop_all()
        self._worker.start()
        for courier in self._couriers:
            courier.start()
        StatusCollector(self.status, self.metrics.registry)
        for name, count in self.outbox.counts(DeliveryState.WAITING).items():
            if name not in settings.destinations:
                event(
                    "destination_unknown",
                    level=logging.WARNING,
                    destination=name,
                    waiting_objects=count,
                )
        event(
            "node_ready",
            ae_title=settings.dicom.ae_title,
            dicom_port=self.dicom_port,
            http_port=self.http_port,
        )

    def _open(self, opened: ExitStack, *, retry_failed: bool) -> None:
        """Open everything in the order in which it is needed; what listens comes last."""
        settings = self.settings
        self._spool = Spool(settings.data_dir)
        opened.callback(self._spool.close)
        self._database = Database(settings.data_dir / "node.sqlite")
        opened.callback(self._database.close)
        self.films = Films(settings, self._spool, self._database)
        self.films.recover(retry_failed=retry_failed)
        self.inbox = Inbox(settings, self._spool, self._database, self.metrics)
        self.inbox.recover()
        self.outbox = Outbox(settings.delivery, self._spool, self._database)
        self._couriers = [
            Courier(
                name,
                sender_for(destination, settings.delivery, ae_title=settings.dicom.ae_title),
                outbox=self.outbox,
                settings=settings.delivery,
                metrics=self.metrics,
            )
            for name, destination in settings.destinations.items()
        ]
        self._worker = Worker(
            settings,
            self._spool,
            films=self.films,
            outbox=self.outbox,
            arrived=self.inbox.arrived,
            metrics=self.metrics,
        )
        in_passing_thread(self._worker.load)
        opened.callback(self._end_threads)
        self._receiver = Receiver(settings.dicom, self.inbox, self.metrics)
        opened.callback(self._receiver.close)
        self._http = self._open_face()
        if self._http is not None:
            opened.callback(self._http.close)

    def _open_face(self) -> "HttpFace | None":
        if not self.settings.http.enabled:
            return None
        # A node without it needs none of what it imports.
        from pipelines.deploy.node.http_face import HttpFace

        return HttpFace(
            self.settings,
            self.inbox,
            metrics=self.metrics,
            status=lambda: self.status().described(),
        )

    @property
    def dicom_port(self) -> int:
        """Where it listens for DICOM."""
        return self._receiver.port

    @property
    def http_port(self) -> int | None:
        """Where it listens for HTTP; None if it does not."""
        return None if self._http is None else self._http.port

    def purge(self) -> None:
        """Remove what has been done with for longer than it is kept."""
        removed = self.films.purge()
        if removed:
            event("films_purged", films=removed)

    def stop(self) -> None:
        """Stop in good order: take nothing more, finish what is in the network, close the files."""
        event("node_stopping")
        self._opened.close()
        event("node_stopped")

    def _end_threads(self) -> None:
        """Let the threads end after what they are at; what is cut off goes on at the next start."""
        threads: list[Worker | Courier] = [self._worker, *self._couriers]
        for thread in threads:
            thread.stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def status(self) -> NodeStatus:
        """Tell how the node is now."""
        return NodeStatus(
            ae_title=self.settings.dicom.ae_title,
            dicom_port=self.dicom_port,
            films={state.value: count for state, count in self.films.counts().items()},
            waiting_objects=self.outbox.counts(DeliveryState.WAITING),
            undelivered_objects=self.outbox.counts(DeliveryState.FAILED),
            away={
                courier.destination: courier.away.value
                for courier in self._couriers
                if courier.away is not None
            },
            free_disk_mb=round(shutil.disk_usage(self.settings.data_dir).free / 1e6, 1),
        )


def serve(settings: NodeSettings, *, retry_failed: bool = False) -> None:
    """Run a node until the process is told to end (SIGTERM or Ctrl-C).

    Args:
        settings: All that it is told.
        retry_failed: Queue films once more that failed before.

    Raises:
        PlainfilmError: If data folder, bundles, destinations or port are not as they must be.
    """
    with _end_signals() as ended:
        node = Node(settings, retry_failed=retry_failed)
        try:
            while not ended.wait(_PURGE_SECONDS):
                node.purge()
        finally:
            node.stop()


@contextmanager
def _end_signals() -> Iterator[threading.Event]:
    """Turn the signals that end a process into an event.

    Yields:
        The event.
    """
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
