"""Small films with masks, in the layouts that people have."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.labels import HAND_BONES

HAND_SIZE = (96, 96)


def write_film(path: Path, *, seed: int = 0, size: tuple[int, int] = HAND_SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, size, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def square(place: int) -> list[list[int]]:
    """A ring of 16 x 16 pixels; 29 of them cover the film, and neighbours overlap."""
    x, y = 2 + place % 6 * 14, 2 + place // 6 * 14
    return [[x, y], [x + 15, y], [x + 15, y + 15], [x, y + 15]]


def annotation(**changes: object) -> dict:
    entries = [
        {
            "id": f"a{place}",
            "type": "poly_seg",
            "attributes": {},
            "points": square(place),
            "label": name,
        }
        for place, name in enumerate(HAND_BONES)
    ]
    metadata = {"height": HAND_SIZE[0], "width": HAND_SIZE[1]}
    return {"annotations": entries, "attributes": {}, "metadata": metadata} | changes


def write_hands(root: Path, *, persons: int = 6, split: str = "train", first: int = 1) -> Path:
    """Films and annotations of both hands of some persons."""
    for number in range(first, first + persons):
        for side in "RL":
            name = f"image{1661130828152 + number * 10 + (side == 'L')}_{side}"
            film = root / split / "DCM" / f"ID{number:03d}" / f"{name}.png"
            write_film(film, seed=number * 2 + (side == "L"))
            masks = root / split / "outputs_json" / f"ID{number:03d}" / f"{name}.json"
            masks.parent.mkdir(parents=True, exist_ok=True)
            masks.write_text(json.dumps(annotation(filename=film.name)), "utf-8")
    return root


def write_organs(root: Path, *, films: int = 10, size: tuple[int, int] = (40, 60)) -> Path:
    """Films with one grey mask of two organs each."""
    for number in range(films):
        name = f"CASE_{number:04d}_{number % 2}.png"
        write_film(root / "images" / name, seed=number, size=size)
        mask = np.zeros(size, np.uint8)
        mask[8 + number % 5 : 30, 5:25] = 255
        mask[8:30, 35:55] = 255
        (root / "masks").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(root / "masks" / name)
    return root
