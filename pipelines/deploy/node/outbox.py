"""Results on their way out: which object goes where, what became of it, and when it is due."""

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.deploy.node.database import Database, only
from pipelines.deploy.node.settings import DeliverySettings
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.node.states import DeliveryState, FilmState
from pipelines.errors import Reason


@dataclass(frozen=True, slots=True)
class Parcel:
    """One object for one destination.

    Attributes:
        seq: Its number.
        film: Id of the film it was made of.
        path: The object.
        attempts: How often the destination has refused it, or broken off over it.
    """

    seq: int
    film: str
    path: Path
    attempts: int


class Outbox:
    """The table of deliveries; its methods may be called from any thread.

    Args:
        settings: How results are handed on.
        spool: Where they lie.
        database: What is known of them.
    """

    def __init__(self, settings: DeliverySettings, spool: Spool, database: Database) -> None:
        self._settings = settings
        self._spool = spool
        self._database = database
        self.filled = threading.Condition()
        """Notified when there is something new to send."""

    def notify(self) -> None:
        """Wake who waits for something to send."""
        with self.filled:
            self.filled.notify_all()

    def due(self, destination: str, *, most: int) -> list[Parcel]:
        """Return what is to be sent to a destination now, what has been due longest first.

        An object that was refused or put off stands behind those that were not yet tried.

        Args:
            destination: Its name.
            most: How many at most.
        """
        rows = self._database.rows(
            "SELECT seq, film, file, attempts FROM delivery"
            " WHERE destination = ? AND state = ? AND due <= ? ORDER BY due, seq LIMIT ?",
            (destination, DeliveryState.WAITING.value, time.time(), most),
        )
        return [
            Parcel(row["seq"], row["film"], self._spool.results / row["film"] / row["file"], row[3])
            for row in rows
        ]

    def wait(self, destination: str, *, longest: float) -> None:
        """Wait until something may be due for a destination.

        Args:
            destination: Its name.
            longest: Seconds to wait at most.
        """
        rows = self._database.rows(
            "SELECT min(due) FROM delivery WHERE destination = ? AND state = ?",
            (destination, DeliveryState.WAITING.value),
        )
        due = only(rows)
        seconds = longest if due is None else min(longest, max(0.0, due - time.time()))
        with self.filled:
            self.filled.wait(seconds)

    def delivered(self, parcel: Parcel) -> bool:
        """Note that an object has arrived.

        Returns:
            Whether its film is done with now.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET state = ?, reason = NULL WHERE seq = ?",
                (DeliveryState.DELIVERED.value, parcel.seq),
            )
            changed = connection.execute(
                "UPDATE film SET state = ?, changed = ? WHERE id = ? AND state = ? AND NOT EXISTS"
                " (SELECT 1 FROM delivery WHERE film = film.id AND delivery.state != ?)",
                (
                    *(FilmState.DONE.value, time.time(), parcel.film, FilmState.PREDICTED.value),
                    DeliveryState.DELIVERED.value,
                ),
            )
        return changed.rowcount == 1

    def refused(self, parcel: Parcel, reason: Reason, *, final: bool = False) -> bool:
        """Note that a destination has refused an object, and when it is tried again.

        Args:
            parcel: The object.
            reason: Why.
            final: There is no use in trying again.

        Returns:
            Whether it is given up.
        """
        attempts = parcel.attempts + 1
        given_up = final or attempts >= self._settings.attempts
        state = DeliveryState.FAILED if given_up else DeliveryState.WAITING
        due = time.time() + back_off(self._settings, attempts)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET state = ?, attempts = ?, due = ?, reason = ? WHERE seq = ?",
                (state.value, attempts, due, reason.value, parcel.seq),
            )
        return given_up

    def postpone(self, parcel: Parcel) -> None:
        """Put an object behind the others that are due; it is not to blame, as far as we know."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET due = ? WHERE seq = ?", (time.time(), parcel.seq)
            )

    def counts(self, state: DeliveryState) -> Mapping[str, int]:
        """Return how many objects of a state there are, by destination."""
        rows = self._database.rows(
            "SELECT destination, count(*) FROM delivery WHERE state = ? GROUP BY destination",
            (state.value,),
        )
        return {row[0]: row[1] for row in rows}

    def waiting(self) -> int:
        """Return how many objects wait for delivery."""
        statement = "SELECT count(*) FROM delivery WHERE state = ?"
        return int(only(self._database.rows(statement, (DeliveryState.WAITING.value,))))


def back_off(settings: DeliverySettings, failures: int) -> float:
    """Return how many seconds to wait after so many failures in a row.

    Args:
        settings: First and longest wait.
        failures: 1 or more.

    Returns:
        Twice as long after each failure, up to the longest, less up to a half by chance, so that
        what failed together is not tried together again.
    """
    doubled = settings.first_wait_seconds * 2.0 ** min(failures - 1, 60)
    share = random.uniform(0.5, 1.0)
    return min(settings.longest_wait_seconds, doubled) * share
