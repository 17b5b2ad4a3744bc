"""The films that the node has: which one is next, what became of each, how long it is kept."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.deploy.node.arrival import key_of
from pipelines.deploy.node.database import Database, only
from pipelines.deploy.node.events import event
from pipelines.deploy.node.settings import NodeSettings
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.node.states import DeliveryState, FilmState
from pipelines.deploy.node.traits import Traits
from pipelines.errors import Reason

SUSPECT_STARTS = 2
"""A film whose prediction was cut off so often is taken alone."""

MOST_STARTS = 5
"""A film that was being predicted so often when the process died is taken for the cause."""


@dataclass(frozen=True, slots=True)
class QueuedFilm:
    """A film that waits for the network.

    Attributes:
        seq: Its place in the queue.
        id: Our id.
        frames: Number of radiographs in it.
        starts: How often its prediction has begun before.
    """

    seq: int
    id: str
    frames: int
    starts: int


@dataclass(frozen=True, slots=True)
class MadeObject:
    """A DICOM object that was made of a film.

    Attributes:
        file: Its name in the film's folder of results.
        sop_instance_uid: Its UID.
    """

    file: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class FilmView:
    """What may be said of a film to who brought it.

    Attributes:
        id: Our id.
        state: Where it stands.
        rule: Name of the rule that took it, if one did.
        reason: Why it failed or no rule takes it.
        message: The same in a sentence without patient data.
        delivered: Objects that were delivered.
        waiting: Objects that wait for delivery.
        undelivered: Objects that were given up.
    """

    id: str
    state: FilmState
    rule: str | None
    reason: str | None
    message: str | None
    delivered: int
    waiting: int
    undelivered: int


class Films:
    """The table of films; its methods may be called from any thread.

    Args:
        settings: Of the node.
        spool: Where films lie.
        database: What is known of them.
    """

    def __init__(self, settings: NodeSettings, spool: Spool, database: Database) -> None:
        self._settings = settings
        self._spool = spool
        self._database = database

    def recover(self, *, retry_failed: bool = False) -> None:
        """Bring disk and database to one state after a start, however the process ended before.

        Films are matched again, since rules may have changed; deliveries that were given up are
        tried again.

        Args:
            retry_failed: Queue failed films once more.
        """
        if retry_failed:
            with self._database.transaction() as connection:
                connection.execute(
                    "UPDATE film SET state = ?, starts = 0, reason = NULL, message = NULL"
                    " WHERE state = ?",
                    (FilmState.UNMATCHED.value, FilmState.FAILED.value),
                )
        rows = self._database.rows("SELECT * FROM film")
        self._spool.clear_strangers({row["id"] for row in rows})
        for row in rows:
            state = self._matched(row)
            if self._spool.find(row["id"]) is not None:
                self._spool.move(row["id"], state.folder)
            elif state is FilmState.QUEUED:
                self.fail(row["id"], Reason.FILE_UNREADABLE, "expected its file, got none")
            elif state in {FilmState.FAILED, FilmState.UNMATCHED}:
                self._forget(row["id"])  # somebody has looked at it and removed it
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET state = ?, attempts = 0, due = ? WHERE state = ?",
                (DeliveryState.WAITING.value, time.time(), DeliveryState.FAILED.value),
            )
        waiting = self.count(FilmState.QUEUED)
        if waiting:
            event("going_on", queued=waiting)

    def _matched(self, row: sqlite3.Row) -> FilmState:
        """Match a film that has no prediction yet against the rules as they are now."""
        state = FilmState(row["state"])
        if state not in {FilmState.QUEUED, FilmState.UNMATCHED}:
            return state
        named = ("modality", "body_part", "view_position", "calling_ae")
        rule = self._settings.rule_for(Traits(**{name: row[name] for name in named}))
        matched = FilmState.UNMATCHED if rule is None else FilmState.QUEUED
        name = None if rule is None else rule.name
        if (matched, name) != (state, row["rule"]):
            reason = Reason.NO_RULE.value if rule is None else None
            with self._database.transaction() as connection:
                connection.execute(
                    "UPDATE film SET state = ?, rule = ?, reason = ?, message = NULL, changed = ?"
                    " WHERE id = ?",
                    (matched.value, name, reason, time.time(), row["id"]),
                )
        return matched

    def next_rule(self) -> str | None:
        """Return the name of the rule of the film that has waited longest, or None."""
        rows = self._database.rows(
            "SELECT rule FROM film WHERE state = ? ORDER BY seq LIMIT 1", (FilmState.QUEUED.value,)
        )
        return str(only(rows)) if rows else None

    def take(self, rule: str, *, after: int, most: int, suspect: bool = False) -> list[QueuedFilm]:
        """Return films that wait for a rule, and note that their prediction begins.

        Args:
            rule: Its name.
            after: The place in the queue behind which they stand.
            most: How many at most.
            suspect: Take those whose prediction was cut off before, which are best taken alone;
                by default the others.
        """
        compared = ">=" if suspect else "<"
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT seq, id, frames, starts FROM film WHERE state = ? AND rule = ? AND seq > ?"
                f" AND starts {compared} ? ORDER BY seq LIMIT ?",
                (FilmState.QUEUED.value, rule, after, SUSPECT_STARTS, most),
            ).fetchall()
            connection.executemany(
                "UPDATE film SET starts = starts + 1 WHERE seq = ?", [(row["seq"],) for row in rows]
            )
        return [QueuedFilm(*row) for row in rows]

    def suspect(self, films: Sequence[str]) -> None:
        """Note of films that one of them has broken the batch that they were in."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE film SET starts = max(starts, ?) WHERE id = ? AND state = ?",
                [(SUSPECT_STARTS, film, FilmState.QUEUED.value) for film in films],
            )

    def give_back(self, films: Sequence[str]) -> None:
        """Take back that the prediction of films began: the node is stopping in good order."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE film SET starts = starts - 1 WHERE id = ? AND state = ?",
                [(film, FilmState.QUEUED.value) for film in films],
            )

    def finish(
        self, film: str, objects: Sequence[MadeObject], *, destinations: Sequence[str]
    ) -> None:
        """Note that a film was predicted, and what is to be sent where, in one step.

        Args:
            film: Its id; its results have reached the disk.
            objects: What was made of it.
            destinations: Names of where each object is to be sent.
        """
        sent = [(film, made.file, name) for made in objects for name in destinations]
        state = FilmState.PREDICTED if sent else FilmState.DONE
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE film SET state = ?, changed = ? WHERE id = ?", (state.value, now, film)
            )
            connection.executemany(
                "INSERT OR IGNORE INTO delivery (film, file, destination, state, due)"
                " VALUES (?, ?, ?, ?, ?)",
                [(*each, DeliveryState.WAITING.value, now) for each in sent],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO made VALUES (?)",
                [(key_of(made.sop_instance_uid),) for made in objects],
            )

    def fail(self, film: str, reason: Reason, message: str) -> None:
        """Note that a film cannot be predicted, and keep it apart.

        Args:
            film: Its id.
            reason: Why.
            message: Why, in a sentence without patient data.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE film SET state = ?, reason = ?, message = ?, changed = ? WHERE id = ?",
                (FilmState.FAILED.value, reason.value, message, time.time(), film),
            )
        self._spool.move(film, FilmState.FAILED.folder)

    def purge(self) -> int:
        """Remove films that have been done with for longer than they are kept.

        Returns:
            How many were removed.
        """
        before = time.time() - self._settings.retention.done_hours * 3_600
        rows = self._database.rows(
            "SELECT id FROM film WHERE state = ? AND changed < ?", (FilmState.DONE.value, before)
        )
        for row in rows:
            self._forget(row["id"])
        return len(rows)

    def _forget(self, film: str) -> None:
        # The files first: a film that is unknown in the database is taken in at the next start.
        self._spool.remove(film)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM film WHERE id = ?", (film,))

    def count(self, state: FilmState, rule: str | None = None) -> int:
        """Return how many films of a state there are, of one rule or of all."""
        statement, values = "SELECT count(*) FROM film WHERE state = ?", [state.value]
        if rule is not None:
            statement, values = f"{statement} AND rule = ?", [*values, rule]
        return int(only(self._database.rows(statement, values)))

    def counts(self) -> dict[FilmState, int]:
        """Return how many films of each state there are."""
        rows = self._database.rows("SELECT state, count(*) FROM film GROUP BY state")
        found = {row[0]: row[1] for row in rows}
        return {state: found.get(state.value, 0) for state in FilmState}

    def find(self, film: str) -> FilmView | None:
        """Return what may be said of a film; None if there is none of this id."""
        rows = self._database.rows(
            "SELECT id, state, rule, reason, message FROM film WHERE id = ?", (film,)
        )
        if not rows:
            return None
        counted = dict(
            map(
                tuple,
                self._database.rows(
                    "SELECT state, count(*) FROM delivery WHERE film = ? GROUP BY state", (film,)
                ),
            )
        )
        identifier, state, rule, reason, message = rows[0]
        return FilmView(
            id=identifier,
            state=FilmState(state),
            rule=rule,
            reason=reason,
            message=message,
            delivered=counted.get(DeliveryState.DELIVERED.value, 0),
            waiting=counted.get(DeliveryState.WAITING.value, 0),
            undelivered=counted.get(DeliveryState.FAILED.value, 0),
        )
