"""A set of generated limb films in class folders: fractured and not fractured."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.datasets.phantoms.counts import check_count
from pipelines.datasets.phantoms.fracture import limb_film
from pipelines.files import whole_file

CLASSES = ("fractured", "not fractured")
"""Names of the folders."""

MINIMUM_COUNT = 12
"""Films: enough for three splits."""

MAXIMUM_COUNT = 10_000
"""Films: some 400 MB."""


@dataclass(frozen=True, slots=True)
class PlannedLimb:
    """One film to be written.

    Attributes:
        label: Index into `CLASSES`.
        number: Number of the film within its class, from 1.
    """

    label: int
    number: int

    @property
    def name(self) -> str:
        """Path below the folder: with spaces and brackets, as in the public sets."""
        forms = (f"{self.number} (1).jpg", f"film [{self.number}].png", f"{self.number}-limb.jpeg")
        return f"{CLASSES[self.label]}/{forms[self.number % len(forms)]}"

    @property
    def has_colour(self) -> bool:
        """Whether grey is stored as three equal channels."""
        return self.number % 4 == 0


def write_fracture_samples(directory: Path, *, count: int = 48, seed: int = 0) -> tuple[Path, ...]:
    """Write generated limb films, half of them with a fracture; equal arguments, equal bytes.

    Args:
        directory: Folder to write into; made if it is missing.
        count: How many films, `MINIMUM_COUNT` to `MAXIMUM_COUNT`; rounded up to an even number.
        seed: Another seed gives other films.

    Returns:
        The files.

    Raises:
        ConfigurationError: If `count` is out of its range.
    """
    check_count(count, least=MINIMUM_COUNT, most=MAXIMUM_COUNT)
    films = [
        PlannedLimb(label, number)
        for number in range(1, (count + 1 >> 1) + 1)
        for label in range(len(CLASSES))
    ]
    return tuple(_write(directory, film, seed=seed) for film in films)


def _write(directory: Path, film: PlannedLimb, *, seed: int) -> Path:
    random = np.random.default_rng((seed, film.label, film.number))
    levels = np.rint(limb_film(random, broken=film.label == 0) * 255).astype(np.uint8)
    if film.has_colour:
        levels = cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR)
    path = directory / film.name
    with whole_file(path) as temporary:
        cv2.imwrite(str(temporary), levels)
    return path
