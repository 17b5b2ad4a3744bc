"""The films of a batch, and who predicts them: this process, or others."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, overload

from pipelines.errors import Reason
from pipelines.inference.journal import Stamp
from pipelines.inference.reading import Outcome
from pipelines.inference.stream import Record
from pipelines.ingest.collect import Item


@dataclass(frozen=True, slots=True)
class BatchFilm:
    """A film to be predicted.

    Attributes:
        position: Its place in the folder, from 0.
        item: Its file and its name.
        stamp: How its file looks now.
    """

    position: int
    item: Item
    stamp: Stamp


class Films(Sequence[BatchFilm]):
    """Some films of a folder; each is looked at when it is asked for, just before it is read.

    Args:
        items: All films of the folder.
        positions: Of these ones.
    """

    def __init__(self, items: Sequence[Item], positions: Sequence[int]) -> None:
        self._items = items
        self._positions = positions

    def __len__(self) -> int:
        """How many there are."""
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> BatchFilm: ...

    @overload
    def __getitem__(self, index: slice) -> "Films": ...

    def __getitem__(self, index: int | slice) -> "BatchFilm | Films":
        """Look at one film; some are left alone."""
        if isinstance(index, slice):
            return Films(self._items, self._positions[index])
        position = self._positions[index]
        item = self._items[position]
        return BatchFilm(position, item, Stamp.of(item))


Given: TypeAlias = tuple[BatchFilm, Outcome | None, Record]
"""A film, how reading it ended (None where that was elsewhere), and its record."""


class Elsewhere(Protocol):
    """Predicts films in other processes or on other machines, in the place of `FilmStream`."""

    retries: Collection[Reason]
    """Refusals by an earlier run that do not hold here."""

    def predict(
        self, films: Sequence[BatchFilm], *, fingerprint: Mapping[str, str]
    ) -> Iterator[Sequence[Given]]:
        """Predict films; what is written of each stands in the output when its record is given.

        Args:
            films: What to predict.
            fingerprint: What shapes a result, as the journal has it.

        Yields:
            Films with their records; every film once.
        """
