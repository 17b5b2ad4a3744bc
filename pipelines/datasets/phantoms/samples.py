"""Which generated sets there are, and the one function that writes them."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pipelines.datasets.phantoms.chest_samples import write_chest_samples
from pipelines.datasets.phantoms.fracture_samples import write_fracture_samples
from pipelines.datasets.phantoms.hand_samples import write_hand_samples
from pipelines.datasets.phantoms.skin_samples import write_skin_samples
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import sha256
from pipelines.nearest import did_you_mean


class SampleWriter(Protocol):
    """Writes one kind of generated films into a folder."""

    def __call__(self, directory: Path, *, count: int, seed: int) -> Sequence[Path]:
        """Write `count` films and return their paths."""


SAMPLES: dict[str, SampleWriter] = {
    "chest": write_chest_samples,
    "fracture": write_fracture_samples,
    "hand": write_hand_samples,
    "skin": write_skin_samples,
}
"""Name of a set to its writer."""


def write_samples(
    name: str, directory: Path, *, count: int = 48, seed: int = 0
) -> tuple[Path, ...]:
    """Write a set of generated films in the layout that its users have.

    A folder that holds something else is left as it is. Writing the same set again, also after an
    interruption, leaves the same files.

    Args:
        name: One of `SAMPLES`.
        directory: Folder to write into; made if it is missing.
        count: About how many films; a set has a least and a largest number and rounds up.
        seed: Another seed gives other films; 0 or more.

    Returns:
        The files, in a stable order.

    Raises:
        ConfigurationError: UNKNOWN_NAME for a set that is not in `SAMPLES`; CONFIGURATION for a
            number out of its range; OUTPUT_UNWRITABLE if `directory` holds files of another kind or
            other films.
    """
    if name not in SAMPLES:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected one of {', '.join(SAMPLES)} as a set of samples, got {name!r}"
            f"{did_you_mean(name, SAMPLES)}",
        )
    if seed < 0:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected a seed of 0 or more, got {seed}; give another --seed"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _scratch_for(directory.resolve()) as scratch:
            films = SAMPLES[name](scratch, count=count, seed=seed)
            return _move_films(films, scratch, directory=directory)
    except OSError as error:
        raise ConfigurationError(
            Reason.OUTPUT_UNWRITABLE,
            "expected a folder that can be written to for the samples, got "
            f"{error.strerror or 'an error'}; choose another",
        ) from error


@contextmanager
def _scratch_for(directory: Path) -> Iterator[Path]:
    """Give an empty folder beside `directory`, so that finished files are renamed, never copied.

    Its name follows from the folder's: what a killed run has left in it is cleared by the next.

    Yields:
        The folder; it is removed at the end.
    """
    scratch = directory.parent / f".samples-{directory.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_films(films: Sequence[Path], scratch: Path, *, directory: Path) -> tuple[Path, ...]:
    targets = {film: directory / film.relative_to(scratch) for film in films}
    kept = {film for film, target in targets.items() if _same_content(film, target)}
    present = (path for path in directory.rglob("*") if path.is_file())
    foreign = sorted(
        path.relative_to(directory).as_posix()
        for path in set(present) - {targets[film] for film in kept}
        if not path.name.startswith(".")
    )
    if foreign:
        raise ConfigurationError(
            Reason.OUTPUT_UNWRITABLE,
            f"expected an empty folder for the samples, got one with {len(foreign)} other files "
            f"such as {foreign[0]!r}; choose another folder or empty this one",
        )
    for film, target in targets.items():
        if film not in kept:
            target.parent.mkdir(parents=True, exist_ok=True)
            film.replace(target)
    return tuple(targets.values())


def _same_content(one: Path, other: Path) -> bool:
    return other.is_file() and sha256(one) == sha256(other)
