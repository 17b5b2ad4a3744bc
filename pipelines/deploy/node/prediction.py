"""The worker: takes queued films by rule, predicts them as `predict` does, keeps what was found."""

import errno
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial

from pipelines.deploy.node.events import event
from pipelines.deploy.node.films import MOST_STARTS, Films, MadeObject, QueuedFilm
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.models import Model
from pipelines.deploy.node.outbox import Outbox
from pipelines.deploy.node.progress import Frame, Progress
from pipelines.deploy.node.settings import NodeSettings, Rule
from pipelines.deploy.node.spool import Spool, sync_folder
from pipelines.deploy.node.states import FilmState
from pipelines.errors import Outcome, PlainfilmError, Reason
from pipelines.files import write_json
from pipelines.inference.stream import Record
from pipelines.ingest.collect import Item
from pipelines.networks.overlap import one_thread_an_operation
from pipelines.predictions import Refusal
from pipelines.results.dicom_ledger import FOLDER, FilmObjects

RESULT_FILE = "prediction.json"

_OF_NO_FILM = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    }
)
"""Errors of the disk and of the machine: the next film would meet them, too."""

_PAGE = 16
_LOOK_SECONDS = 1.0


class Worker(threading.Thread):
    """Predicts queued films until it is stopped.

    Args:
        settings: Of the node.
        spool: Where films and results lie.
        films: The queue.
        outbox: Is told of new results.
        arrived: Set when a film was queued.
        metrics: Where films are counted.
    """

    def __init__(
        self,
        settings: NodeSettings,
        spool: Spool,
        *,
        films: Films,
        outbox: Outbox,
        arrived: threading.Event,
        metrics: Metrics,
    ) -> None:
        super().__init__(name="film-worker", daemon=True)
        self._settings = settings
        self._spool = spool
        self._films = films
        self._outbox = outbox
        self._arrived = arrived
        self._metrics = metrics
        self._stopped = threading.Event()
        self._rules = {rule.name: rule for rule in settings.rules}
        self._models: dict[str, Model] = {}

    def load(self) -> None:
        """Load the models of all rules, so that what is wrong with one is known at once.

        Raises:
            PlainfilmError: If weights or configuration of a bundle are missing or wrong.
        """
        loaded: dict[str, Model] = {}
        for rule in self._rules.values():
            key = json.dumps(
                [rule.bundle, rule.overlays, dict(rule.overrides), rule.dicom], default=str
            )
            if key not in loaded:
                folder = self._spool.work / str(len(loaded))
                folder.mkdir()
                loaded[key] = Model(rule, self._settings.batch, folder)
                event("model_loaded", rule=rule.name, bundle=loaded[key].about["bundle"])
            self._models[rule.name] = loaded[key]

    def stop(self) -> None:
        """Let the thread end after the batches that are in the network."""
        self._stopped.set()
        self._arrived.set()

    def run(self) -> None:
        """Predict until stopped."""
        while not self._stopped.is_set():
            self._arrived.clear()
            try:
                rule = self._films.next_rule()
                if rule is None:
                    self._arrived.wait(_LOOK_SECONDS)
                else:
                    self._predict(self._rules[rule], self._models[rule])
            except Exception as error:  # noqa: BLE001 - a disk that is full now may not be so later
                event("worker_broken", level=logging.ERROR, error=type(error).__name__)
                self._stopped.wait(_LOOK_SECONDS)

    def _predict(self, rule: Rule, model: Model) -> None:
        """Predict all films that wait for a rule, and those that come meanwhile."""
        self._gather(rule, model)

        def take(after: int) -> Sequence[QueuedFilm]:
            if after and self._films.next_rule() != rule.name:
                return []  # a film of another rule has waited longest: it is its turn
            return self._films.take(rule.name, after=after, most=_PAGE)

        self._run(rule, model, take)
        while not self._stopped.is_set():
            alone = self._films.take(rule.name, after=0, most=1, suspect=True)
            if not alone:
                return
            self._run(rule, model, lambda _: [], first=alone)

    def _gather(self, rule: Rule, model: Model) -> None:
        """Wait a moment for a batch to fill: the network takes as long for a part of one."""
        waited, step = 0.0, 0.02
        while (
            waited < self._settings.batch.wait_seconds
            and not self._stopped.is_set()
            and self._films.count(FilmState.QUEUED, rule.name) < model.batch_size
        ):
            self._stopped.wait(step)
            waited += step

    def _run(
        self,
        rule: Rule,
        model: Model,
        take: Callable[[int], Sequence[QueuedFilm]],
        *,
        first: Sequence[QueuedFilm] = (),
    ) -> None:
        progress = Progress({film.id for film in first})
        predictor = model.predictor
        frames = self._frames(first, take, progress)
        try:
            with one_thread_an_operation(enabled=predictor.engine.at_once > 1):
                for answers in predictor.stream().predict(
                    lambda frame: predictor.dataset.load(frame.item), frames
                ):
                    for frame, _, record in answers:
                        records = progress.add(frame, record)
                        if records is not None:
                            self._finish(frame.film, rule, model, records)
                            progress.end(frame.film.id)
                    if self._stopped.is_set():
                        break
        except Exception as error:
            progress.stop()
            if _is_of_the_disk(error):
                self._films.give_back([*progress.taken])
                raise
            self._films.give_back([*progress.taken.difference(progress.records)])
            self._blame([*progress.records], error)
        else:
            progress.stop()
            self._films.give_back([*progress.taken])
        finally:
            with suppress(ValueError):  # a reader is at it, and finds out itself
                frames.close()
            model.clear()

    def _frames(
        self,
        films: Sequence[QueuedFilm],
        take: Callable[[int], Sequence[QueuedFilm]],
        progress: Progress,
    ) -> Generator[Frame]:
        after = 0
        while not self._stopped.is_set():
            films = films or progress.take(partial(take, after))
            if not films:
                return
            for film in films:
                after = film.seq
                if film.starts >= MOST_STARTS:
                    message = "expected a prediction, got a process that ended during it each time"
                    self._fail(film.id, Reason.INTERNAL, message)
                    progress.end(film.id)
                    continue
                progress.records[film.id] = {}
                path = self._spool.film(film.id)
                for number in range(film.frames):
                    name = path.name if film.frames == 1 else f"{path.name}#{number + 1}"
                    yield Frame(film, Item(path, name, number))
            films = ()

    def _blame(self, films: Sequence[str], error: Exception) -> None:
        """Fail the film that broke the network, or find out which one it was."""
        event("batch_broken", level=logging.ERROR, films=len(films), error=type(error).__name__)
        if len(films) == 1:
            message = f"expected a prediction, got {type(error).__name__}"
            self._fail(films[0], Reason.INTERNAL, message)
        else:
            self._films.suspect(films)

    def _finish(
        self, film: QueuedFilm, rule: Rule, model: Model, records: Sequence[Record]
    ) -> None:
        """Keep the results of a film; when they have reached the disk, say so in the database."""
        refused = [record for record in records if isinstance(record, Refusal)]
        if len(refused) == len(records):
            self._fail(film.id, refused[0].reason, refused[0].message)
        else:
            self._hand_on(film, rule, model, records)
        for record in records:
            model.forget(record.filename)

    def _hand_on(
        self, film: QueuedFilm, rule: Rule, model: Model, records: Sequence[Record]
    ) -> None:
        """Put the objects of a film into the outbox; one that none could be made of has failed."""
        found = [model.objects_of(record.filename) for record in records]
        of_film = [each for each in found if each is not None]
        objects = self._keep(film.id, model, records, of_film)
        missing = [each for frame in of_film for each in frame.missing]
        for each in missing:
            event(
                "object_missing",
                level=logging.WARNING,
                film=film.id,
                kind=each.kind.value,
                reason=each.reason.value,
            )
        failed = [each for each in missing if each.reason.outcome is Outcome.FAILED]
        if failed and not objects:
            self._fail(film.id, failed[0].reason, failed[0].message)
            return
        self._films.finish(film.id, objects, destinations=rule.destinations)
        self._metrics.predicted.labels(rule.name).inc()
        event("film_predicted", film=film.id, rule=rule.name, objects=len(objects))
        if objects and rule.destinations:
            self._outbox.notify()

    def _keep(
        self, film: str, model: Model, records: Sequence[Record], of_film: Sequence[FilmObjects]
    ) -> list[MadeObject]:
        """Bring results to where they stay until they have been delivered."""
        folder = self._spool.results / film
        folder.mkdir(exist_ok=True)
        objects = []
        for made in (each for frame in of_film for each in frame.objects):
            written, kept = model.folder / FOLDER / made.file, folder / made.file
            if written.is_file() or not kept.is_file():  # else an attempt before has brought it
                written.replace(kept)
            objects.append(MadeObject(made.file, made.sop_instance_uid))
        write_json(folder / RESULT_FILE, model.result(records))
        sync_folder(folder)
        sync_folder(folder.parent)
        return objects

    def _fail(self, film: str, reason: Reason, message: str) -> None:
        self._films.fail(film, reason, message)
        self._metrics.failed.labels(reason.value).inc()
        event("film_failed", level=logging.WARNING, film=film, reason=reason.value)


def _is_of_the_disk(error: Exception) -> bool:
    """Whether an error has nothing to do with the film that it came with."""
    if isinstance(error, PlainfilmError):
        return error.reason is Reason.OUTPUT_UNWRITABLE
    if isinstance(error, OSError):
        return error.errno in _OF_NO_FILM
    return isinstance(error, sqlite3.Error)
