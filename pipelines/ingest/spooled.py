"""A sequence that holds its first values in memory and all others on disk."""

import pickle
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from os import pread
from typing import TypeVar, overload

Value = TypeVar("Value")

HELD = 10_000
"""Values in memory; an ordinary folder never touches the disk."""


class Spooled(Sequence[Value]):
    """Values in the order in which they were added.

    Those beyond `HELD` stand in a file without a name, which goes with the sequence, and take eight
    bytes of memory each. Threads may read; one adds, before any reads.
    """

    def __init__(self) -> None:
        self._held: list[Value] = []
        self._ends = array("Q")
        self._unwritten = False

    def append(self, value: Value) -> None:
        """Add a value behind all others.

        Args:
            value: What can be pickled.

        Raises:
            OSError: If the folder for temporary files is full.
        """
        if len(self._held) < HELD:
            self._held.append(value)
            return
        if not self._ends:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when this is gone
            weakref.finalize(self, self._file.close)
            self._ends.append(0)
        written = self._file.write(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        self._ends.append(self._ends[-1] + written)
        self._unwritten = True

    def __len__(self) -> int:
        """How many values there are."""
        return len(self._held) + max(0, len(self._ends) - 1)

    @overload
    def __getitem__(self, index: int) -> Value: ...

    @overload
    def __getitem__(self, index: slice) -> list[Value]: ...

    def __getitem__(self, index: int | slice) -> Value | list[Value]:
        """Return one value, or some as a list."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index] - len(self._held)
        if place < 0:
            return self._held[place]
        if self._unwritten:
            self._file.flush()
            self._unwritten = False
        start, end = self._ends[place], self._ends[place + 1]
        value: Value = pickle.loads(pread(self._file.fileno(), end - start, start))
        return value

    def __iter__(self) -> Iterator[Value]:
        """Give all values in order."""
        return (self[each] for each in range(len(self)))
