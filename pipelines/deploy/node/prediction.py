"""The worker: takes queued films by rule, predicts them as `predict` does, keeps what was found."""

import json
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pipelines
from pipelines.deploy.node.events import event
from pipelines.deploy.node.films import MOST_STARTS, Films, MadeObject, QueuedFilm
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.outbox import Outbox
from pipelines.deploy.node.settings import BatchSettings, NodeSettings, Rule
from pipelines.deploy.node.spool import Spool, sync_folder
from pipelines.deploy.node.states import FilmState
from pipelines.errors import PlainfilmError, Reason
from pipelines.files import write_json
from pipelines.inference.batch import BatchPredictor
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.overlap import one_thread_an_operation
from pipelines.inference.stream import Record
from pipelines.ingest.collect import Item
from pipelines.predictions import Refusal
from pipelines.results.dicom_ledger import FOLDER
from pipelines.workflows.bundle import find_bundle

RESULT_FILE = "prediction.json"

_PAGE = 16
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """One radiograph of a film."""

    film: QueuedFilm
    item: Item


class Model:
    """A bundle with the settings of a rule, loaded once.

    Args:
        rule: Bundle, overlays, overrides and kinds of objects.
        batch: How films are gathered.
        folder: Scratch for what is written while predicting.
    """

    def __init__(self, rule: Rule, batch: BatchSettings, folder: Path) -> None:
        given: dict[str, object] = {"dataset_dir": str(folder), "output_dir": str(folder)}
        if batch.size is not None:
            given["engine::batch_size"] = batch.size
        if rule.dicom:
            given["dicom"] = ",".join(rule.dicom)
        configuration = InferenceConfiguration(
            find_bundle(rule.bundle), {**given, **rule.overrides}, overlays=rule.overlays
        )
        self.folder = folder
        self.predictor: BatchPredictor = configuration.build("evaluator")
        self.about = self.predictor.begin()

    @property
    def batch_size(self) -> int:
        """Films that go through the network together."""
        return self.predictor.engine.batch_size

    def objects_of(self, filename: str) -> Sequence[tuple[Path, str]]:
        """Return file and SOP Instance UID of the objects that were made of a film."""
        dicom = self.predictor.dicom
        found = None if dicom is None else dicom.objects_of(filename)
        if found is None:
            return []
        for missing in found.missing:
            event(
                "object_missing",
                level=logging.WARNING,
                film=filename.partition(".")[0],
                kind=missing.kind.value,
                reason=missing.reason.value,
            )
        return [(self.folder / FOLDER / each.file, each.sop_instance_uid) for each in found.objects]

    def clear(self) -> None:
        """Remove all scratch, between two runs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def forget(self, filename: str) -> None:
        """Remove what was written of a film and is not kept."""
        if self.predictor.dicom is not None:
            self.predictor.dicom.forget(filename)
        for folder in (path for path in self.folder.iterdir() if path.is_dir()):
            for path in folder.glob(f"{filename}*"):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


@dataclass(slots=True)
class _Progress:
    """Films that were taken and are not finished: the records of their frames so far."""

    records: dict[str, dict[int, Record]] = field(default_factory=dict)

    def add(self, frame: _Frame, record: Record) -> list[Record] | None:
        """Take a record; return all records of the film once they are there."""
        found = self.records[frame.film.id]
        found[frame.item.frame] = record
        if len(found) < frame.film.frames:
            return None
        del self.records[frame.film.id]
        return [found[number] for number in sorted(found)]


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
        self._run(rule, model, lambda after: self._films.take(rule.name, after=after, most=_PAGE))
        while not self._stopped.is_set():
            alone = self._films.take(rule.name, after=0, most=1, suspect=True)
            if not alone:
                return
            self._run(rule, model, lambda after, alone=alone: [] if after else alone)  # type: ignore[misc]

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

    def _run(self, rule: Rule, model: Model, take: Callable[[int], Sequence[QueuedFilm]]) -> None:
        progress = _Progress()
        predictor = model.predictor
        frames = self._frames(take, progress)
        try:
            with one_thread_an_operation(enabled=predictor.engine.at_once > 1):
                for answers in predictor.stream().predict(
                    lambda frame: predictor.dataset.load(frame.item), frames
                ):
                    for frame, _, record in answers:
                        records = progress.add(frame, record)
                        if records is not None:
                            self._finish(frame.film, rule, model, records)
                    if self._stopped.is_set():
                        break
        except Exception as error:
            if _is_of_the_disk(error):
                self._films.give_back(list(progress.records))
                raise
            self._blame(list(progress.records), error)
        else:
            self._films.give_back(list(progress.records))
        finally:
            frames.close()
            model.clear()

    def _frames(
        self, take: Callable[[int], Sequence[QueuedFilm]], progress: _Progress
    ) -> Generator[_Frame]:
        after = 0
        while not self._stopped.is_set():
            films = take(after)
            if not films:
                return
            for film in films:
                after = film.seq
                if film.starts >= MOST_STARTS:
                    message = "expected a prediction, got a process that ended during it each time"
                    self._fail(film.id, Reason.INTERNAL, message)
                    continue
                progress.records[film.id] = {}
                path = self._spool.film(film.id)
                for number in range(film.frames):
                    name = path.name if film.frames == 1 else f"{path.name}#{number + 1}"
                    yield _Frame(film, Item(path, name, number))

    def _blame(self, films: Sequence[str], error: Exception) -> None:
        """Fail the film that broke the network, or find out which one it was."""
        event("batch_broken", level=logging.ERROR, films=len(films), error=type(error).__name__)
        if len(films) == 1:
            message = f"expected a prediction, got {type(error).__name__} from the network"
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
            objects = self._keep(film, model, records)
            self._films.finish(film.id, objects, destinations=rule.destinations)
            self._metrics.predicted.labels(rule.name).inc()
            event("film_predicted", film=film.id, rule=rule.name, objects=len(objects))
            if objects and rule.destinations:
                self._outbox.notify()
        for record in records:
            model.forget(record.filename)

    def _keep(self, film: QueuedFilm, model: Model, records: Sequence[Record]) -> list[MadeObject]:
        folder = self._spool.results / film.id
        folder.mkdir(exist_ok=True)
        objects = []
        for record in records:
            for path, uid in model.objects_of(record.filename):
                path.replace(folder / path.name)
                objects.append(MadeObject(path.name, uid))
        write_json(folder / RESULT_FILE, _result(model.about, records))
        sync_folder(folder)
        sync_folder(folder.parent)
        return objects

    def _fail(self, film: str, reason: Reason, message: str) -> None:
        self._films.fail(film, reason, message)
        self._metrics.failed.labels(reason.value).inc()
        event("film_failed", level=logging.WARNING, film=film, reason=reason.value)


def _is_of_the_disk(error: Exception) -> bool:
    if isinstance(error, PlainfilmError):
        return error.reason is Reason.OUTPUT_UNWRITABLE
    return isinstance(error, OSError | sqlite3.Error)


def _result(about: Mapping[str, object], records: Sequence[Record]) -> Mapping[str, Any]:
    named = ("bundle", "bundle_version", "weights_sha256", "threshold")
    model = {name: about[name] for name in named if name in about}
    return {
        "plainfilm_version": pipelines.__version__,
        **model,
        "predictions": [{"kind": type(record).__name__, **asdict(record)} for record in records],
    }
