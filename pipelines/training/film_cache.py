"""Prepared films on disk, found again only by the same files and the same transforms."""

import functools
import hashlib
import inspect
import json
import logging
import os
import shutil
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from monai.transforms import Transform

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object, write_json
from pipelines.unfinished import held_folder

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""Arrays of all films by key, (film, channel, height, width)."""

_DONE = "complete.json"
_FILLING = ".filling-"
_log = logging.getLogger(__name__)


class FilmCache:
    """One folder a data set and chain; its name is the hash of both.

    The hash covers path, size and time of change of every file, and of every transform its class,
    its settings and the source code of its module. What is found is compared with the first film
    as it is prepared now, so that a change elsewhere, in a decoder say, is noticed as well, and
    with a checksum of each film; what is damaged is prepared anew.

    The folder is filled under another name and takes its own when it is whole. So two runs may
    share a cache, and what a killed one left behind is removed by the next.

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
        self._filling: Path | None = None
        self._held = ExitStack()

    def find(self, first: Mapping[str, np.ndarray[Any, Any]]) -> Arrays | None:
        """Open what is kept, without keeping it in memory.

        Args:
            first: The first film's arrays as they are prepared now.

        Returns:
            Read-only arrays by key; None if nothing complete is there, it is damaged, or the first
            film differs.
        """
        sums = read_json_object(self.folder / _DONE)
        if not sums:
            return None
        try:
            kept: Arrays = {
                key: np.load(self.folder / f"{key}.npy", mmap_mode="r") for key in first
            }
            whole = all(sums[key] == _checksums(array) for key, array in kept.items())
        except (OSError, ValueError, EOFError, KeyError):
            whole = False
        if not whole:
            _log.warning("kept films are damaged or of an earlier version; they are prepared anew")
            return None
        same = all(np.array_equal(kept[key][0], array) for key, array in first.items())
        return kept if same else None

    def create(self, first: Mapping[str, np.ndarray[Any, Any]], count: int) -> Arrays:
        """Make room for `count` films like the first one.

        Raises:
            ConfigurationError: If the folder cannot be written to, or has no room for them.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            prefix = f"{_FILLING}{self.folder.name}-"
            filling = self._held.enter_context(held_folder(self.folder.parent, prefix))
            arrays = {key: make_array(filling, key, array, count) for key, array in first.items()}
        except OSError as error:
            self.discard()
            raise ConfigurationError(
                Reason.OUTPUT_UNWRITABLE,
                f"expected a folder to keep films in as cache_dir, got {error.strerror or error}; "
                "name another, make room, or set cache_dir to null",
            ) from error
        self._filling = filling
        return arrays

    def complete(self, arrays: Arrays) -> None:
        """Say that every film stands in the arrays of `create`, and give the folder its name."""
        if self._filling is None:
            return
        for array in arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        write_json(self._filling / _DONE, {key: _checksums(each) for key, each in arrays.items()})
        self._filling.chmod(0o755)
        # What stood there was not taken, and whoever has it open keeps it.
        before = self._filling.with_name(f"{self._filling.name}-before")
        with suppress(OSError):
            self.folder.rename(before)
        with suppress(OSError):  # another run was quicker: its films are the same
            self._filling.rename(self.folder)
        shutil.rmtree(before, ignore_errors=True)
        self.discard()

    def discard(self) -> None:
        """Remove what was not completed; arrays that are open stay valid."""
        self._filling = None
        self._held.close()


def make_array(
    folder: Path, key: str, like: np.ndarray[Any, Any], count: int
) -> np.ndarray[Any, Any]:
    """Make a mapped file with room for all films.

    Args:
        folder: Where it stands.
        key: What it is called.
        like: The array of a film.
        count: Number of films.

    Returns:
        (film, …), of zeros.

    Raises:
        OSError: If there is no room.
    """
    path, shape = folder / f"{key}.npy", (count, *like.shape)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=like.dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # A disk that is full, or the little memory of a container, shows here; in a mapped file it
        # would end the process by a signal.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _checksums(array: np.ndarray[Any, Any]) -> list[int]:
    """A checksum of each film, CRC-32."""
    return [zlib.crc32(film.tobytes()) for film in array]


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
