"""Prepared films on disk, found again only by the same files and the same transforms."""

import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from monai.transforms import Transform

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import write_json

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""Arrays of all films by key, (film, channel, height, width)."""


class FilmCache:
    """One folder a data set and chain; its name is the hash of both.

    The hash covers path, size and time of change of every file, and of every transform its class,
    its settings and the source code of its module. What is found is compared with the first film
    as it is prepared now, so that a change elsewhere, in a decoder say, is noticed as well.

    Args:
        directory: Folder of all caches.
        data: Items; every value that is the path of a file counts.
        transforms: The chain whose results are kept.
    """

    def __init__(
        self, directory: Path | str, data: Sequence[Mapping[str, Any]], transforms: Iterable[Any]
    ) -> None:
        described = {"films": [_files(item) for item in data], "chain": describe(list(transforms))}
        text = json.dumps(described, sort_keys=True)
        self.folder = Path(directory) / hashlib.sha256(text.encode()).hexdigest()[:24]
        self._done = self.folder / "complete.json"

    def find(self, first: Mapping[str, np.ndarray[Any, Any]]) -> Arrays | None:
        """Open what is kept, without reading it into memory.

        Args:
            first: The first film's arrays as they are prepared now.

        Returns:
            Read-only arrays by key; None if nothing complete is there, or the first film differs.
        """
        if not self._done.is_file():
            return None
        kept: Arrays = {key: np.load(self._file(key), mmap_mode="r") for key in first}
        same = all(np.array_equal(kept[key][0], array) for key, array in first.items())
        return kept if same else None

    def create(self, first: Mapping[str, np.ndarray[Any, Any]], count: int) -> Arrays:
        """Make room for `count` films like the first one.

        Raises:
            ConfigurationError: If the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._done.unlink(missing_ok=True)
            return {
                key: np.lib.format.open_memmap(
                    self._file(key), mode="w+", dtype=array.dtype, shape=(count, *array.shape)
                )
                for key, array in first.items()
            }
        except OSError as error:
            raise ConfigurationError(
                Reason.OUTPUT_UNWRITABLE,
                f"expected a folder to keep films in as cache_dir, got {error.strerror or error}; "
                "name another, or set cache_dir to null",
            ) from error

    def complete(self, arrays: Arrays) -> None:
        """Say that every film stands in the arrays of `create`."""
        for array in arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        write_json(self._done, {key: list(array.shape) for key, array in arrays.items()})

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.npy"


def describe(value: object) -> object:
    """Describe a transform, or a setting of one, so that equal descriptions mean equal results.

    Args:
        value: Anything that can stand in a transform.

    Returns:
        Strings, lists and mappings, as JSON holds them.
    """
    if isinstance(value, functools.partial):
        value = (value.func, value.args, value.keywords)
    if isinstance(value, Transform):
        return _described_transform(value)
    if isinstance(value, list | tuple):
        return [describe(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): describe(each) for key, each in value.items()}
    if callable(value) and hasattr(value, "__qualname__"):
        return [f"{value.__module__}.{value.__qualname__}", _source_hash(value.__module__)]
    if isinstance(value, np.random.RandomState):
        return "random"
    return repr(value)


def _described_transform(transform: Transform) -> object:
    kind = type(transform)
    settings = {name: describe(value) for name, value in sorted(vars(transform).items())}
    return [f"{kind.__module__}.{kind.__qualname__}", _source_hash(kind.__module__), settings]


@functools.cache
def _source_hash(module: str) -> str:
    found = sys.modules.get(module)
    if found is None:
        return ""
    try:
        return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _files(item: Mapping[str, Any]) -> list[object]:
    """Name every file of an item, with size and time of change."""
    found: list[object] = []
    for key, value in sorted(item.items()):
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, str) and Path(each).is_file():
                status = Path(each).stat()
                found.append([key, each, status.st_size, status.st_mtime_ns])
            elif key != "group":
                found.append([key, repr(each)])
    return found
