"""Films to calibrate an exported network with, and others to judge it by."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch

from pipelines.datasets.films import class_key, inspect_film
from pipelines.datasets.groups import patient_from_name
from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.files import sha256
from pipelines.inference.folder import Transform, prepare
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.reading import ReaderPool
from pipelines.ingest.collect import Item, collect
from pipelines.progress import progress


@dataclass(frozen=True, slots=True)
class FoundFilm:
    """A film of a folder.

    Attributes:
        item: File and frame.
        label: Index of the class whose folder it lies in; None where it lies in none.
        group: Films with equal groups are of one patient, as far as header or name tell.
    """

    item: Item
    label: int | None
    group: str


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films as the network sees them.

    Attributes:
        images: float32, (channel, height, width) each.
        labels: As of `FoundFilm`.
        groups: As of `FoundFilm`.
    """

    images: tuple[torch.Tensor, ...]
    labels: tuple[int | None, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        """How many films there are."""
        return len(self.images)


def find_films(directory: Path, classes: Sequence[str]) -> list[FoundFilm]:
    """List the films of a folder with what is known of each.

    Args:
        directory: Any folder of films; those in a folder named after a class are of that class.
        classes: Names in order.

    Raises:
        ConfigurationError: If there is no film.
    """
    labels = {class_key(name): label for label, name in enumerate(classes)}
    items = collect(directory, show_progress=True).items
    if not items:
        raise ConfigurationError(
            Reason.DATASET_LAYOUT,
            f"expected films in {directory.name!r}, found none; check the path",
        )
    return [FoundFilm(item, _label(item, labels), _group(item)) for item in items]


def _label(item: Item, labels: dict[str, int]) -> int | None:
    parents = PurePosixPath(item.filename).parent.parts
    return next((labels[key] for key in map(class_key, parents[::-1]) if key in labels), None)


def _group(item: Item) -> str:
    try:
        patient = inspect_film(item.path).patient
    except InputError:
        patient = None
    known = patient_from_name(PurePosixPath(item.filename).name)
    return patient or (known.group if known else item.filename)


def draw(films: Sequence[FoundFilm], count: int) -> tuple[list[FoundFilm], list[FoundFilm]]:
    """Draw films, patient by patient, the same ones each time.

    Args:
        films: What there is.
        count: How many at least, as far as there are so many.

    Returns:
        The drawn films, and those of all other patients.
    """
    groups = sorted({film.group for film in films})
    random.Random(0).shuffle(groups)
    order = {group: place for place, group in enumerate(groups)}
    ordered = sorted(films, key=lambda film: order[film.group])
    if len(ordered) <= count:
        return ordered, []
    last = ordered[count - 1].group
    drawn = [film for film in ordered if order[film.group] <= order[last]]
    return drawn, ordered[len(drawn) :]


def require_apart(calibration: Iterable[FoundFilm], judges: Iterable[FoundFilm]) -> None:
    """Refuse films that would calibrate a network and judge it as well.

    Raises:
        ConfigurationError: DATA_LEAK, with how many films are the same, byte by byte.
    """
    known = {sha256(film.item.path) for film in calibration}
    both = sum(sha256(film.item.path) in known for film in judges)
    if both:
        raise ConfigurationError(
            Reason.DATA_LEAK,
            f"expected other films for --evaluate than for --calibration, got {both} that are in "
            "both; take a split that was made by patient",
        )


def read_films(
    films: Sequence[FoundFilm], preprocessing: Transform, reader: ReaderPool, *, purpose: str
) -> Films:
    """Read films as `predict` reads them; those that cannot be read are left out.

    Args:
        films: What to read.
        preprocessing: Of the bundle.
        reader: Of the bundle.
        purpose: What they are for, as a present participle, for the line of progress.

    Raises:
        ConfigurationError: If none of them can be read.
    """
    read = reader.read(lambda film: prepare(preprocessing, film.item.path, item=film.item), films)
    kept = [
        (made.image, film)
        for film, made in progress(read, purpose, total=len(films))
        if isinstance(made, PreparedFilm)
    ]
    if not kept:
        raise ConfigurationError(
            Reason.DATASET_LAYOUT, "expected at least one film that can be read, got none"
        )
    kept.sort(key=lambda each: each[1].item.filename)  # readers finish in any order
    return Films(
        tuple(image for image, _ in kept),
        tuple(film.label for _, film in kept),
        tuple(film.group for _, film in kept),
    )
