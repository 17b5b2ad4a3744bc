"""Records of a run, read from its journal when they are asked for, so that none stay in memory."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, overload

from pipelines.inference.journal import Journal
from pipelines.predictions import Prediction, Refusal

Value = TypeVar("Value")
_NONE = -1


class Recorded(Sequence[Value]):
    """Records by where they stand in a journal: eight bytes of memory each.

    Args:
        journal: Holds them.
        places: Where each stands.
    """

    def __init__(self, journal: Journal, places: "array[int]") -> None:
        self._journal = journal
        self._places = places

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Value: ...

    @overload
    def __getitem__(self, index: slice) -> "Recorded[Value]": ...

    def __getitem__(self, index: int | slice) -> "Value | Recorded[Value]":
        """Read one record; some are left where they are."""
        if isinstance(index, slice):
            return Recorded(self._journal, self._places[index])
        record: Any = self._journal.record_at(self._places[index])
        value: Value = record
        return value


class RunRecords:
    """What has become of each film of a run so far.

    Args:
        journal: Holds the records.
        films: How many films there are.
    """

    def __init__(self, journal: Journal, films: int) -> None:
        self._journal = journal
        self._places = array("q", [_NONE]) * films
        self._refused = bytearray(films)

    def take(self, position: int, place: int, record: Prediction | Refusal) -> None:
        """Take down where the record of a film stands.

        Args:
            position: Of the film in its folder.
            place: Of its record in the journal.
            record: The record.
        """
        self._places[position] = place
        self._refused[position] = isinstance(record, Refusal)

    def missing(self) -> "array[int]":
        """Return the positions of films without a record."""
        return array("q", (n for n, place in enumerate(self._places) if place == _NONE))

    @property
    def predicted(self) -> Recorded[Prediction]:
        """Predictions in the order of the films."""
        return Recorded(self._journal, self._those(refused=False))

    @property
    def refused(self) -> Recorded[Refusal]:
        """Refusals in the order of the films."""
        return Recorded(self._journal, self._those(refused=True))

    def first_predicted(self, count: int) -> list[tuple[int, Prediction]]:
        """Return the first films that were predicted, with their positions.

        Args:
            count: How many at most.
        """
        found: list[tuple[int, Prediction]] = []
        for position, place in enumerate(self._places):
            if len(found) == count:
                break
            if place != _NONE and not self._refused[position]:
                record = self._journal.record_at(place)
                if not isinstance(record, Refusal):
                    found.append((position, record))
        return found

    def _those(self, *, refused: bool) -> "array[int]":
        wanted = (p for p, r in zip(self._places, self._refused, strict=True) if bool(r) is refused)
        return array("q", wanted)


class Joined(Sequence[Value]):
    """Two sequences one behind the other, without a copy of either.

    Args:
        first: The one.
        second: The other.
    """

    def __init__(self, first: Sequence[Value], second: Sequence[Value]) -> None:
        self._first = first
        self._second = second

    def __len__(self) -> int:
        """How many values both have."""
        return len(self._first) + len(self._second)

    @overload
    def __getitem__(self, index: int) -> Value: ...

    @overload
    def __getitem__(self, index: slice) -> list[Value]: ...

    def __getitem__(self, index: int | slice) -> Value | list[Value]:
        """Return one value, or some as a list."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place < len(self._first):
            return self._first[place]
        return self._second[place - len(self._first)]

    def __iter__(self) -> Iterator[Value]:
        """Give all values in order."""
        yield from self._first
        yield from self._second
