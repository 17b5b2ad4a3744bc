"""Films come in here, whichever way they came: durable before anybody is told so, each once."""

import errno
import logging
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipelines.deploy.node.arrival import Arrival, inspect_arrival
from pipelines.deploy.node.database import Database, only
from pipelines.deploy.node.events import event
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.settings import NodeSettings
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.node.states import FilmState
from pipelines.errors import InputError, PlainfilmError, Reason


@dataclass(frozen=True, slots=True)
class Source:
    """Where a film came from.

    Attributes:
        kind: `dicom`, `stow`, `rest`; `found` in the node's own folders.
        calling_ae: AE title of the sender; empty where it has none.
    """

    kind: str
    calling_ae: str = ""


class ReceiptState(StrEnum):
    """What the node says to who brings a film."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a film that was brought.

    Attributes:
        state: `queued`: it is on disk and will be predicted. `duplicate`: the same film is here
            already, or it is a result of ours that came back. `kept`: it is on disk, but will not
            be predicted, for the reason given. `refused`: it is not here, for the reason given;
            who sent it still has to care for it.
        film: Our id of the film; None if it is not here.
        reason: Why it was refused, or is kept without a prediction; None otherwise.
        message: The reason in a sentence without patient data.
    """

    state: ReceiptState
    film: str | None = None
    reason: Reason | None = None
    message: str = ""


class Inbox:
    """Takes films from all sides; its methods may be called from any thread.

    Args:
        settings: Of the node.
        spool: Where films lie.
        database: What is known of them.
        metrics: Where they are counted.
    """

    def __init__(
        self, settings: NodeSettings, spool: Spool, database: Database, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._database = database
        self._metrics = metrics
        self.arrived = threading.Event()
        """Set whenever a film was queued; who waits for films clears it."""

    def add(
        self, content: bytes | Path, *, source: Source, announced: str | None = None
    ) -> Receipt:
        """Take a film.

        Args:
            content: A DICOM file: its bytes, or the path of a file that is copied.
            source: Where it came from.
            announced: SOP Instance UID that the sender has named, if it named one.

        Returns:
            What became of it. If it is not refused, it has reached the disk and stands in the
            queue, or beside it.
        """
        try:
            receipt = self._take(content, source, announced)
        except PlainfilmError as refusal:
            receipt = Receipt(ReceiptState.REFUSED, None, refusal.reason, str(refusal))
        except OSError as error:
            receipt = Receipt(ReceiptState.REFUSED, None, *_disk_reason(error))
        except sqlite3.Error:
            receipt = Receipt(
                ReceiptState.REFUSED,
                None,
                Reason.DISK_FULL,
                "expected a database that can be written, got an error from it; look at the disk",
            )
        self._report(receipt, source)
        return receipt

    def _take(self, content: bytes | Path, source: Source, announced: str | None) -> Receipt:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self.check_room(size)
        identifier = self._spool.new_id()
        incoming = self._spool.incoming(identifier)
        try:
            if isinstance(content, bytes):
                incoming.write_bytes(content)
            else:
                shutil.copyfile(content, incoming)
            arrival = inspect_arrival(incoming, calling_ae=source.calling_ae, announced=announced)
            known = self._known(arrival)
            if known is not None:
                return known
            return self._keep(identifier, arrival, source, size)
        finally:
            incoming.unlink(missing_ok=True)

    def recover(self) -> None:
        """Take in again what lies in the folders of films and is not in the database.

        They may be answered for: the database may be gone, or older than they are. One that is
        refused stays where it lies.
        """
        rows = self._database.rows("SELECT id FROM film")
        for path in self._spool.strangers({row["id"] for row in rows}):
            receipt = self.add(path, source=Source("found"))
            if receipt.state is not ReceiptState.REFUSED:
                path.unlink()

    def check_room(self, size: int) -> None:
        """See whether an object of some bytes could be taken now.

        Args:
            size: Bytes.

        Raises:
            InputError: TOO_LARGE, QUEUE_FULL or DISK_FULL if not.
        """
        limits = self._settings.limits
        most = self._settings.dicom.max_object_bytes
        if size > most:
            raise InputError(
                Reason.TOO_LARGE,
                f"expected an object of at most {most} bytes, got {size}; raise max_object_mb",
            )
        waiting = only(
            self._database.rows(
                "SELECT count(*) FROM film WHERE state = ?", (FilmState.QUEUED.value,)
            )
        )
        if waiting >= limits.queue:
            raise InputError(
                Reason.QUEUE_FULL,
                f"expected fewer than {limits.queue} waiting films, got {waiting}; "
                "send it later or raise limits.queue",
            )
        if self._spool.free_bytes() - size < limits.free_disk_mb * 1e6:
            raise InputError(
                Reason.DISK_FULL,
                f"expected {limits.free_disk_mb:g} MB of free disk, got less; make room",
            )

    def _known(self, arrival: Arrival) -> Receipt | None:
        """Answer for a film whose UID is here already; a damaged one is not in a whole one's way.

        Raises:
            InputError: UID_CONFLICT if its pixels are others, or encoded in another way.
        """
        if self._database.rows("SELECT 1 FROM made WHERE key = ?", (arrival.key,)):
            # A peer that forwards whatever it gets would send our results round and round.
            message = "expected a film, got one of our own results; keep it from being sent back"
            return Receipt(ReceiptState.DUPLICATE, None, Reason.DUPLICATE, message)
        rows = self._database.rows(
            "SELECT id, pixels, state, reason FROM film WHERE key = ?", (arrival.key,)
        )
        if not rows:
            return None
        found = rows[0]
        if found["pixels"] == arrival.pixels:
            return Receipt(ReceiptState.DUPLICATE, found["id"])
        if arrival.damage is None and _was_damaged(found):
            return None
        raise InputError(
            Reason.UID_CONFLICT,
            "expected one film for one SOP Instance UID, got other pixels, or another encoding of "
            "them, than before under the same one; give the other film a UID of its own",
        )

    def _keep(self, identifier: str, arrival: Arrival, source: Source, size: int) -> Receipt:
        rule = self._settings.rule_for(arrival.traits)
        receipt = _receipt(identifier, arrival, ruled=rule is not None)
        state = _STATES.get(receipt.reason, FilmState.FAILED)
        self._spool.keep(identifier)
        traits, now = arrival.traits, time.time()
        try:
            with self._database.transaction() as connection:
                damaged = [
                    row
                    for row in connection.execute(
                        "SELECT id, state, reason FROM film WHERE key = ?", (arrival.key,)
                    ).fetchall()
                    if arrival.damage is None and _was_damaged(row)
                ]
                for row in damaged:
                    connection.execute("DELETE FROM film WHERE id = ?", (row["id"],))
                connection.execute(
                    "INSERT INTO film (id, key, pixels, bytes, frames, kind, modality, body_part,"
                    " view_position, calling_ae, received, changed, state, rule, reason, message)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(identifier, arrival.key, arrival.pixels, size, arrival.frames),
                        *(source.kind, traits.modality, traits.body_part, traits.view_position),
                        *(traits.calling_ae, now, now, state.value),
                        rule.name if rule is not None else None,
                        receipt.reason.value if receipt.reason is not None else None,
                        receipt.message or None,
                    ),
                )
        except sqlite3.Error as error:
            self._spool.remove(identifier)
            known = self._known(arrival) if isinstance(error, sqlite3.IntegrityError) else None
            if known is None:
                raise
            return known  # the same film came twice at the same moment
        self._spool.move(identifier, state.folder)
        for row in damaged:
            self._spool.remove(row["id"])
        return receipt

    def _report(self, receipt: Receipt, source: Source) -> None:
        if receipt.state is ReceiptState.QUEUED:
            self.arrived.set()
        reason = receipt.reason.value if receipt.reason is not None else None
        self._metrics.arrivals.labels(source.kind, receipt.state.value, reason or "").inc()
        event(
            f"film_{receipt.state.value}",
            level=logging.WARNING if reason else logging.INFO,
            film=receipt.film,
            source=source.kind,
            calling_ae=source.calling_ae or None,
            reason=reason,
        )


_STATES: dict[Reason | None, FilmState] = {
    None: FilmState.QUEUED,
    Reason.NO_RULE: FilmState.UNMATCHED,
}


def _receipt(identifier: str, arrival: Arrival, *, ruled: bool) -> Receipt:
    if arrival.damage is not None:
        damage = arrival.damage
        return Receipt(ReceiptState.KEPT, identifier, damage.reason, str(damage))
    if not ruled:
        return Receipt(
            ReceiptState.KEPT,
            identifier,
            Reason.NO_RULE,
            "expected a rule that takes this film, got none; add one and start the node again",
        )
    return Receipt(ReceiptState.QUEUED, identifier)


def _was_damaged(row: sqlite3.Row) -> bool:
    """Whether a film has failed for what is wrong with its file."""
    failed = FilmState(row["state"]) is FilmState.FAILED
    return failed and row["reason"] != Reason.INTERNAL.value


def _disk_reason(error: OSError) -> tuple[Reason, str]:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return Reason.DISK_FULL, "expected room on the disk, got none; make room"
    code = errno.errorcode.get(error.errno or 0, "an error")
    return Reason.FILE_UNREADABLE, f"expected a file that can be read and written, got {code}"
