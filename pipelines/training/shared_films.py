"""Films that the processes of one machine read together: each a part, into memory that all map."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.training.film_cache import Arrays
from pipelines.training.ranks import Ranks

Places: TypeAlias = dict[str, str]
"""Path of each array's file, by key."""

_MEMORY = Path("/dev/shm")


def make_shared(first: Mapping[str, np.ndarray[Any, Any]], count: int) -> Arrays:
    """Make room for films in files that other processes of this machine can map.

    They stand in memory where the system has such a place with room, else in the temporary folder.
    `forget` takes their names away.

    Args:
        first: Arrays of the first film.
        count: Number of films.

    Returns:
        Arrays of all films, (film, …).

    Raises:
        ConfigurationError: If there is room in neither.
    """
    size = count * sum(array.nbytes for array in first.values())
    for parent in (_MEMORY, Path(tempfile.gettempdir())):
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(prefix="plainfilm-", dir=parent))
            return {key: _make(folder / f"{key}.npy", each, count) for key, each in first.items()}
        except OSError:
            if folder is not None:
                _remove(folder)
    raise ConfigurationError(
        Reason.OUTPUT_UNWRITABLE,
        f"expected room for {size / 1e9:.1f} GB of films that the processes of this machine share, "
        "found none in memory and in the temporary folder; set cache_dir, or let TMPDIR name "
        "another folder",
    )


def _make(path: Path, first: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.lib.format.open_memmap(
        path, mode="w+", dtype=first.dtype, shape=(count, *first.shape)
    )
    # Reserved at once: where a container's memory is small, writing would end the process later.
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def places_of(arrays: Arrays) -> Places:
    """Return where arrays of `make_shared`, or of a `FilmCache`, can be opened from."""
    mapped = {key: each for key, each in arrays.items() if isinstance(each, np.memmap)}
    return {key: str(each.filename) for key, each in mapped.items()}


def open_shared(places: Places) -> Arrays:
    """Open what another process of this machine has made room for, to write into it."""
    return {key: np.lib.format.open_memmap(path, mode="r+") for key, path in places.items()}


def forget(places: Places) -> None:
    """Take the names of shared films away: they end with the last process that has them open."""
    for folder in {Path(path).parent for path in places.values()}:
        if folder.name.startswith("plainfilm-"):
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def own_places(count: int, group: Ranks) -> range:
    """Return the films that this process reads, of those that its machine has to read."""
    return range(group.local_rank, count, group.local_size)
