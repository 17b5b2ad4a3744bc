"""Batch inference: a folder of films becomes tables, and every input is accounted for.

Readers prepare films ahead of the network, the network takes them in batches, and each answer goes
to the journal at once. The tables are written at the end, from what the journal of an earlier,
killed run knew and from what is new. Of each input a few bytes stay in memory, which say where it
stands on disk.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.collector import collector_paused
from pipelines.inference.about import about_model
from pipelines.inference.batch_films import BatchFilm, Elsewhere, Films, Given
from pipelines.inference.batch_results import BatchResults
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.dicom_results import DicomResults
from pipelines.inference.engine import Engine
from pipelines.inference.fatal import ReadingNotes, fatal, fatal_films
from pipelines.inference.fingerprint import fingerprint, test_image
from pipelines.inference.folder import RadiographFolder
from pipelines.inference.freed import give_back_freed
from pipelines.inference.journal import (
    ENGINE,
    JOURNAL_NAME,
    WEIGHTS,
    Entry,
    Journal,
    Stamp,
    found_fingerprint,
)
from pipelines.inference.lock import FolderLock, locked
from pipelines.inference.output import check_writable, output_errors
from pipelines.inference.part import forget_part
from pipelines.inference.prepared import Addition, Postprocessing, PreparedFilm
from pipelines.inference.reading import ReaderPool
from pipelines.inference.recorded import RunRecords
from pipelines.inference.stream import FilmStream, Record
from pipelines.inference.thumbnails import Thumbnails
from pipelines.ingest.shard import Shard
from pipelines.networks.overlap import one_thread_an_operation
from pipelines.networks.runtimes.opening import EngineName
from pipelines.predictions import Refusal
from pipelines.progress import progress
from pipelines.reports.page import draw_report
from pipelines.reports.thumbnails import ThumbnailFile
from pipelines.results.overlays import CONTACT_SHEET_FILMS
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.manifest import verify_manifest

_log = logging.getLogger(__name__)


def predict_folder(
    bundle: Bundle,
    source: str | Path,
    output: Path,
    *,
    overrides: Mapping[str, object],
    overlays: Sequence[str] = (),
    restart: bool = False,
    shard: Shard | None = None,
    elsewhere: "Callable[[BatchPredictor], Elsewhere] | None" = None,
) -> Mapping[str, Any]:
    """Run a bundle's inference configuration on a folder.

    This does what `python -m monai.bundle run --config_file …/configs/inference.json --dataset_dir
    SOURCE --output_dir OUTPUT` does, and nothing else.

    Args:
        bundle: The bundle.
        source: Folder of films, one file, a list of films, or a URL; see `RadiographFolder`.
        output: Folder for the results; the same command goes on where a killed one was.
        overrides: Values by id of the configuration, such as `engine::batch_size`.
        overlays: Names or paths of configurations merged after `inference.json`.
        restart: Forget what an earlier run has done.
        shard: Predict a share of the films alone, into a folder of its own below `output`; see
            `merge_shards`.
        elsewhere: Makes what predicts the films; None predicts them in this process.

    Returns:
        What stands in `summary.json`.

    Raises:
        PlainfilmError: If input, output, weights or configuration are wrong.
    """
    given: dict[str, object] = {"dataset_dir": str(source), "evaluator::restart": restart}
    if shard is not None:
        output /= shard.folder
        given["dataset::shard"] = str(shard)
    given["output_dir"] = str(output)
    with collector_paused():
        configuration = InferenceConfiguration(bundle, {**given, **overrides}, overlays=overlays)
        evaluator: BatchPredictor = configuration.build("evaluator")
    if elsewhere is not None:
        return evaluator.run(elsewhere(evaluator))
    summary: Mapping[str, Any] = configuration.build("run")[-1]
    return summary


class BatchPredictor:
    """The evaluator of an `inference.json`: predicts a folder, writes tables and a picture.

    Args:
        dataset: Input and preprocessing.
        engine: Network, weights and device.
        reader: How films are read ahead.
        postprocessing: Makes records of what the network gives, and tables of records.
        bundle_root: Folder of the bundle, for its name and version.
        output_dir: Folder for the results.
        additions: What is added to each record, in this order: a guard's mark, explanations.
        restart: Forget what an earlier run has done.
        report: Whether `report.html` is drawn.
        dicom: Writes DICOM objects of each film.
    """

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        dataset: RadiographFolder,
        engine: Engine,
        reader: ReaderPool,
        *,
        postprocessing: Postprocessing,
        bundle_root: str,
        output_dir: str,
        additions: Sequence[Addition] = (),
        restart: bool = False,
        report: bool = True,
        dicom: DicomResults | None = None,
    ) -> None:
        self.dataset = dataset
        self.engine = engine
        self.reader = reader
        self.postprocessing = postprocessing
        self.bundle_root = Path(bundle_root)
        self.output = Path(output_dir)
        self.additions = tuple(additions)
        self.restart = restart
        self.report = report
        self.dicom = dicom

    def stream(self) -> FilmStream[Any]:
        """Return what predicts films, of this folder or from elsewhere."""
        return FilmStream(
            self.engine,
            self.reader,
            postprocessing=self.postprocessing,
            additions=self.additions,
            dicom=self.dicom,
        )

    def begin(self) -> dict[str, object]:
        """Load weights and operating point, before films of elsewhere go through the stream.

        Returns:
            What predicts: bundle, weights, threshold.

        Raises:
            PlainfilmError: If weights or operating point are missing or wrong.
        """
        about = self._about()
        if self.dicom is not None:
            self.dicom.begin(about)
        return about

    def run(self, elsewhere: Elsewhere | None = None) -> Mapping[str, Any]:
        """Predict every film that has no prediction yet, then write everything.

        Args:
            elsewhere: What predicts; None predicts in this process.

        Returns:
            What stands in `summary.json`.

        Raises:
            PlainfilmError: If input, output, weights or configuration are wrong.
        """
        at_once = self.engine.at_once > 1
        with locked(self.output) as lock, one_thread_an_operation(enabled=at_once):
            try:
                return self._run(lock, elsewhere)
            finally:
                self.dataset.close()
                give_back_freed()

    def _run(self, lock: FolderLock, elsewhere: Elsewhere | None) -> Mapping[str, Any]:
        started = time.monotonic()
        check_writable(self.output)
        about = self._about()
        if self.dicom is not None:
            # A share without a DICOM film says nothing about the others, and objects are not here.
            if self.dataset.shard is None and not self.dataset.is_elsewhere:
                self.dicom.require_dicom(self.dataset.collection.items)
            self.dicom.begin(about)
        shape = self.fingerprint(about)
        with output_errors():
            forget_part(self.output)
            journal = self._open_journal(shape)
        records, todo = self._known(journal, elsewhere)
        thumbnails = Thumbnails(CONTACT_SHEET_FILMS)
        kept = ThumbnailFile(self.output, anew=not len(journal))

        reading = time.monotonic()
        answers: Iterator[Sequence[Given]]
        if elsewhere is None:
            answers = self._here(todo)
        else:
            answers = elsewhere.predict(todo, fingerprint=shape)
        predicted = self._written(answers, journal, records, lock=lock)
        for film, prepared, record in progress(predicted, "predicting", total=len(todo)):
            if not isinstance(record, Refusal) and isinstance(prepared, PreparedFilm):
                thumbnails.offer(film.position, prepared.image)
                if self.report:
                    kept.add(prepared.filename, prepared.image, size=prepared.original_size)
        seconds = time.monotonic() - reading

        speed = {
            "from_earlier_run": len(self.dataset) - len(todo),
            "seconds": round(time.monotonic() - started, 3),
            "films_per_second": round(len(todo) / seconds, 2) if todo else None,
        }
        results = BatchResults(
            self.dataset, self.reader, self.postprocessing, output=self.output, dicom=self.dicom
        )
        with output_errors():
            results.draw(records, thumbnails)
            summary = results.write(records, about | speed)
        if self.report:
            title = f"{summary['bundle']} {summary['bundle_version']}"
            draw_report(self.output, title=title, kind="prediction", thumbnails=kept.read)
        with output_errors():
            results.finish_part(about, speed)
        return summary

    def _stands(self, record: Record, elsewhere: Elsewhere | None) -> bool:
        """Whether a record of an earlier run is taken as it is."""
        if isinstance(record, Refusal):
            return elsewhere is None or record.reason not in elsewhere.retries
        return self.dicom is None or self.dicom.has(record.filename)

    def _about(self) -> dict[str, object]:
        """Load weights and operating point and say what is used."""
        root = self.bundle_root.resolve()
        verify_manifest(Bundle(root.name, root))
        self.engine.begin(lambda: test_image(self.dataset.transform), before=self._engine_before)
        shaped = [self.postprocessing.about(), *(each.about() for each in self.additions)]
        model = about_model(self.bundle_root, self.engine)
        return model | {name: value for each in shaped for name, value in each.items()}

    def _engine_before(self) -> str | None:
        """Say what ran the films that an earlier run has predicted with these weights."""
        found = {} if self.restart else found_fingerprint(self.output / JOURNAL_NAME)
        if found.get(WEIGHTS) != self.engine.weights_sha256:
            return None
        name = str(found.get(ENGINE, "")).partition(" ")[0]
        return name if name in list(EngineName) else None

    def fingerprint(self, about: Mapping[str, object]) -> dict[str, str]:
        """Name everything that shapes a result.

        Args:
            about: What `begin` returns.

        Returns:
            Short strings by name.

        Raises:
            RunError: If preprocessing or network cannot handle a test film.
        """
        bundle = f"{about['bundle']} {about['bundle_version']}"
        return fingerprint(self.dataset, engine=self.engine, about=about, bundle=bundle)

    def _open_journal(self, shape: Mapping[str, str]) -> Journal:
        journal = Journal(self.output / JOURNAL_NAME, shape, restart=self.restart)
        if journal.changed:
            _log.warning(
                "beginning anew, since this has changed since the earlier run: %s",
                ", ".join(journal.changed),
            )
        elif len(journal):
            _log.warning("going on with an earlier run that handled %d films", len(journal))
        return journal

    def _here(self, todo: Sequence[BatchFilm]) -> Iterator[Sequence[Given]]:
        """Predict films in this process; refuse those that have ended an earlier one."""
        ended = fatal_films(self.output, todo)
        if ended:
            _log.warning("%d films ended the process that read them", len(ended))
            yield [(film, None, fatal(film.item)) for film in ended]
        with output_errors():
            notes = ReadingNotes(self.output)
        with notes:

            def load(film: BatchFilm) -> PreparedFilm:
                with notes.of(film.item):
                    return self.dataset.load(film.item)

            positions = {film.position for film in ended}
            left = (film for film in todo if film.position not in positions)
            yield from self.stream().predict(load, left)

    def _known(
        self, journal: Journal, elsewhere: Elsewhere | None
    ) -> tuple[RunRecords, Sequence[BatchFilm]]:
        """Return what an earlier run has found, and the films that are left."""
        items = self.dataset.collection.items
        records = RunRecords(journal, len(items))
        kinds = (self.postprocessing.record, Refusal)
        for position, item in enumerate(items) if len(journal) else ():
            place = journal.place_of(item, Stamp.of(item))
            if place is not None:
                record = journal.record_at(place)
                if isinstance(record, kinds) and self._stands(record, elsewhere):
                    records.take(position, place, record)
        return records, Films(items, records.missing())

    def _written(
        self,
        predicted: Iterable[Sequence[Given]],
        journal: Journal,
        records: RunRecords,
        *,
        lock: FolderLock,
    ) -> Iterator[Given]:
        """Hand out answers once they stand in the journal."""
        for answers in predicted:
            lock.require()
            with output_errors():
                places = journal.add(Entry(f.item.frame, f.stamp, r) for f, _, r in answers)
            for place, (film, prepared, record) in zip(places, answers, strict=True):
                records.take(film.position, place, record)
                if isinstance(prepared, PreparedFilm):
                    self.dataset.release(prepared)
            yield from answers


def run_predictor(evaluator: BatchPredictor) -> Mapping[str, Any]:
    """Run a predictor, for `run` in an `inference.json`.

    Args:
        evaluator: What the configuration has made.

    Returns:
        What stands in `summary.json`.

    Raises:
        PlainfilmError: If input, output, weights or configuration are wrong.
    """
    return evaluator.run()
