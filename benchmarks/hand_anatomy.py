"""How often are the 29 bones of a real hand found, each in one piece and in anatomical order?

No public set has masks of these bones, so predictions on real hands are judged by anatomy alone.
Takes the table that `plainfilm predict` wrote (`image_name,class,rle`), the films and, where given,
a table with columns `id` and `boneage_months` to tell the older ones.

    plainfilm predict hand_bone_segmentation hands/ predictions/
    python benchmarks/hand_anatomy.py predictions/predictions.csv hands/ --labels labels.csv
"""

import argparse
import csv
import itertools
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from pipelines.labels import HAND_BONES
from pipelines.results.rle import decode

RAYS = ((3, 2, 1), (7, 6, 5, 4), (11, 10, 9, 8), (15, 14, 13, 12), (19, 18, 17, 16))
RAY_NAMES = tuple(tuple(f"finger-{number}" for number in ray) for ray in RAYS)
ACROSS = (
    tuple(names[0] for names in reversed(RAY_NAMES)),
    tuple(names[-2] for names in reversed(RAY_NAMES)),
    ("Hamate", "Capitate", "Trapezoid", "Trapezium"),
    ("Triquetrum", "Lunate", "Scaphoid"),
    ("Ulna", "Radius"),
)
"""From the little finger to the thumb."""
UPWARDS = (
    ("Radius", "Scaphoid", "Trapezium", "finger-3"),
    ("Radius", "Lunate", "Capitate", "finger-11"),
    ("Ulna", "Triquetrum", "Hamate", "finger-15"),
    ("Trapezoid", "finger-7"),
)
"""From the forearm to the fingers."""
LEAST_SHARE = 1e-4
"""Of the film's area; a smaller bone counts as not found."""
LOOSE_SHARE = 0.02
"""Of a bone's area that may lie apart from its largest piece."""


def judge(masks: np.ndarray) -> dict[str, list[str]]:
    """Judge one hand.

    Args:
        masks: bool or 0 and 1, (29, height, width), in the order of `HAND_BONES`.

    Returns:
        What is wrong: `missing` and `broken` bones, and `order`, relations that do not hold.
    """
    found, missing, broken = {}, [], []
    for name, mask in zip(HAND_BONES, masks, strict=True):
        count, _, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        if count < 2 or areas.sum() < LEAST_SHARE * mask.size:
            missing.append(name)
            continue
        if areas.sum() - areas.max() > LOOSE_SHARE * areas.sum():
            broken.append(name)
        found[name] = centers[1 + areas.argmax()]
    return {"missing": missing, "broken": broken, "order": _wrong_order(found)}


Centers = dict[str, np.ndarray]


def _wrong_order(centers: Centers) -> list[str]:
    """Relations of bones that do not hold; those of missing bones are passed over."""
    if any(name not in centers for name in ("Capitate", "finger-11", "finger-7", "finger-19")):
        return ["palm not found"]
    middle = centers["finger-11"] - centers["Capitate"]
    length = float(np.linalg.norm(middle))
    up = middle / length
    across = np.array([-up[1], up[0]])
    if (centers["finger-7"] - centers["finger-19"]) @ across < 0:
        across = -across  # towards the thumb
    wrong = [what for ray in RAYS for what in _wrong_ray(centers, ray, length)]
    for names in (*ACROSS, *(RAY_NAMES[1:])):
        direction = up if names in RAY_NAMES else across
        wrong += _not_rising(centers, names, direction)
    wrong += [what for pair in UPWARDS for what in _not_rising(centers, pair, up)]
    if {"Pisiform", "Triquetrum"} <= set(centers):
        apart = np.linalg.norm(centers["Pisiform"] - centers["Triquetrum"])
        if apart > 0.6 * length:
            wrong.append("Pisiform away from Triquetrum")
    return wrong


def _not_rising(centers: Centers, names: tuple[str, ...], direction: np.ndarray) -> list[str]:
    places = [(name, centers[name] @ direction) for name in names if name in centers]
    return [
        f"{one} before {other}"
        for (one, here), (other, there) in itertools.pairwise(places)
        if there <= here
    ]


def _wrong_ray(centers: Centers, ray: tuple[int, ...], length: float) -> list[str]:
    """A finger runs on from its metacarpal without turning back, in steps of about a bone."""
    chain = [centers[f"finger-{number}"] for number in ray if f"finger-{number}" in centers]
    steps = np.diff(np.array(chain), axis=0)
    sizes = np.linalg.norm(steps, axis=1)
    wrong = []
    if any(one @ two <= 0 for one, two in itertools.pairwise(steps)):
        wrong.append(f"finger-{ray[0]} bends back")
    if ((sizes < 0.15 * length) | (sizes > 2.6 * length)).any():
        wrong.append(f"finger-{ray[0]} has a gap")
    return wrong


def interval(hits: list[bool]) -> tuple[float, float]:
    """95 % interval of a share by Wilson."""
    n, share, z = len(hits), float(np.mean(hits)), 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def main() -> None:
    """Print what is wrong with each hand, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", type=Path, help="CSV of image_name, class and rle")
    parser.add_argument("films", type=Path, help="folder of the films")
    parser.add_argument("--labels", type=Path, help="CSV of id and boneage_months")
    parser.add_argument("--adult-months", type=int, default=0)
    arguments = parser.parse_args()
    ages = {}
    if arguments.labels:
        with arguments.labels.open() as table:
            ages = {row["id"]: int(row["boneage_months"]) for row in csv.DictReader(table)}
    codes: dict[str, dict[str, str]] = defaultdict(dict)
    csv.field_size_limit(10**9)
    with arguments.runs.open() as table:
        for row in csv.DictReader(table):
            codes[row["image_name"]][row["class"]] = row["rle"]
    good = []
    for name, code in sorted(codes.items()):
        if ages and ages.get(Path(name).stem, 0) < arguments.adult_months:
            continue
        shape = cv2.imread(str(arguments.films / name), cv2.IMREAD_GRAYSCALE).shape
        report = judge(np.stack([decode(code.get(bone, ""), shape) for bone in HAND_BONES]))
        good.append(not any(report.values()))
        print(name, "good" if good[-1] else {key: what for key, what in report.items() if what})
    low, high = interval(good)
    print(
        f"{sum(good)} of {len(good)} hands: {np.mean(good):.3f} "
        f"(95 % interval {low:.3f} to {high:.3f})"
    )


if __name__ == "__main__":
    main()
