"""Records in the order of rows, and their names counted, without a copy of either in memory."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Generic, Protocol, TypeVar, overload

import numpy as np


class Named(Protocol):
    """A record of an input."""

    @property
    def filename(self) -> str:
        """Path relative to the input folder."""


Record = TypeVar("Record", bound=Named)


def in_rows(records: Sequence[Record]) -> Sequence[Record]:
    """Return records in order of file name and frame: frame 10 of a file behind its frame 2.

    Args:
        records: Perhaps read from the disk one by one; most often they are in order already, since
            folders are walked in order.

    Returns:
        The same records.
    """
    places = (_place(record.filename) for record in records)
    if all(before <= after for before, after in pairwise(places)):
        return records
    keys = [_place(record.filename) for record in records]
    return _Reordered(records, array("q", sorted(range(len(keys)), key=keys.__getitem__)))


class Names:
    """File names, of which a hash of 16 bytes each is kept.

    Args:
        most: How many are going to be added.
    """

    def __init__(self, most: int) -> None:
        self._hashes = np.empty((most, 2), np.uint64)
        self._count = 0

    def add(self, filename: str) -> None:
        """Take down a name.

        Args:
            filename: Of an input.
        """
        name = filename.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(name, digest_size=16).digest()
        self._hashes[self._count] = np.frombuffer(digest, np.uint64)
        self._count += 1

    def repeated(self) -> int:
        """Return how many names were there before."""
        hashes = self._hashes[: self._count]
        hashes = hashes[np.lexsort((hashes[:, 1], hashes[:, 0]))]
        return int(np.count_nonzero(np.all(hashes[1:] == hashes[:-1], axis=1)))


class _Reordered(Sequence[Record], Generic[Record]):
    def __init__(self, records: Sequence[Record], order: "array[int]") -> None:
        self._records = records
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return _Reordered(self._records, self._order[index])
        return self._records[self._order[index]]

    def __iter__(self) -> Iterator[Record]:
        return (self._records[place] for place in self._order)


def _place(filename: str) -> tuple[str, int]:
    name, mark, frame = filename.rpartition("#")
    return (name, int(frame)) if mark and frame.isdecimal() else (filename, 0)
