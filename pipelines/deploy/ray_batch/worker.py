"""A worker: one process with one opened model, which predicts block after block.

It runs in an actor of Ray. What it writes of a film goes to a scratch folder of its own and from
there to the driver, so that OUTPUT has one writer, whatever dies or comes back late, and need not
be mounted where films are predicted.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.deploy.ray_batch.blocks import Block, Done, Recipe, packed, unpacked
from pipelines.errors import PlainfilmError, Reason, RunError
from pipelines.inference.folder import FETCHED
from pipelines.inference.journal import INPUT_FOLDER, Stamp
from pipelines.ingest.collect import Item
from pipelines.unfinished import held_folder

if TYPE_CHECKING:
    from pipelines.inference.batch import BatchPredictor

FILMS, ANSWERS = "films", "answers"
"""Columns of what goes in and what comes out."""


class Worker:
    """Predicts blocks; Ray makes it and hands it one table of one row after the other.

    Args:
        recipe: A packed `Recipe`.
    """

    def __init__(self, recipe: bytes) -> None:
        self._recipe: Recipe = unpacked(recipe)
        self._model: _Model | None = None

    def __call__(self, table: Any) -> dict[str, list[bytes]]:
        """Predict the block of each row.

        Args:
            table: Of pyarrow; packed blocks stand in its one column.

        Returns:
            One packed `Done` a row.
        """
        blocks = [unpacked(each.as_py()) for each in table.column(FILMS)]
        return {ANSWERS: [packed(self._done(block)) for block in blocks]}

    def _done(self, block: Block) -> Done:
        try:
            if self._model is None:
                self._model = _Model(self._recipe)
            return self._model.predict(block)
        except PlainfilmError as error:
            return Done(trouble=error)


class _Model:
    """A bundle that is opened on this machine.

    Args:
        recipe: How.

    Raises:
        PlainfilmError: If it cannot be opened, or is another one here than where the run began.
    """

    def __init__(self, recipe: Recipe) -> None:
        from pipelines.progress import configure_logging

        configure_logging()
        with suppress(OSError):  # where everything is given by absolute paths it need not exist
            os.chdir(recipe.folder)
        self._held = ExitStack()
        self._scratch = self._held.enter_context(held_folder(_session(), "plainfilm-"))
        self._evaluator = _opened(recipe, self._scratch)
        self._stream = self._evaluator.stream()
        _require_same(self._evaluator.fingerprint(self._evaluator.begin()), recipe.fingerprint)

    def predict(self, block: Block) -> Done:
        """Predict films.

        Args:
            block: The films.

        Returns:
            Their records, and the files that were written of them.
        """
        from pipelines.inference.prepared import PreparedFilm
        from pipelines.networks.overlap import one_thread_an_operation
        from pipelines.predictions import Refusal
        from pipelines.reports.thumbnails import ThumbnailFile

        evaluator = self._evaluator
        films = (_Numbered(number, item, Stamp.of(item)) for number, item in block.films)
        kept = ThumbnailFile(self._scratch, anew=True)
        records = []
        with one_thread_an_operation(enabled=evaluator.engine.at_once > 1):
            for answers in self._stream.predict(
                lambda film: evaluator.dataset.load(film.item), films
            ):
                for film, outcome, record in answers:
                    records.append((film.number, film.stamp, record))
                    if not isinstance(outcome, PreparedFilm):
                        continue
                    if block.pictures and not isinstance(record, Refusal):
                        kept.add(outcome.filename, outcome.image, size=outcome.original_size)
                    evaluator.dataset.release(outcome)
        return Done(records, self._collected(block))

    def _collected(self, block: Block) -> dict[str, bytes]:
        """Take all files out of the scratch folder, and with them what is known of their films."""
        if self._evaluator.dicom is not None:
            for _, item in block.films:
                self._evaluator.dicom.forget(item.filename)
        files = {}
        for path in self._scratch.iterdir():
            if path.name == FETCHED:
                continue
            for each in sorted(path.rglob("*")) if path.is_dir() else (path,):
                if each.is_file():
                    files[each.relative_to(self._scratch).as_posix()] = each.read_bytes()
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        return files


def _session() -> Path:
    """Return the folder of Ray's session on this node, which goes when the cluster goes."""
    import ray

    node = ray._private.worker._global_node
    return Path(tempfile.gettempdir() if node is None else node.get_session_dir_path())


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A film with the number that it has in the run, looked at just before it is read."""

    number: int
    item: Item
    stamp: Stamp


def _opened(recipe: Recipe, scratch: Path) -> "BatchPredictor":
    """Build what predicts, with as many threads as it has cores."""
    from pipelines.deploy.packages.opened import find_model
    from pipelines.inference.configuration import InferenceConfiguration

    given = {**recipe.overrides, "dataset_dir": ".", "output_dir": str(scratch)}
    bundle = find_model(recipe.bundle)
    configuration = InferenceConfiguration(bundle, given, overlays=recipe.overlays)
    evaluator: BatchPredictor = configuration.build("evaluator")
    evaluator.engine.at_once = min(evaluator.engine.at_once, recipe.cores)
    if evaluator.reader.threads is None:
        evaluator.reader = replace(evaluator.reader, threads=recipe.cores)
    return evaluator


def _require_same(here: Mapping[str, str], there: Mapping[str, str]) -> None:
    """Refuse to predict in another way than the machine on which the run was started.

    Raises:
        RunError: PARTS_MISMATCH, with what differs.
    """
    names = sorted({*here, *there} - {INPUT_FOLDER})
    differing = [name for name in names if here.get(name) != there.get(name)]
    if differing:
        raise RunError(
            Reason.PARTS_MISMATCH,
            "expected one and the same bundle, device and version on every node, got other values "
            f"on a worker of: {', '.join(differing)}; install and mount the same on all",
        )
