"""The states of films and deliveries, as they stand in the database."""

from enum import StrEnum


class FilmState(StrEnum):
    """What became of a film so far.

    `queued` waits for the network, `predicted` has results that are not all delivered, `done` is
    over, `failed` and `unmatched` are kept with their reason.
    """

    QUEUED = "queued"
    PREDICTED = "predicted"
    DONE = "done"
    FAILED = "failed"
    UNMATCHED = "unmatched"

    @property
    def folder(self) -> str:
        """Folder of the spool that films of this state lie in."""
        return self.value if self in {FilmState.FAILED, FilmState.UNMATCHED} else "films"


class DeliveryState(StrEnum):
    """What became of one object on its way to one destination."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
