"""Films that the processes of one machine read together: each a part, into memory that all map."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.training.film_cache import Arrays, make_array
from pipelines.training.ranks import Ranks
from pipelines.unfinished import held_folder

Places: TypeAlias = dict[str, str]
"""Path of each array's file, by key."""

_MEMORY = Path("/dev/shm")
_PREFIX = "plainfilm-films-"


def make_shared(
    first: Mapping[str, np.ndarray[Any, Any]], count: int, *, named: ExitStack
) -> Arrays:
    """Make room for films in files that other processes of this machine can map.

    They stand in memory where the system has such a place with room, else in the temporary folder.

    Args:
        first: Arrays of the first film.
        count: Number of films.
        named: Takes their names away when it is closed: they end with the last process that has
            them open.

    Returns:
        Arrays of all films, (film, …).

    Raises:
        ConfigurationError: If there is room in neither.
    """
    for parent in (_MEMORY, Path(tempfile.gettempdir())):
        with suppress(OSError), ExitStack() as tried:
            folder = tried.enter_context(held_folder(parent, _PREFIX))
            arrays = {key: make_array(folder, key, each, count) for key, each in first.items()}
            named.push(tried.pop_all())
            return arrays
    size = count * sum(array.nbytes for array in first.values())
    raise ConfigurationError(
        Reason.OUTPUT_UNWRITABLE,
        f"expected room for {size / 1e9:.1f} GB of films that the processes of this machine share, "
        "found none in memory and in the temporary folder; set cache_dir, or let TMPDIR name "
        "another folder",
    )


def places_of(arrays: Arrays) -> Places:
    """Return where arrays of `make_shared`, or of a `FilmCache`, can be opened from."""
    mapped = {key: each for key, each in arrays.items() if isinstance(each, np.memmap)}
    return {key: str(each.filename) for key, each in mapped.items()}


def open_shared(places: Places) -> Arrays:
    """Open what another process of this machine has made room for, to write into it."""
    return {key: np.lib.format.open_memmap(path, mode="r+") for key, path in places.items()}


def own_places(count: int, group: Ranks) -> range:
    """Return the films that this process reads, of those that its machine has to read."""
    return range(group.local_rank, count, group.local_size)
