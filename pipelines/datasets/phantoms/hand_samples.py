"""Generated hand radiographs in the layout of the private set of hand bones that users have.

`train/DCM/ID001/image1661130828152_R.png` and `train/outputs_json/ID001/image1661130828152_R.json`,
one person a folder, right and left hand; about every tenth person stands under `test/` in the same
way. `pairs.csv` lists the films. Polygons are exact: filled, they are the pixels of the bone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from pipelines.datasets.phantoms.counts import check_count
from pipelines.datasets.phantoms.hand import HandRadiograph, hand_radiograph
from pipelines.datasets.phantoms.hand_anatomy import draw_person
from pipelines.files import whole_file, write_csv, write_json

MINIMUM_COUNT = 6
"""Films: three persons, one of them for test."""

MAXIMUM_COUNT = 20_000
"""Films: more than 40 GB."""

_FIRST_TIME = 1_661_130_000_000
_PERSONS_A_TEST = 10
_COLUMNS = ("image_name", "image", "label", "group", "split")


@dataclass(frozen=True, slots=True)
class PlannedHand:
    """One film to be written.

    Attributes:
        split: `train` or `test`.
        person: Number of the person, from 1.
        right: Whether it shows the right hand.
    """

    split: Literal["train", "test"]
    person: int
    right: bool

    @property
    def group(self) -> str:
        """Name of the person's folder."""
        return f"ID{self.person:03d}"

    @property
    def stem(self) -> str:
        """File name without its suffix: a time in milliseconds and the side."""
        time = _FIRST_TIME + self.person * 86_573 + (0 if self.right else 17_239)
        return f"image{time}_{'R' if self.right else 'L'}"

    @property
    def image(self) -> str:
        """Path of the film below the folder, with forward slashes."""
        return f"{self.split}/DCM/{self.group}/{self.stem}.png"

    @property
    def label(self) -> str:
        """Path of the polygons below the folder, with forward slashes."""
        return f"{self.split}/outputs_json/{self.group}/{self.stem}.json"


def plan_hand_samples(count: int) -> tuple[PlannedHand, ...]:
    """Share films out: two a person, every tenth person for test.

    Args:
        count: How many films, `MINIMUM_COUNT` to `MAXIMUM_COUNT`; rounded up to an even number.

    Returns:
        The films in the order of persons, right before left.

    Raises:
        ConfigurationError: If `count` is out of its range.
    """
    check_count(count, least=MINIMUM_COUNT, most=MAXIMUM_COUNT)
    persons = count + 1 >> 1
    tests = max(1, persons // _PERSONS_A_TEST)
    return tuple(
        PlannedHand("train" if person <= persons - tests else "test", person, right)
        for person in range(1, persons + 1)
        for right in (True, False)
    )


def draw_hand_sample(film: PlannedHand, *, seed: int, side: int) -> HandRadiograph:
    """Draw a planned film; both hands of a person show the same anatomy.

    Args:
        film: Which one.
        seed: Seed of the set.
        side: Height and width.

    Returns:
        The film and its polygons.
    """
    person = draw_person(np.random.default_rng((seed, film.person)))
    random = np.random.default_rng((seed, film.person, 1 + film.right))
    return hand_radiograph(person, right=film.right, random=random, side=side)


def write_hand_samples(
    directory: Path, *, count: int = 48, seed: int = 0, side: int = 2048
) -> tuple[Path, ...]:
    """Write generated hand films with their polygons; the same arguments give the same bytes.

    Args:
        directory: Folder to write into; made if it is missing.
        count: How many films, as `plan_hand_samples` shares them out.
        seed: Another seed gives other films of other persons.
        side: Height and width of a film.

    Returns:
        Films and polygons in turn, in the order in which they were planned; the list last.
    """
    planned = plan_hand_samples(count)
    written = [path for film in planned for path in _write(directory, film, seed=seed, side=side)]
    listed = directory / "pairs.csv"
    rows = (
        {
            "image_name": f"{film.stem}.png",
            "image": film.image,
            "label": film.label,
            "group": film.group,
            "split": film.split,
        }
        for film in planned
    )
    write_csv(listed, _COLUMNS, rows)
    return (*written, listed)


def _write(directory: Path, film: PlannedHand, *, seed: int, side: int) -> Iterator[Path]:
    sample = draw_hand_sample(film, seed=seed, side=side)
    image, label = directory / film.image, directory / film.label
    image.parent.mkdir(parents=True, exist_ok=True)
    label.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(image) as temporary:
        cv2.imwrite(str(temporary), sample.pixels)
    yield image
    write_json(label, _annotation(film, sample))
    yield label


def _annotation(film: PlannedHand, sample: HandRadiograph) -> dict[str, object]:
    """The polygons in the form that annotation tools of the private set write."""
    height, width = sample.pixels.shape
    return {
        "annotations": [
            {
                "id": f"{film.stem}-{number}",
                "type": "poly_seg",
                "attributes": {},
                "points": [[int(x), int(y)] for x, y in ring],
                "label": name,
            }
            for number, (name, ring) in enumerate(sample.polygons.items(), start=1)
        ],
        "attributes": {},
        "file_id": film.stem,
        "filename": f"{film.stem}.png",
        "parent_path": f"/{film.split}/DCM/{film.group}",
        "last_modifier_id": "plainfilm",
        "metadata": {"height": height, "width": width},
        "last_workers": "plainfilm",
    }
