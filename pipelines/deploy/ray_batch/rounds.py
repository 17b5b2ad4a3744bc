"""Films through a Ray cluster until each has its record, whatever dies on the way.

Films go out in blocks. A block that does not come back, since its worker or its node died, goes out
again in smaller ones, and in the end film by film: so a film that kills what reads it takes nothing
else with it. Answers are counted against the films that were asked for; Ray's word is not taken.
"""

import logging
import warnings
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pipelines.deploy.ray_batch.blocks import Block, Done, Recipe, packed, unpacked
from pipelines.deploy.ray_batch.cluster import Workers, cluster, workers
from pipelines.deploy.ray_batch.worker import ANSWERS, FILMS, Worker
from pipelines.errors import Reason, RunError
from pipelines.inference.batch import BatchPredictor
from pipelines.inference.batch_films import BatchFilm, Given
from pipelines.inference.engine_trial import AUTO
from pipelines.inference.output import output_errors
from pipelines.predictions import Refusal, Segmentation
from pipelines.reports.thumbnails import FILE_NAME as THUMBNAILS
from pipelines.reports.thumbnails import MOST
from pipelines.results.dicom_ledger import FOLDER as DICOM
from pipelines.unfinished import FILES, held_folder

_ENGINE_KEYS = ("engine_name", "engine::name")
_MOST_FILMS = 128
_MOST_MASKED_FILMS = 16
"""Of a block whose films have masks, which are files and take seconds each."""
_BLOCKS_A_WORKER = 4
_SMALLER = 8
_TRIES_ALONE = 2
_EMPTY_ROUNDS = 2
_NO_WORKER = (
    "expected a worker of the Ray cluster that answers, got none; see that its nodes are up and "
    "that plainfilm and Python are the same on all, then run the same command again"
)
_log = logging.getLogger(__name__)


class RayRounds:
    """Predicts the films of a folder on the workers of a cluster.

    Args:
        evaluator: What would predict them in this process; the output and what is known of it.
        recipe: How workers open the same.
        address: Of the cluster; None starts one on this machine.
    """

    retries: Collection[Reason] = (Reason.WORKER_DIED,)
    """A worker dies of want of memory too; here a film that is tried again harms no other."""

    def __init__(self, evaluator: BatchPredictor, recipe: Recipe, address: str | None) -> None:
        self._evaluator = evaluator
        self._recipe = recipe
        self._address = address
        self._workers = Workers(1, 1, 0)

    def predict(
        self, films: Sequence[BatchFilm], *, fingerprint: Mapping[str, str]
    ) -> Iterator[Sequence[Given]]:
        """Predict films; see `Elsewhere`.

        Args:
            films: What to predict.
            fingerprint: What the workers' models must agree with.

        Yields:
            Films with their records; every film once.

        Raises:
            RunError: WORKER_DIED if the cluster has no worker left that answers.
            PlainfilmError: What a worker says of its model or its machine.
        """
        if not films:
            return
        with cluster(self._address):
            waiting = _Waiting(films)
            size, tries, empty = 0, 0, 0
            while waiting:
                self._prepare(fingerprint)
                size = size or self._block_size(len(films))
                answered = False
                for done in self._round(waiting, size):
                    answered = True
                    yield self._new(done, waiting)
                empty = 0 if answered else empty + 1
                if empty == _EMPTY_ROUNDS:
                    raise RunError(Reason.WORKER_DIED, _NO_WORKER)
                tries += answered and size == 1
                if tries == _TRIES_ALONE:
                    yield [(film, None, _died(film)) for film in map(waiting.pop, list(waiting))]
                if waiting and answered:
                    _log.warning("%d films did not come back from their workers", len(waiting))
                    size = 1 if size <= 2 * _SMALLER else size // _SMALLER

    def _prepare(self, fingerprint: Mapping[str, str]) -> None:
        """Share the cluster out, and let all workers take the engine that was chosen here."""
        engine, given = self._evaluator.engine, self._recipe.overrides
        self._workers = workers(on_gpu=engine.device.type == "cuda")
        chosen = {key: engine.name for key in _ENGINE_KEYS if given.get(key) == AUTO}
        self._recipe = replace(
            self._recipe,
            overrides={**given, **chosen},
            cores=self._workers.cores,
            fingerprint=fingerprint,
        )

    def _block_size(self, films: int) -> int:
        masked = self._evaluator.postprocessing.record is Segmentation
        most = _MOST_MASKED_FILMS if masked else _MOST_FILMS
        least = min(most, self._evaluator.engine.batch_size)
        share = films // (_BLOCKS_A_WORKER * self._workers.count)
        return min(most, max(least, share))

    def _round(self, waiting: "_Waiting", size: int) -> Iterator[Done]:
        """Send all films that are waiting, and give what comes back.

        Raises:
            PlainfilmError: What a worker says of its model or its machine.
        """
        import ray

        try:
            for content in self._answers(self._blocks(waiting, size), alone=size == 1):
                done: Done = unpacked(content)
                if done.trouble is not None:
                    raise done.trouble
                yield done
        except ray.exceptions.RayError as error:
            # Films that are missing now are asked for again.
            _log.debug("a round ended early: %s", type(error).__name__)

    def _blocks(self, waiting: "_Waiting", size: int) -> Iterator[Block]:
        """Cut films into blocks; the first one is empty, and its answer says that workers live."""
        yield Block(())
        numbers = array("Q", waiting)
        for start in range(0, len(numbers), size):
            cut = numbers[start : start + size]
            pictures = self._evaluator.report and cut[0] < MOST
            yield Block(tuple((n, waiting.films[n].item) for n in cut), pictures)

    def _answers(self, blocks: Iterator[Block], *, alone: bool) -> Iterator[bytes]:
        """Let Ray Data map blocks to packed answers, in the order in which they are ready."""
        import ray.data
        from ray.data import ActorPoolStrategy

        rows = [{FILMS: packed(block)} for block in blocks]
        count = min(self._workers.count, len(rows))
        pool = ActorPoolStrategy(
            min_size=1,
            max_size=count,
            initial_size=count,
            # Alone means that no other film waits in a worker that one kills.
            max_tasks_in_flight_per_actor=1 if alone else 2,
        )
        with warnings.catch_warnings():
            # Of its arguments Ray 2.60 wants those that say how often is retried to go, and has
            # named no others.
            warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
            mapped = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                Worker,
                fn_constructor_args=(packed(self._recipe),),
                batch_size=1,
                batch_format="pyarrow",
                compute=pool,
                num_cpus=self._workers.cores,
                num_gpus=self._workers.gpus,
                max_restarts=-1,
                max_task_retries=0,
            )
        for batch in mapped.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            yield from (each.as_py() for each in batch.column(ANSWERS))

    def _new(self, done: Done, waiting: "_Waiting") -> list[Given]:
        """Return the records of films that have none yet, with their files in the output."""
        new = [each for each in done.records if each[0] in waiting]
        if new and done.files:
            with output_errors():
                self._take(done.files, [record.filename for _, _, record in new])
        return [(replace(waiting.pop(n), stamp=stamp), None, record) for n, stamp, record in new]

    def _take(self, files: Mapping[str, bytes], names: Sequence[str]) -> None:
        """Put what a worker has written into the output.

        Raises:
            OSError: If it cannot be written.
        """
        output, dicom = self._evaluator.output, self._evaluator.dicom
        with held_folder(output, f"{FILES}block-") as block:
            for name, content in files.items():
                path = block / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if dicom is not None:
                dicom.take(names, block)
            for name in files:
                if name == THUMBNAILS:
                    with (output / name).open("ab") as kept:
                        kept.write(files[name])
                elif not name.startswith(f"{DICOM}/"):
                    (output / name).parent.mkdir(parents=True, exist_ok=True)
                    (block / name).replace(output / name)


class _Waiting(Collection[int]):
    """The numbers of films without an answer; a byte a film.

    Args:
        films: All films.
    """

    def __init__(self, films: Sequence[BatchFilm]) -> None:
        self.films = films
        self._waits = bytearray(b"\x01") * len(films)
        self._count = len(films)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (number for number, waits in enumerate(self._waits) if waits)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and bool(self._waits[number])

    def pop(self, number: int) -> BatchFilm:
        """Return a film that now has its answer."""
        self._count -= self._waits[number]
        self._waits[number] = 0
        return self.films[number]


def _died(film: BatchFilm) -> Refusal:
    return Refusal(
        film.item.filename,
        Reason.WORKER_DIED,
        "expected a film that leaves the process that reads it alive, got one that ended "
        f"{_TRIES_ALONE} of them; give workers more memory, or take it away and report it",
    )
