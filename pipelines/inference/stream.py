"""Films on their way to records: read ahead, gathered to batches, through the network, and out.

A folder is predicted by it, and so are the films that a node receives: there is no second way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import torch

from pipelines.errors import PlainfilmError
from pipelines.inference.dicom_results import DicomResults
from pipelines.inference.engine import Engine
from pipelines.inference.prepared import Addition, Postprocessing, PreparedFilm
from pipelines.inference.reading import Outcome as ReadOutcome
from pipelines.inference.reading import ReaderPool
from pipelines.ingest.collect import Item
from pipelines.networks.overlap import overlapped
from pipelines.predictions import Prediction, Refusal

Record: TypeAlias = Prediction | Refusal


class Film(Protocol):
    """Something that is to be predicted."""

    @property
    def item(self) -> Item:
        """Its file, its name and its frame."""


AnyFilm = TypeVar("AnyFilm", bound=Film)
Answer: TypeAlias = tuple[AnyFilm, ReadOutcome, Record]
"""A film, how reading it ended, and its record."""


class FilmStream(Generic[AnyFilm]):
    """Predicts films one after the other, as they are asked for.

    Args:
        engine: Network, weights and device.
        reader: How films are read ahead.
        postprocessing: Makes records of what the network gives.
        additions: What is added to each record, in this order.
        dicom: Writes DICOM objects of each film before its answer is given.
    """

    def __init__(
        self,
        engine: Engine,
        reader: ReaderPool,
        *,
        postprocessing: Postprocessing,
        additions: Sequence[Addition] = (),
        dicom: DicomResults | None = None,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._postprocessing = postprocessing
        self._additions = additions
        self._dicom = dicom

    def predict(
        self, load: Callable[[AnyFilm], PreparedFilm], films: Iterable[AnyFilm]
    ) -> Iterator[Sequence[Answer[AnyFilm]]]:
        """Predict films.

        Args:
            load: Reads and prepares one film; it runs in the threads of the reader.
            films: What to predict; taken from as readers have room.

        Yields:
            The answers of one batch after the other; every film is in one of them, refused ones
            among them.
        """
        batches = _in_batches(self._reader.read(load, films), self._engine.batch_size)
        yield from overlapped(self._infer, batches, at_once=self._engine.at_once)

    def _infer(self, batch: "_Batch[AnyFilm]") -> Sequence[Answer[AnyFilm]]:
        """Make a record of each film, whether it was read or refused."""
        prepared = [outcome for _, outcome in batch if isinstance(outcome, PreparedFilm)]
        records: Sequence[Record] = ()
        if prepared:
            outputs = self._engine(torch.stack([film.image for film in prepared]))
            records = self._postprocessing(prepared, outputs)
            for addition in self._additions:
                records = addition(prepared, records)
            if self._dicom is not None:
                self._dicom(prepared, records, outputs)
        answers = iter(records)
        return [
            (
                film,
                outcome,
                Refusal.of(film.item.filename, outcome)
                if isinstance(outcome, PlainfilmError)
                else next(answers),
            )
            for film, outcome in batch
        ]


_Batch: TypeAlias = list[tuple[AnyFilm, ReadOutcome]]


def _in_batches(
    read: Iterable[tuple[AnyFilm, ReadOutcome]], size: int
) -> Iterator[_Batch[AnyFilm]]:
    """Group films as they come, refused ones among them; those of a batch have one shape."""
    batch: _Batch[AnyFilm] = []
    shape: torch.Size | None = None
    for film, outcome in read:
        if isinstance(outcome, PreparedFilm):
            if batch and shape not in {None, outcome.image.shape}:
                yield batch
                batch = []
            shape = outcome.image.shape
        batch.append((film, outcome))
        if len(batch) == size:
            yield batch
            batch, shape = [], None
    if batch:
        yield batch
