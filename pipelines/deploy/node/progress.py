"""Which films the worker has taken and not finished, whatever thread looks at them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.deploy.node.films import QueuedFilm
from pipelines.inference.stream import Record
from pipelines.ingest.collect import Item


@dataclass(frozen=True, slots=True)
class Frame:
    """One radiograph of a film.

    Attributes:
        film: The film.
        item: What the dataset loads.
    """

    film: QueuedFilm
    item: Item


@dataclass(slots=True)
class Progress:
    """Films that were taken and are not finished.

    Attributes:
        taken: Ids of all of them. Readers take further ones in threads of their own.
        records: The records of their frames so far, of those that were given to the readers.
    """

    taken: set[str] = field(default_factory=set)
    records: dict[str, dict[int, Record]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: bool = False

    def take(self, take: Callable[[], Sequence[QueuedFilm]]) -> Sequence[QueuedFilm]:
        """Take further films, or none after the end."""
        with self._lock:
            films = () if self._ended else take()
            self.taken.update(film.id for film in films)
        return films

    def stop(self) -> None:
        """Take no more."""
        with self._lock:
            self._ended = True

    def add(self, frame: Frame, record: Record) -> list[Record] | None:
        """Take a record; return all records of the film once they are there."""
        found = self.records[frame.film.id]
        found[frame.item.frame] = record
        if len(found) < frame.film.frames:
            return None
        return [found[number] for number in sorted(found)]

    def end(self, film: str) -> None:
        """Forget a film that has its result, or has failed."""
        self.taken.discard(film)
        self.records.pop(film, None)
