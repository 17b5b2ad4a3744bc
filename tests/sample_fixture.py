"""Generated films of a quarter of the usual height and width: drawing them is what they cost."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from pipelines.datasets.phantoms import (
    chest,
    chest_samples,
    fracture,
    fracture_samples,
    skin,
    skin_samples,
    write_samples,
)
from pipelines.datasets.phantoms.hand_samples import write_hand_samples

_DRAWN = (
    (chest_samples, "chest_film", chest.FILM_SHAPE),
    (fracture_samples, "limb_film", fracture.FILM_SHAPE),
    (skin_samples, "lesion_photograph", skin.PHOTOGRAPH_SHAPE),
)
_HAND_SIDE = 256


@contextmanager
def small_films() -> Iterator[None]:
    """Let films be drawn small; hands have a size of their own to ask for."""
    with ExitStack() as patches:
        for module, name, (height, width) in _DRAWN:
            small = partial(getattr(module, name), shape=(height // 4, width // 4))
            patches.enter_context(mock.patch.object(module, name, small))
        yield


def write_small_samples(
    name: str, directory: Path, *, count: int, seed: int = 0
) -> tuple[Path, ...]:
    """Write a set of small films; arguments and result as of `write_samples`."""
    if name == "hand":
        return write_hand_samples(directory, count=count, seed=seed, side=_HAND_SIDE)
    with small_films():
        return write_samples(name, directory, count=count, seed=seed)
