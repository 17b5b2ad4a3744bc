"""One thread a destination: sends what is due, waits longer after each failure, loses nothing."""

import logging
import threading

from pipelines.deploy.node.events import event
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.outbox import Outbox, Parcel, back_off
from pipelines.deploy.node.senders import AwayError, Sender
from pipelines.deploy.node.settings import DeliverySettings
from pipelines.errors import Reason

_AT_ONCE = 32
_LOOK_SECONDS = 1.0


class Courier(threading.Thread):
    """Delivers to one destination until it is stopped.

    Args:
        name: Of the destination.
        sender: How objects get there.
        outbox: What is to be sent.
        settings: Waits.
        metrics: Where deliveries are counted.

    Attributes:
        away: Why the last attempt failed; None if it did not.
    """

    def __init__(
        self,
        name: str,
        sender: Sender,
        *,
        outbox: Outbox,
        settings: DeliverySettings,
        metrics: Metrics,
    ) -> None:
        super().__init__(name=f"courier-{name}", daemon=True)
        self.destination = name
        self.away: Reason | None = None
        self._sender = sender
        self._outbox = outbox
        self._settings = settings
        self._metrics = metrics
        self._stopped = threading.Event()
        self._failures = 0

    def stop(self) -> None:
        """Let the thread end after the object it is at."""
        self._stopped.set()
        self._outbox.notify()

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopped.is_set():
            try:
                parcels = self._outbox.due(self.destination, most=_AT_ONCE)
                if parcels:
                    self._send(parcels)
                else:
                    self._outbox.wait(self.destination, longest=_LOOK_SECONDS)
            except AwayError as away:
                if away.at is not None:
                    self._outbox.postpone(away.at)
                self._wait(Reason.DESTINATION_AWAY)
            except Exception as error:  # noqa: BLE001 - a disk that is full now may not be so later
                event("delivery_broken", level=logging.ERROR, error=type(error).__name__)
                self._wait(Reason.INTERNAL)

    def _send(self, parcels: list[Parcel]) -> None:
        for parcel, refusal in self._sender.send(parcels):
            if refusal is not Reason.DESTINATION_AWAY:
                self._failures, self.away = 0, None
            if refusal is None:
                done = self._outbox.delivered(parcel)
                self._metrics.delivered.labels(self.destination).inc()
                event(
                    "delivered",
                    film=parcel.film,
                    object=parcel.path.name,
                    destination=self.destination,
                )
                if done:
                    event("film_done", film=parcel.film)
            else:
                self._refused(parcel, refusal)
            if self._stopped.is_set():
                return

    def _refused(self, parcel: Parcel, reason: Reason) -> None:
        final = reason is Reason.FILE_UNREADABLE
        given_up = self._outbox.refused(parcel, reason, final=final)
        self._metrics.undelivered.labels(self.destination, reason.value).inc()
        event(
            "delivery_given_up" if given_up else "delivery_refused",
            level=logging.ERROR if given_up else logging.WARNING,
            film=parcel.film,
            object=parcel.path.name,
            destination=self.destination,
            attempt=parcel.attempts + 1,
            reason=reason.value,
        )

    def _wait(self, reason: Reason) -> None:
        self._failures += 1
        self.away = reason
        seconds = back_off(self._settings, self._failures)
        self._metrics.undelivered.labels(self.destination, reason.value).inc()
        event(
            "destination_away",
            level=logging.WARNING,
            destination=self.destination,
            reason=reason.value,
            failures=self._failures,
            next_try_seconds=f"{seconds:.1f}",
        )
        self._stopped.wait(seconds)
