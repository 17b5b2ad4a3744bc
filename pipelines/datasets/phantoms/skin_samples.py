"""A set of generated photographs of lesions in the layout of HAM10000, with masks for some."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.datasets.phantoms.counts import check_count
from pipelines.datasets.phantoms.skin import KINDS, lesion_photograph
from pipelines.files import whole_file

_PHOTOGRAPHS_OF_LESION = (1, 2, 1, 3)

MINIMUM_COUNT = 21
"""Photographs: three lesions of each of the seven kinds, one for each split."""

MAXIMUM_COUNT = 10_000
"""Photographs: some 200 MB."""

_SITES = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest")
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PlannedPhotograph:
    """One photograph to be written.

    Attributes:
        lesion: Number of the lesion, from 1, not repeated within the set.
        number: Number of the photograph within the set, from 1.
    """

    lesion: int
    number: int

    @property
    def kind(self) -> str:
        """Diagnosis, a name of `KINDS`."""
        return tuple(KINDS)[(self.lesion - 1) % len(KINDS)]

    @property
    def image_id(self) -> str:
        """Name of the image without its suffix."""
        return f"SAMPLE_{self.number:07d}"

    @property
    def has_mask(self) -> bool:
        """Whether a mask of the lesion is written too: of every other one."""
        return self.number % 2 == 1


def plan_skin_samples(count: int) -> tuple[PlannedPhotograph, ...]:
    """Share photographs out to lesions, all kinds in turn.

    Args:
        count: How many photographs, `MINIMUM_COUNT` to `MAXIMUM_COUNT`.

    Raises:
        ConfigurationError: If `count` is out of its range.
    """
    check_count(count, least=MINIMUM_COUNT, most=MAXIMUM_COUNT, images="photographs")
    lesions = _lesions(count)
    return tuple(PlannedPhotograph(lesion, number) for number, lesion in enumerate(lesions, 1))


def write_skin_samples(directory: Path, *, count: int = 48, seed: int = 0) -> tuple[Path, ...]:
    """Write generated photographs, their table and masks; the same arguments give the same bytes.

    Args:
        directory: Folder to write into; made if it is missing.
        count: How many photographs, as `plan_skin_samples` shares them out.
        seed: Another seed gives other lesions.

    Returns:
        `metadata.csv`, then the images and the masks.
    """
    planned = plan_skin_samples(count)
    table = directory / "metadata.csv"
    with whole_file(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = [_row(photograph) for photograph in planned]
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return (table, *(path for each in planned for path in _write(directory, each, seed=seed)))


def _lesions(count: int) -> Iterator[int]:
    """The lesion of each photograph: those that must be get one, then all get more in turn."""
    photographs = [1] * min(count, MINIMUM_COUNT)
    left = count - len(photographs)
    for lesion in range(count):
        wanted = _PHOTOGRAPHS_OF_LESION[lesion // len(KINDS) % len(_PHOTOGRAPHS_OF_LESION)]
        if lesion == len(photographs) and left:
            photographs.append(1)
            left -= 1
        more = min(left, wanted - 1)
        if lesion < len(photographs):
            photographs[lesion] += more
            left -= more
    return (lesion for lesion, number in enumerate(photographs, 1) for _ in range(number))


def _row(photograph: PlannedPhotograph) -> dict[str, str]:
    """A row of the table, in the columns of HAM10000."""
    lesion = photograph.lesion
    return {
        "lesion_id": f"LESION_{lesion:07d}",
        "image_id": photograph.image_id,
        "dx": photograph.kind,
        "dx_type": "histo",
        "age": f"{20 + lesion * 7 % 65}.0",
        "sex": ("female", "male")[lesion % 2],
        "localization": _SITES[lesion % len(_SITES)],
    }


def _write(directory: Path, photograph: PlannedPhotograph, *, seed: int) -> Iterator[Path]:
    colours, mask = lesion_photograph(
        np.random.default_rng((seed, photograph.lesion)),
        kind=KINDS[photograph.kind],
        view=np.random.default_rng((seed, photograph.lesion, photograph.number)),
    )
    levels = np.rint(colours[..., ::-1] * 255).astype(np.uint8)
    image = directory / "images" / f"{photograph.image_id}.jpg"
    with whole_file(image) as temporary:
        cv2.imwrite(str(temporary), levels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    yield image
    if photograph.has_mask:
        path = directory / "masks" / f"{photograph.image_id}.png"
        with whole_file(path) as temporary:
            cv2.imwrite(str(temporary), mask.astype(np.uint8) * 255)
        yield path
